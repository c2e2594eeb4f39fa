"""Which files of a folder are to be trained on, validated and tested with."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from genlit.data.idx import DataError
from genlit.data.pictures import is_picture
from genlit.randomness import derive_seed

SPLIT_SEED = 1998


class FileKind(NamedTuple):
    """What a folder is searched for."""

    belongs: Callable[[Path], bool]
    name: str  # of many
    option: str  # what says where they are


def dealt(
    folder: Path, kind: FileKind, held_out: int | None, tested: bool = True
) -> dict[str, list[Path]]:
    """The files in a folder, and in those in it, for train, val and test.

    A file's name says which it is for, so that most stay where they are when others come.

    Args:
        folder: The folder.
        kind: Which of its files count.
        held_out: How many are for validation; None takes a tenth, and at least one.
        tested: Whether as many are for the test.

    Raises:
        DataError: If there is no such folder, or none are left to train on.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: set {kind.option} to one of {kind.name}")
    found = {p.relative_to(folder): p for p in folder.rglob("*") if kind.belongs(p)}
    require_enough(len(found), folder, kind, tested)
    n = max(len(found) // 10, 1) if held_out is None else held_out
    m = n if tested else 0
    if not 0 < n + m < len(found):
        raise DataError(
            f"{folder} holds {len(found)} {kind.name}, of which {n} would be for validation and "
            f"{m} for the test: set data.held_out so that some of each are left"
        )
    names = sorted(found, key=lambda name: derive_seed("split", SPLIT_SEED, name.as_posix()))
    parts = {"val": names[:n], "test": names[n : n + m], "train": names[n + m :]}
    return {split: [found[name] for name in chosen] for split, chosen in parts.items()}


def require_enough(found: int, folder: Path, kind: FileKind, tested: bool) -> None:
    """Makes sure that each split can have a file.

    Raises:
        DataError: If not.
    """
    least = 2 + tested
    if found < least:
        uses = "train on, to validate and to test with" if tested else "train on and to validate"
        raise DataError(
            f"{folder} holds {found or 'no'} {kind.name}, and it takes {least} to {uses}: set "
            f"{kind.option} to a folder of them"
        )


def is_image_file(path: Path) -> bool:
    """Whether a path is a picture or an array by its name; hidden files are not."""
    return is_picture(path) or (path.suffix == ".npy" and not path.name.startswith("."))
