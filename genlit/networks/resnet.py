"""Residual networks of adversarial training: convolutions around which the image goes, resized."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn

from genlit.networks.conv import halvings


class ResNetGenerator(nn.Sequential):
    """Residual blocks that double the sides, (B, *inputs) to (B, channels, H, W).

    With images of 32 x 32 pixels, width 256 and depth 3 it is the paper's.

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), table 4
        | https://arxiv.org/abs/1802.05957

    Args:
        inputs: Shape of the input.
        outputs: Shape of the image.
        width: Channels inside.
        depth: How many blocks double the sides.
    """

    def __init__(
        self, inputs: Sequence[int], outputs: Sequence[int], width: int = 64, depth: int = 2
    ) -> None:
        sides = halvings(outputs, depth, "ResNetGenerator")[::-1]
        super().__init__(
            nn.Flatten(),
            nn.Linear(torch.Size(inputs).numel(), width * sides[0][0] * sides[0][1]),
            nn.Unflatten(1, (width, *sides[0])),
            *(Enlarging(width, width, size) for size in sides[1:]),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, outputs[0], 3, 1, 1),
        )
        begin_evenly(self)


class ResNetDiscriminator(nn.Sequential):
    """Residual blocks that halve the sides, (B, channels, H, W) to (B, *outputs).

    Nothing is normalized: SpectralNormalized does that. With images of 32 x 32 pixels, width 128,
    depth 2 and 2 blocks it is the paper's.

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), table 4
        | https://arxiv.org/abs/1802.05957

    Args:
        inputs: Shape of the image.
        outputs: Shape of the output.
        width: Channels inside.
        depth: How many blocks halve the sides, rounding up.
        blocks: How many blocks follow that keep them.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        width: int = 64,
        depth: int = 2,
        blocks: int = 2,
    ) -> None:
        halvings(inputs, depth, "ResNetDiscriminator")
        super().__init__(
            Halving(inputs[0], width, first=True),
            *(Halving(width, width) for _ in range(depth - 1)),
            *(Keeping(width) for _ in range(blocks)),
            nn.ReLU(),
            SumOfPlaces(),
            nn.Linear(width, torch.Size(outputs).numel()),
            nn.Unflatten(1, tuple(outputs)),
        )
        begin_evenly(self)


class Shortcut(nn.Module):
    """The sum f(x) + g(x) of a residual and of a way around it.

    Args:
        residual: The network f.
        around: The network g.
    """

    def __init__(self, residual: nn.Module, around: nn.Module) -> None:
        super().__init__()
        self.residual, self.around = residual, around

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.around(x)


class Enlarging(Shortcut):
    """A generator's block, (B, before, h, w) to (B, after, *size); batch-normalized.

    Args:
        before: Channels of the input.
        after: Channels of the output.
        size: Height and width of the output.
    """

    def __init__(self, before: int, after: int, size: tuple[int, int]) -> None:
        residual = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.ReLU(),
            nn.Upsample(size),
            nn.Conv2d(before, after, 3, 1, 1),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1),
        )
        super().__init__(residual, nn.Sequential(nn.Upsample(size), nn.Conv2d(before, after, 1)))


class Halving(Shortcut):
    """A discriminator's block, (B, before, h, w) to (B, after, h / 2, w / 2), rounded up.

    Args:
        before: Channels of the input.
        after: Channels of the output.
        first: Whether the input is the image, which is not cut off at 0.
    """

    def __init__(self, before: int, after: int, first: bool = False) -> None:
        residual = nn.Sequential(
            *([] if first else [nn.ReLU()]),
            nn.Conv2d(before, after, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1),
            nn.AvgPool2d(2, ceil_mode=True),
        )
        around = [nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(before, after, 1)]
        super().__init__(residual, nn.Sequential(*around))


class Keeping(Shortcut):
    """A discriminator's block that keeps the shape of its input.

    Args:
        channels: Of the input.
    """

    def __init__(self, channels: int) -> None:
        residual = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
        )
        super().__init__(residual, nn.Identity())


class SumOfPlaces(nn.Module):
    """The sum over an image, (B, channels, H, W) to (B, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


@torch.no_grad()
def begin_evenly(network: nn.Module) -> None:
    """Draws weights by Glorot's rule, those of convolutions within a residual √2 as large."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for block in network.modules():
        for layer in block.residual.modules() if isinstance(block, Shortcut) else ():
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(sqrt(2))
