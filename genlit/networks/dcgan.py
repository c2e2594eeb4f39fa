"""The convolutional networks of adversarial training: batch-normalized, with small weights."""

from collections.abc import Sequence

import torch
from torch import nn

from genlit.networks.conv import quarter


class DCGANGenerator(nn.Sequential):
    """A linear layer and two transposed convolutions, (B, *inputs) to (B, channels, H, W).

    References:
        | Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., 2016)
        | https://arxiv.org/abs/1511.06434

    Args:
        inputs: Shape of the input.
        outputs: Shape of the image; its sides must be multiples of 4.
        width: Channels before the last convolution; twice as many before the first.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], width: int = 64) -> None:
        height, breadth = quarter(outputs, "DCGANGenerator")
        super().__init__(
            nn.Flatten(),
            nn.Linear(torch.Size(inputs).numel(), 2 * width * height * breadth, bias=False),
            nn.Unflatten(1, (2 * width, height, breadth)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, outputs[0], 4, 2, 1),
        )
        shrink_weights(self)


class DCGANDiscriminator(nn.Sequential):
    """Two strided convolutions and a linear layer, (B, channels, H, W) to (B, *outputs).

    The first convolution is not normalized, so that the brightness of a batch can be judged.

    References:
        | Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., 2016)
        | https://arxiv.org/abs/1511.06434

    Args:
        inputs: Shape of the image; its sides must be multiples of 4.
        outputs: Shape of the output.
        width: Channels after the first convolution; the second doubles them.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], width: int = 64) -> None:
        height, breadth = quarter(inputs, "DCGANDiscriminator")
        super().__init__(
            nn.Conv2d(inputs[0], width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * width * height * breadth, torch.Size(outputs).numel()),
            nn.Unflatten(1, tuple(outputs)),
        )
        shrink_weights(self)


def shrink_weights(network: nn.Module) -> None:
    """Draws weights from N(0, 0.02²), and scales of batch normalization from N(1, 0.02²)."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
