"""What a discriminator says of real and of generated events, as histograms."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from genlit.callbacks.drawing import Drawing
from genlit.callbacks.held_out import has_events
from genlit.callbacks.pictures import of_figure
from genlit.protocols import Plays, Verdict, require
from genlit.randomness import isolated

INCHES, DOTS, BINS = (5.0, 3.5), 100, 60


class LogitHistogram(Drawing):
    """Draws histograms of the discriminator's logits, into samples/logits-*.png of the run folder.

    Grey are those of real held-out events, blue those of as many generated ones. Where the two lie
    apart the discriminator wins; where they are one it has given up, or there is nothing left to
    tell. A picture is never overwritten; loggers that take images get it too.

    Args:
        n: The most events of either kind.
        every_n_epochs: Draws after every so many epochs, and after the last.
        seed: Seeds the noise.
    """

    name, prefix = "logits", "logits-"

    def __init__(self, n: int = 1_000, every_n_epochs: int = 1, seed: int = 0) -> None:
        if min(n, every_n_epochs) < 1:
            raise ValueError("LogitHistogram needs n and every_n_epochs of 1 or more")
        super().__init__(every_n_epochs)
        self.n = n
        self.seed = seed

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses, before any time is spent, what has no logits or no held-out events."""
        require(pl_module, "logits of real and generated events", Plays)
        if stage == "fit" and not has_events(trainer, "val"):
            raise ValueError("LogitHistogram judges held-out events, and this run has none")

    def draw(self, trainer: L.Trainer, model: L.LightningModule) -> Tensor:
        verdict = self._verdict(trainer, model)
        return histogram(verdict.real.float().cpu(), verdict.fake.float().cpu())

    def _verdict(self, trainer: L.Trainer, model: Any) -> Verdict:
        """What is said of the first held-out events, in the batches of validation."""
        data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        said, left = [], self.n
        with isolated("logits", self.seed):
            for batch in data.val_dataloader():
                few: Any = {name: x[:left].to(model.device) for name, x in batch.items()}
                said.append(model.judge(few))
                left -= len(few["x"])
                if left <= 0:
                    break
        return Verdict(*(torch.cat(parts) for parts in zip(*said, strict=True)))


def histogram(real: Tensor, fake: Tensor) -> Tensor:
    """Histograms of logits (n,) and (m,), as a picture (3, height, width) uint8.

    Raises:
        ValueError: If there are others than finite numbers among them.
    """
    from matplotlib.figure import Figure

    both = torch.cat([real, fake])
    if not both.isfinite().all():
        raise ValueError("the discriminator's logits are not finite numbers: it has diverged")
    low, high = float(both.min()), float(both.max())
    if high - low < 1e-6:  # all of them are one number
        low, high = low - 0.5, high + 0.5
    figure = Figure(INCHES, DOTS, layout="tight")
    axes = figure.add_subplot()
    for logits, colour, label in ((real, "0.6", "real"), (fake, "tab:blue", "generated")):
        name = f"{label}, mean {float(logits.mean()):.2g}"
        axes.hist(
            logits.tolist(), bins=BINS, range=(low, high), color=colour, alpha=0.6, label=name
        )
    axes.set_xlabel("logit")
    axes.set_yticks([])
    axes.set_title(f"{len(real):,} held-out and {len(fake):,} generated", fontsize="medium")
    axes.legend(fontsize="small", frameon=False)
    return of_figure(figure)
