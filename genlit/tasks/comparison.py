"""One task set to several models and to its baselines, all with the same problems."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch

from genlit.progress import track
from genlit.randomness import isolated
from genlit.tasks.task import Many, Problems, Score, Solver, Task, answered


class Entrant(NamedTuple):
    """A model that takes part."""

    name: str  # that no other one has
    model: Any
    facts: dict[str, Any]  # what the table is to say of it: run, checkpoint, epoch, class


class Row(NamedTuple):
    """What came of one solver."""

    name: str
    kind: Literal["model", "baseline", "oracle"]
    facts: dict[str, Any]  # of models
    scores: list[Score]
    cpu_seconds: float  # that answering took


class Difference(NamedTuple):
    """By how much one solver's score exceeds another's, on the problems that both have it of."""

    mean: float
    stderr: float | None
    n: int


class Comparison(NamedTuple):
    """What came of all."""

    problems: Problems
    answers: dict[str, Many]  # by the names of rows
    rows: list[Row]  # models first

    @property
    def columns(self) -> list[Score]:
        """One score of each name, in their order; not every row has each of them."""
        return list({score.name: score for row in self.rows for score in row.scores}.values())

    @property
    def best(self) -> dict[str, list[str]]:
        """The rows with the best mean of each score, by the score's name; oracles do not count."""
        found: dict[str, list[str]] = {}
        for column in self.columns:
            means = {
                row.name: score.distance
                for row in self.rows
                for score in row.scores
                if row.kind != "oracle" and score.name == column.name and score.n
            }
            found[column.name] = [name for name, d in means.items() if d == min(means.values())]
        return found

    def differences(self, row: Row) -> dict[str, Difference]:
        """How a row's scores differ from those of the first model, problem by problem."""
        first = {score.name: score for score in self.rows[0].scores}
        return {
            score.name: paired(score, first[score.name])
            for score in row.scores
            if score.name in first
        }


def paired(score: Score, other: Score) -> Difference:
    """The mean difference of two scores of the same problems, whose difficulty cancels."""
    gap = Score("", score.values.double().cpu() - other.values.double().cpu(), "", 0.0)
    return Difference(gap.mean, gap.stderr, gap.n)


def compare(
    task: Task, entrants: Sequence[Entrant], data: Any, split: str, seed: int
) -> Comparison:
    """Sets a task to models, to its baselines and oracles.

    Args:
        task: The task.
        entrants: The models.
        data: The datamodule that problems are of.
        split: train, val or test.
        seed: Chooses problems, and draws what is random in them and in the answers.

    Raises:
        Unanswerable: If a model cannot be asked; before any is.
    """
    for entrant in entrants:
        task.require(entrant.model)
    problems = task.pose(data, split, seed)
    solvers: list[tuple[str, Any, dict[str, Any], Solver]] = [
        (e.name, "model", e.facts, partial(answered, task, e.model)) for e in entrants
    ]
    for kind, others in (("baseline", task.baselines), ("oracle", task.oracles)):
        solvers += [(name, kind, {}, solve) for name, solve in others(data, seed).items()]
    answers, rows = {}, []
    for name, kind, facts, solve in track(solvers, "solvers"):
        began = time.process_time()
        with torch.no_grad(), isolated(task.name, seed):
            answers[name] = solve(problems)
            spent = time.process_time() - began
            rows.append(Row(name, kind, facts, task.score(problems, answers[name]), spent))
    return Comparison(problems, answers, rows)


def same(a: Problems, b: Problems) -> bool:
    """Whether problems are the same ones."""
    return len(a) == len(b) and all(
        torch.equal(torch.as_tensor(x), torch.as_tensor(y))
        for ours, theirs in ((a.given, b.given), (a.truth, b.truth))
        for x, y in zip(ours, theirs, strict=True)
    )
