"""The folder of a run: what lies where, and the measurements in its results.json.

runs/<experiment>/<id>/
config.yaml                  everything the command line was told
metrics.csv                  epoch, step, seconds, name, value: one line a number
checkpoints/{last,best}.ckpt
samples/*.png
results.json                 what `genlit test` measured; a second test writes results-2.json
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from genlit import __version__


class RunError(ValueError):
    """A run folder that is not one, or lacks what is asked of it."""


@dataclass(frozen=True)
class Measurement:
    """A number with all that it takes to understand it.

    Args:
        name: What was measured, with its method and protocol, as in log_likelihood_ais_dynamic.
        split: The data it is about: train, val or test.
        value: The number.
        stderr: Its standard error; None where it has none.
        unit: nats, bits/dim, or "" for pure numbers.
        kind: exact, lower bound, upper bound, or estimate.
        method: How it was obtained, with its settings.
        n: How many events it is a mean over, or how many samples it was computed from.
        protocol: What was done to the data before: static, dynamic, threshold, grey.
        details: Further numbers that belong to it, by name.
    """

    name: str
    split: str
    value: float
    stderr: float | None
    unit: str
    kind: str
    method: str
    n: int
    protocol: str
    details: dict[str, float | str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name under which loggers know it."""
        return f"{self.split}/{self.name}"


def new_folder(experiment: str, root: Path = Path("runs")) -> Path:
    """Makes a folder for a run, named by the time and never one that exists."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        folder = root / experiment / (stamp if attempt == 1 else f"{stamp}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise RunError(f"{root / experiment} has too many runs of {stamp}")


def write_results(
    folder: Path,
    model: str,
    data: str,
    seed: int | None,
    checkpoint: str,
    metrics: Sequence[Measurement],
    seconds: float,
) -> Path:
    """Writes results.json, or results-2.json and so on where it exists, and returns its path."""
    document = {
        "genlit": __version__,
        "model": model,
        "data": data,
        "seed": seed,
        "checkpoint": checkpoint,
        "seconds": round(seconds, 1),
        "metrics": [asdict(m) for m in metrics],
    }
    numbers = range(1, 1000)
    path = next(p for n in numbers if not (p := _results_path(folder, n)).exists())
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=2) + "\n")
    os.replace(partial, path)
    return path


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All results documents of a run, the oldest first.

    Raises:
        RunError: If one of them is not JSON.
    """
    paths = sorted(folder.glob("results*.json"), key=lambda p: (len(p.name), p.name))
    documents = []
    for path in paths:
        try:
            documents.append(json.loads(path.read_text()))
        except ValueError as error:
            raise RunError(f"{path} is not JSON: {error}") from None
    return documents


def find_checkpoint(place: Path) -> Path:
    """The checkpoint that a path means: a file itself; of a run the best, or else the last.

    Raises:
        RunError: If there is none.
    """
    if place.is_file():
        return place
    if not place.exists():
        raise RunError(f"there is no run or checkpoint {place}")
    for name in ("best.ckpt", "last.ckpt"):
        if (path := place / "checkpoints" / name).is_file():
            return path
    raise RunError(
        f"{place} holds no checkpoint: no checkpoints/best.ckpt or checkpoints/last.ckpt"
    )


def _results_path(folder: Path, number: int) -> Path:
    return folder / ("results.json" if number == 1 else f"results-{number}.json")
