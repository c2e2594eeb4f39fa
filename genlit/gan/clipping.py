"""Weight clipping: the first way to keep a discriminator's slope bounded."""

import torch
from torch import nn


class WeightClipping:
    """Cuts off all parameters of the discriminator at ±limit.

    References:
        | Wasserstein Generative Adversarial Networks (Arjovsky, Chintala & Bottou, 2017)
        | https://arxiv.org/abs/1701.07875

    Args:
        limit: The largest absolute value.
        every: Does so after every so many of the discriminator's steps.
    """

    def __init__(self, limit: float = 0.01, every: int = 1) -> None:
        if limit <= 0 or every < 1:
            raise ValueError(f"limit is {limit} and every {every}: above 0, and 1 or more")
        self.limit, self.every = limit, every

    @torch.no_grad()
    def __call__(self, discriminator: nn.Module, steps: int) -> None:
        """Cuts off, where the steps done are a multiple of `every`."""
        if steps % self.every == 0:
            for parameter in discriminator.parameters():
                parameter.clamp_(-self.limit, self.limit)
