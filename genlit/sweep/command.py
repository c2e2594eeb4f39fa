"""The command of a trial: W&B's macros filled in as its agent would, in words genlit reads."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genlit.sweep.laws import SweepError

DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")

Values = Mapping[str, Any]

ARGUMENTS: dict[str, Callable[[Values], list[str]]] = {
    "${args}": lambda values: [f"--{name}={text(v)}" for name, v in values.items()],
    "${args_no_equals}": lambda values: [
        word for name, v in values.items() for word in (f"--{name}", text(v))
    ],
    "${args_no_hyphens}": lambda values: [f"{name}={text(v)}" for name, v in values.items()],
    "${args_no_boolean_flags}": lambda values: [
        f"--{name}" if v is True else f"--{name}={text(v)}"
        for name, v in values.items()
        if v is not False
    ],
    "${args_append_hydra}": lambda values: [f"+{name}={text(v)}" for name, v in values.items()],
    "${args_override_hydra}": lambda values: [f"++{name}={text(v)}" for name, v in values.items()],
    "${args_json}": lambda values: [json.dumps(dict(values))],
}

OTHERS = ("${env}", "${interpreter}", "${program}")

VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


def check_command(command: object, program: object) -> None:
    """Refuses a command that cannot be run.

    Raises:
        SweepError: If it is no list, holds a macro that is not known, or misses its program.
    """
    if not isinstance(command, list) or not command:
        raise SweepError("command must be a list of words, as in [python, -m, genlit, fit, ...]")
    words = [VARIABLE.sub("", str(word)) for word in command]
    for word in words:
        if word.startswith("${") and word not in OTHERS and word not in ARGUMENTS:
            known = ", ".join((*OTHERS, *ARGUMENTS))
            raise SweepError(f"command: {word} is not supported; there are {known}")
    if not any(word in ARGUMENTS for word in words):
        raise SweepError("command has no ${args}: the parameters would not reach the program")
    if "${program}" in words and not isinstance(program, str):
        raise SweepError("command asks for ${program}, and there is no program")


def argv(command: Sequence[str], program: str | None, values: Values) -> list[str]:
    """The words that start a trial; python is the one that runs this, ${env} needs no word."""
    words: list[str] = []
    for word in command:
        word = VARIABLE.sub(lambda m: os.environ.get(m[1], m[1]), word)
        if word in ARGUMENTS:
            words += ARGUMENTS[word](values)
        elif word == "${program}":
            words.append(str(program))
        elif word != "${env}":
            words.append(sys.executable if word in ("${interpreter}", "python") else word)
    return words


def text(value: Any) -> str:
    """A value as a word: True and 0.1 as Python writes them; null, lists and tables as JSON."""
    return json.dumps(value) if value is None or isinstance(value, list | dict) else str(value)
