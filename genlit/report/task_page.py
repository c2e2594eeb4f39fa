"""A comparison of models on one task as JSON, as one HTML page, and as a picture."""

import base64
import json
import math
import time
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from genlit import __version__
from genlit.report import curves
from genlit.report.page import environment
from genlit.runs import RunError
from genlit.tasks.comparison import Comparison
from genlit.tasks.examination import measurement
from genlit.tasks.task import Task


def document(task: Task, found: Comparison, data: Any, split: str, seed: int) -> dict[str, Any]:
    """All that was found, as plain data."""
    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            **row.facts,
            "cpu_seconds": round(row.cpu_seconds, 2),
            "metrics": [
                asdict(measurement(task, score, split, found.problems, data))
                | {"score": score.name, "aim": plain(score.aim)}
                for score in row.scores
            ],
            "differences": {
                name: difference._asdict() for name, difference in found.differences(row).items()
            },
        }
        for row in found.rows
    ]
    return {
        "genlit": __version__,
        "task": task.name,
        "source": found.problems.source,
        "data": f"{type(data).__module__}.{type(data).__name__}",
        "protocol": getattr(data, "protocol", ""),
        "split": split,
        "seed": seed,
        "problems": len(found.problems),
        "scores": [
            {"score": score.name, "unit": score.unit, "aim": plain(score.aim)}
            for score in found.columns
        ],
        "best": found.best,
        "rows": rows,
        "published": [number._asdict() for number in task.published],
    }


def plain(aim: float) -> float | str:
    """A number that JSON has, or its name."""
    return aim if math.isfinite(aim) else "higher"


def page(told: dict[str, Any], picture: Tensor | None) -> str:
    """One HTML page without a reference to anything outside it.

    Args:
        told: What `document` returns.
        picture: Some problems and answers, (3, height, width) uint8.
    """
    return environment().get_template("task.html.j2").render(
        told=told, picture=None if picture is None else as_uri(picture), version=__version__,
        width=0 if picture is None else picture.shape[-1], colours=curves.COLOURS,
        date=time.strftime("%Y-%m-%d %H:%M"),
    )  # fmt: skip


def as_uri(picture: Tensor) -> str:
    """A picture (3, height, width) uint8 as a data URI."""
    file = BytesIO()
    to_pil_image(picture).save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def write_once(folder: Path, told: dict[str, Any], page: str, picture: Tensor | None) -> None:
    """Writes comparison.json, comparison.html and picture.png.

    Raises:
        RunError: If one of them is there already.
    """
    names = ("comparison.json", "comparison.html", "picture.png")
    if taken := [name for name in names if (folder / name).exists()]:
        raise RunError(f"{folder / taken[0]} exists: name another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(json.dumps(told, indent=2) + "\n")
    (folder / names[1]).write_text(page, encoding="utf-8")
    if picture is not None:
        to_pil_image(picture).save(folder / names[2])
