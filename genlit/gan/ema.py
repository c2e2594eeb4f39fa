"""A second generator whose weights are a running average of the first one's."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def twin(network: nn.Module) -> nn.Module:
    """A copy that no optimizer trains."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, decay: float, updates: Tensor) -> None:
    """Moves an average over the weights θ_1, ..., θ_t of a network on to θ_t.

    After t updates the average is Σ_k decay^(t-k) θ_k / Σ_k decay^(t-k): an exponential moving
    average that gives the weights before training no share, however short the run. Buffers, such as
    the statistics of batch normalization, are averages already, and are copied.

    Args:
        averaged: The average after t - 1 updates; of any weights where t is 1.
        network: The network with the weights θ_t.
        decay: How much less each update counts than the next, in (0, 1).
        updates: t, a scalar.
    """
    share = (1 - decay) / -torch.expm1(updates.float() * math.log(decay))
    for old, new in zip(averaged.parameters(), network.parameters(), strict=True):
        old.lerp_(new, share.to(new))
    for old, new in zip(averaged.buffers(), network.buffers(), strict=True):
        old.copy_(new)


@contextmanager
def unmoved(network: nn.Module) -> Iterator[None]:
    """Inside, a forward pass in training mode leaves no trace in the network's buffers."""
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)
