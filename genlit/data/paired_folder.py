"""Pairs of images of your own, from folders."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from genlit.data.dealing import FileKind, dealt, is_image_file
from genlit.data.fitting import Found, fitted, fitted_classes, halves, opened
from genlit.data.folder import NAMED
from genlit.data.idx import DataError
from genlit.data.pairs import Pair, Pairs
from genlit.progress import track

FILES = FileKind(is_image_file, "PNG, JPEG or .npy files", "data.path")


class PairedFolder(Pairs):
    """Pairs of your own: two folders with equal names, or one of pictures with both side by side.

    The middle of each that has the right shape is scaled to the size. Pictures are PNG or JPEG;
    files of more channels are .npy with uint8 arrays (channels, height, width). A file's name says
    whether it is for training, validation or the test. All are kept in memory.

    Args:
        path: The folder of what is to be made; or of both, side by side in each picture.
        conditions: The folder of what it is made from, under the same names; the endings may
            differ. None takes the halves of each picture.
        condition_side: Which half of a picture with both is what the other half is made from.
        size: Pixels a side, or height and width.
        channels: Of what is made: 3 is colour, 1 is grey.
        condition_channels: Of what it is made from.
        classes: Where it is a map whose pixels are class numbers from 0, how many there are; it
            then becomes as many channels. 0 takes it as an image.
        held_out: How many pairs are for validation, and as many again for the test; None takes a
            tenth.
        mirror: Whether training also sees every pair mirrored, left to right.
        batch_size: Pairs a training batch, on each process.
        eval_batch_size: Pairs a batch of validation and test.

    Raises:
        ValueError: If the size is none.
    """

    def __init__(
        self,
        path: Path,
        conditions: Path | None = None,
        condition_side: Literal["left", "right"] = "left",
        size: int | Sequence[int] = 64,
        channels: int = 3,
        condition_channels: int = 3,
        classes: int = 0,
        held_out: int | None = None,
        mirror: bool = False,
        batch_size: int = 8,
        eval_batch_size: int = 100,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, mirror)
        sides = sides_of(size)
        self.path, self.second = Path(path), None if conditions is None else Path(conditions)
        self.condition_side, self.held_out, self.of_classes = condition_side, held_out, classes
        self.shape = (channels, *sides)
        self.condition_shape = (classes or condition_channels, *sides)
        self.condition_palette = torch.eye(classes) if classes else None
        self.source = str(path)

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """What is to be made, for each split.

        Raises:
            DataError: If there are too few.
        """
        return dealt(self.path, FILES, self.held_out)

    def read_pairs(self) -> dict[str, Pair]:
        return {split: self._pairs(split, files) for split, files in self.files.items()}

    def _pairs(self, split: str, files: list[Path]) -> Pair:
        conditions, images, broken = [], [], []
        for path in track(files, f"{split} pairs"):
            try:
                condition, x = self._pair(path)
                conditions.append(condition)
                images.append(x)
            except DataError as error:
                broken.append(str(error))
        if broken:
            more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
            raise DataError("; ".join(broken[:NAMED]) + more + ": mend them or take them out")
        return torch.stack(conditions), torch.stack(images)

    def _pair(self, path: Path) -> tuple[Tensor, Tensor]:
        if self.second is not None:
            other = partner(self.second / path.relative_to(self.path))
            return self._condition(opened(other), other), fitted(opened(path), self.shape, path)
        left, right = halves(opened(path))
        condition, x = (left, right) if self.condition_side == "left" else (right, left)
        return self._condition(condition, path), fitted(x, self.shape, path)

    def _condition(self, found: Found, path: Path) -> Tensor:
        fit = fitted_classes if self.of_classes else fitted
        return fit(found, self.condition_shape, path)


def sides_of(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width.

    Raises:
        ValueError: If the size is not one or two numbers above 0.
    """
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"size is {size}: give pixels a side, or height and width")
    return sides[0], sides[1]


def partner(path: Path) -> Path:
    """The file of the same name, whatever its ending.

    Raises:
        DataError: If there is none, or several.
    """
    if path.is_file():
        return path
    found = [p for p in path.parent.glob("*") if p.stem == path.stem and is_image_file(p)]
    if len(found) == 1:
        return found[0]
    wanted = "there is no file" if not found else "there are several files"
    raise DataError(f"{wanted} {path.with_suffix('')}.* that {path.stem} is made from")
