"""Command-line and config errors in one line, with the nearest name that exists."""

import re
from argparse import Action
from collections.abc import Sequence
from typing import Any, NoReturn

from jsonargparse import DefaultHelpFormatter
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
KINDS = {
    "<class 'int'>": "a whole number", "<class 'float'>": "a number",
    "<class 'bool'>": "true or false", "<class 'NoneType'>": "null",
}  # fmt: skip
WHAT = ("model", "data")  # the options that say what to train
TELLING = r"[Ee]xpected|required|invalid|Unable"
KNOWN = "known subclasses: "  # what jsonargparse writes before a list of classes


class Formatter(DefaultHelpFormatter):
    """Help that lists genlit's classes, and not all that any library derives from torch's."""

    def _get_help_string(self, action: Action) -> str:
        return with_own_classes(super()._get_help_string(action), str(action.default))


class Parser(LightningArgumentParser):
    """Lightning's parser, whose errors are one line and whose help is short."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": Formatter, **options})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if ex is not None and type(ex).__module__.startswith("genlit"):
            fail(str(ex), code=2)
        fail(shortened(message, known_names(self), choices(ex)), code=2)


def with_own_classes(text: str, default: str) -> str:
    """A help text whose list of classes has what genlit's packages offer, where they offer any.

    Args:
        text: What jsonargparse says of an argument.
        default: Its default; if that is a class, those of its package are all.
    """
    before, known, after = text.partition(KNOWN)
    listed = after.removesuffix(")").split(", ")
    own = [name for name in listed if re.fullmatch(r"genlit\.\w+\.\w+", name)]
    if found := re.search(r"'([\w.]+\.)\w+'}", default):
        own = [name for name in listed if re.fullmatch(re.escape(found[1]) + r"\w+", name)] or own
    return f"{before}{known}{', '.join(own)})" if len(own) > 1 else text


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
    if found := re.search(r"arguments are required: (.+)", message):
        missing = [name for name in found[1].split(", ") if name.rpartition(".")[2] not in WHAT]
        if missing:
            return f"{missing[0]} is required, too: set it in the config, or with an option"
        return "say what to train: -c CONFIG, or --model and --data (`genlit list` has them)"
    if plain := unfit(message):
        return plain
    telling = [line for line in lines if re.search(TELLING, line)]
    best = [line for line in telling if "NoneType" not in line and "Union" not in line] or telling
    point = " ".join([lines[0], best[-1]] if best and best[-1] != lines[0] else lines[:1])
    return re.sub(r"\s+", " ", point) or "the command line makes no sense"


def unfit(message: str) -> str:
    """Says of a value what it may be; nothing where that is more than numbers and fixed words."""
    key = re.search(r'Parser key "([\w.]+)"', message)
    value = re.search(r"(?:Got|Given) value: (\S+)", message)
    kinds = re.findall(r"Expected a (<class '[\w.]+'>|typing\.Literal\[[^]]+\]|\w.*)", message)
    words = [word for kind in kinds for word in re.findall(r"'([^']*)'", kind.partition("[")[2])]
    plain = [KINDS.get(kind, "") for kind in kinds if "Literal" not in kind]
    if not (key and value and kinds and all(plain)):
        return ""
    near = did_you_mean(value[1], words)
    return f"{key[1]} is {value[1]}: {near or one_of([*words, *plain])}"


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
