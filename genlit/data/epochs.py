"""Training epochs that a run can leave anywhere, and go on with."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from genlit.protocols import Batch


class Epochs(ABC):
    """Batches that depend on seed, epoch and position alone.

    A loader writes `__len__` and `__iter__`, which asks `places` what is left of the epoch.

    Args:
        batch_size: Events a batch and process.
        seed: Seeds all that is random.
        rank: Which process this is.
        world_size: How many there are.
    """

    def __init__(self, batch_size: int, seed: int, rank: int, world_size: int) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = self.position = 0
        self._resume_at = (0, 0)  # epoch and position

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]: ...

    @property
    def joined(self) -> int:
        """The events of a batch of all processes."""
        return self.batch_size * self.world_size

    @property
    def mine(self) -> slice:
        """Which of these are this process's."""
        return slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)

    def places(self) -> Iterator[int]:
        """The places in the epoch that are left to do; notes how far it came."""
        resumed, position = self._resume_at
        for k in range(position if resumed == self.epoch else 0, len(self)):
            self.position = k + 1
            yield k

    @property
    def sampler(self) -> "Epochs":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "position": self.position, "seed": self.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._resume_at, self.seed = (state["epoch"], state["position"]), state["seed"]
