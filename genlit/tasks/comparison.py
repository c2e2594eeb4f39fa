"""One task set to several models and to its baselines, all with the same problems."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from genlit.model import evaluating
from genlit.progress import track
from genlit.randomness import isolated
from genlit.tasks.task import Many, Problems, Score, Task


class Entrant(NamedTuple):
    """A model that takes part."""

    name: str  # that no other one has
    model: Any
    facts: dict[str, Any]  # what the table is to say of it: run, checkpoint, epoch, class


class Row(NamedTuple):
    """What came of one model, or of one baseline."""

    name: str
    facts: dict[str, Any]  # {} of baselines
    scores: list[Score]
    cpu_seconds: float  # that answering took


class Comparison(NamedTuple):
    """What came of all."""

    problems: Problems
    answers: dict[str, Many]  # by the names of rows
    rows: list[Row]  # models first

    @property
    def best(self) -> dict[str, str]:
        """The row with the best mean of each score, by the score's name."""
        found: dict[str, tuple[float, str]] = {}
        for row in self.rows:
            for score in row.scores:
                mine = (score.distance, row.name)
                found[score.name] = min(found.get(score.name, mine), mine)
        return {score: name for score, (_, name) in found.items()}


def compare(
    task: Task, entrants: Sequence[Entrant], data: Any, split: str, seed: int
) -> Comparison:
    """Sets a task to models and to its baselines.

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
    solvers: dict[str, tuple[dict[str, Any], Callable[[Problems], Many]]] = {
        entrant.name: (entrant.facts, asking(task, entrant.model)) for entrant in entrants
    }
    for name, baseline in task.baselines(data, seed).items():
        solvers[name] = ({}, baseline)
    answers, rows = {}, []
    for name, (facts, solve) in track(list(solvers.items()), "solvers"):
        began = time.process_time()
        with torch.no_grad(), isolated(task.name, seed):
            answers[name] = solve(problems)
            spent = time.process_time() - began
            rows.append(Row(name, facts, task.score(problems, answers[name]), spent))
    return Comparison(problems, answers, rows)


def asking(task: Task, model: Any) -> Callable[[Problems], Many]:
    """The solver that asks a model."""

    def solve(problems: Problems) -> Many:
        with evaluating(model):
            return task.solve(model, problems)

    return solve


def same(a: Problems, b: Problems) -> bool:
    """Whether problems are the same ones."""
    return len(a) == len(b) and all(
        torch.equal(torch.as_tensor(x), torch.as_tensor(y))
        for ours, theirs in ((a.given, b.given), (a.truth, b.truth))
        for x, y in zip(ours, theirs, strict=True)
    )
