"""Data that lie on the device as a whole, whatever they are of."""

from abc import ABC, abstractmethod
from typing import Any

import lightning as L
import torch
from torch import Tensor

from genlit.data.loader import EvaluationLoader


class ResidentData(L.LightningDataModule, ABC):
    """Events split into training, validation and test sets, each of them one tensor.

    Args:
        batch_size: Events a training batch, on each process.
        eval_batch_size: Events a batch of validation and test.
    """

    shape: tuple[int, ...]
    condition_shape: tuple[int, ...] = ()  # of what each event is made from, if it is

    def __init__(self, batch_size: int, eval_batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed: int | None = None
        self.splits: dict[str, Tensor] = {}
        self.conditions: dict[str, Tensor] = {}

    @abstractmethod
    def read(self) -> dict[str, Tensor]:
        """Returns what is stored of "train", "val" and "test", each (N, *shape)."""

    def read_conditions(self) -> dict[str, Tensor]:
        """Returns the condition of each event, (N, *condition_shape), after `read`; none here."""
        return {}

    @abstractmethod
    def events(self, split: str, chosen: Tensor | None = None) -> Tensor:
        """The events of a split as evaluation sees them, (N, *shape).

        Args:
            split: train, val or test.
            chosen: The places of those to take, (N,); None takes all.
        """

    def val_dataloader(self) -> EvaluationLoader:
        return self._evaluation("val")

    def test_dataloader(self) -> EvaluationLoader:
        return self._evaluation("test")

    def _evaluation(self, split: str) -> EvaluationLoader:
        events, told = self.events(split).to(self._device), self._conditions(split)
        return EvaluationLoader(events, self.eval_batch_size, *self._place, told)

    def _conditions(self, split: str) -> Tensor | None:
        """The condition of each event of a split, on the device; None where there are none."""
        found = self.conditions.get(split)
        return None if found is None else found.to(self._device)

    @property
    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    @property
    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    # The order of the data goes on as it began, even where the resuming process has another seed.

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seed = state_dict["seed"]
