"""Flows of couplings: NICE and RealNVP."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable

from genlit.flow.couplings import AdditiveCoupling, checkerboard
from genlit.flow.flow import Flow
from genlit.flow.multiscale import multiscale
from genlit.flow.residual import ResidualConv
from genlit.flow.transformations import Affine, Composition, Logit, Reshape
from genlit.networks import MLP, Network


class NICE(Flow):
    """Additive couplings of even with odd entries, and at the end a scale for each entry.

    The noise is Gaussian, where the paper's is logistic for images.

    References:
        | NICE: Non-linear Independent Components Estimation (Dinh, Krueger & Bengio, 2015)
        | https://arxiv.org/abs/1410.8516

    Args:
        shape: The shape of one event.
        couplings: The number of couplings; with fewer than 3 some entries do not see all others.
        network: Builds their networks, of vectors.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        couplings: int = 4,
        network: Network = MLP,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        flat = (torch.Size(shape).numel(),)
        even = checkerboard(flat)
        masks = [1 - even if k % 2 else even for k in range(couplings)]
        parts = [AdditiveCoupling(mask, network) for mask in masks]
        transformation = Composition(Reshape(shape, flat), *parts, Affine(flat))
        super().__init__(shape, transformation, lr_decay, optimizer)


class RealNVP(Flow):
    """Affine couplings of images at several scales, after the log-odds of pixels.

    There is no normalization: couplings start as the identity, and scales where the data has them.

    References:
        | Density Estimation Using Real NVP (Dinh, Sohl-Dickstein & Bengio, 2017)
        | https://arxiv.org/abs/1605.08803

    Args:
        shape: The shape of one image.
        scales: How many scales; from one to the next the sides are halved, and half of the numbers
            is done.
        couplings: How many couplings of pixels a scale has, and as many of channels.
        network: Builds their networks, of images.
        alpha: Pixels are kept so far from 0 and 1 before log-odds are taken.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        scales: int = 2,
        couplings: int = 4,
        network: Network = ResidualConv,
        alpha: float = 0.05,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        body = multiscale(shape, scales, couplings, network)
        transformation = Composition(Logit(alpha), Affine(shape), body)
        super().__init__(shape, transformation, lr_decay, optimizer)
