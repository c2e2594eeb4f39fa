"""The general Boltzmann machine as pure functions of its parameters θ = (W, b, c, R, S).

    E(v, h) = - v·b - h·c - v·W h - v·R v - h·S h        v in {0, 1}^V,  h in {0, 1}^H

R and S couple units of one layer with each other. They are symmetric with a zero diagonal, so each
pair enters twice, and the log-odds of one unit given all others are 2 (R v)_i + (W h)_i + b_i. None
stands for a layer without couplings. Without both it is the restricted machine; without S, whose
hidden units are independent given v, semi-restricted; without hidden units, fully visible.

References:
    | A Learning Algorithm for Boltzmann Machines (Ackley, Hinton & Sejnowski, 1985)
    | Deep Learning (Goodfellow, Bengio & Courville, 2016), ch. 20.1
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int
from torch import Tensor

from genlit.boltzmann.energy import states
from genlit.boltzmann.partition import LARGEST


class Couplings(NamedTuple):
    """Parameters of a Boltzmann machine."""

    W: Float[Tensor, "V H"]
    b: Float[Tensor, " V"]
    c: Float[Tensor, " H"]
    R: Float[Tensor, "V V"] | None = None
    S: Float[Tensor, "H H"] | None = None

    def double(self) -> "Couplings":
        """The same machine in float64, out of reach of gradients."""
        R, S = (None if p is None else p.detach().double() for p in (self.R, self.S))
        W, b, c = (p.detach().double() for p in (self.W, self.b, self.c))
        return Couplings(W, b, c, R, S)


def within(
    coupling: Float[Tensor, "N N"] | None, x: Float[Tensor, "*B N"]
) -> Float[Tensor, "*B"] | float:
    """What the couplings within a layer take from the energy of its states x, in nats: x·R x."""
    return 0.0 if coupling is None else ((x @ coupling) * x).sum(-1)


def energy(
    theta: Couplings, v: Float[Tensor, "*B V"], h: Float[Tensor, "*B H"]
) -> Float[Tensor, "*B"]:
    """Energy E(v, h) of joint states; its mean where h are means of units independent given v."""
    alone = -(v @ theta.b) - (h @ theta.c) - torch.einsum("...i,ij,...j", v, theta.W, h)
    return alone - within(theta.R, v) - within(theta.S, h)


def hidden_logits(
    theta: Couplings, v: Float[Tensor, "B V"], h: Float[Tensor, "B H"] | None = None
) -> Float[Tensor, "B H"]:
    """Log-odds of h_j = 1 given v and, where hidden units are coupled, all others."""
    logits = torch.addmm(theta.c, v, theta.W)
    return logits if theta.S is None or h is None else logits.addmm(h, theta.S, alpha=2)


def visible_logits(
    theta: Couplings, h: Float[Tensor, "B H"], v: Float[Tensor, "B V"]
) -> Float[Tensor, "B V"]:
    """Log-odds of v_i = 1 given h and all other visible units."""
    logits = torch.addmm(theta.b, h, theta.W.mT)
    return logits if theta.R is None else logits.addmm(v, theta.R, alpha=2)


def free_energy(theta: Couplings, v: Float[Tensor, "B V"]) -> Float[Tensor, " B"]:
    """Free energy of visible states in nats, the hidden units summed out.

    Coupled hidden units are summed over one joint state after another.

    Raises:
        ValueError: If hidden units are coupled, and more than 22.
    """
    inputs = hidden_logits(theta, v)
    visible = -(v @ theta.b) - within(theta.R, v)
    if theta.S is None:
        return visible - nnf.softplus(inputs).sum(-1)
    _refuse_many(len(theta.c), "the hidden units, which are coupled")
    total = inputs.new_full((len(v),), -math.inf)
    for h in enumerated(theta.c, 2**10):
        total = torch.logaddexp(total, (inputs @ h.mT + within(theta.S, h)).logsumexp(1))
    return visible - total


def pseudo_log_likelihood(
    theta: Couplings, v: Float[Tensor, "B V"], sites: Int[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """An unbiased estimate of Σ_i log p(v_i | other visible units), without coupled hidden units.

    As `genlit.boltzmann.energy.pseudo_log_likelihood`, which see.

    Args:
        theta: The parameters, without S.
        v: Visible states, of zeros and ones.
        sites: The unit looked at in each state; drawn uniformly for the estimate to be unbiased.
    """
    inputs = hidden_logits(theta, v)
    change = 1 - 2 * v.gather(1, sites[:, None])
    flipped = inputs + change * theta.W[sites]
    field = theta.b[sites]
    if theta.R is not None:
        field = field + 2 * (v * theta.R[sites]).sum(1)
    gap = nnf.softplus(inputs).sum(1) - nnf.softplus(flipped).sum(1) - change[:, 0] * field
    return v.shape[1] * nnf.logsigmoid(gap)


def full_pseudo_log_likelihood(theta: Couplings, v: Float[Tensor, "B V"]) -> Float[Tensor, " B"]:
    """Σ_i log p(v_i | all other units) in nats, of a machine without hidden units: one product.

    References:
        | Statistical Analysis of Non-Lattice Data (Besag, 1975)
    """
    logits = visible_logits(theta, v.new_zeros(len(v), len(theta.c)), v)
    return -nnf.binary_cross_entropy_with_logits(logits, v, reduction="none").sum(1)


def mean_field(
    theta: Couplings, v: Float[Tensor, "B V"], iterations: int, damping: float = 0.5
) -> Float[Tensor, "B H"]:
    """Means of independent hidden units that come close to p(h | v); exact where there is no S.

    Args:
        theta: The parameters.
        v: Visible states.
        iterations: Updates of all means at once; without S there is nothing to iterate.
        damping: How much of the old means each update keeps; all at once they might oscillate.
    """
    inputs = hidden_logits(theta, v)
    mean = inputs.sigmoid()
    if theta.S is None:
        return mean
    for _ in range(iterations):
        mean = mean.lerp(torch.addmm(inputs, mean, theta.S, alpha=2).sigmoid(), 1 - damping)
    return mean


def log_weight_bound(
    theta: Couplings, v: Float[Tensor, "B V"], mean: Float[Tensor, "B H"]
) -> Float[Tensor, " B"]:
    """A lower bound of log p(v) + log Z in nats, from any means of independent hidden units.

    It lacks the divergence of these units from p(h | v).
    """
    entropy = (torch.special.entr(mean) + torch.special.entr(1 - mean)).sum(-1)
    return entropy - energy(theta, v, mean)


def anneal(theta: Couplings, base: Float[Tensor, " V"], beta: float) -> Couplings:
    """The machine at β between independent visible units with biases `base`, at 0, and θ, at 1."""
    R, S = (None if p is None else beta * p for p in (theta.R, theta.S))
    return Couplings(beta * theta.W, (1 - beta) * base + beta * theta.b, beta * theta.c, R, S)


def transpose(theta: Couplings) -> Couplings:
    """The same machine with the names of its two layers exchanged."""
    return Couplings(theta.W.mT, theta.c, theta.b, theta.S, theta.R)


def joint(theta: Couplings) -> Couplings:
    """The same law as that of a fully visible machine, whose units are (v, h)."""
    V, H = theta.W.shape
    R = theta.W.new_zeros(V, V) if theta.R is None else theta.R
    S = theta.W.new_zeros(H, H) if theta.S is None else theta.S
    every = torch.cat([torch.cat([R, theta.W / 2], 1), torch.cat([theta.W.mT / 2, S], 1)])
    bias = torch.cat([theta.b, theta.c])
    return Couplings(every[:, :0], bias, bias[:0], every)


def log_partition(theta: Couplings, chunk: int = 2**14) -> Float[Tensor, ""]:
    """Exact log Z in nats and float64: a sum over the states of as few units as will do.

    One layer is summed in closed form if its units are not coupled.

    Args:
        theta: The parameters.
        chunk: States summed at a time, which bounds the memory.

    Raises:
        ValueError: If the sum is over more than 22 units.
    """
    require_tractable(theta)
    theta = theta.double()
    if theta.R is None and (theta.S is not None or len(theta.c) < len(theta.b)):
        theta = transpose(theta)
    if theta.S is not None:
        theta = joint(theta)
    total = theta.b.new_full((), -math.inf)
    for v in enumerated(theta.b, chunk):
        total = torch.logaddexp(total, torch.logsumexp(-free_energy(theta, v), 0))
    return total


def require_tractable(theta: Couplings) -> None:
    """Makes sure that few enough units cannot be summed in closed form.

    These are all units of a layer that is coupled; or else of the smaller layer.

    Raises:
        ValueError: If they are more than 22.
    """
    V, H = theta.W.shape
    coupled = (theta.R is not None) * V + (theta.S is not None) * H
    _refuse_many(coupled or min(V, H), "the units that it cannot sum in closed form")


def _refuse_many(n: int, units: str) -> None:
    if n > LARGEST:
        raise ValueError(
            f"an exact log p(x) sums over 2^{n} states of {units}, and {LARGEST} units are the "
            "most that it is done for: in place of genlit.estimators.Exact use Annealed, or "
            "AnnealedBound where hidden units are coupled"
        )


def enumerated(like: Float[Tensor, " N"], chunk: int) -> Iterator[Tensor]:
    """All joint states of N units, a chunk (<= chunk, N) at a time."""
    n = len(like)
    for first in range(0, 2**n, chunk):
        yield states(n, first, min(first + chunk, 2**n)).to(like)
