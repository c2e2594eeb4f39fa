"""Keeps the last and the best state of a run on disk."""

import os
import time
import warnings
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

LOSS = "val/loss"  # which most models log


class Checkpoints(Checkpoint):
    """Writes checkpoints/last.ckpt after every epoch and every few minutes, and best.ckpt.

    A file is written whole or not at all: under another name first, and then renamed. It counts
    batches and minutes itself, since Lightning's ModelCheckpoint counts the steps of all optimizers
    together and keeps no time where a model steps its optimizers itself, as GANs do.

    Args:
        monitor: The metric that says which epoch is best; null keeps the last state only, and so
            does val/loss where a model has none.
        mode: Whether the best value is the smallest (min) or the largest (max).
        every_n_minutes: Writes last.ckpt within an epoch too, after so many minutes; 0 never does.
        every_n_batches: Writes last.ckpt within an epoch too, after so many batches; 0 never does.
    """

    def __init__(
        self,
        monitor: str | None = LOSS,
        mode: Literal["min", "max"] = "min",
        every_n_minutes: float = 5.0,
        every_n_batches: int = 0,
    ) -> None:
        self.monitor = monitor
        self.mode = mode
        self.every_n_minutes = every_n_minutes
        self.every_n_batches = every_n_batches
        self.best: float | None = None
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        n, minutes = self.every_n_batches, self.every_n_minutes
        late = minutes > 0 and time.monotonic() - self._saved_at > 60 * minutes
        if trainer.world_size > 1 and minutes > 0:  # all processes write together or none does
            late = trainer.strategy.broadcast(late) if batch_idx % 50 == 0 else False
        if late or (n and (batch_idx + 1) % n == 0):
            self._save(trainer, "last")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        value = trainer.callback_metrics.get(self.monitor) if self.monitor else None
        if value is not None and self._is_best(float(value)):
            self.best = float(value)
            self._save(trainer, "best")
        self._save(trainer, "last")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Says so if there never was the metric that was asked for."""
        if self.monitor in (None, LOSS) or self.best is not None:
            return
        there = sorted(name for name in trainer.callback_metrics if name.startswith("val/"))
        warnings.warn(
            f"{self.monitor} was never measured, so that there is no best.ckpt: set the monitor of "
            f"genlit.callbacks.Checkpoints to {' or '.join(there) or 'null'}",
            stacklevel=1,  # a caller's would be Lightning's, whose warnings are not shown
        )

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def _is_best(self, value: float) -> bool:
        if self.best is None:
            return True
        return value < self.best if self.mode == "min" else value > self.best

    def _save(self, trainer: L.Trainer, name: str) -> None:
        if trainer.fast_dev_run:  # pyright: ignore[reportAttributeAccessIssue]
            return
        path = Path(trainer.default_root_dir) / "checkpoints" / f"{name}.ckpt"
        partial = path.with_suffix(".partial")
        try:
            trainer.save_checkpoint(partial, weights_only=False)
            if trainer.is_global_zero:
                os.replace(partial, path)
        except OSError as error:  # which names a temporary file
            raise OSError(error.errno, error.strerror, str(path)) from error
        finally:
            if trainer.is_global_zero:
                partial.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
