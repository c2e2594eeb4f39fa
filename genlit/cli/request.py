"""What the user asked for: which run it is about, and the arguments as LightningCLI takes them."""

from pathlib import Path
from typing import NamedTuple

import yaml

from genlit.cli.errors import fail
from genlit.cli.place import Place, open_place
from genlit.cli.shipped import find


class Request(NamedTuple):
    """A command with its arguments."""

    command: str
    args: list[str]  # with RUN turned into its configuration, and names of configs into files
    place: Place | None  # the run that it is about; None for a new one
    experiment: str  # what a new run's folder is called


def understand(command: str, args: list[str]) -> Request:
    """Reads RUN, if one is given, and finds the configs.

    Raises:
        RunError: If there is no such run or config.
    """
    place = None
    if args and not args[0].startswith("-"):
        place = open_place(Path(args[0]), last=command == "fit")
        args = ["--config", yaml.safe_dump(place.config), *args[1:]]
    elif command != "fit" and not only_looks(args):
        fail(f"say what to {command}: genlit {command} RUN, a run folder or a checkpoint", code=2)
    args, experiment = with_configs(args, found="run" if place is None else place.folder.name)
    return Request(command, [command, *args], place, experiment)


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
