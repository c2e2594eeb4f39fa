"""Flows of vectors, whose transformations are zuko's.

Of images they take the log-odds of pixels first, and then see vectors.
"""

from collections.abc import Sequence

import torch
import zuko
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.flow.flow import Flow
from genlit.flow.transformations import Composition, Logit, Reshape, Transformation


class Autoregressive(Transformation):
    """The transformation of a flow of zuko, in full precision where others are computed in half.

    Args:
        flow: The flow, of which only the transformation is used.
    """

    def __init__(self, flow: zuko.flows.Flow) -> None:
        super().__init__()
        self.law = flow.transform

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            return self.law().call_and_ladj(x)

    def inverse(self, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            return self.law().inv(z)


def of_vectors(shape: Sequence[int], flow: zuko.flows.Flow) -> Transformation:
    """A flow's transformation for events of a shape, those of images by way of log-odds."""
    flat = (torch.Size(shape).numel(),)
    first = [Logit()] if len(shape) == 3 else []
    return Composition(*first, Reshape(shape, flat), Autoregressive(flow))


class MaskedAutoregressiveFlow(Flow):
    """MAF: every entry is shifted and scaled given those before it, in an order that alternates.

    A density takes one pass of the networks, a sample as many as an event has entries.

    References:
        | Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017)
        | https://arxiv.org/abs/1705.07057

    Args:
        shape: The shape of one event.
        transforms: The number of transformations.
        hidden: Widths of the hidden layers of their networks.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        transforms: int = 5,
        hidden: Sequence[int] = (64, 64),
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        flow = zuko.flows.MAF(
            torch.Size(shape).numel(), transforms=transforms, hidden_features=tuple(hidden)
        )
        super().__init__(shape, of_vectors(shape, flow), lr_decay, optimizer)


class NeuralSplineFlow(Flow):
    """NSF: every entry goes through a spline given by those before it, in an order that alternates.

    Splines reach from -5 to 5, and beyond are the identity: standardize the data.

    References:
        | Neural Spline Flows (Durkan, Bekasov, Murray & Papamakarios, 2019)
        | https://arxiv.org/abs/1906.04032

    Args:
        shape: The shape of one event.
        transforms: The number of transformations.
        hidden: Widths of the hidden layers of their networks.
        bins: Pieces of a spline.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        transforms: int = 3,
        hidden: Sequence[int] = (64, 64),
        bins: int = 8,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        flow = zuko.flows.NSF(
            torch.Size(shape).numel(), bins=bins, transforms=transforms,
            hidden_features=tuple(hidden),
        )  # fmt: skip
        super().__init__(shape, of_vectors(shape, flow), lr_decay, optimizer)
