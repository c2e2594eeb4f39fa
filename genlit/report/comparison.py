"""Which numbers may stand side by side: those of one metric, unit, kind and protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from genlit.report.read import Result, Run

KINDS = {
    "exact": "computed without approximation; its error is that of the finite data alone.",
    "lower bound": "the true value is higher or equal; a tighter bound would raise the number.",
    "upper bound": "the true value is lower or equal; a tighter bound would lower the number.",
    "estimate": "neither exact nor a bound; it may err to either side, beyond its standard error.",
    "conservative estimate": "made to err to the low side, as it commonly does on average; unlike "
    "a bound it may also lie above the true value.",
    "estimate of a lower bound": "as far below the true value as a lower bound, and beside that by "
    "the error of an estimate, such as that of log Z, which may go to either side.",
}


class Entry(NamedTuple):
    """What one run measured; `run` is its place among all runs."""

    run: int
    result: Result


@dataclass(frozen=True)
class Metric:
    """Numbers of one name, unit, kind and protocol: the only ones that share a column."""

    name: str
    split: str
    unit: str
    kind: str
    protocol: str
    entries: tuple[Entry, ...]

    def of(self, run: int) -> list[Result]:
        """What one run measured."""
        return [entry.result for entry in self.entries if entry.run == run]

    @property
    def methods_differ(self) -> bool:
        """Whether runs were measured in different ways."""
        return len({entry.result.measurement.method for entry in self.entries}) > 1

    @property
    def counts_differ(self) -> bool:
        """Whether runs were measured on different numbers of events."""
        return len({entry.result.measurement.n for entry in self.entries}) > 1

    @property
    def caution(self) -> str:
        """What else differs between the numbers; empty where nothing does."""
        differing = {"method": self.methods_differ, "n": self.counts_differ}
        return " and ".join(what for what, differs in differing.items() if differs)


@dataclass(frozen=True)
class Comparison:
    """Metrics about the same data in the same unit: columns beside each other, a row for a run."""

    split: str
    unit: str
    protocol: str
    metrics: tuple[Metric, ...]

    @property
    def runs(self) -> list[int]:
        """The runs that have any of them."""
        return sorted({entry.run for metric in self.metrics for entry in metric.entries})


def metrics(runs: Sequence[Run]) -> list[Metric]:
    """All measurements, gathered into metrics in the order in which they come."""
    found: dict[tuple[str, str, str, str, str], list[Entry]] = {}
    for k, run in enumerate(runs):
        for result in run.results:
            m = result.measurement
            what = (m.name, m.split, m.unit, m.kind, m.protocol)
            found.setdefault(what, []).append(Entry(k, result))
    return [Metric(*what, tuple(entries)) for what, entries in found.items()]


def comparisons(every: Sequence[Metric]) -> list[Comparison]:
    """Gathers metrics by split, unit and protocol; those with a unit come first."""
    found: dict[tuple[str, str, str], list[Metric]] = {}
    for metric in every:
        found.setdefault((metric.split, metric.unit, metric.protocol), []).append(metric)
    ordered = sorted(found.items(), key=lambda item: item[0][1] == "")
    return [Comparison(*what, tuple(group)) for what, group in ordered]
