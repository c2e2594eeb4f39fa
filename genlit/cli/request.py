"""What the user asked for: which run it is about, and the arguments as LightningCLI takes them.

Names and paths are looked up before torch is imported, so that a slip is told at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from genlit.cli.errors import fail, one_of
from genlit.cli.shipped import find
from genlit.runs import RunError, find_checkpoint

if TYPE_CHECKING:
    from genlit.cli.place import Place


class Request(NamedTuple):
    """A command with its arguments."""

    command: str
    args: list[str]  # with RUN turned into its configuration, and names of configs into files
    place: Place | None  # the run that it is about; None for a new one
    experiment: str  # what a new run's folder is called
    folder: Path | None  # of a run that came to no checkpoint, and begins again


Names = tuple[str, ...]  # of the checkpoints of a run that will do, the preferred one first

WHICH: dict[str | None, list[Names]] = {
    None: [("best", "last")],
    "best": [("best",)],
    "last": [("last",)],
    "both": [("best",), ("last",)],
}


def which(command: str, args: list[str]) -> list[Names]:
    """The checkpoints of its run that a command goes through, one after the other, by --which.

    Raises:
        RunError: If there is no such choice, or RUN is a checkpoint itself.
    """
    if command == "fit":
        return [("last", "best")]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--which", nargs="?")
    choice = parser.parse_known_args(args)[0].which
    if choice not in WHICH:
        raise RunError(f"--which {choice}: {one_of(filter(None, WHICH))}")
    if choice and args and Path(args[0]).is_file():
        raise RunError(f"{args[0]} is one checkpoint: leave --which out")
    kept = Path(args[0]) / "checkpoints" if args else Path()
    if choice in ("best", "both") and not (kept / "best.ckpt").is_file() and kept.is_dir():
        raise RunError(f"{args[0]} has no best state, since its checkpoints monitor nothing: leave "
                       "--which out")  # fmt: skip
    return WHICH[choice]


def look(command: str, args: list[str]) -> None:
    """Makes sure that the run and the configs that are named are there.

    Raises:
        RunError: If there is no such run or config.
    """
    if args and not args[0].startswith("-"):
        if not (command == "fit" and begins_again(Path(args[0]))):
            for names in which(command, args):
                find_checkpoint(Path(args[0]), names)
    elif command == "fit" and not args:
        fail(
            "say what to train: genlit fit -c CONFIG, or --model and --data; `genlit list` has them"
        )
    elif command != "fit" and not only_looks(args):
        fail(f"say what to {command}: genlit {command} RUN, a run folder or a checkpoint", code=2)
    with_configs(args, "")


def understand(command: str, args: list[str], names: Names) -> Request:
    """Reads RUN, if one is given, and finds the configs.

    Args:
        command: The command.
        args: Its arguments.
        names: Which checkpoints of RUN will do, the preferred one first.

    Raises:
        RunError: If there is no such run or config.
    """
    import yaml

    from genlit.cli.place import open_place

    place, folder = None, None
    if args and not args[0].startswith("-"):
        if command == "fit" and begins_again(Path(args[0])):
            folder = Path(args[0])
            args = ["--config", str(folder / "config.yaml"), *args[1:]]
        else:
            place = open_place(Path(args[0]), names)
            args = ["--config", yaml.safe_dump(place.config), *args[1:]]
    args, experiment = with_configs(args, "run")
    return Request(command, [command, *args], place, experiment, folder)


def begins_again(run: Path) -> bool:
    """Whether a run ended before its first checkpoint, so that going on is to begin again."""
    return (run / "config.yaml").is_file() and not list(run.glob("checkpoints/*.ckpt"))


def only_looks(args: list[str]) -> bool:
    """Whether the arguments ask for help or for the configuration, or just for a dry run."""
    text = " ".join(args)
    return any(option in text for option in ("-h", ".help", "--print_config", "fast_dev_run"))


def with_configs(args: list[str], found: str) -> tuple[list[str], str]:
    """The arguments with every `-c NAME` as a file, and the name of the last one."""
    args = list(args)
    for i in range(len(args) - 1):
        if args[i] in ("-c", "--config") and "\n" not in args[i + 1]:
            path = find(args[i + 1])
            args[i + 1], found = str(path), path.stem
    return args, found
