"""Runs a sweep: several trials at once, early stopping, and a line for what happens."""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, Trial

from genlit.sweep.command import argv, text
from genlit.sweep.laws import SweepError
from genlit.sweep.search import REPEATS, Search
from genlit.sweep.trials import Process, history, judge, kill, kill_orphan

POLL = 0.2  # seconds between looks at the running trials


@dataclass
class Running:
    """A trial that runs.

    Args:
        trial: As Optuna knows it.
        process: As the machine knows it.
        size: Bytes of its metrics.csv when last looked at.
        reported: How many of its values were reported.
    """

    trial: Trial
    process: Process
    size: int = field(default=-1)
    reported: int = field(default=0)


class Runner:
    """Runs the trials of a search.

    Args:
        search: Says which trial comes next.
        folder: The sweep's folder.
        jobs: How many trials run at once.
    """

    def __init__(self, search: Search, folder: Path, jobs: int) -> None:
        self.search = search
        self.sweep = search.sweep
        self.folder = folder
        self.jobs = jobs
        self.running: list[Running] = []

    def run(self) -> None:
        """Runs until no trial is left; an interruption ends those that run, to be repeated."""
        if repeated := self.search.recover(end_orphan):
            say(f"{repeated} trials were interrupted and are repeated")
        with terminations_interrupt():
            try:
                while self._fill() or self.running:
                    time.sleep(POLL)
                    for one in list(self.running):
                        self._look(one)
            finally:
                self._end_all()

    def _fill(self) -> bool:
        """Starts trials until all places are taken; False when none is left to start."""
        while len(self.running) < self.jobs:
            if (asked := self.search.ask()) is None:
                return False
            self._start(*asked)
        return True

    def _start(self, trial: Trial, values: Mapping[str, Any]) -> None:
        folder = self.folder / f"trial-{trial.number:04d}"
        words = argv(self.sweep.command, self.sweep.program, values)
        trial.set_user_attr("command", words)
        again = f", again for trial {n}" if (n := trial.user_attrs.get(REPEATS)) is not None else ""
        say(f"trial {trial.number} started: {describe(values)}{again}")
        try:
            process = Process(words, folder, self._environment())
        except OSError as error:
            self.search.fail(trial, f"{words[0]}: {error.strerror}")
            raise SweepError(f"the command cannot be run: {words[0]}: {error.strerror}") from None
        trial.set_user_attr("process", [process.popen.pid, str(folder)])
        self.running.append(Running(trial, process))

    def _environment(self) -> dict[str, str]:
        """The trial's environment: its share of the cores, and the sweep as its group in W&B."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        share = str(max(1, (cores or 1) // self.jobs))
        threads = {"OMP_NUM_THREADS": share, "MKL_NUM_THREADS": share, "PYTHONUNBUFFERED": "1"}
        return {**threads, **os.environ, "WANDB_RUN_GROUP": self.folder.name}

    def _look(self, one: Running) -> None:
        """Stops a trial that is not worth going on with, and closes one that is over."""
        over = one.process.ended()
        if self.sweep.halving and not one.process.stopping:
            self._report(one, over)
        if over:
            self.running.remove(one)
            self._close(one)

    def _report(self, one: Running, over: bool) -> None:
        metric, path = self.sweep.metric, one.process.folder / "metrics.csv"
        size = path.stat().st_size if path.is_file() else -1
        if metric is None or size == one.size:
            return
        one.size = size
        for value in history(one.process.folder, metric.name)[one.reported :]:
            one.reported += 1
            if self.search.report(one.trial, one.reported, value) and not over:
                one.process.stop()
                break

    def _close(self, one: Running) -> None:
        """Tells how a trial ended."""
        trial, process, metric = one.trial, one.process, self.sweep.metric
        trial.set_user_attr("seconds", round(process.seconds, 1))
        after = f"after {process.seconds:.0f} s"
        if process.stopping:
            self.search.prune(trial)
            return say(f"trial {trial.number} stopped early {after}, at value {one.reported}")
        why = process.failure()
        if why is None:
            try:
                value = judge(process.folder, metric) if metric else 0.0
            except ValueError as error:
                why = str(error)
            else:
                self.search.finish(trial, value)
                best = self.search.best()
                mark = ", the best so far" if best and best.number == trial.number else ""
                result = f": {metric.name} {value:.6g}{mark}" if metric else ""
                return say(f"trial {trial.number} finished {after}{result}")
        self.search.fail(trial, why)
        return say(f"trial {trial.number} failed {after}: {why} ({process.log})")

    def _end_all(self) -> None:
        """Ends what runs; the journal keeps it as running, so that it is repeated."""
        try:
            for one in self.running:
                one.process.stop()
            while any(not one.process.ended() for one in self.running):
                time.sleep(POLL / 4)
        except KeyboardInterrupt:  # once more: at once
            for one in self.running:
                kill(one.process.popen.pid, signal.SIGKILL)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from running the same sweep; the lock dies with its holder."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SweepError(f"the sweep {folder} is being run by another process") from None
        yield


@contextmanager
def terminations_interrupt() -> Iterator[None]:
    """Makes a request to terminate end the sweep as Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_orphan(trial: FrozenTrial) -> None:
    """Ends the process of a trial whose sweep was killed."""
    if "process" in trial.user_attrs:
        kill_orphan(*trial.user_attrs["process"])


def describe(values: Mapping[str, Any]) -> str:
    """Parameters in one line, numbers to four digits."""
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={text(value)}"
        for name, value in values.items()
    )


def say(line: str) -> None:
    """One line of progress."""
    print(line, file=sys.stderr, flush=True)
