"""The deep Boltzmann machine of binary units as pure functions of its parameters θ = (W, b).

    E(x) = - Σ_l x_l·b_l - Σ_l x_l·W_l x_{l+1}      x_0 = v is visible, x_1 ... x_L are hidden

Layers of even number do not interact with each other, nor do those of odd number. So given the
layers of one parity, all units of the other are independent: they can be drawn at once, updated at
once by mean-field, and summed out.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.boltzmann.energy import states
from genlit.boltzmann.partition import LARGEST
from genlit.boltzmann.units import draw

Layers = dict[int, Tensor]  # layers by their number, each (B, n_l) of zeros and ones, or of means


class DeepTheta(NamedTuple):
    """Parameters of a deep Boltzmann machine of layers 0 ... L."""

    W: list[Tensor]  # L matrices (n_l, n_{l+1})
    b: list[Tensor]  # L + 1 vectors (n_l,), or matrices (B, n_l) of biases that differ by event


def parity(theta: DeepTheta, odd: int) -> range:
    """The numbers of the even layers (`odd` = 0) or of the odd ones (1)."""
    return range(odd, len(theta.b), 2)


def width(theta: DeepTheta, odd: int) -> int:
    """The number of units in the layers of a parity."""
    return sum(theta.b[k].shape[-1] for k in parity(theta, odd))


def smaller(theta: DeepTheta) -> int:
    """The parity of fewer units, 0 or 1."""
    return int(width(theta, 1) < width(theta, 0))


def split(theta: DeepTheta, units: Tensor, odd: int) -> Layers:
    """The layers of a parity that stand side by side in `units` (B, width)."""
    numbers = parity(theta, odd)
    parts = units.split([theta.b[k].shape[-1] for k in numbers], dim=1)
    return dict(zip(numbers, parts, strict=True))


def energy(theta: DeepTheta, x: Layers) -> Tensor:
    """Energy E(x) of states of all layers; (B,)."""
    fields = sum(x[k] @ b for k, b in enumerate(theta.b))
    couplings = sum(((x[k] @ W) * x[k + 1]).sum(-1) for k, W in enumerate(theta.W))
    return -(fields + couplings)  # pyright: ignore[reportReturnType]


def logits(theta: DeepTheta, x: Layers, layer: int) -> Tensor:
    """Log-odds of the units of a layer given the layers beside it, which alone matter; (B, n_l)."""
    inputs = theta.b[layer]
    if layer > 0:
        inputs = torch.addmm(inputs, x[layer - 1], theta.W[layer - 1])
    if layer < len(theta.W):
        inputs = torch.addmm(inputs, x[layer + 1], theta.W[layer].mT)
    return inputs


def drawn(theta: DeepTheta, x: Layers, odd: int) -> Layers:
    """A sample of the layers of one parity given those of the other."""
    return {k: draw(logits(theta, x, k)) for k in parity(theta, odd)}


def sweep(
    theta: DeepTheta, odd: Layers, v: Tensor | None = None, observed: Tensor | None = None
) -> Layers:
    """One Gibbs sweep, from the odd layers to all: even ones given the odd, odd given the even.

    It leaves p(x) as it is; or, with pixels observed, p(the rest of x | the observed pixels).

    Args:
        theta: The parameters.
        odd: States of the odd layers; others that are in it do not matter.
        v: Visible states (B, V), of which the observed ones are held.
        observed: True where v is known, (B, V).
    """
    even = drawn(theta, odd, 0)
    if v is not None and observed is not None:
        even[0] = torch.where(observed, v, even[0])
    return even | drawn(theta, even, 1)


# Sums over layers


def log_marginal(theta: DeepTheta, x: Layers, odd: int) -> Tensor:
    """Log Σ exp(-E) over the layers of the other parity, in nats; (B,).

    Args:
        theta: The parameters.
        x: The layers that are kept, all of one parity.
        odd: Their parity.
    """
    kept = sum(x[k] @ theta.b[k] for k in parity(theta, odd))
    summed = (nnf.softplus(logits(theta, x, k)).sum(-1) for k in parity(theta, 1 - odd))
    return sum(summed, start=kept)  # pyright: ignore[reportReturnType]


def log_partition(theta: DeepTheta, odd: int | None = None, chunk: int = 2**14) -> Tensor:
    """Exact log Z in nats and float64: a sum over the states of the layers of one parity.

    Args:
        theta: The parameters.
        odd: That parity; None takes the one of fewer units.
        chunk: States summed at a time, which bounds the memory.

    Raises:
        ValueError: If it has more than 22 units.
    """
    odd = smaller(theta) if odd is None else odd
    n = width(theta, odd)
    if n > LARGEST:
        raise ValueError(
            f"exact log Z sums over 2^{n} states of every other layer, and {LARGEST} units are the "
            "most that it is done for: estimate it by annealing"
        )
    theta = DeepTheta(*([p.detach().double() for p in group] for group in theta))
    total = theta.b[0].new_full((), -math.inf)
    for first in range(0, 2**n, chunk):
        x = split(theta, states(n, first, min(first + chunk, 2**n)).to(total), odd)
        total = torch.logaddexp(total, torch.logsumexp(log_marginal(theta, x, odd), 0))
    return total


# Mean-field


def shared_input(theta: DeepTheta, layer: int) -> float:
    """How often an inner layer counts its one neighbour while it has only one.

    Between two trained layers a unit hears from both. Where the second is not there yet, the first
    stands in for both, and counts twice. The outermost layers never have more than one.

    References:
        | Deep Boltzmann Machines (Salakhutdinov & Hinton, 2009), section 3.1
    """
    return 2.0 if 0 < layer < len(theta.W) else 1.0


def logits_from(theta: DeepTheta, x: Tensor, beside: int, layer: int) -> Tensor:
    """Log-odds of a layer given the layer just below or above it, in place of both; (B, n_l)."""
    W = theta.W[beside] if beside < layer else theta.W[layer].mT
    return torch.addmm(theta.b[layer], x, W, alpha=shared_input(theta, layer))


def given_visible(theta: DeepTheta, v: Tensor) -> DeepTheta:
    """The hidden layers given v: a machine without the visible layer, its biases by event."""
    return DeepTheta(theta.W[1:], [torch.addmm(theta.b[1], v, theta.W[0]), *theta.b[2:]])


def mean_field(theta: DeepTheta, v: Tensor, steps: int, tolerance: float = 0.0) -> Layers:
    """Factorial approximation of p(h | v): the means of all hidden layers, beside v itself.

    Every update of a parity maximizes the variational bound over the means of its units, so the
    bound rises from step to step and needs no damping. The odd layers are the last to be updated.

    Args:
        theta: The parameters.
        v: Visible states (B, V).
        steps: The most times that all layers are updated, at least 1.
        tolerance: Stops earlier when no mean of the odd layers moves by as much in a step.
    """
    hidden, top = given_visible(theta, v), len(theta.W)
    # Until something is known above: the input from below, which counts twice in inner layers.
    below = hidden.b[0] - theta.b[1]
    mean = {0: torch.add(theta.b[1], below, alpha=shared_input(theta, 1)).sigmoid_()}
    for k in range(1, top - 1 + top % 2):  # a top layer of even number is the first to be updated
        mean[k] = logits_from(theta, mean[k - 1], k, k + 1).sigmoid_()
    for _ in range(steps):
        before = mean.copy()
        for k in (*parity(hidden, 1), *parity(hidden, 0)):
            mean[k] = logits(hidden, mean, k).sigmoid()
        moved = (mean[k] - before[k] for k in parity(hidden, 0))
        if tolerance and all(bool(m.abs_().max() < tolerance) for m in moved):
            break
    return {0: v} | {k + 1: m for k, m in mean.items()}


def variational_bound(theta: DeepTheta, mean: Layers) -> Tensor:
    """Lower bound of log p(v) + log Z in nats, from means of the even hidden layers; (B,).

    It is -E(v, μ) + H(μ), the odd layers standing at their best: their terms then sum to softplus
    of their log-odds, as if they were summed out.

    Args:
        theta: The parameters.
        mean: v, and means of the even hidden layers; the odd ones do not matter.
    """
    even = [mean[k] for k in parity(theta, 0) if k > 0]
    entropies = ((torch.special.entr(m) + torch.special.entr(1 - m)).sum(-1) for m in even)
    return sum(entropies, start=log_marginal(theta, mean, 0))
