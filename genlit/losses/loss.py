"""What a translation is to be like: losses that a config adds up."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn


class Loss(nn.Module, ABC):
    """A number that is lower the better an answer is. A base class, since the config chooses.

    Args:
        weight: The coefficient in the sum of losses.

    Raises:
        ValueError: If it is below 0.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if weight < 0:
            raise ValueError(f"the weight of {type(self).__name__} is {weight}: it is 0 or more")
        self.weight = weight

    @property
    def name(self) -> str:
        """Under which it is logged."""
        return type(self).__name__.lower()

    @abstractmethod
    def forward(self, answer: Tensor, truth: Tensor, condition: Tensor) -> Tensor:
        """Judges answers, without the weight; a scalar.

        Args:
            answer: What was made, (B, *shape).
            truth: What should have been, (B, *shape).
            condition: What it was made from, (B, *condition_shape).
        """


class Opponent(Loss):
    """A loss that learns meanwhile to tell answers from truths. A base class: see `genlit.gan`.

    Args:
        weight: The coefficient in the sum of losses.
        optimizer: Builds its optimizer from its parameters.
    """

    def __init__(
        self, weight: float, optimizer: Callable[[Iterable], torch.optim.Optimizer]
    ) -> None:
        super().__init__(weight)
        self.optimizer = optimizer

    @abstractmethod
    def build(self, shape: Sequence[int], condition_shape: Sequence[int]) -> None:
        """Makes its networks, now that shapes are known; is called once."""

    @abstractmethod
    def terms(self, answer: Tensor, truth: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Returns scalars to log, "discriminator_loss" among them, which it lowers itself.

        Args:
            answer: What was made, (B, *shape), without a gradient.
            truth: What should have been, (B, *shape).
            condition: What it was made from, (B, *condition_shape).
        """

    @abstractmethod
    def opinion(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Returns its logits of events as they are, and the norms of their gradients; (B,)."""

    def after_step(self, accuracy: Tensor, n: int) -> None:
        """Is called after each step of its own.

        Args:
            accuracy: The share of truths that it called real, over all processes.
            n: How many there were, on all processes.
        """
