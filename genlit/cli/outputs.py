"""The picture and the arrays that a command writes, of which nothing is ever overwritten."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from genlit.callbacks.pictures import as_grid, captioned, enlarged, is_image
from genlit.features import quantized
from genlit.runs import RunError

PICTURED = 1024  # the most images in a picture


class Output:
    """Where a command writes; making it refuses what exists, before any long work.

    Args:
        given: What --out says.
        folder: Where a numbered name is taken if that is nothing.
        command: The name to number.
        named: Whether there are arrays with names, in a file of their own.
        also: The endings of other files that the caller writes beside them, as "gif".

    Raises:
        RunError: If a file is there already.
    """

    def __init__(
        self,
        given: Path | None,
        folder: Path,
        command: str,
        named: bool = False,
        also: Sequence[str] = (),
    ) -> None:
        self.folder, self.command = folder, command
        self.endings = ["npz"] * named + [*also]
        self.stem = None if given is None else stem_of(given)
        for path in [] if self.stem is None else [*self._others(self.stem), files(self.stem)[1]]:
            if path.exists():
                raise RunError(f"{path} exists and is not overwritten: give another --out")

    def save(
        self, events: Tensor, picture: Tensor, columns: int, caption: str = "", **arrays: Tensor
    ) -> Path:
        """Writes the files, prints their names, and returns what these have in common.

        Args:
            events: The array.
            picture: The images in the picture, (m, *shape) in [0, 1] or uint8, row by row.
            columns: How many images a row has.
            caption: A line below the picture.
            **arrays: The arrays with names.
        """
        stem = self._claimed()
        image, array = files(stem)
        try:
            with array.open("wb") as file:
                np.save(file, events.numpy().astype(np.float32))
        except BaseException:
            array.unlink()
            raise
        if arrays:
            with stem.with_name(f"{stem.name}.npz").open("xb") as file:
                values: Any = {name: value.numpy() for name, value in arrays.items()}
                np.savez(file, **values)
            print(file.name)
        if not is_image(picture.shape[1:]):
            print(f"{array}\nno picture: events of shape {tuple(picture.shape[1:])} are no images")
            return stem
        shown = enlarged(quantized(picture[: max(PICTURED // columns, 1) * columns]))
        grid = as_grid(shown, columns)
        with image.open("xb") as file:
            to_pil_image(captioned(grid, caption) if caption else grid).save(file, format="PNG")
        print(f"{image}\n{array}")
        return stem

    def _claimed(self) -> Path:
        """A stem whose .npy exists from now on and is ours, and whose others do not exist."""
        numbered = (self.folder / "samples" / f"{self.command}-{k}" for k in range(1, 10**6))
        for stem in numbered if self.stem is None else [self.stem]:
            _, array = files(stem)
            stem.parent.mkdir(parents=True, exist_ok=True)
            try:
                if not any(path.exists() for path in self._others(stem)):
                    array.open("xb").close()
                    return stem
            except FileExistsError:
                pass
        raise RunError(f"{self.stem or self.folder / 'samples'} was taken meanwhile: give --out")

    def _others(self, stem: Path) -> list[Path]:
        """The paths of all files but the array's."""
        return [files(stem)[0], *(stem.with_name(f"{stem.name}.{e}") for e in self.endings)]


def in_rows(*columns: Tensor) -> tuple[Tensor, int]:
    """Images (n, *shape) of several kinds as rows with one of each kind, and how many these are.

    Beside images in colour, grey ones become so.
    """
    return torch.stack(torch.broadcast_tensors(*columns), 1).flatten(0, 1), len(columns)


def stem_of(given: Path) -> Path:
    """What --out means without .png or .npy.

    Raises:
        RunError: If it is a folder.
    """
    if given.is_dir():
        raise RunError(f"{given} is a folder: name a file in it with --out {given / 'NAME'}")
    return given.with_suffix("") if given.suffix in (".png", ".npy") else given


def files(stem: Path) -> tuple[Path, Path]:
    """The picture's and the array's path."""
    return stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.npy")
