"""Images that fit in memory: split, binarized and cut into batches the same way for all sets."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor

from genlit.data.loader import EvaluationLoader, TrainLoader
from genlit.randomness import generator

Binarize = Literal["dynamic", "static", "threshold", "none"]

STATIC_SEED = 20_000  # of the one binarization that `static` means, whatever the run's own seed


def sampled(images: Tensor, noise: torch.Generator) -> Tensor:
    """Each pixel 1 with probability its intensity; (B, *shape) uint8 to float {0, 1}."""
    uniform = torch.rand(images.shape, generator=noise, device=images.device)
    return (uniform * 255 < images).float()


def thresholded(images: Tensor, noise: torch.Generator) -> Tensor:
    """Each pixel 1 if its intensity is above 1/2."""
    return (images > 127).float()


def scaled(images: Tensor, noise: torch.Generator) -> Tensor:
    """Intensities as they are, in [0, 1]."""
    return images / 255


class ImageData(L.LightningDataModule, ABC):
    """Images split into training, validation and test sets, on the device as uint8.

    A set of images writes `read`. How images become events is the datamodule's affair alone, and is
    named in `protocol`, since a likelihood means nothing without it:

    - `dynamic`: training pixels are sampled afresh at every visit, held-out pixels once;
    - `static`: all are sampled once and for all, with a seed of their own;
    - `threshold`: 1 where the intensity is above 1/2;
    - `none`: grey levels in [0, 1].

    Args:
        batch_size: Images a training batch, on each process.
        eval_batch_size: Images a batch of validation and test.
        binarize: How grey levels become events: dynamic, static, threshold or none.
    """

    shape: tuple[int, ...]

    def __init__(
        self, batch_size: int = 100, eval_batch_size: int = 500, binarize: Binarize = "dynamic"
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.binarize: Binarize = binarize
        self.seed: int | None = None
        self.splits: dict[str, Tensor] = {}

    @abstractmethod
    def read(self) -> dict[str, Tensor]:
        """Returns the uint8 images of "train", "val" and "test", each (N, *shape)."""

    @property
    def protocol(self) -> str:
        """The name of how images become events, for the names of metrics."""
        return "grey" if self.binarize == "none" else self.binarize

    @property
    def mean(self) -> Tensor:
        """Mean training intensity of every pixel in [0, 1], (*shape)."""
        images = self.splits["train"]
        return images.sum(0, dtype=torch.int64).div(255 * len(images)).float()

    def setup(self, stage: str) -> None:
        if self.splits:
            return
        if self.seed is None:
            self.seed = torch.initial_seed()
        self.splits = self.read()
        if self.binarize == "static":
            self.splits = {
                name: sampled(images, generator("static", STATIC_SEED, name)).mul(255).byte()
                for name, images in self.splits.items()
            }

    def train_dataloader(self) -> TrainLoader:
        assert self.seed is not None
        prepare = {"dynamic": sampled, "threshold": thresholded}.get(self.binarize, scaled)
        images = self.splits["train"].to(self._device)
        return TrainLoader(images, self.batch_size, prepare, self.seed, *self._place)

    def val_dataloader(self) -> EvaluationLoader:
        return self._evaluation("val")

    def test_dataloader(self) -> EvaluationLoader:
        return self._evaluation("test")

    def events(self, split: str) -> Tensor:
        """The events of a split as evaluation sees them, (N, *shape) in [0, 1] or uint8 levels."""
        images = self.splits[split]
        if self.binarize == "dynamic":
            return sampled(images, generator("held out", split))
        return thresholded(images, generator()) if self.binarize == "threshold" else images

    def _evaluation(self, split: str) -> EvaluationLoader:
        events = self.events(split).to(self._device)
        return EvaluationLoader(events, self.eval_batch_size, *self._place)

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
