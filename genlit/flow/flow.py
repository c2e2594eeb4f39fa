"""What all flows answer, given their transformation."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.flow.gaussian import log_standard_normal
from genlit.flow.transformations import Transformation
from genlit.logmath import bits_per_dim
from genlit.model import GenerativeModel
from genlit.protocols import Batch, Density, Encodes, Samples

SETTLING = 1000  # training events that tell the scale to start at
REAL = ("", "dequantized", "real", "standardized")  # first words of data with a density


class Flow(GenerativeModel, Samples, Density, Encodes):
    """A normalizing flow: log p(x) = log N(f(x); 0, 1) + log |det ∂f/∂x|, learned by its maximum.

    The loss is in nats per event; of dequantized images `bits_per_dim` is logged, too. A flow of
    vectors also serves as a part of another model: `log_prob` can be differentiated, and asks for
    no Trainer.

    References:
        | Normalizing Flows for Probabilistic Modeling and Inference (Papamakarios et al., 2021)
        | https://arxiv.org/abs/1912.02762

    Args:
        shape: The shape of one event.
        transformation: The function f, to a vector of as many entries.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        transformation: Transformation,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        self.transformation = transformation
        self.lr_decay = lr_decay
        self.dims = torch.Size(self.shape).numel()

    @property
    def of_images(self) -> bool:
        """Whether events are images, whose entries lie in [0, 1]."""
        return len(self.shape) == 3

    # Learning

    def setup(self, stage: str) -> None:
        """Sets out from the scale of the training data, if these are what it can learn.

        Raises:
            ValueError: If they have levels, on which a density can grow for ever.
        """
        data: Any = getattr(self.trainer, "datamodule", None)
        protocol = getattr(data, "protocol", "")
        if stage == "fit" and protocol.partition("_")[0] not in REAL:
            raise ValueError(
                f"{type(self).__name__} learns a density of real numbers, and this data "
                f"({protocol}) has levels: set data.binarize to dequantized"
            )
        if stage == "fit" and hasattr(data, "events"):
            few = torch.arange(min(SETTLING, len(data.splits["train"])))
            self.settle(data.events("train", few).to(self.device))

    def settle(self, x: Tensor) -> None:
        """Adapts a new flow to the scale of events (B, *shape); one that was adapted stays."""
        self.transformation.settle(x)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        nats = -self.log_prob(batch["x"]).mean()
        bins = getattr(getattr(self._trainer, "datamodule", None), "bins", 1)
        if bins == 1:
            return {"loss": nats}
        bits = bits_per_dim(-nats.detach(), self.dims, bins)
        assert isinstance(bits, Tensor)
        return {"loss": nats, "bits_per_dim": bits}

    # What it can be asked

    def log_prob(self, x: Tensor) -> Tensor:
        z, log_det = self.transformation(x.to(torch.promote_types(x.dtype, torch.float32)))
        return log_standard_normal(z) + log_det

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        return self.decode(torch.randn(n, self.dims, device=self.device))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Returns the noise of each event, (B, entries)."""
        return self.transformation(x)[0]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Returns the event of each noise: an image in [0, 1], or a vector as it is."""
        x = self.transformation.inverse(z).view(-1, *self.shape)
        return x.clamp(0, 1) if self.of_images else x
