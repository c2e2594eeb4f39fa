"""How a model answers what is painted: with candidates, the one that agrees best first.

All that is drawn, is drawn under a purpose, so that the same questions in the same order have the
same answers.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genlit.editing.strokes import Painting

Purpose = tuple[int | str, ...]


class Candidates(NamedTuple):
    """Images that agree with what is painted, the best first."""

    images: Tensor  # (n, *shape) in [0, 1]
    scores: Tensor  # (n,): what they are ordered by, the lowest first
    codes: Tensor | None = None  # (n, D), of an engine that has codes
    draws: Tensor | None = None  # (n,): which draws they are, of an engine that draws them again

    def ordered(self, most: int, keep: int | None = None) -> tuple["Candidates", int]:
        """The best, in their order, and the place of one that is kept in any case; 0 without."""
        order = self.scores.argsort(stable=True)
        best = order[:most]
        if keep is not None and keep not in best:
            best[-1] = keep
        place = 0 if keep is None else int((best == keep).nonzero())
        values = (None if value is None else value[best] for value in self)
        return Candidates(*values), place  # pyright: ignore[reportArgumentType]


class Engine(ABC):
    """How a model answers.

    Args:
        model: The model.
        n: How many candidates there are.
    """

    order: str  # what candidates are ordered by, in words
    kind: str  # how answers are found, in a word
    quick: bool  # whether it can answer while a stroke is being drawn

    def __init__(self, model: Any, n: int) -> None:
        self.model, self.n = model, n
        self.shape: tuple[int, ...] = model.shape
        self.device = getattr(model, "device", torch.device("cpu"))

    @abstractmethod
    def fresh(self, painting: Painting, purpose: Purpose) -> Candidates:
        """Candidates that are drawn anew."""

    @abstractmethod
    def follow(
        self, before: Candidates, kept: int, painting: Painting, draw: Purpose, purpose: Purpose
    ) -> tuple[Candidates, int]:
        """Candidates near earlier ones, and the place of the one that follows a certain one.

        Args:
            before: The earlier ones.
            kept: The place of the one that is looked at.
            painting: What is painted now.
            draw: The purpose under which the earlier ones were drawn.
            purpose: That of what is drawn besides.
        """

    @abstractmethod
    def glance(
        self, before: Candidates, kept: int, painting: Painting, last: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What one candidate is becoming while a stroke is drawn, (*shape), and how to go on.

        Args:
            before: The candidates before the stroke.
            kept: The place of the one that is looked at.
            painting: What is painted so far.
            last: What the last glance said of how to go on.
        """

    @abstractmethod
    def way(self, stops: list[tuple[Candidates, int]], frames: int) -> Tensor:
        """Images on the way from one candidate to the next ones, (frames, *shape) a stretch."""

    @abstractmethod
    def agrees(self, candidates: Candidates, k: int, painting: Painting) -> bool:
        """Whether a candidate is as near to what is painted as one can see."""

    @abstractmethod
    def captions(self, candidates: Candidates, painting: Painting) -> list[str]:
        """In a few words how well each agrees."""

    def whole(self, images: Tensor) -> Tensor:
        """Images of a model, on the CPU in [0, 1].

        Raises:
            ValueError: If they are not finite.
        """
        if not torch.isfinite(images).all():
            name = type(self.model).__name__
            raise ValueError(f"{name} answered with numbers that are not finite: it has diverged")
        return images.detach().float().clamp(0, 1).cpu()
