"""The convolutional networks of adversarial training: batch-normalized, with small weights."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from genlit.networks.conv import halvings


class DCGANGenerator(nn.Sequential):
    """A linear layer and transposed convolutions, (B, *inputs) to (B, channels, H, W).

    Each transposed convolution doubles the sides and halves the channels. Where a side is to be
    odd, the last row or column is cut off. With images of 64 x 64 pixels, width 128 and depth 4 it
    is the paper's.

    References:
        | Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., 2016)
        | https://arxiv.org/abs/1511.06434

    Args:
        inputs: Shape of the input.
        outputs: Shape of the image.
        width: Channels before the last convolution; twice as many before each one below it.
        depth: How many convolutions double the sides.
    """

    def __init__(
        self, inputs: Sequence[int], outputs: Sequence[int], width: int = 64, depth: int = 2
    ) -> None:
        sides = halvings(outputs, depth, "DCGANGenerator")[::-1]
        channels = [width * 2**k for k in reversed(range(depth))]
        height, breadth = sides[0]
        layers: list[nn.Module] = [
            nn.Flatten(),
            nn.Linear(torch.Size(inputs).numel(), channels[0] * height * breadth, bias=False),
            nn.Unflatten(1, (channels[0], height, breadth)),
        ]
        for (before, after), size in zip(pairwise([*channels, outputs[0]]), sides[1:], strict=True):
            last = size is sides[-1]
            layers += [nn.BatchNorm2d(before), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=last))
            layers += [Crop(size)] if size[0] % 2 or size[1] % 2 else []
        super().__init__(*layers)
        shrink_weights(self)


class DCGANDiscriminator(nn.Sequential):
    """Strided convolutions and a linear layer, (B, channels, H, W) to (B, *outputs).

    Each convolution halves the sides, rounding up, and doubles the channels. The first is not
    normalized, so that the brightness of a batch can be judged.

    References:
        | Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., 2016)
        | https://arxiv.org/abs/1511.06434

    Args:
        inputs: Shape of the image.
        outputs: Shape of the output.
        width: Channels after the first convolution; each one above it doubles them.
        depth: How many convolutions halve the sides.
        batch_norm: Whether the other convolutions are normalized; leave it out under a penalty on
            the gradient at each event, and under SpectralNormalized.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        width: int = 64,
        depth: int = 2,
        batch_norm: bool = True,
    ) -> None:
        sides = halvings(inputs, depth, "DCGANDiscriminator")
        channels = [inputs[0], *(width * 2**k for k in range(depth))]
        height, breadth = sides[-1]
        layers: list[nn.Module] = []
        for (before, after), size in zip(pairwise(channels), sides[:-1], strict=True):
            normalized = batch_norm and bool(layers)
            odd = (size[0] % 2, size[1] % 2)
            layers += [nn.ZeroPad2d((0, odd[1], 0, odd[0]))] if any(odd) else []
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=not normalized))
            layers += [nn.BatchNorm2d(after)] if normalized else []
            layers.append(nn.LeakyReLU(0.2))
        super().__init__(
            *layers,
            nn.Flatten(),
            nn.Linear(channels[-1] * height * breadth, torch.Size(outputs).numel()),
            nn.Unflatten(1, tuple(outputs)),
        )
        shrink_weights(self)


class Crop(nn.Module):
    """The upper left part of images, (B, channels, H, W) to (B, channels, *size).

    Args:
        size: Height and width.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.size[0], : self.size[1]]


def shrink_weights(network: nn.Module) -> None:
    """Draws weights from N(0, 0.02²), and scales of batch normalization from N(1, 0.02²)."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
