"""The gated PixelCNN."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.autoregressive.ancestral import Walk
from genlit.autoregressive.autoregressive import AutoregressiveModel
from genlit.autoregressive.gated import GatedPixelCNN
from genlit.autoregressive.pixel_walk import PixelWalk
from genlit.likelihoods import Bernoulli, Law


class PixelCNN(AutoregressiveModel):
    """Gated PixelCNN: masked convolutions in two stacks, which see every pixel before, row by row.

    Channels of a pixel come in their order, red before green before blue. Grey levels take another
    law of the pixels: `genlit.likelihoods.Categorical` or `LogisticMixture`.

    References:
        | Conditional Image Generation with PixelCNN Decoders (van den Oord et al., 2016)
        | https://arxiv.org/abs/1606.05328

    Args:
        shape: The shape of one event, an image.
        width: Features of each of the two stacks.
        layers: The number of gated layers.
        first_kernel: The side of the first layer's window; odd.
        kernel: The side of all other layers' windows; odd.
        head: Features of the layer between the stacks and the output.
        likelihood: The law of a pixel: Bernoulli, Categorical or LogisticMixture.
        impute_particles: How many imputations compete where an observed pixel follows missing ones.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        width: int = 32,
        layers: int = 7,
        first_kernel: int = 7,
        kernel: int = 3,
        head: int = 64,
        likelihood: Law = Bernoulli,
        impute_particles: int = 20,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, likelihood, impute_particles, lr_decay, optimizer)
        require_image(self.shape, width, layers, first_kernel, kernel, head)
        self.net = GatedPixelCNN(
            self.shape, self.law.numbers, width, layers, first_kernel, kernel, head
        )

    def outputs(self, x: Tensor) -> Tensor:
        return self.net(x)

    def walk(self, n: int) -> Walk:
        return PixelWalk(n, self.shape, self.net)


def require_image(
    shape: Sequence[int], width: int, layers: int, first_kernel: int, kernel: int, head: int
) -> None:
    """Makes sure that a PixelCNN can be made.

    Raises:
        ValueError: If not.
    """
    if len(shape) != 3:
        raise ValueError(
            f"PixelCNN needs images (channels, height, width), not events of shape {tuple(shape)}: "
            "take MADE"
        )
    for name, side in {"first_kernel": first_kernel, "kernel": kernel}.items():
        if side < 3 or side % 2 == 0:
            raise ValueError(f"{name} is {side}: it must be odd, and 3 or more")
    if layers < 1:
        raise ValueError(f"layers is {layers}: it takes 1 or more")
    for name, features in {"width": width, "head": head}.items():
        if features < shape[0]:
            raise ValueError(f"{name} is {features}: each of {shape[0]} channels needs a feature")
