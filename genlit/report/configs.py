"""The configurations of several runs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from genlit.report.read import Run


@dataclass(frozen=True)
class Setting:
    """One key of the configurations, and its value in every run; None where a run lacks it."""

    key: str
    values: tuple[str | None, ...]

    @property
    def differs(self) -> bool:
        """Whether runs disagree on it."""
        return len(set(self.values)) > 1


def settings(runs: Sequence[Run]) -> list[Setting]:
    """Every key that some run has, by section, in the order of the files."""
    keys = list({key: None for run in runs for key in run.config})
    sections = list({section(key): None for key in keys})
    keys.sort(key=lambda key: sections.index(section(key)))
    return [Setting(key, tuple(run.config.get(key) for run in runs)) for key in keys]


def section(key: str) -> str:
    """The first part of a dotted key."""
    return key.split(".")[0]
