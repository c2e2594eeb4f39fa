"""What an agent may do: actions as vectors, and laws of them to search in."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Space(ABC):
    """A set of actions, each a vector of `size` numbers."""

    size: int

    @abstractmethod
    def uniform(self, *sizes: int) -> Tensor:
        """Draws independent actions, each as probable; (*sizes, size)."""

    @abstractmethod
    def mirrored(self, actions: Tensor) -> Tensor:
        """What is to the other side of the middle, as probable as the actions are; same shape."""

    @abstractmethod
    def widest(self, *sizes: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of such actions, both (*sizes, size)."""

    @abstractmethod
    def draw(self, n: int, mean: Tensor, std: Tensor) -> Tensor:
        """Draws n actions of each mean and deviation (*sizes, size), (n, *sizes, size).

        The law is the space's own; where the mean says all, the deviation is not asked.
        """

    @abstractmethod
    def nearest(self, mean: Tensor) -> Tensor:
        """The action that a mean (*sizes, size) stands for."""


class Choices(Space):
    """One of so many actions, written as a one-hot vector; a mean is their probabilities.

    Args:
        n: The number of actions.
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"there are {n} actions to choose from: it takes 1 or more")
        self.size = n

    def uniform(self, *sizes: int) -> Tensor:
        return torch.eye(self.size)[torch.randint(self.size, sizes)]

    def mirrored(self, actions: Tensor) -> Tensor:
        return actions.flip(-1)

    def widest(self, *sizes: int) -> tuple[Tensor, Tensor]:
        return torch.full((*sizes, self.size), 1 / self.size), torch.zeros(*sizes, self.size)

    def draw(self, n: int, mean: Tensor, std: Tensor) -> Tensor:
        # The largest of p / e with e exponential falls on each action with its probability p.
        race = mean / torch.empty(n, *mean.shape).exponential_()
        return self.nearest(race)

    def nearest(self, mean: Tensor) -> Tensor:
        return torch.eye(self.size)[mean.argmax(-1)]


class Box(Space):
    """Real numbers between bounds; their law is a Gaussian that is cut off there.

    Args:
        low: The least values, (size,).
        high: The largest, (size,).
    """

    def __init__(self, low: Tensor, high: Tensor) -> None:
        if not (torch.isfinite(low) & torch.isfinite(high) & (low < high)).all():
            raise ValueError(f"actions from {low.tolist()} to {high.tolist()} have no finite range")
        self.low, self.high, self.size = low, high, len(low)

    def uniform(self, *sizes: int) -> Tensor:
        return self.low + (self.high - self.low) * torch.rand(*sizes, self.size)

    def mirrored(self, actions: Tensor) -> Tensor:
        return self.low + self.high - actions

    def widest(self, *sizes: int) -> tuple[Tensor, Tensor]:
        mean, std = (self.low + self.high) / 2, (self.high - self.low) / 12**0.5
        return mean.expand(*sizes, -1), std.expand(*sizes, -1)

    def draw(self, n: int, mean: Tensor, std: Tensor) -> Tensor:
        return self.nearest(mean + std * torch.randn(n, *mean.shape))

    def nearest(self, mean: Tensor) -> Tensor:
        return mean.clamp(self.low, self.high)
