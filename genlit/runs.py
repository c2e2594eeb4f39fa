"""The folder of a run: what lies where, and the measurements in its results.json.

runs/<experiment>/<id>/
config.yaml                  everything the command line was told
metrics.csv                  epoch, step, seconds, name, value: one line a number
checkpoints/{last,best}.ckpt
samples/*.png
results.json                 what `genlit test` measured; a second test writes results-2.json
results.events.npz           the numbers of single events that these are means of, where known
"""

import json
import os
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from genlit import __version__

if TYPE_CHECKING:  # imported where there are events to write or to read
    import numpy as np


UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile,
              zlib.error)  # fmt: skip
TOLD_OF_EVENTS = ("name", "split", "unit", "protocol", "kind")  # so that the file stands alone


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


@dataclass(frozen=True, eq=False)
class EventValues:
    """The numbers that a measurement is the mean of, one an event.

    Args:
        of: The measurement.
        index: The places of the events in their split, ascending; (n,) int64.
        values: The number of each event, in the measurement's unit; (n,) float64.
        fingerprint: A digest of all events of the split, asked about or not, in their order.
    """

    of: Measurement
    index: "np.ndarray"
    values: "np.ndarray"
    fingerprint: str


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
    events: Sequence[EventValues] = (),
    epoch: int | None = None,
) -> Path:
    """Writes results.json, or results-2.json and so on where it exists, and returns its path.

    Beside it, as results.events.npz, go numbers of single events that some of the metrics, the same
    objects, are means of. `epoch` is that of the checkpoint, the first being 1.
    """
    document = {
        "genlit": __version__,
        "model": model,
        "data": data,
        "seed": seed,
        "checkpoint": checkpoint,
        "epoch": epoch,
        "seconds": round(seconds, 1),
        "metrics": [asdict(m) for m in metrics],
    }
    numbers = range(1, 1000)
    paths = (_results_path(folder, n) for n in numbers)
    path = next(p for p in paths if not p.exists() and not events_path(p).exists())
    if events:
        _write_events(events_path(path), metrics, events)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=2) + "\n")
    os.replace(partial, path)
    return path


def _write_events(
    path: Path, metrics: Sequence[Measurement], events: Sequence[EventValues]
) -> None:
    """Writes arrays that are named by the place of their metric in results.json, as 0/values."""
    import numpy as np

    arrays: dict[str, Any] = {}
    for e in events:
        place = next(k for k, metric in enumerate(metrics) if metric is e.of)
        told = {what: getattr(e.of, what) for what in TOLD_OF_EVENTS}
        told |= {"fingerprint": e.fingerprint, "index": e.index, "values": e.values}
        arrays |= {f"{place}/{what}": np.asarray(thing) for what, thing in told.items()}
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(partial, path)


def read_events(path: Path, metrics: Sequence[Measurement]) -> list[EventValues | None]:
    """The numbers of single events that metrics are means of; None for those without.

    Args:
        path: What lies beside results.json; nothing does for older runs.
        metrics: Those in results.json.

    Raises:
        RunError: If it cannot be read, or is of other metrics.
    """
    if not path.is_file():
        return [None] * len(metrics)
    import numpy as np

    try:
        with path.open("rb") as stream, np.load(stream) as file:
            return [_events_of(file, place, metric) for place, metric in enumerate(metrics)]
    except UNREADABLE as error:
        raise RunError(f"{path} is not what `genlit test` writes: {error}; move it away") from None


def _events_of(file: Any, place: int, metric: Measurement) -> EventValues | None:
    if f"{place}/values" not in file:
        return None
    for what in TOLD_OF_EVENTS:
        if (said := file[f"{place}/{what}"].item()) != (wanted := getattr(metric, what)):
            raise ValueError(f"{what} {said} is not the {wanted} of the results beside it")
    index, values = file[f"{place}/index"], file[f"{place}/values"]
    if index.shape != values.shape or values.ndim != 1:
        raise ValueError(f"index and values of {metric.name} are not of one length")
    return EventValues(metric, index, values, file[f"{place}/fingerprint"].item())


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


def find_checkpoint(place: Path, names: Sequence[str] = ("best", "last")) -> Path:
    """The checkpoint that a path means: a file itself; of a run the best, or else the last.

    Args:
        place: A run folder, or a checkpoint.
        names: Which of a run's checkpoints will do, the preferred one first.

    Raises:
        RunError: If there is none.
    """
    if place.is_file():
        return place
    if not place.exists():
        raise RunError(f"there is no run or checkpoint {place}")
    for name in names:
        if (path := place / "checkpoints" / f"{name}.ckpt").is_file():
            return path
    missing = " or ".join(f"checkpoints/{name}.ckpt" for name in names)
    raise RunError(f"{place} holds no checkpoint: no {missing}")


def events_path(results: Path) -> Path:
    """Where the numbers of single events lie that are of a results.json."""
    return results.with_suffix(".events.npz")


def _results_path(folder: Path, number: int) -> Path:
    return folder / ("results.json" if number == 1 else f"results-{number}.json")
