"""Pictures of Markov chains on their way."""

from typing import Literal

import lightning as L
import torch
from torch import Tensor

from genlit.callbacks.drawing import Drawing
from genlit.callbacks.held_out import has_events, some_events
from genlit.callbacks.pictures import as_grid, captioned, enlarged
from genlit.chains import chain_of, doubling, require_chain, snapshots
from genlit.features.extractor import quantized
from genlit.model import evaluating
from genlit.randomness import isolated


class ChainPicture(Drawing):
    """Draws chains of the model on their way, into samples/chains-*.png of the run folder.

    Each row is a chain; from left to right it is seen after 0, 1, 2, 4, 8, ... steps. Rows whose
    images never become others are of a chain that does not mix; rows that end alike, of a model
    that knows little else.

    Args:
        chains: Rows.
        steps: Steps to the last image of a row.
        start: Where chains begin: val (held-out images) or samples (of the model), which those of
            deep machines and belief nets need.
        every_n_epochs: Draws after every so many epochs, and after the last.
        seed: Seeds the noise and the choice of images.
    """

    name, prefix = "chains", "chains-"

    def __init__(
        self,
        chains: int = 10,
        steps: int = 256,
        start: Literal["val", "samples"] = "val",
        every_n_epochs: int = 1,
        seed: int = 0,
    ) -> None:
        if min(chains, steps, every_n_epochs) < 1:
            raise ValueError("ChainPicture needs chains, steps and every_n_epochs of 1 or more")
        super().__init__(every_n_epochs)
        self.chains, self.steps = chains, steps
        self.start = start
        self.seed = seed

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        at_images = self.start == "val"
        remedy = "set the start of ChainPicture to samples"
        require_chain(pl_module, "a picture of its chains", at_images, remedy)
        self.refuse_no_images(tuple(getattr(pl_module, "shape", ())))
        if at_images and stage == "fit" and not has_events(trainer, "val"):
            raise ValueError(
                "ChainPicture starts at held-out images, and this run has no datamodule that holds "
                "them: set its start to samples"
            )

    @torch.no_grad()
    def draw(self, trainer: L.Trainer, model: L.LightningModule) -> Tensor:
        chain, times = chain_of(model), doubling(self.steps)
        with isolated("chain picture", self.seed), evaluating(model):
            if self.start == "samples":
                state = chain.samples(self.chains)
            else:
                x = some_events(trainer, "val", self.chains, "chain picture", self.seed)
                state = x.to(model.device)
            seen = snapshots(chain.step, state, times, chain.look)
        images = enlarged(quantized(seen.flatten(0, 1)).cpu())
        return captioned(as_grid(images, len(times)), at_steps(times))


def at_steps(times: list[int]) -> str:
    """What the columns of the picture are, in words."""
    return f"after {', '.join(map(str, times))} steps"
