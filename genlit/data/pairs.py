"""Pairs of images: what is to be made, and what it is to be made from."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from genlit.data.images import ImageData

Pair = tuple[Tensor, Tensor]  # conditions and images of a split, (N, channels, height, width) uint8


class Pairs(ImageData):
    """Images with the image that each is made from, in [0, 1] both. A set writes `read_pairs`.

    Where one side of pairs is a map of classes, `palette` (of events) or `condition_palette` has
    the colour of each class, so that maps can be read exactly; a map of one-hot channels has unit
    vectors.

    Args:
        batch_size: Pairs a training batch, on each process.
        eval_batch_size: Pairs a batch of validation and test.
        mirror: Whether training also sees every pair mirrored, left to right.
    """

    source: str = ""  # where the images come from, in words
    paired: bool = True  # whether training pairs belong together
    classes: ClassVar[tuple[str, ...]] = ()  # of the map, if one side is a map
    void: ClassVar[int | None] = None  # the class of pixels that belong to none

    def __init__(self, batch_size: int, eval_batch_size: int, mirror: bool = False) -> None:
        super().__init__(batch_size, eval_batch_size, "none")
        self.mirror = mirror
        self.palette: Tensor | None = None
        self.condition_palette: Tensor | None = None
        self.colours: Tensor | None = None  # (classes, 3), in which one-hot maps are shown
        self._read: dict[str, Pair] = {}

    @abstractmethod
    def read_pairs(self) -> dict[str, Pair]:
        """Returns conditions and images of "train", "val" and "test"."""

    def read(self) -> dict[str, Tensor]:
        self._read = self.read_pairs()
        if self.mirror:
            condition, x = self._read["train"]
            self._read["train"] = with_mirrored(condition), with_mirrored(x)
        return {split: x for split, (_, x) in self._read.items()}

    def read_conditions(self) -> dict[str, Tensor]:
        conditions = {split: condition for split, (condition, _) in self._read.items()}
        self._read = {}
        return conditions


def with_mirrored(images: Tensor) -> Tensor:
    """Images, and then the same mirrored from left to right; (2N, channels, height, width)."""
    return torch.cat([images, images.flip(-1)])


def one_hot_maps(labels: Tensor, classes: int) -> Tensor:
    """Maps of classes (N, H, W) as channels of 0 and 255, (N, classes, H, W) uint8."""
    maps = torch.zeros(len(labels), classes, *labels.shape[1:], dtype=torch.uint8)
    return maps.scatter_(1, labels.long().unsqueeze(1), 255)


def in_colours(labels: Tensor, palette: Tensor) -> Tensor:
    """Maps of classes (N, H, W) in the colours (K, 3) of a palette in [0, 1]; uint8."""
    return (palette * 255).round().byte()[labels].permute(0, 3, 1, 2).contiguous()
