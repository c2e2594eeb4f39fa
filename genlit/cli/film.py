"""`genlit film`: the pictures that a run drew of its samples, joined into a film."""

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genlit.cli.arguments import CommandParser
from genlit.runs import RunError

if TYPE_CHECKING:  # pictures are opened when there are some
    from PIL.Image import Image

LONGEST = 10.0  # seconds, unless the user wants more
SLOWEST = 0.5  # seconds a picture, unless the user wants more
QUICKEST = 0.02  # seconds a picture: browsers show quicker ones slowly
LINE = 18  # pixels of the caption
GREY = (128, 128, 128)  # of what is beside pictures that are smaller than others

DESCRIPTION = """\
Join the pictures that SampleGrid drew of a run, of the same noise again and again, into a film:
samples/film.gif in the run's folder. Any run that has pictures will do, unfinished ones too.
"""

EXAMPLES = """\
examples:
  genlit film runs/gan/20250102-030405
  genlit film RUN --prefix scatter         the pictures of ScatterPlot, as samples/scatter-film.gif
  genlit film RUN --seconds 30 --out lecture.gif
"""


def main(args: list[str]) -> None:
    """Writes the film and prints where it is."""
    options = parser().parse_args(args)
    prefix = f"{options.prefix.rstrip('-')}-".removeprefix("-") if options.prefix else ""
    pictures = drawn(options.run, prefix)
    out = options.out or options.run / "samples" / f"{prefix}film.gif"
    if out.exists():
        raise RunError(f"{out} exists and is not overwritten: name another file with --out")
    length = options.seconds or min(LONGEST, SLOWEST * len(pictures))
    shown = spread(pictures, max(2, round(length / QUICKEST)))
    delay = max(QUICKEST, length / len(shown))
    write(frames(shown), out, delay)
    print(f"{out}: {len(shown)} of {len(pictures)} pictures, {delay * len(shown):.1f} s")


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = CommandParser("film", DESCRIPTION, EXAMPLES)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "--prefix", default="", metavar="NAME",
        help="what the names of the pictures begin with, before epoch-0001.png: scatter, chains, "
        "filters, logits; by default nothing, as those of SampleGrid",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=seconds, metavar="S",
        help=f"how long the film lasts (default: {SLOWEST:g} for each picture, {LONGEST:g} at "
        f"most); where pictures would be seen for less than {QUICKEST:g}, some are left out evenly",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help="the GIF, which may not exist (default: RUN/samples/film.gif)",
    )  # fmt: skip
    return parser


def seconds(text: str) -> float:
    """A duration: a number above 0 and at most an hour."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return number


def drawn(run: Path, prefix: str) -> list[tuple[int, Path]]:
    """The epochs and the pictures of a run with a prefix, the newest one of each epoch, in order.

    Raises:
        RunError: If there are none; it names the prefixes that there are.
    """
    if not run.is_dir():
        raise RunError(f"there is no run folder {run}")
    every: dict[str, dict[int, tuple[int, Path]]] = {}
    for path in (run / "samples").glob("*.png"):
        if parts := re.fullmatch(r"(.*?)epoch-(\d+)(?:-(\d+))?", path.stem):
            epochs, epoch = every.setdefault(parts[1], {}), int(parts[2])
            epochs[epoch] = max(epochs.get(epoch, (0, path)), (int(parts[3] or 1), path))
    if prefix not in every:
        others = ", ".join(f"--prefix {p.rstrip('-')}" for p in sorted(every) if p)
        hint = f"there are those of {others}" if others else "SampleGrid in trainer.callbacks draws"
        hint = "leave --prefix out" if "" in every else hint
        raise RunError(f"{run} has no pictures samples/{prefix}epoch-*.png: {hint}")
    return sorted((epoch, path) for epoch, (_, path) in every[prefix].items())


def spread(pictures: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """The first, the last, and evenly between them, no more than so many."""
    last = len(pictures) - 1
    if last < most:
        return list(pictures)
    return [pictures[round(k * last / (most - 1))] for k in range(most)]


def frames(pictures: Sequence[tuple[int, Path]]) -> Iterator["Image"]:
    """Each picture above the epoch it is of; all of one size.

    Raises:
        RunError: If one is damaged.
    """
    from PIL import Image

    size = (0, 0)
    for _, path in pictures:
        with opened(path) as image:
            size = (max(size[0], image.width), max(size[1], image.height))
    for epoch, path in pictures:
        with opened(path) as image:
            frame = Image.new("RGB", (size[0], size[1] + LINE), GREY)
            frame.paste(image, (0, 0))
        yield captioned(frame, f"epoch {epoch}")


def opened(path: Path) -> "Image":
    """A picture, read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError) as error:  # what Pillow raises for a broken PNG
        raise RunError(f"{path} is no whole picture: move it away") from error


def captioned(frame: "Image", text: str) -> "Image":
    """A frame with text on white in its lowest line, in 256 colours: its own, if they are grey."""
    from PIL import ImageChops, ImageDraw, ImageFont

    pen = ImageDraw.Draw(frame)
    pen.rectangle((0, frame.height - LINE, frame.width, frame.height), (255, 255, 255))
    pen.text((4, frame.height - LINE + 2), text, (0, 0, 0), ImageFont.load_default(12))
    red, green, blue = frame.split()
    grey = not (ImageChops.difference(red, green).getbbox() or
                ImageChops.difference(green, blue).getbbox())  # fmt: skip
    return frame.convert("L") if grey else frame.quantize()


def write(every: Iterator["Image"], out: Path, delay: float) -> None:
    """Writes a film that goes on for ever, whole or not at all; each frame has its delay."""
    first = next(every)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("xb") as file:
        try:
            first.save(file, "GIF", save_all=True, append_images=every, loop=0,
                       duration=round(delay * 100) * 10)  # fmt: skip
        except BaseException:
            out.unlink()
            raise
