"""Command-line and config errors in one line, with the nearest name that exists."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from genlit.cli.choices import choices
from genlit.cli.errors import did_you_mean, fail, one_of

# How jsonargparse says that a name is not known, and what kind of name it is.
UNKNOWN = {
    r"Option '([^']+)' is not accepted": "option",
    r"[Uu]nrecognized arguments: -*([\w.]+)": "option",
    r"Key '([\w.]+)' is not expected": "option",
    r"Expected a dot import path string: ([\w.]+)": "class",
    r"Import error for class_path '?([\w.]+)": "class",
    r"No module named '([\w.]+)'": "class",
    r"module '[\w.]+' has no attribute '(\w+)'": "class",
    r"Expected a path but ([\w.]+) either not accessible": "class or file",
}
TELLING = r"[Ee]xpected|required|invalid|Unable"


class Parser(LightningArgumentParser):
    """Lightning's parser, whose errors are one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if ex is not None and type(ex).__module__.startswith("genlit"):
            fail(str(ex), code=2)
        fail(shortened(message, known_names(self), choices(ex)), code=2)


def shortened(message: str, known: set[str], fit: Sequence[str] = ()) -> str:
    """The point of one of jsonargparse's messages, and what the user may have meant.

    Args:
        message: The message, of up to dozens of lines.
        known: Every name that would have been right somewhere.
        fit: The classes that would have been right where a class was wrong.
    """
    lines = [re.sub(r"^[\s-]+", "", line).strip() for line in message.splitlines()]
    for pattern, kind in UNKNOWN.items():
        for line in lines:
            if found := re.search(pattern, line):
                if kind == "class" and fit:
                    given = re.search(r"Got value: ([\w.]+)", line) or found
                    return misnamed(given[1], fit)
                return unknown(found[1], kind, known)
    if "arguments are required" in message:
        return "say what to train: -c CONFIG, or --model and --data (`genlit list` has them)"
    telling = [line for line in lines if re.search(TELLING, line)]
    best = [line for line in telling if "NoneType" not in line and "Union" not in line] or telling
    point = " ".join([lines[0], best[-1]] if best and best[-1] != lines[0] else lines[:1])
    return re.sub(r"\s+", " ", point) or "the command line makes no sense"


def misnamed(word: str, fit: Sequence[str]) -> str:
    """Says that a class is not one of those that fit, and which it may be."""
    name = word.rpartition(".")[2]
    if name in fit:
        return f"there is no class {word}: write {name} or its whole path"
    return f"there is no class {word} for this: {did_you_mean(name, fit) or one_of(fit)}"


def unknown(word: str, kind: str, known: set[str]) -> str:
    """Says that a name is not known, and which one is near."""
    if kind.startswith("class") and word in known:
        return f"{word} needs its whole path here, as in genlit.networks.MLP"
    hint = did_you_mean(word, known) or did_you_mean(word.rpartition(".")[2], known)
    return f"there is no {kind} {word}" + (f": {hint}" if hint else "")


def known_names(parser: Any) -> set[str]:
    """Every option of a parser, and every class and argument that genlit itself defines."""
    from genlit.cli.catalogue import vocabulary

    options = {key.lstrip("-") for a in parser._actions for key in a.option_strings}
    return options | vocabulary()
