"""The arguments that the commands which use a trained model have in common."""

import argparse
import math
import re
from pathlib import Path
from typing import NoReturn

from genlit.cli.errors import did_you_mean, fail

FILES = """\
FILE is a .npy, a .npz with one array (or one named images), a PNG, or a folder of PNGs in the
order of their names. An array has the shape (n, *shape), where shape is that of the model's events,
as (1, 28, 28); (n, 28, 28), (n, 784), channels last, and a single event are understood too.
Numbers are in [0, 1], and whole numbers of type uint8 are divided by 255, unless there are only
zeros and ones. PNGs become grey or RGB as the model needs.
"""


class CommandParser(argparse.ArgumentParser):
    """A command's parser, whose help is the manual and whose errors are one line.

    Args:
        command: The command, without genlit before it.
        description: What it does.
        examples: What comes after the options.
    """

    def __init__(self, command: str, description: str, examples: str = "") -> None:
        super().__init__(
            prog=f"genlit {command}",
            description=description,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Ends with the point of one of argparse's messages, and what may have been meant."""
        if found := re.match(r"unrecognized arguments: (.+)", message):
            fail(self._unknown(found[1].split()), code=2)
        if found := re.match(r"the following arguments are required: (.+)", message):
            fail(f"{found[1]} is missing: {self.prog} --help explains", code=2)
        fail(re.sub(r"^argument (?:-\w/)?", "", message), code=2)

    def _unknown(self, words: list[str]) -> str:
        """Says that there is no such option, or no place for an argument."""
        word = next((word for word in words if word.startswith("-")), words[0])
        help_ = f"{self.prog} --help lists what there is"
        if not word.startswith("-"):
            return f"{self.prog} has no use for {word}: {help_}"
        name = word.partition("=")[0]
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        known = [text[2:] for action in shown for text in action.option_strings if text[1] == "-"]
        hint = did_you_mean(name.lstrip("-"), known, "--")
        return f"there is no option {name}: {hint or help_}"


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def places(text: str) -> list[int]:
    """Whole numbers with commas between them: 0,3,7."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not whole numbers with commas, as in 0,3,7")
    return [int(part) for part in parts]


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number


def not_negative(text: str) -> float:
    """A finite number that is 0 or above."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number that is 0 or above")
    return number


def parser_for(command: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A command's parser, with what all of them take: RUN, --seed, --device."""
    parser = CommandParser(command, description, examples)
    parser.add_argument(
        "run", type=Path, metavar="RUN",
        help="a run folder, which means its best checkpoint or else its last, or a checkpoint",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0,
        help="the same seed gives the same file, and another seed another (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--device", default="cpu", help="where to compute: cpu, cuda, cuda:1, mps (default: cpu)"
    )
    return parser


def add_out(
    parser: argparse.ArgumentParser, command: str, array: str = "float32 in [0, 1]"
) -> None:
    """Adds --out, for the commands that write a picture and an array."""
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help="writes PATH.png and PATH.npy, neither of which may exist (default: "
        f"RUN/samples/{command}-1, or the next number that is free); the array is {array}; "
        "the picture shows its beginning, and there is none where events are no images",
    )  # fmt: skip


def add_events(parser: argparse.ArgumentParser, n: str) -> None:
    """Adds the options that say which events a model is asked about.

    Args:
        parser: The command's parser.
        n: What --n counts, with its default.
    """
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--split", choices=["test", "val", "train"], default="test",
        help="takes events of the data that the run was trained on (default: test)",
    )  # fmt: skip
    source.add_argument(
        "--file", type=Path, metavar="FILE",
        help="takes images of your own: .npy, .npz, PNG or a folder of PNGs, see below",
    )  # fmt: skip
    parser.add_argument("--n", type=positive, metavar="N", help=n)
    add_binarize(parser)


def add_binarize(parser: argparse.ArgumentParser) -> None:
    """Adds --binarize."""
    parser.add_argument(
        "--binarize", choices=["threshold", "sample", "dequantize"],
        help="turns grey levels into zeros and ones for a model that knows no others: 1 above 1/2, "
        "or 1 with the grey level as its probability; or images of 8 bits into real numbers for a "
        "density of these: (level + u) / 256 with u uniform",
    )  # fmt: skip


def add_search(parser: argparse.ArgumentParser, restarts: str, to: str) -> None:
    """Adds the options that say how codes are searched for.

    Args:
        parser: The command's parser.
        restarts: What --restarts counts.
        to: To what a code's distance costs.
    """
    parser.add_argument(
        "--steps", type=positive, default=300, metavar="K",
        help="steps of Adam in a search (default: 300)",
    )  # fmt: skip
    parser.add_argument(
        "--restarts", type=positive, default=4, metavar="R", help=f"{restarts} (default: 4)"
    )
    parser.add_argument(
        "--weight", type=not_negative, default=0.01, metavar="W",
        help=f"what the squared distance of a code to {to}, in standard deviations, costs beside "
        "the sum of squared errors of pixels, as if pixels had noise of this variance (default: "
        "0.01)",
    )  # fmt: skip


def own_options(
    parser: argparse.ArgumentParser, args: list[str], prefix: str
) -> tuple[argparse.Namespace, list[str]]:
    """Parses what a parser knows, and hands on options of a prefix as --prefix.name=value.

    Raises:
        SystemExit: If something is left that is neither.
    """
    mine, theirs, words = [], [], iter(args)
    for word in words:
        if word.startswith(prefix):
            theirs.append(word if "=" in word else f"{word}={next(words, '')}")
        else:
            mine.append(word)
    return parser.parse_args(mine), theirs
