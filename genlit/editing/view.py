"""What the page shows of a session, as JSON."""

from typing import Any

import torch
from torch import Tensor

from genlit import __version__
from genlit.editing.photos import SOLVERS
from genlit.editing.pictures import film, picture_of, png, uri
from genlit.editing.session import Session
from genlit.editing.strokes import Painting

FRAMES = 16  # of a morph, from one state to the next


def uri_of(image: Tensor) -> str:
    """An image (C, H, W) as an address that holds it."""
    return uri("image/png", png(image))


def state_of(session: Session, title: str, seconds: float) -> dict[str, Any]:
    """All that the page shows.

    Args:
        session: The session.
        title: What the page calls the run.
        seconds: How long it took to come to this state.
    """
    engine, now, painting = session.engine, session.now, session.painting
    captions = engine.captions(now.candidates, painting)
    return {
        "version": __version__,
        "title": title,
        "model": type(engine.model).__name__,
        "shape": list(session.shape),
        "binary": engine.kind != "codes" and bool(getattr(engine.model, "binary", False)),
        "kind": engine.kind,
        "order": engine.order,
        "quick": engine.quick,
        "solvers": SOLVERS if session.means.projector is not None else {},
        "at": session.at,
        "steps": [
            {"parent": step.parent, "label": step.label, "image": uri_of(step.image)}
            for step in session.steps
        ],
        "candidates": [
            {"image": uri_of(image), "caption": caption}
            for image, caption in zip(now.candidates.images, captions, strict=True)
        ],
        "chosen": now.chosen,
        "painting": uri_of(picture_of(painting)),
        "edges": edges_of(painting),
        "painted": painting.numbers,
        "redo": any(step.parent == session.at for step in session.steps),
        "note": now.note,
        "seconds": round(seconds, 3),
    }


def edges_of(painting: Painting) -> list[list[float]]:
    """Where edges are wished: column, row, and the direction across, (x, y)."""
    row, column = painting.edges.square().sum(0).nonzero(as_tuple=True)
    across = torch.nn.functional.normalize(painting.edges[:, row, column], dim=0)
    values = torch.stack([column.float(), row.float(), *across], 1)
    return [[round(x, 3) for x in edge] for edge in values.tolist()]


def film_of(session: Session, stops: Any) -> str:
    """A morph through states as an address that holds a GIF."""
    return uri("image/gif", film(session.morph(stops, FRAMES)))
