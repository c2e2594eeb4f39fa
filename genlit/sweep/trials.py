"""The process of one trial, and what it left: its metric, or why it failed."""

import csv
import math
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from genlit.runs import read_results
from genlit.sweep.schema import Metric

GRACE = 15.0  # seconds between the request to end and the end


class Process:
    """A trial that runs: its own process group, its own run folder, and a log beside that.

    Args:
        words: The command, without the run folder.
        folder: The run folder; the program makes it.
        environment: The environment variables.
    """

    def __init__(self, words: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        self.begin = time.monotonic()
        self._deadline: float | None = None
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [*words, "--run_dir", str(folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=environment, start_new_session=True,
            )  # fmt: skip

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._deadline is not None

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self.begin

    def stop(self) -> None:
        """Asks it to end; `ended` makes it, if it does not within its grace."""
        if not self.stopping:
            self._deadline = time.monotonic() + GRACE
            kill(self.popen.pid, signal.SIGTERM)

    def ended(self) -> bool:
        """Whether the process is over."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            kill(self.popen.pid, signal.SIGKILL)
        if self.popen.poll() is None:
            return False
        kill(self.popen.pid, signal.SIGKILL)  # what it may have left of children
        return True

    def failure(self) -> str | None:
        """The last line of its log, if it failed."""
        code = self.popen.returncode
        if code == 0:
            return None
        lines = self.log.read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{how}: {last}"


def kill(pid: int, what: signal.Signals) -> None:
    """Signals a process group, if it is still there."""
    try:
        os.killpg(pid, what)
    except (ProcessLookupError, PermissionError):
        return


def kill_orphan(pid: int, folder: str) -> None:
    """Ends a trial whose sweep was killed, if the process of that id still is the trial's."""
    listed = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        words = listed.read_text().replace("\0", " ") if listed.exists() else ""
    else:
        ps = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
        words = subprocess.run(ps, capture_output=True, text=True).stdout
    if folder in words:
        kill(pid, signal.SIGKILL)


def history(folder: Path, name: str) -> list[float]:
    """The values of a metric in a run's metrics.csv, in order."""
    return [value for key, value in rows(folder) if key == name]


def rows(folder: Path) -> list[tuple[str, float]]:
    """The numbers in a run's metrics.csv, whole lines only: it may be growing."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return []
    whole = path.read_text().rpartition("\n")[0]
    lines = csv.DictReader(whole.splitlines())
    return [(line["name"], float(line["value"])) for line in lines]


def judge(folder: Path, metric: Metric) -> float:
    """The last value of the metric in metrics.csv, or else in results.json.

    Raises:
        ValueError: If it is nowhere, or no finite number.
    """
    last: dict[str, Any] = dict(rows(folder))
    if metric.name not in last:
        documents = read_results(folder)
        measured = documents[-1]["metrics"] if documents else []
        last |= {f"{m['split']}/{m['name']}": m["value"] for m in measured}
    if metric.name not in last:
        there = ", ".join(sorted(last)) or "none"
        raise ValueError(f"it gave no metric {metric.name}; there were {there}")
    if not math.isfinite(last[metric.name]):
        raise ValueError(f"{metric.name} is {last[metric.name]}")
    return float(last[metric.name])
