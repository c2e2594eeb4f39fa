"""Images of your own, from one NumPy file."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlit.data.array_files import dealt, read_array
from genlit.data.idx import DataError
from genlit.data.images import Binarize, ImageData


class Arrays(ImageData):
    """Images in a .npy or .npz file, uint8: (N, height, width) or (N, channels, height, width).

    They are dealt into training, validation and test sets by a fixed seed.

    Args:
        path: The file.
        key: Which array of a .npz; None takes the only one.
        held_out: How many images are for validation, and as many again for the test; None takes
            a tenth.
        batch_size: Images a training batch, on each process.
        eval_batch_size: Images a batch of validation and test.
        binarize: How grey levels become events: dynamic, static, threshold, levels, dequantized or
            none.
        levels: How many grey levels binarize: levels leaves.
        invert: Whether black is white.
    """

    def __init__(
        self,
        path: Path,
        key: str | None = None,
        held_out: int | None = None,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        binarize: Binarize = "none",
        levels: int = 4,
        invert: bool = False,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, binarize, levels, invert)
        self.path, self.key = Path(path), key
        self.held_out = held_out

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(self.images.shape[1:])

    @cached_property
    def images(self) -> Tensor:
        """All images, (N, channels, height, width) uint8.

        Raises:
            DataError: If the file has no such images.
        """
        images = read_array(self.path, self.key)
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise DataError(
                f"{self.path} holds {images.dtype} of shape {images.shape}: images are uint8 of "
                "shape (N, height, width) or (N, channels, height, width)"
            )
        return torch.from_numpy(images if images.ndim == 4 else images[:, None])

    def read(self) -> dict[str, Tensor]:
        return dealt(self.images, self.held_out, self.path, "images")
