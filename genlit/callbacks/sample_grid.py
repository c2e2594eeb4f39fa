"""Pictures of samples as training goes on."""

import math

import lightning as L
from torch import Tensor

from genlit.callbacks.drawing import Drawing
from genlit.callbacks.pictures import as_grid
from genlit.callbacks.sampling import draw, sampled_shape


class SampleGrid(Drawing):
    """Draws samples under the same noise again and again, into samples/*.png of the run folder.

    A picture is never overwritten; loggers that take images get it too.

    Args:
        n: Samples in a picture.
        every_n_epochs: Draws after every so many epochs, and after the last.
        seed: Seeds the noise.
    """

    name, prefix = "samples", ""

    def __init__(self, n: int = 64, every_n_epochs: int = 1, seed: int = 0) -> None:
        if min(n, every_n_epochs) < 1:
            raise ValueError("SampleGrid needs n and every_n_epochs of 1 or more")
        super().__init__(every_n_epochs)
        self.n = n
        self.seed = seed

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.refuse_no_images(sampled_shape(pl_module))

    def draw(self, trainer: L.Trainer, model: L.LightningModule) -> Tensor:
        samples = draw(model, self.n, "grid", self.seed).cpu()
        return as_grid(samples, math.ceil(self.n**0.5))
