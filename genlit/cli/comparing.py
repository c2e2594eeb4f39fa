"""Tasks by their names on the command line, and the runs that they are set to."""

import inspect
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from genlit.cli.asking import open_model
from genlit.cli.errors import did_you_mean
from genlit.cli.lightning import import_rooms
from genlit.cli.place import Place
from genlit.tasks.comparison import Entrant
from genlit.tasks.task import Task, tasks


def task_of(name: str, settings: Sequence[str]) -> Task:
    """Makes a task.

    Args:
        name: Of its class, or its verb.
        settings: Its options, as --task.mask=half.

    Raises:
        ValueError: If there is no such task, or it has no such option.
    """
    import_rooms()
    name = {kind.verb: kind.__name__ for kind in tasks().values()}.get(name, name)
    if name not in tasks():
        hint = did_you_mean(name, tasks()) or f"there are {', '.join(sorted(tasks()))}"
        raise ValueError(f"there is no task {name}: {hint}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(tasks()[name], "task")
    return made(parser, settings, tasks()[name])


def task_in(place: Place, settings: Sequence[str]) -> Task:
    """Makes the task that a run is examined in by `genlit test`.

    Args:
        place: The run.
        settings: Options that are to be others than there, as --task.n=200.

    Raises:
        ValueError: If it is examined in none, or in several, or has no such option.
    """
    import_rooms()
    callbacks = place.config["trainer"].get("callbacks") or []
    found = [
        callback["init_args"]["task"]
        for callback in callbacks
        if callback["class_path"].rpartition(".")[2] == "Examination"
    ]
    if len(found) != 1:
        kinds = ", ".join(task["class_path"].rpartition(".")[2] for task in found) or "none"
        raise ValueError(
            f"{place.folder} is examined in {len(found)} tasks ({kinds}): say which one is set, "
            "as in --task Denoising; --task help lists them"
        )
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Task, "task")
    kind = tasks()[found[0]["class_path"].rpartition(".")[2]]
    return made(parser, [f"--task={json.dumps(found[0])}", *settings], kind)


def made(parser: ArgumentParser, settings: Sequence[str], kind: type[Task]) -> Task:
    """The task that settings ask for.

    Raises:
        ValueError: If they cannot be understood; in one line.
    """
    try:
        return parser.instantiate_classes(parser.parse_args(list(settings))).task
    except ArgumentError as error:
        options = ", ".join(inspect.signature(kind).parameters) or "none"
        text = re.sub(r"\s+", " ", str(error).replace("ArgumentError: ", ""))
        raise ValueError(f"{text}; the options of {kind.__name__} are {options}") from None


def task_manual() -> str:
    """All tasks with their options, as text."""
    import_rooms()
    lines = []
    for name, kind in sorted(tasks().items()):
        text = inspect.getdoc(kind) or ""
        other = f", or {kind.verb}" if kind.verb else ""
        lines += [f"{name}{other}: {text.splitlines()[0]}"]
        options = text.partition("Args:\n")[2].split("\n\n")[0]
        lines += [f"  {line}" for line in options.splitlines()] + [""]
    return "\n".join(lines).rstrip()


def entrants_of(runs: Sequence[Path], device: str) -> tuple[list[Place], list[Entrant]]:
    """The models of runs, and where they lie; each has a name that no other one has."""
    opened = [open_model(run, device) for run in runs]
    names = short_names([place.folder for place, _ in opened])
    entrants = [
        Entrant(name, model, facts(place, model))
        for name, (place, model) in zip(names, opened, strict=True)
    ]
    return [place for place, _ in opened], entrants


def facts(place: Place, model: Any) -> dict[str, Any]:
    """What is to be said of a model that takes part."""
    return {
        "model": type(model).__name__,
        "run": str(place.folder),
        "checkpoint": place.checkpoint.name,
        "epoch": place.epoch,
        "seed": place.config.get("seed_everything"),
    }


def short_names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart."""
    every = [folder.resolve().parts for folder in folders]
    for length in range(2, max(map(len, every)) + 1):
        names = ["/".join(parts[-length:]) for parts in every]
        if len(set(names)) == len(names):
            return names
    return [f"{folder} ({k})" for k, folder in enumerate(folders, 1)]
