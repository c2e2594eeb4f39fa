"""The folder of a new run: made by the first process, known to the others, never overwritten."""

import os
from pathlib import Path
from typing import Any

import yaml

from genlit.runs import RunError, new_folder

VARIABLE = "GENLIT_RUN_DIR"  # tells the processes that Lightning starts which folder is the run's


def make(given: Path | None, experiment: str, config: dict[str, Any]) -> Path:
    """Makes the folder with its config.yaml; in a process that is not the first, finds it.

    Args:
        given: The folder that --run_dir names; None takes runs/<experiment>/<time>.
        experiment: The name of the experiment.
        config: The run's whole configuration.

    Raises:
        RunError: If the given folder is not empty, or processes that were started from outside were
            not told a common one.
    """
    if not is_first_process():
        if (known := given or os.environ.get(VARIABLE)) is None:
            raise RunError("several processes were started from outside: give them one --run_dir")
        return Path(known)
    folder = new_folder(experiment) if given is None else claim(given)
    os.environ[VARIABLE] = str(folder.absolute())
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def is_first_process() -> bool:
    """Whether this is the process with rank 0, as far as launchers say."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return int(next((rank for rank in ranks if rank is not None), "0")) == 0


def claim(folder: Path) -> Path:
    """Makes the folder that --run_dir names.

    Raises:
        RunError: If it exists and is not empty.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise RunError(
            f"{folder} is not empty, and a run is never overwritten: "
            f"`genlit fit {folder}` goes on with it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def discard_if_unused(folder: Path) -> None:
    """Removes the folder of a run that failed before it had anything to keep."""
    if sorted(p.name for p in folder.iterdir()) == ["config.yaml"]:
        (folder / "config.yaml").unlink()
        folder.rmdir()


def last_good(folder: Path) -> str:
    """Where the last good state of a run that failed is."""
    path = folder / "checkpoints" / "last.ckpt"
    return f"the last good state is {path}" if path.is_file() else "there is no checkpoint yet"
