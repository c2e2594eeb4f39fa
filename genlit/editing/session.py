"""A session: what the user did, the states that it led to, and where among them the user stands.

What the user did is a list of actions, each of which is JSON. The same actions under the same
settings lead to the same images, so that this list is all there is to save.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from genlit import __version__
from genlit.editing.engines import Purpose
from genlit.editing.history import Means, Step
from genlit.editing.photos import BOTH
from genlit.editing.settings import Settings
from genlit.editing.strokes import (
    PHOTO,
    Painting,
    Stroke,
    painting_of,
    pixels_of,
    spec_of,
    stroke_of,
)

STEPS = 300  # the most states of a session


class Session:
    """A session of one model, at its beginning.

    Args:
        build: Makes what answers, under some settings.
        settings: These.
    """

    def __init__(self, build: Callable[[Settings], Means], settings: Settings) -> None:
        self.build, self.settings = build, settings
        self.means = build(settings)
        self.engine, self.shape = self.means.engine, self.means.engine.shape
        self.actions: list[dict[str, Any]] = []
        self.glimpse: Tensor | None = None  # how the next glance goes on
        draw = self.purpose(0)
        nothing = painting_of((), self.shape)
        first = Step(None, "start", (), self.engine.fresh(nothing, draw), 0, False, draw)
        self.steps, self.at = [first], 0

    @property
    def now(self) -> Step:
        """The state in which the user stands."""
        return self.steps[self.at]

    @property
    def painting(self) -> Painting:
        """What is painted now."""
        return painting_of(self.now.strokes, self.shape)

    def purpose(self, step: int) -> Purpose:
        """That of what is drawn for a state."""
        return ("edit", self.settings.seed, step)

    # Actions

    def act(self, action: Any) -> None:
        """Does what the user wants, and notes it; nothing is changed or noted where it fails.

        Raises:
            ValueError: If it cannot be done.
        """
        if not isinstance(action, dict):
            raise ValueError('an action is an object, as in {"do": "undo"}')
        action = {"do": "stroke"} | action
        deeds = {
            "stroke": self._stroke, "choose": self._choose, "new": self._new, "clear": self._clear,
            "photo": self._photo, "undo": self._undo, "redo": self._redo, "go": self._go,
        }  # fmt: skip
        if not isinstance(action["do"], str) or action["do"] not in deeds:
            raise ValueError(
                f"there is no action {action['do']!r:.40}: it may be {', '.join(deeds)}"
            )
        self.glimpse = None
        self.actions.append(deeds[action["do"]](action))

    def _stroke(self, action: dict[str, Any]) -> dict[str, Any]:
        stroke = stroke_of(action, self.shape)
        strokes = (*self.now.strokes, stroke)
        self._follow(stroke.tool, strokes)
        return {"do": "stroke", **spec_of(stroke)}

    def _follow(self, label: str, strokes: tuple[Stroke, ...]) -> None:
        """Adds a state in which candidates follow what is painted now.

        The candidate that is looked at stays so, unless it agrees badly and nobody chose it.
        """
        now, painting = self.now, painting_of(strokes, self.shape)
        candidates, chosen = self.engine.follow(
            now.candidates, now.chosen, painting, now.draw, self.purpose(len(self.steps))
        )
        if not (now.pinned or self.engine.agrees(candidates, chosen, painting)):
            chosen = 0
        self._add(replace(now, label=label, strokes=strokes, candidates=candidates, chosen=chosen,
                          note=""))  # fmt: skip

    def _new(self, action: dict[str, Any]) -> dict[str, Any]:
        draw = self.purpose(len(self.steps))
        candidates = self.engine.fresh(self.painting, draw)
        self._add(replace(self.now, label="new", candidates=candidates, chosen=0, pinned=False,
                          draw=draw, note=""))  # fmt: skip
        return {"do": "new"}

    def _clear(self, action: dict[str, Any]) -> dict[str, Any]:
        self._add(replace(self.steps[0], label="clear", chosen=0, pinned=False))
        return {"do": "clear"}

    def _photo(self, action: dict[str, Any]) -> dict[str, Any]:
        """Finds the code of a photo; where there are no codes, paints it."""
        photo, projector = pixels_of(action.get("pixels"), self.shape), self.means.projector
        if projector is None:
            stroke = Stroke(PHOTO, pixels=action["pixels"])
            self._follow("photo", (*self.now.strokes, stroke))
            return {"do": "photo", "pixels": action["pixels"]}
        solver, draw = action.get("solver", BOTH), self.purpose(len(self.steps))
        candidates = projector.project(photo, solver, draw)
        error = float(candidates.scores[0]) / photo.numel()
        note = f"{solver}: off by {100 * error**0.5:.0f} %, mean squared error {error:.4f}"
        self._add(Step(self.at, f"photo, {solver}", (), candidates, 0, True, draw, note))
        return {"do": "photo", "solver": solver, "pixels": action["pixels"]}

    def _choose(self, action: dict[str, Any]) -> dict[str, Any]:
        chosen = place(action.get("candidate"), len(self.now.candidates.scores), "candidate")
        self.steps[self.at] = replace(self.now, chosen=chosen, pinned=True)
        return {"do": "choose", "candidate": chosen}

    def _undo(self, action: dict[str, Any]) -> dict[str, Any]:
        if self.now.parent is None:
            raise ValueError("there is nothing to undo")
        self.at = self.now.parent
        return {"do": "undo"}

    def _redo(self, action: dict[str, Any]) -> dict[str, Any]:
        children = [k for k, step in enumerate(self.steps) if step.parent == self.at]
        if not children:
            raise ValueError("there is nothing to do again")
        self.at = children[-1]
        return {"do": "redo"}

    def _go(self, action: dict[str, Any]) -> dict[str, Any]:
        self.at = place(action.get("step"), len(self.steps), "step")
        return {"do": "go", "step": self.at}

    def _add(self, step: Step) -> None:
        if len(self.steps) >= STEPS:
            raise ValueError(f"a session has at most {STEPS} steps: save it and begin another")
        self.steps.append(replace(step, parent=self.at))
        self.at = len(self.steps) - 1

    # Looking

    def glance(self, spec: Any) -> Tensor:
        """What the image that is looked at becomes while a stroke is drawn, (*shape).

        Raises:
            ValueError: If that is no stroke, or would take too long.
        """
        if not self.engine.quick:
            raise ValueError("this model answers when a stroke is done")
        stroke, now = stroke_of(spec, self.shape), self.now
        painting = painting_of((*now.strokes, stroke), self.shape)
        image, self.glimpse = self.engine.glance(now.candidates, now.chosen, painting, self.glimpse)
        return image

    def path(self) -> list[int]:
        """The states from the first one to where the user stands."""
        places = [self.at]
        while (parent := self.steps[places[-1]].parent) is not None:
            places.append(parent)
        return places[::-1]

    def morph(self, stops: Any, frames: int) -> Tensor:
        """Images on the way through states, so many from each to the next; (n, *shape).

        Raises:
            ValueError: If these are no two states or more.
        """
        if not isinstance(stops, list) or not 2 <= len(stops) <= STEPS:
            raise ValueError("a morph takes two states or more")
        known = [self.steps[place(k, len(self.steps), "step")] for k in stops]
        images = self.engine.way([(s.candidates, s.chosen) for s in known], frames)
        joints = torch.arange(len(images)) % frames == 0
        joints[0] = False
        return images[~joints]

    # Saving

    def document(self) -> dict[str, Any]:
        """All it takes to replay the session, as JSON."""
        return {
            "genlit": __version__,
            "model": type(self.engine.model).__name__,
            "shape": list(self.shape),
            "settings": asdict(self.settings),
            "actions": self.actions,
        }

    def replayed(self, document: Any) -> "Session":
        """Another session of the same model, in which a document's actions are done again.

        Settings that the document does not have are those of this session.

        Args:
            document: What `document` returns, or nothing but a list of actions or strokes.

        Raises:
            ValueError: If it is no such thing, or of images of another shape.
        """
        if isinstance(document, list):
            document = {"actions": document}
        if not isinstance(document, dict) or not isinstance(document.get("actions"), list):
            raise ValueError("this is no session: it has no list of actions")
        shape = document.get("shape", list(self.shape))
        if shape != list(self.shape):
            raise ValueError(
                f"the session is of images of shape {shape!r:.40}, and the model's have the shape "
                f"{list(self.shape)}"
            )
        session = Session(self.build, self.settings.updated(document.get("settings", {})))
        for k, action in enumerate(document["actions"]):
            try:
                session.act(action)
            except ValueError as error:
                raise ValueError(f"action {k} of the session: {error}") from None
        return session


def place(given: Any, n: int, what: str) -> int:
    """A number from 0 to n - 1.

    Raises:
        ValueError: If it is none.
    """
    if type(given) is not int or not 0 <= given < n:
        raise ValueError(f"there is no {what} {given!r:.20}: they are 0 to {n - 1}")
    return given
