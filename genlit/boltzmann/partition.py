"""The partition function: exactly where its sum is small, by annealing where it is not.

Annealing goes along machines p_β between independent units with biases a, at β = 0, and the
machine itself, at β = 1:

    log p*_β(v) = (1 - β) v·a + β v·b + Σ_j log(1 + exp(β (c_j + (v W)_j)))
"""

import math
from collections.abc import Iterable
from itertools import pairwise

import torch
import torch.nn.functional as nnf
from jaxtyping import Float
from torch import Tensor

from genlit.boltzmann.energy import Theta, draw, free_energy, hidden_logits, states, transpose

LARGEST = 22  # units of the smaller layer up to which log Z is summed exactly

Rung = tuple[float, float]  # two neighbouring temperatures, the lower β first


def log_partition(theta: Theta, chunk: int = 2**14) -> Float[Tensor, ""]:
    """Exact log Z in nats and float64: a sum over the 2^n states of the smaller layer.

    Args:
        theta: The parameters.
        chunk: States summed at a time, which bounds the memory.

    Raises:
        ValueError: If the smaller layer has more than 22 units.
    """
    small = theta if len(theta.b) <= len(theta.c) else transpose(theta)
    small = Theta(*(p.detach().double() for p in small))
    n = len(small.b)
    if n > LARGEST:
        raise ValueError(
            f"exact log Z sums over 2^{n} states of the smaller layer, and {LARGEST} units are the "
            "most that it is done for: use genlit.estimators.Annealed in place of Exact"
        )
    total = small.b.new_full((), -math.inf)
    for first in range(0, 2**n, chunk):
        v = states(n, first, min(first + chunk, 2**n)).to(small.b)
        total = torch.logaddexp(total, torch.logsumexp(-free_energy(small, v), 0))
    return total


def ladder(steps: int) -> list[Rung]:
    """The neighbouring temperatures of a path from β = 0 to 1, close together near 1.

    There, chains of a trained machine mix the slowest, and their energies differ the most.

    Args:
        steps: The number of pairs.
    """
    fractions = [k / steps for k in range(steps + 1)]
    betas = [0.4 * t + 0.6 * (1 - (1 - t) ** 4) for t in fractions]
    return list(pairwise([*betas[:-1], 1.0]))


def log_partition_of_base(theta: Theta, base: Float[Tensor, " V"]) -> float:
    """Exact log Z at β = 0, in nats."""
    return float(nnf.softplus(base.double()).sum()) + len(theta.c) * math.log(2)


def rise(
    theta: Theta,
    base: Float[Tensor, " V"],
    v: Float[Tensor, "B V"],
    inputs: Float[Tensor, "B H"],
    rung: Rung,
) -> Float[Tensor, " B"]:
    """What log p*(v) gains from the lower to the higher β of a rung, in nats and float64.

    Args:
        theta: The parameters.
        base: Biases of the base.
        v: Visible states.
        inputs: Their hidden log-odds at β = 1.
        rung: The two temperatures.
    """
    low, high = rung
    hidden = nnf.softplus(high * inputs).sub_(nnf.softplus(low * inputs)).sum(1)
    return hidden.double() + (high - low) * (v @ (theta.b - base)).double()


def transition(
    theta: Theta, base: Float[Tensor, " V"], inputs: Float[Tensor, "B H"], beta: float
) -> Float[Tensor, "B V"]:
    """A Gibbs sweep v -> h -> v' that leaves p_β as it is, given the inputs of h at β = 1."""
    h = draw(beta * inputs)
    return draw(torch.addmm((1 - beta) * base + beta * theta.b, h, theta.W.mT, alpha=beta))


def forward_weights(
    theta: Theta, base: Float[Tensor, " V"], rungs: Iterable[Rung], chains: int
) -> Float[Tensor, " {chains}"]:
    r"""Annealed importance sampling of Z, from the base to the machine.

    A state is weighted by a change of temperature before it moves at the new one; the other way
    round the weights are biased. Each temperature costs two matrix products.

    Args:
        theta: The parameters.
        base: Biases of the base; best is the log-odds of the data's means.
        rungs: The temperatures in ascending order, as `ladder` gives them.
        chains: The number of independent weights.

    Returns:
        Log-weights in nats and float64. The mean of their exponentials is Z in expectation, so
        their log-mean-exp falls below log Z on average.

    References:
        | Annealed Importance Sampling (Neal, 2001)
        | On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov & Murray, 2008)
        | https://www.cs.toronto.edu/~rsalakhu/papers/dbn_ais.pdf
    """
    log_weight = torch.zeros(chains, dtype=torch.float64, device=base.device)
    v = draw(base.expand(chains, -1))
    for rung in rungs:
        inputs = hidden_logits(theta, v)
        log_weight += rise(theta, base, v, inputs, rung)
        v = transition(theta, base, inputs, rung[1])
    return log_weight + log_partition_of_base(theta, base)


def reverse_weights(
    theta: Theta,
    base: Float[Tensor, " V"],
    rungs: Iterable[Rung],
    v: Float[Tensor, "B V"],
) -> Float[Tensor, " B"]:
    """Annealed importance sampling of 1/Z, from samples of the machine to the base.

    Every forward path is run backwards: a Gibbs sweep v -> h -> v' is its own reverse.

    Args:
        theta: The parameters.
        base: Biases of the base.
        rungs: The temperatures in descending order.
        v: Samples of the machine; where they are not, the result is no bound.

    Returns:
        Log-weights in nats and float64. The mean of their exponentials is 1/Z in expectation, so
        minus their log-mean-exp lies above log Z on average.

    References:
        | Accurate and Conservative Estimates of MRF Log-likelihood (Burda et al., 2015)
    """
    log_weight = torch.zeros(len(v), dtype=torch.float64, device=base.device)
    inputs = hidden_logits(theta, v)
    for rung in rungs:
        v = transition(theta, base, inputs, rung[1])
        inputs = hidden_logits(theta, v)
        log_weight -= rise(theta, base, v, inputs, rung)
    return log_weight - log_partition_of_base(theta, base)
