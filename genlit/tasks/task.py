"""What an application is: problems, what solves them, and how well that went.

A task is written against protocols, so that every model that can be asked solves it, and beside
models it always has baselines, which know nothing but the data. Numbers carry the name of their
task, which says all that they depend on; those of two names cannot be compared.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from genlit.model import evaluating
from genlit.protocols import require

Many = Tensor | Sequence[Any]  # one thing a problem: (n, ...), or n things of different sizes
Solver = Callable[["Problems"], Many]  # from problems to their answers


class Problems(NamedTuple):
    """Problems of one kind."""

    given: Many  # what a solver is given
    truth: Many  # what the answers are compared with
    source: str  # where they come from, as in "MNIST, test" or "made by a generator"
    more: Mapping[str, Many] = {}  # whatever else of each problem a task wants to know

    def __len__(self) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        return len(self.given)

    def every(self, first: int, step: int) -> "Problems":
        """Every so many of them, beginning with the first-th."""
        part = slice(first, None, step)
        more = {name: things[part] for name, things in self.more.items()}
        return Problems(self.given[part], self.truth[part], self.source, more)


class Score(NamedTuple):
    """One thing about answers that can be measured."""

    name: str
    values: Tensor  # one number a problem, (n,); NaN where a problem has none
    unit: str  # dB, "" for pure numbers, ...
    aim: float  # the best value: 0 for errors, inf where more is better, 1 for ratios of likeness

    @property
    def n(self) -> int:
        """How many problems have a number."""
        return int(torch.isfinite(self.values).sum())

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(self.values.double().nanmean())

    @property
    def stderr(self) -> float | None:
        """Its standard error over the problems; None of fewer than two."""
        known = self.values.double()[torch.isfinite(self.values)]
        return float(known.std()) / len(known) ** 0.5 if len(known) > 1 else None

    @property
    def distance(self) -> float:
        """How far the mean is from the best value; the lower, the better."""
        return -self.mean if self.aim == float("inf") else abs(self.mean - self.aim)


class Published(NamedTuple):
    """A number of somebody else's, which stands apart from one's own."""

    who: str  # the method, as in "RTRBM"
    score: str  # the name of the score
    value: float
    source: str  # title (authors, year), "from memory" where it was not read there, its protocol


class Task(ABC):
    """An application. A base class, since the config and `genlit compare` choose."""

    verb: ClassVar[str] = ""  # another name, as in "impute": the command's, if there is one
    question: ClassVar[str]  # what a model is asked for, as in "imputations"
    protocols: ClassVar[tuple[type, ...]]  # any one of these will do
    published: ClassVar[Sequence[Published]] = ()  # the source says how the protocol differs

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the protocol: the task and all of its settings that numbers depend on."""

    @abstractmethod
    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Poses the problems; the same for the same data, split and seed.

        Args:
            data: A datamodule that was set up.
            split: train, val or test.
            seed: Chooses the problems, and draws what is random in them.
        """

    @abstractmethod
    def solve(self, model: Any, problems: Problems) -> Many:
        """Asks a model, under the random state as it is; the answers lie on the CPU."""

    @abstractmethod
    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        """What answers without a model, by name: the least that a model should beat."""

    def oracles(self, data: Any, seed: int) -> dict[str, Solver]:
        """What answers knowing the truth, by name: what a perfect model would come to."""
        return {}

    @abstractmethod
    def score(self, problems: Problems, answers: Many) -> list[Score]:
        """How good answers are."""

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """Some problems with the answers of several solvers side by side, if they can be seen.

        Args:
            problems: The problems.
            answers: Those of each solver, by its name, in the order of columns.

        Returns:
            The picture, (3, height, width) uint8.
        """
        return None

    def require(self, model: Any) -> None:
        """Makes sure that a model can be asked.

        Raises:
            Unanswerable: If it cannot.
        """
        require(model, self.question, *self.protocols)


def answered(task: Task, model: Any, problems: Problems) -> Many:
    """What a model answers, in evaluation mode and under the random state as it is.

    Raises:
        ValueError: If there is no number where one is to be.
    """
    with evaluating(model):
        answers = task.solve(model, problems)
    if any(isinstance(answer, Tensor) and answer.isnan().any() for answer in answers):
        raise ValueError(
            f"{type(model).__name__} answered with numbers that are not finite: it has diverged"
        )
    return answers


def tasks() -> dict[str, type[Task]]:
    """All tasks that are imported, by the names of their classes."""

    def below(kind: type[Task]) -> list[type[Task]]:
        return [kind, *(k for child in kind.__subclasses__() for k in below(child))]

    return {kind.__name__: kind for kind in below(Task) if not inspect.isabstract(kind)}
