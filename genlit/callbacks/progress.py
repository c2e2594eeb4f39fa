"""Says how far a run has come."""

import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

PER_LINE = 4  # metrics that a line shows


class Progress(ProgressBar):
    """One line that is rewritten on a terminal; elsewhere a line an epoch and every few seconds.

    Args:
        seconds: Where standard error is no terminal, the time between two lines.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self.seconds = seconds
        self._enabled = True
        self._terminal = sys.stderr.isatty()
        self._start = self._said = 0.0
        self._begun_at = 0

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start = self._said = time.monotonic()
        self._begun_at = trainer.fit_loop.epoch_loop.total_batch_idx + 1

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        if time.monotonic() - self._said > (0.2 if self._terminal else self.seconds):
            self._say(self._line(trainer, batch_idx + 1))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._say(self._line(trainer, int(trainer.num_training_batches)), keep=True)

    def on_test_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any,
        batch_idx: int, dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        if time.monotonic() - self._said > (0.2 if self._terminal else self.seconds):
            total = trainer.num_test_batches[dataloader_idx]
            self._say(f"test: batch {batch_idx + 1}/{total}")

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._said = time.monotonic()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._terminal and self._enabled:
            print("\033[K", end="", file=sys.stderr, flush=True)

    def _line(self, trainer: L.Trainer, batch: int) -> str:
        loop, total = trainer.fit_loop, int(trainer.num_training_batches)
        passed = max(time.monotonic() - self._start, 1e-9)
        rate = (loop.epoch_loop.total_batch_idx + 1 - self._begun_at) / passed
        epochs = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        left = ""
        if epochs and rate > 0:
            batches = (trainer.max_epochs - trainer.current_epoch) * total - batch  # pyright: ignore
            left = f"  {clock(batches / rate)} left"
        shown = list(trainer.callback_metrics.items())
        first = sorted(shown, key=lambda item: not item[0].endswith("loss"))[:PER_LINE]
        metrics = "".join(f"  {name} {float(value):.4g}" for name, value in first)
        return (
            f"epoch {trainer.current_epoch + 1}{epochs}  batch {batch}/{total}{metrics}"
            f"  {rate:.0f}/s  {clock(passed)}{left}"
        )

    def _say(self, text: str, keep: bool = False) -> None:
        if not self._enabled:
            return
        self._said = time.monotonic()
        start, end = ("\r", "\033[K" + ("\n" if keep else "")) if self._terminal else ("", "\n")
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
