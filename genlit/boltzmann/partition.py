"""The partition function where its sum is small enough to be done exactly."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from genlit.boltzmann.energy import Theta, hidden_free_energy, states, transpose

LARGEST = 22  # units of the smaller layer up to which log Z is summed exactly


def require_tractable(theta: Theta) -> None:
    """Makes sure that the smaller binary layer is small enough to sum over its states.

    Raises:
        ValueError: If it has more than 22 units.
    """
    n = min(theta.W.shape) if theta.units.binary else len(theta.c)
    if n > LARGEST:
        raise ValueError(
            f"exact log Z sums over 2^{n} states of the smaller layer, and {LARGEST} units are the "
            "most that it is done for: use genlit.estimators.Annealed in place of Exact"
        )


def log_partition(theta: Theta, chunk: int = 2**14) -> Float[Tensor, ""]:
    """Exact log Z in nats and float64: a sum over the 2^n states of the smaller binary layer.

    Args:
        theta: The parameters.
        chunk: States summed at a time, which bounds the memory.

    Raises:
        ValueError: If that layer has more than 22 units.
    """
    require_tractable(theta)
    theta = theta.double()
    if theta.units.binary and len(theta.b) < len(theta.c):
        theta = transpose(theta)
    n = len(theta.c)
    total = theta.b.new_full((), -math.inf)
    for first in range(0, 2**n, chunk):
        h = states(n, first, min(first + chunk, 2**n)).to(theta.b)
        total = torch.logaddexp(total, torch.logsumexp(-hidden_free_energy(theta, h), 0))
    return total
