"""What a run writes into its folder: its numbers as they come, and itself into its checkpoints."""

import csv
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from genlit import __version__
from genlit.model import GenerativeModel

COLUMNS = ["epoch", "step", "seconds", "name", "value"]


class MetricsFile(Logger):
    """Appends every logged number to metrics.csv as a line of its own.

    Lines are never rewritten, so that a crash loses nothing and a run that is resumed goes on in
    the same file. Lightning's CSVLogger would begin it anew.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "metrics.csv"
        self._start: float | None = None

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def root_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Starts the clock, as the fit begins; the configuration lies in config.yaml."""
        self._elapsed()

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        seconds, epoch = self._elapsed(), int(metrics.get("epoch", -1))
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            if new:
                lines.writerow(COLUMNS)
            for name, value in metrics.items():
                if name != "epoch":
                    lines.writerow([epoch, step, f"{seconds:.2f}", name, repr(float(value))])

    def _elapsed(self) -> float:
        """Seconds of training, those before a resumption included."""
        if self._start is None:
            before = 0.0
            if self.path.exists():
                last = self.path.read_text().strip().rsplit("\n", 1)[-1].split(",")
                before = float(last[2]) if len(last) == 5 and last[0] != "epoch" else 0.0
            self._start = time.monotonic() - before
        return time.monotonic() - self._start


class Identity(L.Callback):
    """Writes into each checkpoint what it takes to build the model again, and tells the loggers.

    Args:
        config: The run's whole configuration, of plain data.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            logger.log_hyperparams(self.config)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, GenerativeModel)
        checkpoint["genlit"] = {
            "version": __version__,
            "config": self.config,
            "shape": list(pl_module.shape),
            "condition_shape": list(getattr(pl_module, "condition_shape", ())),
        }
