"""Command-line and config errors in one line, with the nearest name that exists."""

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from genlit.cli.errors import did_you_mean, fail

UNKNOWN = (
    r"Option '(?P<option>[^']+)' is not accepted",
    r"[Uu]nrecognized arguments: -*(?P<argument>[\w.]+)",
    r"Expected a dot import path string: (?P<name>[\w.]+)",
    r"Import error for class_path '?(?P<path>[\w.]+)",
    r"No module named '(?P<module>[\w.]+)'",
    r"module '[\w.]+' has no attribute '(?P<attribute>\w+)'",
    r"Key '(?P<key>[\w.]+)' is not expected",
)


class Parser(LightningArgumentParser):
    """Lightning's parser, whose errors are one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if ex is not None and type(ex).__module__.startswith("genlit"):
            fail(str(ex), code=2)
        fail(shortened(message, known_names(self)), code=2)


def shortened(message: str, known: Iterable[str]) -> str:
    """The point of one of jsonargparse's messages, and what the user may have meant.

    Args:
        message: The message, of up to dozens of lines.
        known: Every name that would have been right somewhere.
    """
    lines = [re.sub(r"^[\s-]+", "", line).strip() for line in message.splitlines()]
    for pattern in UNKNOWN:
        for line in lines:
            if found := re.search(pattern, line):
                word = next(iter(found.groupdict().values()))
                hint = did_you_mean(word, known) or did_you_mean(word.rpartition(".")[2], known)
                what = (
                    "option"
                    if "option" in found.groupdict() or "key" in found.groupdict()
                    else "name"
                )
                if "argument" in found.groupdict():
                    what = "option"
                return f"there is no {what} {word}" + (f": {hint}" if hint else "")
    telling = [
        line for line in lines if re.search(r"Expected|required|invalid|expected|Unable", line)
    ]
    best = [line for line in telling if "NoneType" not in line and "Union" not in line] or telling
    point = " ".join([lines[0], best[-1]] if best and best[-1] != lines[0] else lines[:1])
    return re.sub(r"\s+", " ", point) or "the command line makes no sense"


def known_names(parser: Any) -> set[str]:
    """Every option of a parser, and every class and argument that genlit itself defines."""
    from genlit.cli.catalogue import vocabulary

    options = {key.lstrip("-") for a in parser._actions for key in a.option_strings}
    return options | vocabulary()
