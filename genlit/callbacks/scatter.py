"""Pictures of samples in the plane as training goes on."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from genlit.callbacks.drawing import Drawing
from genlit.callbacks.held_out import has_events, some_events
from genlit.callbacks.pictures import of_figure
from genlit.callbacks.sampling import draw_events, sampled_shape

INCHES, DOTS = 4.0, 100  # of a picture, which has 400 x 400 pixels


class ScatterPlot(Drawing):
    """Draws samples in the plane over held-out data, into samples/scatter-*.png of the run folder.

    Data is grey, samples are blue, and centres of mixtures are red. Every picture has the same
    axes, those of the data, and its title says how many samples lie beyond. A picture is never
    overwritten; loggers that take images get it too.

    Args:
        n: Samples in a picture, and points of data.
        every_n_epochs: Draws after every so many epochs, and after the last.
        seed: Seeds the noise.
    """

    name, prefix = "scatter", "scatter-"

    def __init__(self, n: int = 2_500, every_n_epochs: int = 1, seed: int = 0) -> None:
        if min(n, every_n_epochs) < 1:
            raise ValueError("ScatterPlot needs n and every_n_epochs of 1 or more")
        super().__init__(every_n_epochs)
        self.n = n
        self.seed = seed

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses what does not lie in the plane.

        Raises:
            ValueError: If events are no pairs of numbers, or there are none to draw.
        """
        shape = sampled_shape(pl_module)
        if shape != (2,):
            raise ValueError(
                f"ScatterPlot draws points in the plane, not events of shape {shape}: take it out "
                "of trainer.callbacks"
            )
        if stage == "fit" and not has_events(trainer, "val"):
            raise ValueError("ScatterPlot draws samples over held-out data, and this run has none")

    def draw(self, trainer: L.Trainer, model: L.LightningModule) -> Tensor:
        data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        real = some_events(trainer, "val", self.n, "scatter").cpu()
        samples = draw_events(model, self.n, "scatter", self.seed).float().cpu()
        centers = getattr(getattr(data, "modes", None), "centers", torch.zeros(0, 2))
        return scatter(samples, real, centers.cpu())


def scatter(samples: Tensor, real: Tensor, centers: Tensor) -> Tensor:
    """Samples (n, 2) over data (m, 2) and centres (K, 2), as a picture (3, height, width) uint8."""
    from matplotlib.figure import Figure

    low, high = real.min(0).values, real.max(0).values
    low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
    beyond = int(((samples < low) | (samples > high)).any(1).sum())
    figure = Figure((INCHES, INCHES), DOTS, layout="tight")
    axes = figure.add_subplot()
    axes.plot(*real.T.tolist(), ".", color="0.6", markersize=2, label="data")
    axes.plot(*samples.T.tolist(), ".", color="tab:blue", markersize=2, alpha=0.4, label="samples")
    if len(centers):
        axes.plot(*centers.T.tolist(), "+", color="tab:red", markersize=6, label="centres")
    axes.set_xlim(float(low[0]), float(high[0]))
    axes.set_ylim(float(low[1]), float(high[1]))
    axes.set_title(f"{len(samples)} samples, {beyond} beyond", fontsize="medium")
    legend = axes.legend(loc="upper center", ncols=3, fontsize="small", bbox_to_anchor=(0.5, -0.08),
                         frameon=False, markerscale=3)  # fmt: skip
    for handle in legend.legend_handles:
        handle.set_alpha(1)  # pyright: ignore[reportOptionalMemberAccess]
    return of_figure(figure)
