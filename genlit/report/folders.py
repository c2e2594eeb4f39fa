"""Which run folders are meant by folders."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from genlit.runs import RunError


def find_runs(places: Sequence[Path]) -> list[Path]:
    """The run folders that are meant by run folders or folders above them, each one once.

    Raises:
        RunError: If a place is no run and holds none.
    """
    found: dict[Path, Path] = {}
    for place in places:
        if not place.is_dir():
            what = "is a file, not a run folder" if place.exists() else "does not exist"
            raise RunError(f"{place} {what}: give the folder that `genlit fit` made")
        runs = list(_runs_below(place))
        if not runs:
            raise RunError(
                f"{place} is no run folder and holds none: no config.yaml in it or below"
            )
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def _runs_below(place: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(place):
        if "config.yaml" in files:
            yield Path(folder)
            below.clear()
        else:  # W&B keeps config.yaml files of its own
            below[:] = sorted(name for name in below if name != "wandb" and name[0] != ".")


def common_parent(places: Sequence[Path]) -> Path:
    """The folder below which all places lie; of one place, itself."""
    return Path(os.path.commonpath([place.resolve() for place in places]))
