"""The states of a session, and what answers in it."""

from dataclasses import dataclass

from torch import Tensor

from genlit.editing.engines import Candidates, Engine, Purpose
from genlit.editing.photos import Projector
from genlit.editing.strokes import Stroke


@dataclass(frozen=True)
class Step:
    """A state.

    Args:
        parent: The state before it; None for the first.
        label: What led to it.
        strokes: All that is painted.
        candidates: How the model answers.
        chosen: The place of the candidate that is looked at.
        pinned: Whether the user chose it, so that it is looked at whatever comes.
        draw: The purpose under which candidates were drawn.
        note: What the user is to know of it.
    """

    parent: int | None
    label: str
    strokes: tuple[Stroke, ...]
    candidates: Candidates
    chosen: int
    pinned: bool
    draw: Purpose
    note: str = ""

    @property
    def image(self) -> Tensor:
        """The image that is looked at, (*shape)."""
        return self.candidates.images[self.chosen]


@dataclass(frozen=True)
class Means:
    """What answers.

    Args:
        engine: Answers what is painted.
        projector: Finds codes of photos; None where there are no codes.
    """

    engine: Engine
    projector: Projector | None
