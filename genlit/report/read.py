"""Reads finished runs, whatever of them there is, into plain data."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from genlit.report.flat_config import read_config
from genlit.report.folders import common_parent
from genlit.runs import EventValues, Measurement, RunError, events_path, read_events, read_results

COLUMNS = {"epoch", "step", "seconds", "name", "value"}
BEST = "best.ckpt"

Points = dict[int, float]  # step to value


@dataclass(frozen=True)
class Result:
    """A measurement, the file that holds it, and what older files said in its place."""

    measurement: Measurement
    source: str
    older: tuple["Result", ...] = ()
    events: EventValues | None = None  # what it is the mean of, where that was kept
    checkpoint: str = ""  # the name of the one that was measured
    epoch: int | None = None

    @property
    def state(self) -> str:
        """The checkpoint and its epoch in words."""
        return self.checkpoint + (f", epoch {self.epoch}" if self.epoch is not None else "")


@dataclass(frozen=True)
class Metrics:
    """What metrics.csv says: a curve for every name, and how far training came."""

    curves: dict[str, Points]
    seconds: float | None = None
    epochs: int | None = None
    unreadable: int = 0  # lines


@dataclass(frozen=True)
class Run:
    """A run as far as it has come."""

    folder: Path
    name: str
    config: dict[str, str]
    metrics: Metrics
    tests: tuple[dict[str, Any], ...]  # the documents of results.json, results-2.json, ...
    results: tuple[Result, ...]
    samples: tuple[Path, ...]

    @property
    def model(self) -> str:
        """The class of its model; empty where unknown."""
        return class_name(self._told("model"))

    @property
    def data(self) -> str:
        """The class of its data; empty where unknown."""
        return class_name(self._told("data"))

    def _told(self, part: str) -> str:
        told = self.tests[-1].get(part) if self.tests else None
        return str(told or self.config.get(f"{part}.class_path", ""))

    @property
    def tested(self) -> bool:
        """Whether there is a results.json."""
        return bool(self.tests)

    @property
    def states(self) -> tuple[str, ...]:
        """The checkpoints that were measured and their epochs in words, the best one first."""
        found = {r.checkpoint: r.state for r in self.results if r.checkpoint}
        return tuple(found[name] for name in sorted(found, key=lambda name: name != BEST))

    def state(self, result: Result) -> str:
        """What tells a result from others of the same run: its checkpoint, where there are two."""
        return result.state if len(self.states) > 1 else ""


def class_name(path: str) -> str:
    """The last part of a dotted path."""
    return path.rsplit(".", 1)[-1]


def checkpoint_of(test: dict[str, Any]) -> str:
    """The name of the checkpoint that a results document is about; empty where it says nothing."""
    return Path(str(test.get("checkpoint") or "")).name


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Reads runs, and names each by its path below what they have in common.

    Raises:
        RunError: If a file of theirs cannot be understood; the message names it.
    """
    parent = common_parent([folder.resolve().parent for folder in folders])
    if len(folders) == 1:
        parent = parent.parent
    return [read_run(f, f.resolve().relative_to(parent).as_posix()) for f in folders]


def read_run(folder: Path, name: str) -> Run:
    """Reads one run."""
    tests = read_tests(folder)
    return Run(
        folder=folder,
        name=name,
        config=read_config(folder / "config.yaml"),
        metrics=read_metrics(folder / "metrics.csv"),
        tests=tuple(document for _, document in tests),
        results=newest(tests),
        samples=tuple(sorted((folder / "samples").glob("*.png"))),
    )


def read_metrics(path: Path) -> Metrics:
    """Reads metrics.csv. Of numbers given twice, as by a run that was resumed, the last one holds.

    Raises:
        RunError: If it lacks a column.
    """
    curves: dict[str, Points] = {}
    seconds, epoch, unreadable = -1.0, -1, 0
    if not path.is_file() or path.stat().st_size == 0:
        return Metrics(curves)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.DictReader(file)
        if missing := COLUMNS - set(lines.fieldnames or ()):
            raise RunError(f"{path} lacks the columns {', '.join(sorted(missing))}")
        for line in lines:
            try:
                step, value = int(line["step"]), float(line["value"])
                seconds = max(seconds, float(line["seconds"]))
                epoch = max(epoch, int(line["epoch"]))
            except (ValueError, TypeError):  # the last line of a run that was killed
                unreadable += 1
                continue
            curves.setdefault(line["name"], {})[step] = value
    curves = {name: dict(sorted(points.items())) for name, points in curves.items()}
    return Metrics(
        curves, seconds if seconds >= 0 else None, epoch + 1 if epoch >= 0 else None, unreadable
    )


def read_tests(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """The results documents of a run with the names of their files, the oldest first.

    Raises:
        RunError: If one is not what `genlit test` writes.
    """
    paths = sorted(folder.glob("results*.json"), key=lambda p: (len(p.name), p.name))
    documents = read_results(folder)
    for path, document in zip(paths, documents, strict=True):
        if not isinstance(document, dict) or not isinstance(document.get("metrics"), list):
            raise RunError(f"{path} is not what `genlit test` writes: it has no list of metrics")
        document["metrics"] = [_measurement(path, entry) for entry in document["metrics"]]
        document["events"] = read_events(events_path(path), document["metrics"])
    return [(path.name, document) for path, document in zip(paths, documents, strict=True)]


def _measurement(path: Path, entry: Any) -> Measurement:
    known = {f.name for f in fields(Measurement)}
    try:
        measurement = Measurement(**{k: v for k, v in entry.items() if k in known})
        numbers = (measurement.value, measurement.stderr or 0.0)
        if not all(isinstance(x, int | float) for x in numbers):
            raise TypeError("its value or stderr is not a number")
    except (TypeError, AttributeError) as fault:
        name = entry.get("name", "without a name") if isinstance(entry, dict) else entry
        raise RunError(f"{path} has a metric that cannot be read ({name}): {fault}") from None
    return measurement


def newest(tests: Sequence[tuple[str, dict[str, Any]]]) -> tuple[Result, ...]:
    """Every metric of a checkpoint as the newest document says, with what older ones said."""
    found: dict[tuple[str, str], list[Result]] = {}
    for source, document in tests:
        fresh: dict[tuple[str, str], list[Result]] = {}
        checkpoint, epoch = checkpoint_of(document), document.get("epoch")
        for measurement, events in zip(document["metrics"], document["events"], strict=True):
            what = (checkpoint, measurement.key)
            older = tuple(found.get(what, ()))
            result = Result(measurement, source, older, events, checkpoint, epoch)
            fresh.setdefault(what, []).append(result)
        found.update(fresh)
    return tuple(result for results in found.values() for result in results)
