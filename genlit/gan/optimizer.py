"""The optimizer that adversarial training is used to."""

from collections.abc import Iterable

import torch
from torch import nn


class GANAdam(torch.optim.Adam):
    """Adam with the little momentum that two players need, and the learning rate that goes with it.

    References:
        | Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., 2016)

    Args:
        params: The parameters of one player.
        lr: The learning rate.
        betas: Decay of the running means of the gradient, and of its square.
        eps: Added to the denominator.
        weight_decay: The coefficient of the L2 penalty.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
