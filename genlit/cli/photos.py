"""The user's own photos: which there are, and where what is made of them goes."""

import argparse
from collections.abc import Callable
from pathlib import Path

from genlit.runs import RunError

TILE = 256  # pixels a side of the tiles that a model is asked about, unless told otherwise
OVERLAP = 8  # a tile sees an eighth of itself beyond what it keeps, at every side


def add_tile(parser: argparse.ArgumentParser) -> None:
    """Adds --tile."""
    parser.add_argument(
        "--tile", type=side, default=TILE, metavar="T",
        help="asks about overlapping tiles of T pixels a side, to take less memory; 0 asks about "
        f"whole photos (default: {TILE})",
    )  # fmt: skip


def side(text: str) -> int:
    """A whole number of pixels, or 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of pixels, or 0")
    return int(text)


def photos_in(path: Path) -> list[Path]:
    """The pictures in a folder by their names, or the one that a path is.

    Raises:
        DataError: If there are none.
    """
    from genlit.data.idx import DataError
    from genlit.data.pictures import PICTURES

    if not path.exists():
        raise DataError(f"there is no file {path}")
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [p for p in inside if p.is_file() and p.suffix.lower() in PICTURES]
    if not found:
        raise DataError(f"{path} is no PNG or JPEG, nor a folder with any")
    return found


def targets_of(
    files: list[Path], given: Path, out: Path | None, command: str, also: str = ""
) -> Callable[[Path], list[Path]]:
    """Where the PNGs made of photos go, given the folder of the run.

    Args:
        files: The photos.
        given: The photo or folder that the user named.
        out: What --out says.
        command: The command, by which folders in the run are called.
        also: What the names of further files beside them end with, before .png.

    Raises:
        RunError: If two have one name, --out is no PNG, or something exists already.
    """
    names = [f"{file.stem}.png" for file in files]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RunError(f"two photos would become {twice}: give them names of their own")

    def paths(run: Path) -> list[Path]:
        free = (run / "samples" / f"{command}-{k}" for k in range(1, 10**6))
        folder = out or next(folder for folder in free if not folder.exists())
        return [folder / name for name in names]

    if out is None:
        return paths
    alone = not given.is_dir() and not out.is_dir()
    found = [as_png(out, command)] if alone else paths(out)
    for path in found:
        for file in [path, beside(path, also)] if also else [path]:
            if file.exists():
                raise RunError(f"{file} exists and is not overwritten: give another --out")
    return lambda run: found


def as_png(out: Path, command: str) -> Path:
    """The PNG that --out means, whose ending may be left out.

    Raises:
        RunError: If it ends otherwise.
    """
    if out.suffix.lower() == ".png":
        return out
    if out.suffix:
        raise RunError(f"{out}: {command} writes PNG: give --out {out.with_suffix('.png')}")
    return out.with_name(f"{out.name}.png")


def beside(path: Path, also: str) -> Path:
    """The path of a further file: photo.png and photo-spoilt.png."""
    return path.with_name(f"{path.stem}-{also}.png")
