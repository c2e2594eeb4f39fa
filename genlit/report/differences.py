"""By how much two runs differ on the same events: the events' own spread cancels in pairs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from genlit.report.read import BEST, Run, checkpoint_of
from genlit.runs import EventValues, Measurement

MOST = 8  # runs of which all pairs are shown; of more, those with the best


class Side(NamedTuple):
    """The numbers of single events that one run has; `run` is its place among all runs."""

    run: int
    events: EventValues

    @property
    def measurement(self) -> Measurement:
        """What these numbers are of."""
        return self.events.of

    @property
    def own_stderr(self) -> float | None:
        """Standard error of what the estimator added to all events alike; None: not known."""
        told = self.measurement.details.get("stderr_of_estimator")
        return float(told) if isinstance(told, int | float) else None


@dataclass(frozen=True)
class Difference:
    """How much more probable events are under one run than under another, on average.

    Args:
        more: The run under which they are more probable.
        less: The other one.
        value: The mean over events of the difference, not negative.
        stderr: Its standard error: √(s²/n + e²), of the differences' sample variance s² and of what
            is known of the errors e that the estimators added to all events alike.
        n: How many events both were asked about.
    """

    more: Side
    less: Side
    value: float
    stderr: float
    n: int

    @property
    def kind(self) -> str:
        """The kinds of both, since a difference of two bounds is no bound."""
        return f"{self.more.measurement.kind} − {self.less.measurement.kind}"

    @property
    def unknown(self) -> str:
        """Whose own error is not known, and so is not in the standard error; empty if nobody's."""
        if self.value == self.stderr == 0:  # of one model, whose errors cancel
            return ""
        lacking = (self.more.own_stderr is None, self.less.own_stderr is None)
        return {(True, True): "both", (True, False): "the first", (False, True): "the second"}.get(
            lacking, ""
        )

    @property
    def remark(self) -> str:
        """On which side the truth lies, and what the standard error lacks."""
        kinds = (self.more.measurement.kind, self.less.measurement.kind)
        remarks = [SIDES.get(kinds, "")]
        if self.unknown:
            remarks.append(f"own error of {self.unknown} not known")
        return "; ".join(filter(None, remarks))


SIDES = {  # what bounds that err to known sides say of a difference
    ("lower bound", "exact"): "at least this",
    ("exact", "upper bound"): "at least this",
    ("lower bound", "upper bound"): "at least this",
    ("exact", "lower bound"): "at most this",
    ("upper bound", "exact"): "at most this",
    ("upper bound", "lower bound"): "at most this",
}


@dataclass(frozen=True)
class Differences:
    """Differences between runs that were asked about the same events, the largest first.

    Args:
        split: The split that the events are of.
        protocol: What was done to the data before.
        unit: That of all the differences.
        fingerprint: A digest of the events of the split.
        runs: How many runs were asked about them.
        rows: The differences; only those with the best run, where there are many runs.
    """

    split: str
    protocol: str
    unit: str
    fingerprint: str
    runs: int
    rows: tuple[Difference, ...]

    @property
    def all_pairs(self) -> bool:
        """Whether every two runs are compared."""
        return self.runs <= MOST


def differences(runs: Sequence[Run]) -> list[Differences]:
    """Compares every two runs that tell the numbers of the same events.

    Of a run that was measured at several checkpoints, the best one is compared.
    """
    found: dict[tuple[str, str, str, str], list[Side]] = {}
    for k, run in enumerate(runs):
        for e in of_one_state(run):
            same = (e.of.split, e.of.protocol, e.of.unit, e.fingerprint)
            found.setdefault(same, []).append(Side(k, e))
    groups = (
        Differences(*same, len({s.run for s in sides}), tuple(compared(sides)))
        for same, sides in found.items()
    )
    return [group for group in groups if group.rows]


def of_one_state(run: Run) -> list[EventValues]:
    """The numbers of single events of a run's best checkpoint, or else of the newest measured."""
    told = [(r.checkpoint, r.events) for r in run.results if r.events is not None]
    order = [BEST, *(checkpoint_of(test) for test in reversed(run.tests))]
    chosen = min((order.index(name) for name, _ in told), default=0)
    return [events for name, events in told if name == order[chosen]]


def compared(sides: Sequence[Side]) -> list[Difference]:
    """The differences between runs: of all pairs, or of many runs those with the best."""
    runs = sorted({side.run for side in sides})
    pairs = list(combinations(runs, 2))
    if len(runs) > MOST:
        best = max(sides, key=lambda side: at_end(side.measurement.value)).run
        pairs = [pair for pair in pairs if best in pair]
    of = {run: [side for side in sides if side.run == run] for run in runs}
    rows = (difference(a, b) for one, two in pairs for a, b in matched(of[one], of[two]))
    return sorted(filter(None, rows), key=lambda row: -at_end(row.value))


def matched(ones: Sequence[Side], others: Sequence[Side]) -> Iterator[tuple[Side, Side]]:
    """Pairs what two runs measured: the same with the same, and what is left with all left."""
    for what in (("name", "method"), ("name",), ()):
        same = [
            (a, b) for a in ones for b in others
            if all(getattr(a.measurement, w) == getattr(b.measurement, w) for w in what)
        ]  # fmt: skip
        yield from same
        ones = [a for a in ones if all(a is not used for used, _ in same)]
        others = [b for b in others if all(b is not used for _, used in same)]


def difference(one: Side, other: Side) -> Difference | None:
    """The difference of two runs on the events that both were asked about; None of fewer than 2."""
    shared = np.intersect1d(
        one.events.index, other.events.index, assume_unique=True, return_indices=True
    )
    of_one, of_other = one.events.values[shared[1]], other.events.values[shared[2]]
    n = len(shared[0])
    if n < 2:
        return None
    with np.errstate(invalid="ignore"):  # of two events that are impossible
        each = of_one - of_other
        value, variance = float(each.mean()), float(each.var(ddof=1))
    # Equal to the last digit are only numbers of one model, whose errors cancel too.
    own = (one.own_stderr or 0.0, other.own_stderr or 0.0) if each.any() else ()
    stderr = math.sqrt(variance / n + sum(e**2 for e in own))
    if value < 0:
        return Difference(other, one, -value, stderr, n)
    return Difference(one, other, value, stderr, n)


def at_end(value: float) -> float:
    """A number to sort by, of which NaN is the lowest."""
    return -math.inf if math.isnan(value) else value
