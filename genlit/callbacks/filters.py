"""Pictures of what a model's units have learned to look for."""

import math

import lightning as L
import torch
from torch import Tensor

from genlit.callbacks.drawing import Drawing
from genlit.callbacks.pictures import as_grid, captioned, enlarged, signed
from genlit.protocols import HasFilters, require


class Filters(Drawing):
    """Draws weights as images, into samples/filters-*.png of the run folder.

    Positive weights are red, negative ones blue and 0 is white; all images have one scale, which
    the picture says.

    Args:
        n: Filters in a picture.
        largest: Whether to draw those of the largest norm, the largest first; otherwise the first
            ones, which stay in their places from picture to picture.
        every_n_epochs: Draws after every so many epochs, and after the last.
    """

    name, prefix = "filters", "filters-"

    def __init__(self, n: int = 100, largest: bool = True, every_n_epochs: int = 1) -> None:
        if min(n, every_n_epochs) < 1:
            raise ValueError("Filters needs n and every_n_epochs of 1 or more")
        super().__init__(every_n_epochs)
        self.n = n
        self.largest = largest

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        require(pl_module, "filters", HasFilters)
        self.refuse_no_images(tuple(getattr(pl_module, "shape", ())))

    def draw(self, trainer: L.Trainer, model: L.LightningModule) -> Tensor:
        assert isinstance(model, HasFilters)
        chosen = chosen_filters(model, self.n, self.largest)
        scale = scale_of(chosen)
        images = enlarged(signed(chosen, scale))
        return captioned(as_grid(images, math.ceil(len(images) ** 0.5)), legend(chosen, scale))


@torch.no_grad()
def chosen_filters(model: HasFilters, n: int, largest: bool) -> Tensor:
    """At most n filters of a model, (m, *shape) on the CPU: the largest or the first."""
    filters = model.filters().detach().cpu().float()
    if not torch.isfinite(filters).all():
        raise ValueError(
            f"{type(model).__name__} has weights that are not finite numbers: it has diverged"
        )
    if not largest:
        return filters[:n]
    return filters[filters.flatten(1).norm(dim=1).argsort(descending=True, stable=True)[:n]]


def scale_of(filters: Tensor) -> float:
    """The largest magnitude but for one weight in two hundred; 1 where all weights are 0.

    A single large weight would leave all others pale.
    """
    magnitudes = filters.abs().flatten()
    kth = max(1, math.ceil(0.995 * len(magnitudes)))
    return float(magnitudes.kthvalue(kth).values) or float(magnitudes.max()) or 1.0


def legend(filters: Tensor, scale: float) -> str:
    """What the colours of filters (n, *shape) mean, in words."""
    low, zero, high = (
        ("dark", "grey", "bright") if filters.shape[1] == 3 else ("blue", "white", "red")
    )
    return f"weights: -{scale:.3g} {low}, 0 {zero}, {scale:.3g} {high}"
