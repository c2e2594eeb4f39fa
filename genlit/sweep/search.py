"""Which trial comes next: Optuna asked and told, with a journal that outlives the process."""

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.distributions import IntDistribution as Index
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from genlit.sweep.laws import Parameter
from genlit.sweep.schema import Sweep

REPEATS = "repeats"  # of a trial: the number of the interrupted one that it does again


class Search:
    """A sweep's trials: those that were, and the next one.

    A trial counts unless it was interrupted; then another one with the same parameters does. What
    comes next depends on the seed and on the trials before, not on interruptions.

    Args:
        sweep: The sweep file.
        journal: The file that remembers; one that exists is gone on with.
        count: How many trials there shall be; None for as many as before, or as the file says.
        seed: Seeds the search; None for the one before, or 0.
    """

    def __init__(
        self, sweep: Sweep, journal: Path, count: int | None = None, seed: int | None = None
    ) -> None:
        self.sweep = sweep
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        mend(journal)
        with quiet():
            self.study = optuna.create_study(
                study_name="sweep",
                storage=JournalStorage(JournalFileBackend(str(journal))),
                direction=sweep.metric.goal if sweep.metric else "minimize",
                pruner=self._pruner(),
                load_if_exists=True,
            )
        self.seed = self._remembered("seed", seed) or 0
        limits = (self._remembered("count", count), sweep.run_cap, self.grid_size)
        self.count = min((n for n in limits if n is not None), default=0)

    @property
    def grid_size(self) -> int | None:
        """How many points a grid has; None for other methods."""
        if self.sweep.method != "grid":
            return None
        return math.prod(len(p.grid) for p in self.sweep.parameters if p.grid is not None)

    def trials(self) -> list[FrozenTrial]:
        """All trials so far, by number."""
        return self.study.get_trials(deepcopy=False)

    def recover(self, end: Callable[[FrozenTrial], None]) -> int:
        """Closes trials that an earlier process left running, and queues them to be done again.

        Args:
            end: Ends what may still run of such a trial.
        """
        trials = self.trials()
        queued = {t.user_attrs.get(REPEATS) for t in trials}
        left = [t for t in trials if t.state == TrialState.RUNNING]
        for trial in left:
            end(trial)
            point = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            with quiet():
                if trial.number not in queued:
                    self.study.enqueue_trial(point, user_attrs={REPEATS: trial.number})
                self.study.tell(trial.number, state=TrialState.FAIL)
        return len(left)

    def ask(self) -> tuple[Trial, dict[str, Any]] | None:
        """The next trial and its parameters' values; None when there is none."""
        trials = self.trials()
        interrupted = interruptions(trials)
        proposed = sum(REPEATS not in t.user_attrs for t in trials)
        if all(t.state != TrialState.WAITING for t in trials):
            if len(trials) - len(interrupted) >= self.count or self._reached():
                return None
            if self.sweep.method == "grid":
                if proposed >= (self.grid_size or 0):
                    return None
                self.study.enqueue_trial(self._point(proposed))
                proposed += 1
        with quiet():
            # A sampler for each trial: an interrupted search goes on as if it had not been
            self.study.sampler = self._sampler(proposed)
            trial = self.study.ask(self._space())
        values = {p.name: self._value(p, trial.params) for p in self.sweep.parameters}
        trial.set_user_attr("values", json.loads(json.dumps(values, default=str)))
        return trial, values

    def report(self, trial: Trial, time: int, value: float) -> bool:
        """Takes down the metric's value number `time` of a running trial; True: stop it."""
        with quiet():
            trial.report(value, time)
            return self.sweep.halving is not None and trial.should_prune()

    def finish(self, trial: Trial, value: float) -> None:
        """Closes a trial that ended well, with the metric's value."""
        self.study.tell(trial, value)

    def prune(self, trial: Trial) -> None:
        """Closes a trial that was stopped early; its last value is known to the search."""
        self.study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, why: str) -> None:
        """Closes a trial that failed."""
        trial.set_user_attr("error", why)
        self.study.tell(trial, state=TrialState.FAIL)

    def best(self) -> FrozenTrial | None:
        """The best of the trials that ran to their end; None where there is none or no metric."""
        done = [t for t in self.trials() if t.state == TrialState.COMPLETE and t.value is not None]
        if self.sweep.metric is None or not done:
            return None
        sign = 1 if self.sweep.metric.goal == "minimize" else -1
        return min(done, key=lambda t: sign * (t.value or 0.0))

    def _remembered(self, name: str, value: int | None) -> int | None:
        """A setting, or if it is None the one that an earlier part of the sweep had."""
        if value is None:
            return self.study.user_attrs.get(name)
        self.study.set_user_attr(name, value)
        return value

    def _reached(self) -> bool:
        metric, best = self.sweep.metric, self.best()
        if metric is None or metric.target is None or best is None or best.value is None:
            return False
        return metric.better(best.value, metric.target)

    def _pruner(self) -> optuna.pruners.BasePruner:
        # W&B's hyperband is one bracket of successive halving, not Optuna's mixture of brackets
        if (halving := self.sweep.halving) is None:
            return optuna.pruners.NopPruner()
        return optuna.pruners.SuccessiveHalvingPruner(halving.first, halving.keep)

    def _sampler(self, number: int) -> BaseSampler:
        digest = hashlib.sha256(f"{self.seed}/{number}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        startup = max(4, min(10, self.count // 4))
        if self.sweep.method != "bayes":
            return RandomSampler(seed=seed)
        if self.sweep.halving:  # a Gaussian process would not learn from trials stopped early
            return TPESampler(
                n_startup_trials=startup, multivariate=True, constant_liar=True, seed=seed
            )
        import torch

        torch.set_num_threads(1)  # the cores are for the trials
        return GPSampler(n_startup_trials=startup, seed=seed)

    def _space(self) -> dict[str, BaseDistribution]:
        return {p.name: self._axis(p) for p in self.sweep.parameters}

    def _axis(self, parameter: Parameter) -> BaseDistribution:
        if self.sweep.method == "grid":
            return Index(0, len(parameter.grid or ()) - 1)
        if parameter.quantile is None:
            return CategoricalDistribution(tuple(range(len(parameter.grid or ()))))
        return FloatDistribution(0.0, 1.0)

    def _value(self, parameter: Parameter, suggested: dict[str, Any]) -> Any:
        suggestion = suggested[parameter.name]
        if parameter.grid is not None and (
            self.sweep.method == "grid" or parameter.quantile is None
        ):
            return parameter.grid[suggestion]
        assert parameter.quantile is not None
        return parameter.quantile(suggestion)

    def _point(self, number: int) -> dict[str, int]:
        """Point `number` of the grid, as indices; the last parameter varies fastest."""
        point = {}
        for p in reversed(self.sweep.parameters):
            number, point[p.name] = divmod(number, len(p.grid or ()))
        return point


def interruptions(trials: list[FrozenTrial]) -> set[int]:
    """The numbers of trials that were interrupted, and are done again by others."""
    return {t.user_attrs[REPEATS] for t in trials if REPEATS in t.user_attrs}


def mend(journal: Path) -> None:
    """Takes away what a killed process left in a journal: half a line at its end, and its lock."""
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        lock.unlink()
    if journal.is_file():
        whole = journal.read_bytes().rpartition(b"\n")
        if whole[2]:
            journal.write_bytes(whole[0] + whole[1])


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps to itself that Optuna calls some of this experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
