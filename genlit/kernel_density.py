"""Gaussian kernel densities of samples (Parzen windows): log-densities in nats.

    q(x) = 1/n Σ_j N(x; s_j, σ² I)

In expectation over samples from p it is p convolved with the kernel, and not p.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

NUMBERS = 2**22  # distances between events and samples that are held at once


class KernelDensity(NamedTuple):
    """What a kernel density says of some events, added up."""

    n: int  # events
    total: float  # Σ log q(x), nats
    squares: float  # Σ (log q(x))²
    shares: Tensor  # how much of the events each sample accounts for, (samples,); adds up to n


@torch.no_grad()
def kernel_density(x: Tensor, samples: Tensor, std: float) -> KernelDensity:
    """The log-density of events, in float64 and in chunks of events.

    Args:
        x: Events, (B, D).
        samples: Where kernels stand, (n, D).
        std: The width σ of kernels, in the units of x.
    """
    n, dims = samples.shape
    constant = -math.log(n) - dims * math.log(std * math.sqrt(2 * math.pi))
    total, squares, shares = 0.0, 0.0, samples.new_zeros(n, dtype=torch.float64)
    for squared in distances(x, samples):
        exponents = squared.mul_(-0.5 / std**2)
        log_q = torch.logsumexp(exponents, 1)
        shares += exponents.sub_(log_q[:, None]).exp_().sum(0)
        log_q += constant
        total, squares = total + float(log_q.sum()), squares + float(log_q.square().sum())
    return KernelDensity(len(x), total, squares, shares)


@torch.no_grad()
def mean_log_densities(x: Tensor, samples: Tensor, stds: Sequence[float]) -> Tensor:
    """The mean log-density of events under kernels of each of some widths; (len(stds),) nats."""
    n, dims = samples.shape
    totals = torch.zeros(len(stds), dtype=torch.float64)
    for squared in distances(x, samples):
        for k, std in enumerate(stds):
            totals[k] += torch.logsumexp(squared * (-0.5 / std**2), 1).sum().cpu()
    widths = torch.tensor([*stds], dtype=torch.float64)
    return totals / len(x) - math.log(n) - dims * (widths.log() + 0.5 * math.log(2 * math.pi))


def distances(x: Tensor, samples: Tensor) -> Iterator[Tensor]:
    """Squared distances between events and samples, chunk by chunk of events: (b, n) float64."""
    samples = samples.double()
    norms = samples.square().sum(1)
    for some in x.split(max(1, NUMBERS // max(len(samples), 1))):
        some = some.double()
        yield torch.addmm(
            norms + some.square().sum(1, keepdim=True), some, samples.mT, alpha=-2
        ).clamp_(min=0)
