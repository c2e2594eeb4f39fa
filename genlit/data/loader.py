"""Batches cut from a tensor that already lies on the device: no workers, no per-sample collate."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from genlit.data.epochs import Epochs
from genlit.protocols import Batch
from genlit.randomness import generator, permutation

# Turns stored images into events: (uint8 images (B, *shape), generator) to floats in [0, 1].
Prepare = Callable[[Tensor, torch.Generator], Tensor]


class TrainLoader(Epochs):
    """Shuffled batches whose order and noise depend on seed, epoch and position alone.

    So a run can stop anywhere and go on with exactly the batches it would have had, and the batches
    of W processes, joined, are those of one process with W times the batch size. A last batch that
    is not full is left out; the next epoch shuffles differently.

    Args:
        images: All images, (N, *shape) uint8, on the device.
        batch_size: Images a batch and process.
        prepare: Turns stored images into events.
        seed: Seeds the order and the noise.
        rank: Which process this is.
        world_size: How many there are.
        conditions: The condition of each image (N, *condition_shape), where there is one; uint8 is
            divided by 255.

    Raises:
        ValueError: If the images do not fill one batch.
    """

    def __init__(
        self,
        images: Tensor,
        batch_size: int,
        prepare: Prepare,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        conditions: Tensor | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"data.batch_size is {batch_size}: it must be 1 or more")
        if len(images) < batch_size * world_size:
            raise ValueError(
                f"batch_size {batch_size} on {world_size} process(es) needs more than the "
                f"{len(images)} training events there are: make it smaller"
            )
        super().__init__(batch_size, seed, rank, world_size)
        self.images, self.conditions, self.prepare = images, conditions, prepare

    def __len__(self) -> int:
        return len(self.images) // self.joined

    def __iter__(self) -> Iterator[Batch]:
        order = permutation(len(self.images), "order", self.seed, self.epoch).to(self.images.device)
        for k in self.places():
            chosen = order[k * self.joined : (k + 1) * self.joined]
            images = self.images[chosen]
            noise = generator("noise", self.seed, self.epoch, k, device=images.device)
            batch: Batch = {"x": self.prepare(images, noise)[self.mine]}
            if self.conditions is not None:
                batch["condition"] = in_unit_interval(self.conditions[chosen[self.mine]])
            yield batch


class EvaluationLoader:
    """Batches in a fixed order, dealt out to processes in turn and never repeated to fill up.

    Process r of W gets batches r, r + W, r + 2W, ...; batch k holds the same events whatever W is,
    unless there are too few: then batches are smaller, so that every process has events. Where they
    do not divide evenly, the last processes get a batch of no events at the end, so that all take
    part in the same number of collective operations.

    Args:
        events: All events, (N, *shape) in [0, 1] or uint8 (then divided by 255), on the device.
        batch_size: Events a batch.
        rank: Which process this is.
        world_size: How many there are.
        conditions: The condition of each event (N, *condition_shape), where there is one; uint8 is
            divided by 255.

    Raises:
        ValueError: If there are more processes than events.
    """

    def __init__(
        self,
        events: Tensor,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        conditions: Tensor | None = None,
    ) -> None:
        if len(events) < world_size:
            raise ValueError(
                f"{len(events)} events cannot be dealt to {world_size} process(es): take fewer"
            )
        self.events, self.conditions = events, conditions
        self.batch_size = min(batch_size, len(events) // world_size)
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return math.ceil(math.ceil(len(self.events) / self.batch_size) / self.world_size)

    def __iter__(self) -> Iterator[Batch]:
        for k in range(len(self)):
            first = (k * self.world_size + self.rank) * self.batch_size
            events = self.events[first : first + self.batch_size]
            batch: Batch = {"x": in_unit_interval(events)}
            if self.conditions is not None:
                told = self.conditions[first : first + self.batch_size]
                batch["condition"] = in_unit_interval(told)
            yield batch


def in_unit_interval(x: Tensor) -> Tensor:
    """Levels 0 to 255 as [0, 1]; what is stored otherwise stays as it is."""
    return x.float() / 255 if x.dtype == torch.uint8 else x
