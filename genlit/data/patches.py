"""Patches of photos, drawn afresh at every step: large ones, and the small ones they come from."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from genlit.data.epochs import Epochs
from genlit.data.loader import in_unit_interval
from genlit.data.photos import Photo
from genlit.protocols import Batch
from genlit.randomness import generator

DRAWS = 6  # random numbers a patch takes: photo, row, column, two flips, transposition


def patch(photos: Sequence[Photo], side: int, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """A patch of one of several photos, in one of its eight orientations, and its small version.

    Every photo is as likely as another, and so is every place in it.

    Args:
        photos: The photos; none is smaller than a patch.
        side: Of the small patch, in pixels.
        numbers: Uniform on [0, 1), (DRAWS,).

    Returns:
        The patch, (3, scale * side, scale * side), and the small one, (3, side, side); uint8.
    """
    which, row, column, *turns = numbers.tolist()
    photo = photos[int(which * len(photos))]
    scale = photo.high.shape[1] // photo.low.shape[1]
    top = int(row * (photo.low.shape[1] - side + 1))
    left = int(column * (photo.low.shape[2] - side + 1))
    low = photo.low[:, top : top + side, left : left + side]
    top, left, side = top * scale, left * scale, side * scale
    high = photo.high[:, top : top + side, left : left + side]
    return turned(high, turns), turned(low, turns)


def turned(x: Tensor, turns: Sequence[float]) -> Tensor:
    """A square image in one of its eight orientations, by three numbers below or above 1/2."""
    x = x.flip(1) if turns[0] < 0.5 else x
    x = x.flip(2) if turns[1] < 0.5 else x
    return x.transpose(1, 2) if turns[2] < 0.5 else x


def patches(photos: Sequence[Photo], side: int, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """As many patches as there are rows of (n, DRAWS) numbers, and their small versions."""
    drawn = [patch(photos, side, row) for row in numbers]
    return torch.stack([high for high, _ in drawn]), torch.stack([low for _, low in drawn])


class PatchLoader(Epochs):
    """Batches of random patches that depend on seed, epoch and position alone.

    So a run can stop anywhere and go on with exactly the batches it would have had, and the batches
    of W processes, joined, are those of one process with W times the batch size.

    Args:
        photos: The photos, on the device.
        side: Of the small patches, in pixels.
        patches: How many patches an epoch has.
        batch_size: Patches a batch and process.
        seed: Seeds the patches.
        rank: Which process this is.
        world_size: How many there are.

    Raises:
        ValueError: If the patches of an epoch do not fill one batch.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        side: int,
        patches: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not 1 <= batch_size * world_size <= patches:
            raise ValueError(
                f"data.batch_size {batch_size} on {world_size} process(es) does not fit into the "
                f"{patches} patches of an epoch: set it from 1 to that, or data.patches higher"
            )
        super().__init__(batch_size, seed, rank, world_size)
        self.photos, self.side, self.patches = photos, side, patches

    def __len__(self) -> int:
        return self.patches // self.joined

    def __iter__(self) -> Iterator[Batch]:
        for k in self.places():
            noise = generator("patches", self.seed, self.epoch, k)
            numbers = torch.rand(self.joined, DRAWS, generator=noise)
            high, low = patches(self.photos, self.side, numbers[self.mine])
            yield {"x": in_unit_interval(high), "condition": in_unit_interval(low)}
