"""The coordinates in which the gradient is taken.

A machine can be written with offsets m of its visible and λ of its hidden units,

    E(v, h) = - v·b' - h·c' - (v - m)·W (h - λ),      b = b' - W λ,   c = c' - W' m

and is the same machine; but a step along the gradient in (W, b', c') is another one, which does not
depend on whether a unit says 0 or 1. It is made here from the ordinary gradient, so that the
parameters themselves stay ordinary ones.

References: Enhanced Gradient for Training RBMs (Cho, Raiko & Ilin, 2013); How to Center Deep
Boltzmann Machines (Melchior, Fischer & Wiskott, 2016).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from genlit.boltzmann.gradient import Phase


def centred(W: Tensor, b: Tensor, c: Tensor, m: Tensor, offset: Tensor) -> None:
    """Turns gradients with respect to (W, b, c) into steps of the centred machine, in place.

    It is a linear map of the three, so that it may come after averaging over processes.

    Args:
        W: (V, H).
        b: (V,).
        c: (H,).
        m: Offsets of the visible units, (V,).
        offset: Offsets of the hidden units λ, (H,).
    """
    W.addmm_(torch.stack([b, m], 1), torch.stack([offset, c]), alpha=-1)
    b.addmv_(W, offset, alpha=-1)
    c.addmv_(W.mT, m, alpha=-1)


class Coordinates(nn.Module, ABC):
    """The offsets, which follow the machine as it learns.

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
    """

    m: Tensor  # (V,)
    offset: Tensor  # (H,)

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("m", torch.zeros(visible))
        self.register_buffer("offset", torch.zeros(hidden))

    @abstractmethod
    def observe(self, data: Phase, chains: Phase) -> None:
        """Looks at the states of a gradient; all processes agree on what was seen."""

    @abstractmethod
    def turn(self, W: Tensor, b: Tensor, c: Tensor) -> None:
        """Turns the gradients of (W, b, c) into the step to be taken, in place."""


class Ordinary(Coordinates):
    """The gradient as it is.

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
    """

    def observe(self, data: Phase, chains: Phase) -> None:
        """There is nothing to see."""

    def turn(self, W: Tensor, b: Tensor, c: Tensor) -> None:
        """There is nothing to turn."""


class Centred(Coordinates):
    """Offsets are running means of the data, and of the hidden units given the data.

    References:
        | How to Center Deep Boltzmann Machines (Melchior, Fischer & Wiskott, 2016)

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
        rate: The weight of a new batch in the running means.
    """

    seen: Tensor  # batches so far: at first the means are those of all batches

    def __init__(self, visible: int, hidden: int, rate: float = 0.01) -> None:
        super().__init__(visible, hidden)
        self.rate = rate
        self.register_buffer("seen", torch.zeros(()))

    def observe(self, data: Phase, chains: Phase) -> None:
        self.seen += 1
        rate = (1 / self.seen).clamp(min=self.rate)
        self.m.lerp_(over_processes(data.v.mean(0)), rate)
        self.offset.lerp_(over_processes(data.mean.mean(0)), rate)

    def turn(self, W: Tensor, b: Tensor, c: Tensor) -> None:
        centred(W, b, c, self.m, self.offset)


class Enhanced(Coordinates):
    """Offsets are the averages of data and model, of one gradient's states: the enhanced gradient.

    References:
        | Enhanced Gradient for Training Restricted Boltzmann Machines (Cho, Raiko & Ilin, 2013)

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
    """

    def observe(self, data: Phase, chains: Phase) -> None:
        self.m.copy_(over_processes((data.v.mean(0) + chains.v.mean(0)) / 2))
        self.offset.copy_(over_processes((data.mean.mean(0) + chains.mean.mean(0)) / 2))

    def turn(self, W: Tensor, b: Tensor, c: Tensor) -> None:
        centred(W, b, c, self.m, self.offset)


def over_processes(mean: Tensor) -> Tensor:
    """The mean over all processes, in place; offsets that differed would part their parameters."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(mean)
        mean /= torch.distributed.get_world_size()
    return mean


Gradient = Callable[[int, int], Coordinates]  # built from the numbers of visible and hidden units
