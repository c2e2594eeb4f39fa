"""What normalizes the channels of images between two convolutions."""

from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["instance", "batch", "group", "none"]

GROUPS = 8  # of channels that group normalization takes together, or fewer that divide them evenly


class InstanceNorm(nn.InstanceNorm2d):
    """Each channel of each image normalized by itself, (B, channels, H, W); a single pixel, too.

    References:
        | Instance Normalization: The Missing Ingredient for Fast Stylization (Ulyanov et al., 2016)
        | https://arxiv.org/abs/1607.08022

    Args:
        channels: Of the images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, input: Tensor) -> Tensor:
        """Where an image has one pixel, that becomes the bias; the base class would refuse it."""
        x, weight, bias = input, self.weight, self.bias
        return torch.instance_norm(x, weight, bias, None, None, True, 0.0, self.eps, False)


def normalization(norm: Norm, channels: int) -> list[nn.Module]:
    """The layer that normalizes so many channels, or none.

    Args:
        norm: instance (each image and channel by itself), batch (over the batch, in evaluation over
            all batches of late), group (a few channels of an image together) or none.
        channels: How many there are.
    """
    if norm == "instance":
        return [InstanceNorm(channels)]
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "group":
        groups = max(n for n in range(1, GROUPS + 1) if channels % n == 0)
        return [nn.GroupNorm(groups, channels)]
    return []
