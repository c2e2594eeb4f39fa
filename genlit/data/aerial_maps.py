"""Landscapes from above, and their maps."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from genlit.data.aerial_view import photographed
from genlit.data.pairs import Pair, Pairs, in_colours, one_hot_maps
from genlit.data.street_plan import CLASSES, draw_plans
from genlit.randomness import generator

Direction = Literal["aerial_to_map", "map_to_aerial", "labels_to_aerial"]

# The colour of each class on a map: land, park, water, building, street, highway.
PALETTE = ((232, 228, 214), (184, 222, 160), (160, 200, 240), (205, 190, 190), (255, 255, 255),
           (250, 200, 90))  # fmt: skip
LANDSCAPE_SEED = 2_004  # with `world`, of the landscapes that all runs share
BLOCK = 25  # landscapes that are drawn at once


class AerialMaps(Pairs):
    """Made-up landscapes with streets, houses, parks and water, from above and as a map.

    Aerial views have textures, shadows, trees that hide what is beneath, and light that is never
    the same; maps have a flat colour for each class, so that every pixel of an answer can be
    judged. They stand in for photographs and maps of real places. No landscape is in two splits.

    Args:
        size: Pixels a side; each shows a landscape of the same extent, unless it is too small.
        direction: What is made from what: aerial_to_map, map_to_aerial, or labels_to_aerial, where
            the map has a channel for each class.
        n: Landscapes for training.
        held_out: Landscapes for validation, and as many for the test.
        world: Another number makes other landscapes.
        batch_size: Pairs a training batch, on each process.
        eval_batch_size: Pairs a batch of validation and test.

    Raises:
        ValueError: If there are no landscapes, or they are too small to be seen.
    """

    classes: ClassVar[tuple[str, ...]] = CLASSES

    def __init__(
        self,
        size: int = 64,
        direction: Direction = "aerial_to_map",
        n: int = 1000,
        held_out: int = 200,
        world: int = 0,
        batch_size: int = 8,
        eval_batch_size: int = 100,
    ) -> None:
        super().__init__(batch_size, eval_batch_size)
        if size < 16 or min(n, held_out) < 1:
            raise ValueError(
                f"AerialMaps needs a size of 16 or more and n and held_out of 1 or more, not "
                f"{size}, {n} and {held_out}"
            )
        self.direction: Direction = direction
        self.n, self.held_out, self.world = n, held_out, world
        colours = torch.tensor(PALETTE) / 255
        self.shape = (3, size, size)
        self.condition_shape = (len(CLASSES) if direction == "labels_to_aerial" else 3, size, size)
        self.palette = colours if direction == "aerial_to_map" else None
        maps = {"map_to_aerial": colours, "labels_to_aerial": torch.eye(len(CLASSES))}
        self.condition_palette = maps.get(direction)
        self.colours = colours  # in which labels are shown
        self.source = "AerialMaps, made by a generator"

    @property
    def protocol(self) -> str:
        return f"{super().protocol}_{self.direction}"

    def read_pairs(self) -> dict[str, Pair]:
        sizes = {"train": self.n, "val": self.held_out, "test": self.held_out}
        return {split: self._pair(split, n) for split, n in sizes.items()}

    def _pair(self, split: str, n: int) -> Pair:
        found = landscapes(n, self.shape[1], self.shape[2], split, self.world)
        return directed(*found, self.direction)


def landscapes(
    n: int, height: int, width: int, split: str, world: int = 0
) -> tuple[Tensor, Tensor]:
    """Classes (n, H, W) of made-up landscapes, and aerial views (n, 3, H, W) uint8 of them.

    More of them begin with the same ones.
    """
    labels, views = [], []
    for first in range(0, n, BLOCK):
        draws = generator("landscape", LANDSCAPE_SEED, world, split, height, width, first)
        plan = draw_plans(BLOCK, height, width, draws)
        labels.append(plan.labels[: n - first])
        views.append((photographed(plan, draws)[: n - first] * 255).round().byte())
    return torch.cat(labels), torch.cat(views)


def directed(labels: Tensor, aerial: Tensor, direction: Direction) -> Pair:
    """Conditions and images of landscapes whose classes and aerial views are given."""
    if direction == "labels_to_aerial":
        return one_hot_maps(labels, len(CLASSES)), aerial
    maps = in_colours(labels, torch.tensor(PALETTE) / 255)
    return (aerial, maps) if direction == "aerial_to_map" else (maps, aerial)
