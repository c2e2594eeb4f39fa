"""The picture and the arrays that a command writes, of which nothing is ever overwritten."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from genlit.callbacks.pictures import as_grid, captioned, enlarged, is_image, side_by_side
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
        stem = self._write(events, arrays)
        if self._drawable(stem, picture.shape[1:]):
            shown = enlarged(quantized(picture[: max(PICTURED // columns, 1) * columns]))
            grid = as_grid(shown, columns)
            self._draw(stem, captioned(grid, caption) if caption else grid)
        return stem

    def save_named(self, events: Tensor, columns: Mapping[str, Tensor], **arrays: Tensor) -> Path:
        """The same with a picture of columns that have names.

        Args:
            events: The array.
            columns: Images by what they are: (n, *shape) in [0, 1], or (n, k, *shape) for k columns
                of them.
            **arrays: The arrays with names.
        """
        stem = self._write(events, arrays)
        shape = next(iter(columns.values())).shape
        if self._drawable(stem, shape[1:]):
            wide = sum(x.shape[1] if x.dim() > len(shape) else 1 for x in columns.values())
            few = max(PICTURED // wide, 1)
            self._draw(stem, side_by_side({name: x[:few] for name, x in columns.items()}))
        return stem

    def _write(self, events: Tensor, arrays: Mapping[str, Tensor]) -> Path:
        """Writes the arrays, prints the name of those with names, and returns the stem."""
        stem = self._claimed()
        path = files(stem)[1]
        try:
            with path.open("wb") as file:
                np.save(file, events.numpy().astype(np.float32))
        except BaseException:
            path.unlink()
            raise
        if arrays:
            with stem.with_name(f"{stem.name}.npz").open("xb") as file:
                values: Any = {name: value.numpy() for name, value in arrays.items()}
                np.savez(file, **values)
            print(file.name)
        return stem

    def _drawable(self, stem: Path, shape: Sequence[int]) -> bool:
        """Whether events of a shape can be drawn; else says that there is the array alone."""
        if not is_image(shape):
            print(f"{files(stem)[1]}\nno picture: events of shape {tuple(shape)} are no images")
        return is_image(shape)

    def _draw(self, stem: Path, picture: Tensor) -> None:
        """Writes a picture (3, height, width) uint8, and prints its name and the array's."""
        image, array = files(stem)
        with image.open("xb") as file:
            to_pil_image(picture).save(file, format="PNG")
        print(f"{image}\n{array}")

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
