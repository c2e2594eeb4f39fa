"""Networks from images to images that look at them at several sizes and keep their details."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from genlit.networks.conv import halvings
from genlit.networks.norms import Norm, normalization

WIDEST = 8  # times the first layer's channels: deeper layers have no more than that


class UNet(nn.Module):
    """Halves an image and doubles it again, with ways across, (B, channels, H, W) to the same size.

    On the way back each layer is also given what there was at its size on the way down, so that
    details need not pass the narrow middle. It takes images of any size, whatever it was built for:
    odd sides are widened by a repeated pixel, and cut again.

    References:
        | U-Net: Convolutional Networks for Biomedical Image Segmentation (Ronneberger et al., 2015)
        | Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017)
        | https://arxiv.org/abs/1611.07004

    Args:
        inputs: Shape of the images that come in.
        outputs: Shape of those that go out, of the same height and width.
        width: Channels at full size; each halving doubles them, up to 8 times as many.
        depth: How many times sides are halved.
        norm: What normalizes between convolutions: instance, batch, group or none.
        dropout: The share of channels' numbers dropped in training in the inner half of the way
            back.
        noise: Whether numbers are dropped at test time, too, so that answers differ from draw to
            draw.
        interpolate: Whether images are enlarged by interpolation, which leaves no checkerboard, in
            place of transposed convolutions.

    Raises:
        ValueError: If the sizes differ or cannot be halved so often, or dropout is no share.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        width: int = 32,
        depth: int = 4,
        norm: Norm = "instance",
        dropout: float = 0.0,
        noise: bool = False,
        interpolate: bool = False,
    ) -> None:
        super().__init__()
        halvings(inputs, depth, "UNet")
        if tuple(inputs[1:]) != tuple(outputs[1:]):
            raise ValueError(
                f"UNet keeps height and width, and is to make events of shape {tuple(outputs)} "
                f"from {tuple(inputs)}: take data with conditions of the size of events"
            )
        if not 0 <= dropout < 1 or (noise and not dropout):
            raise ValueError(
                f"dropout is {dropout}: a share from 0 to below 1, and above 0 where noise is true"
            )
        channels = [width * min(2**k, WIDEST) for k in range(depth + 1)]
        self.entrance = nn.Conv2d(inputs[0], width, 3, 1, 1)
        self.down = nn.ModuleList(
            Down(before, after, norm if k < depth - 1 else "none")  # the innermost may be one pixel
            for k, (before, after) in enumerate(pairwise(channels))
        )
        self.up = nn.ModuleList(
            Up(
                channels[k + 1] * (1 if k == depth - 1 else 2),
                channels[k],
                norm,
                dropout if 2 * k >= depth else 0.0,
                noise,
                interpolate,
            )
            for k in reversed(range(depth))
        )
        self.exit = nn.Conv2d(2 * width, outputs[0], 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entrance(x)
        across = []
        for down in self.down:
            across.append(x)
            x = down(x)
        for up, before in zip(self.up, reversed(across), strict=True):
            height, width = before.shape[2:]
            x = torch.cat([up(x)[..., :height, :width], before], 1)
        return self.exit(nnf.leaky_relu(x, 0.2))


class Down(nn.Sequential):
    """Halves the sides, rounding up, (B, before, h, w) to (B, after, h / 2, w / 2).

    Args:
        before: Channels of the input.
        after: Channels of the output.
        norm: What normalizes the output.
    """

    def __init__(self, before: int, after: int, norm: Norm) -> None:
        super().__init__(
            nn.LeakyReLU(0.2), nn.Conv2d(before, after, 4, 2, 1), *normalization(norm, after)
        )

    def forward(self, input: Tensor) -> Tensor:
        height, width = input.shape[2:]
        if height % 2 or width % 2:
            input = nnf.pad(input, (0, width % 2, 0, height % 2), mode="replicate")
        return super().forward(input)


class Up(nn.Sequential):
    """Doubles the sides, (B, before, h, w) to (B, after, 2h, 2w).

    Args:
        before: Channels of the input.
        after: Channels of the output.
        norm: What normalizes the output.
        dropout: The share of the output's numbers that are dropped.
        noise: Whether that goes on at test time.
        interpolate: Whether a convolution and bilinear interpolation take the place of a transposed
            convolution.
    """

    def __init__(
        self, before: int, after: int, norm: Norm, dropout: float, noise: bool, interpolate: bool
    ) -> None:
        kind = DropoutNoise if noise else nn.Dropout
        super().__init__(
            nn.LeakyReLU(0.2),
            nn.Conv2d(before, after, 3, 1, 1)
            if interpolate
            else nn.ConvTranspose2d(before, after, 4, 2, 1),
            *normalization(norm, after),
            *([kind(dropout)] if dropout else []),
            *([nn.Upsample(scale_factor=2, mode="bilinear")] if interpolate else []),
        )


class DropoutNoise(nn.Dropout):
    """Dropout that goes on at test time: noise that a network is given inside."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.dropout(input, self.p, training=True)
