"""Pictures of samples, as they came in training, put into the page itself."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genlit.report.read import Run

IN_STRIP = 7  # earlier pictures beside the last one
SIGNATURE, END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Picture:
    """One PNG.

    Args:
        number: Where it comes among the pictures of its kind.
        label: Its name, read as in "epoch 10".
        uri: The picture itself, as a data URI.
        width: Pixels.
        height: Pixels.
    """

    number: int
    label: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Album:
    """The pictures of one kind that a run made.

    Args:
        kind: What they show.
        run: The run's place among all runs.
        last: The last one.
        earlier: The first and some between, in order.
    """

    kind: str
    run: int
    last: Picture
    earlier: tuple[Picture, ...]


def albums(runs: Sequence[Run]) -> list[Album]:
    """The pictures of all runs, those that show the same together."""
    found: list[Album] = []
    for k, run in enumerate(runs):
        kinds: dict[str, dict[int, tuple[str, Path]]] = {}
        for path in sorted(run.samples, key=lambda path: (len(path.stem), path.stem)):
            kind, number, label = parse(path.stem)
            kinds.setdefault(kind, {})[number] = (label, path)
        for kind, numbered in kinds.items():
            pictures = [p for n in spread(sorted(numbered)) if (p := embed(n, *numbered[n]))]
            if pictures:
                found.append(Album(kind, k, pictures[-1], tuple(pictures[:-1])))
    return sorted(found, key=lambda album: (album.kind != "samples", album.kind))


def parse(stem: str) -> tuple[str, int, str]:
    """What a picture shows, its number, and its label: chains-epoch-0010 is chains at epoch 10.

    A last -2 is of a run that was resumed and drew its picture again; that one holds.
    """
    parts = re.fullmatch(r"(.*?)[-_ ]*(epoch|step)?[-_= ]*(\d+)(-\d+)?", stem)
    if parts is None:
        return stem, 0, stem
    number = int(parts[3])
    return parts[1] or "samples", number, f"{parts[2] or 'number'} {number}"


def spread(numbers: Sequence[int]) -> list[int]:
    """The first, the last, and evenly between them, no more than fit."""
    if len(numbers) <= IN_STRIP + 1:
        return list(numbers)
    return [numbers[round(i * (len(numbers) - 1) / IN_STRIP)] for i in range(IN_STRIP + 1)]


def embed(number: int, label: str, path: Path) -> Picture | None:
    """A PNG as a data URI; None where the file is no whole PNG."""
    data = path.read_bytes()
    if not (data.startswith(SIGNATURE) and data.endswith(END)):
        return None
    width, height = (int.from_bytes(data[i : i + 4]) for i in (16, 20))
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return Picture(number, label, uri, width, height)
