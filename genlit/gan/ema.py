"""A second generator whose weights are a running average of the first one's."""

import copy
import math

import torch
from torch import Tensor, nn


def twin(network: nn.Module) -> nn.Module:
    """A copy that no optimizer trains."""
    return copy.deepcopy(network).requires_grad_(False)


def newest_share(decay: float, rampup: float, updates: Tensor) -> Tensor:
    """The share that the newest weights have in an average over θ_1, ..., θ_t; a scalar in (0, 1].

    Without ramp-up the average is Σ_k decay^(t-k) θ_k / Σ_k decay^(t-k): an exponential moving
    average that gives the weights before training no share, however short the run. With it the
    decay of step t is min(decay, 2^(-1 / (rampup t))), so that half of the average is younger than
    that share of all steps.

    References:
        | Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), for ramp-up

    Args:
        decay: How much less each update counts than the next, in (0, 1).
        rampup: The half-life in the beginning, as a share of steps done; 0 has no ramp-up.
        updates: t, a scalar.
    """
    t = updates.double()
    if not rampup:
        return (1 - decay) / -torch.expm1(t * math.log(decay))
    return 1 - (torch.exp2(-1 / (rampup * t))).clamp(max=decay)


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, share: Tensor) -> None:
    """Moves an average over the weights of a network on to those it has now.

    Buffers, such as the statistics of batch normalization, are averages already, and are copied.

    Args:
        averaged: The average so far.
        network: The network with its newest weights.
        share: Their share in the average from now on, a scalar.
    """
    for old, new in zip(averaged.parameters(), network.parameters(), strict=True):
        old.lerp_(new, share.to(new))
    for old, new in zip(averaged.buffers(), network.buffers(), strict=True):
        old.copy_(new)
