"""Two sets of images without pairs, as cycles learn from."""

from collections.abc import Iterator
from typing import Any

import torch

from genlit.data.loader import TrainLoader
from genlit.data.pairs import Pair, Pairs
from genlit.protocols import Batch
from genlit.randomness import permutation


class Unpaired(Pairs):
    """Pairs that are torn apart: training sees images and conditions that have nothing to do.

    The first half of the training pairs gives the images and the second half the conditions, each
    in an order of its own, so that no image's partner is ever seen. Pairs of validation and test
    stay, for they are what answers are measured by.

    Args:
        pairs: The pairs; its batch sizes hold, and whether it mirrors.

    Raises:
        ValueError: If they are not enough for two halves of a batch each.
    """

    paired = False

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs.batch_size, pairs.eval_batch_size, pairs.mirror)
        self.pairs = pairs
        self.shape, self.condition_shape = pairs.shape, pairs.condition_shape
        self.palette, self.condition_palette = pairs.palette, pairs.condition_palette
        self.colours, self.void = pairs.colours, pairs.void  # pyright: ignore[reportAttributeAccessIssue]
        self.source = f"{pairs.source}, unpaired"
        self.classes = pairs.classes  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def protocol(self) -> str:
        return self.pairs.protocol  # answers are measured by the same pairs of validation and test

    def read_pairs(self) -> dict[str, Pair]:
        pairs = self.pairs.read_pairs()
        conditions, images = pairs["train"]
        middle = len(images) // 2
        return pairs | {"train": (conditions[middle:], images[:middle])}

    def train_dataloader(self) -> "UnpairedLoader":
        loader: Any = super().train_dataloader()
        return UnpairedLoader(
            loader.images, loader.batch_size, loader.prepare, loader.seed, loader.rank,
            loader.world_size, loader.conditions,
        )  # fmt: skip


class UnpairedLoader(TrainLoader):
    """Shuffled batches whose conditions are shuffled by themselves.

    There may be more or fewer conditions than images; where there are fewer, they come again.
    """

    def __iter__(self) -> Iterator[Batch]:
        every = self.conditions
        assert every is not None
        times = -(-len(self.images) // len(every))
        orders = [
            permutation(len(every), "order of conditions", self.seed, self.epoch, k)
            for k in range(times)
        ]
        # A batch takes the conditions where its images are: those are in no order already.
        self.conditions = every[torch.cat(orders)[: len(self.images)].to(every.device)]
        try:
            yield from super().__iter__()
        finally:
            self.conditions = every
