"""Images of your own, from a folder of pictures."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genlit.data.dealing import FileKind, dealt
from genlit.data.fitting import fitted, opened
from genlit.data.idx import DataError
from genlit.data.images import Binarize, ImageData
from genlit.data.pictures import is_picture
from genlit.progress import track

FILES = FileKind(is_picture, "PNG or JPEG pictures", "data.path")
NAMED = 5  # unreadable files that an error names


class ImageFolder(ImageData):
    """The PNG and JPEG pictures in a folder, and in the folders in it, all made one size.

    The middle of each that has the right shape is scaled to the size, bicubic and smoothed. A
    file's name says whether it is for training, validation or the test, so that most stay where
    they are when others come. All are kept in memory, a byte a channel and pixel.

    Args:
        path: The folder.
        size: Pixels a side, or height and width.
        colour: Whether images have three channels; grey ones have one.
        held_out: How many images are for validation, and as many again for the test; None takes
            a tenth.
        batch_size: Images a training batch, on each process.
        eval_batch_size: Images a batch of validation and test.
        binarize: How levels become events: none (levels in [0, 1]), dequantized (with noise within
            a level, for densities), dynamic, static, threshold or levels.
        levels: How many levels binarize: levels leaves.
        invert: Whether black is white.
        labels: Whether batches have a condition, the class of each image, one-hot: which of the
            folders in the folder it is in.
    """

    def __init__(
        self,
        path: Path,
        size: int | Sequence[int] = 64,
        colour: bool = True,
        held_out: int | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        binarize: Binarize = "none",
        levels: int = 4,
        invert: bool = False,
        labels: bool = False,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, binarize, levels, invert)
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if len(sides) != 2 or min(sides) < 1:
            raise ValueError(f"size is {size}: give pixels a side, or height and width")
        self.shape = (3 if colour else 1, *sides)
        self.path = Path(path)
        self.held_out = held_out
        self.labels = labels

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """The pictures of each split.

        Raises:
            DataError: If there are too few.
        """
        return dealt(self.path, FILES, self.held_out)

    @cached_property
    def classes(self) -> list[str]:
        """The names of the folders in the folder that hold pictures.

        Raises:
            DataError: If there are not two or more, or pictures lie beside them.
        """
        every = [p.relative_to(self.path) for files in self.files.values() for p in files]
        beside = [name for name in every if len(name.parts) == 1]
        found = sorted({name.parts[0] for name in every} - {name.parts[0] for name in beside})
        if beside or len(found) < 2:
            problem = f"{beside[0]} lies in none" if beside else f"there are {len(found)}"
            raise DataError(
                f"labels are the folders in {self.path}, and {problem}: put each picture into one "
                "of two or more, or set data.labels to false"
            )
        return found

    def read(self) -> dict[str, Tensor]:
        found = {split: self._read(split, files) for split, files in self.files.items()}
        broken = [problem for _, problems in found.values() for problem in problems]
        if broken:
            more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
            raise DataError("; ".join(broken[:NAMED]) + more + ": take them out of the folder")
        return {split: images for split, (images, _) in found.items()}

    def read_conditions(self) -> dict[str, Tensor]:
        """The class of each image, one-hot, (N, classes); none unless `labels`."""
        if not self.labels:
            return {}
        places = {name: k for k, name in enumerate(self.classes)}
        return {
            split: one_hot(
                torch.tensor([places[p.relative_to(self.path).parts[0]] for p in files]),
                len(places),
            ).float()
            for split, files in self.files.items()
        }

    def _read(self, split: str, files: list[Path]) -> tuple[Tensor, list[str]]:
        """The images of some files, (N, *shape) uint8, and what is wrong with which of them."""
        images, broken = torch.zeros(len(files), *self.shape, dtype=torch.uint8), []
        for k, path in enumerate(track(files, f"{split} pictures")):
            try:
                images[k] = fitted(opened(path), self.shape, path)
            except DataError as error:
                broken.append(str(error))
        return images, broken
