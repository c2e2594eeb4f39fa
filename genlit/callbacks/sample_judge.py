"""Callbacks whose answers are measurements of samples."""

from abc import ABC, abstractmethod

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging

from genlit.callbacks.judge import Judge
from genlit.callbacks.sampling import sampled_shape
from genlit.runs import Measurement


class SampleJudge(Judge, ABC):
    """Measures samples: so many at test, and so many at validation, which may be fewer.

    Args:
        n_samples: Samples at test.
        n_val_samples: Samples at validation.
        batch_size: Samples drawn at a time; another one gives other samples.
        every_n_epochs: Also measures at validation after every so many epochs; 0 never does.
        seed: Seeds the samples, so that each epoch has the same noise.
    """

    def __init__(
        self, n_samples: int, n_val_samples: int, batch_size: int, every_n_epochs: int, seed: int
    ) -> None:
        super().__init__(every_n_epochs)
        if min(n_samples, n_val_samples) < 100:
            raise ValueError(
                f"{type(self).__name__} needs n_samples and n_val_samples of 100 or more"
            )
        self.n_samples, self.n_val_samples = n_samples, n_val_samples
        self.batch_size = batch_size
        self.seed = seed

    @abstractmethod
    def measure(
        self, trainer: L.Trainer, model: L.LightningModule, split: str, n: int
    ) -> list[Measurement]:
        """Measures n samples, on all processes together; the answer of the first one counts."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses, before any time is spent, what could not be measured in the end."""
        sampled_shape(pl_module)
        callbacks: list[L.Callback] = trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
        before = callbacks[: callbacks.index(self)]
        if self.every_n_epochs and any(isinstance(c, WeightAveraging) for c in before):
            raise ValueError(
                f"{type(self).__name__} would judge the raw weights, not the averaged ones: "
                "list it before WeightAveraging in trainer.callbacks"
            )

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.measurements = []

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._judge(trainer, pl_module, "test", self.n_samples)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.due(trainer):
            self._judge(trainer, pl_module, "val", self.n_val_samples)

    def _judge(self, trainer: L.Trainer, model: L.LightningModule, split: str, n: int) -> None:
        found = self.measure(trainer, model, split, n)
        for measurement in trainer.strategy.broadcast(found):
            self.conclude(model, measurement)
