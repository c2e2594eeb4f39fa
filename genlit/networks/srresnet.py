"""The residual network of super-resolution: it works at the small size, and enlarges at the end."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

STEP = 0.1  # of a residual at the beginning, so that a deep network begins near the identity


class SRResNet(nn.Module):
    """What bicubic interpolation misses, (B, inputs, h, w) to (B, outputs, scale h, scale w).

    Residual blocks at the small size, then convolutions whose channels become pixels, added to the
    bicubic enlargement. The last convolution begins at 0, so an untrained network is the baseline.
    It takes pictures of any size. In place of batch normalization, which makes an answer depend on
    the contrast of a batch, residuals begin small; pixels are taken less 1/2.

    With 16 blocks, width 64, stepwise enlargement and batch normalization it is nearly the paper's,
    which has a larger kernel at both ends and no bicubic way around.

    References:
        | Photo-Realistic Single Image Super-Resolution Using a GAN (Ledig et al., 2017)
        | https://arxiv.org/abs/1609.04802

    Args:
        inputs: Shape of the small image; channels beyond those of the image are taken as noise.
        outputs: Shape of the image.
        blocks: How many residual blocks.
        width: Channels inside.
        stepwise: Whether sides are doubled several times, with convolutions at each size; else they
            grow at once, which costs a fraction.
        batch_norm: Whether blocks are batch-normalized.

    Raises:
        ValueError: If sides do not all grow by the same whole number.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        blocks: int = 8,
        width: int = 48,
        stepwise: bool = False,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale_of(inputs, outputs)
        self.channels = outputs[0]
        self.head = nn.Sequential(nn.Conv2d(inputs[0], width, 3, 1, 1), nn.PReLU(width, 0.1))
        body = [Refining(width, batch_norm) for _ in range(blocks)]
        self.body = nn.Sequential(*body, nn.Conv2d(width, width, 3, 1, 1))
        self.tail = nn.Sequential(*enlarging(width, outputs[0], self.scale, stepwise))

    def forward(self, x: Tensor) -> Tensor:
        image = x[:, : self.channels]
        # Where it antialiases, torch has the kernel of the baseline; see genlit.data.resizing.
        plain = interpolate(image, scale_factor=self.scale, mode="bicubic", antialias=True)
        features = self.head(x - 0.5)
        return plain + self.tail(features + self.body(features))


class Refining(nn.Module):
    """Two convolutions around which the features go, (B, width, h, w) to the same.

    Args:
        width: Channels.
        batch_norm: Whether they are batch-normalized.
    """

    def __init__(self, width: int, batch_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(width, width, 3, 1, 1)]
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers += [nn.PReLU(width, 0.1), nn.Conv2d(width, width, 3, 1, 1)]
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        self.residual = nn.Sequential(*layers)
        with torch.no_grad():
            last = layers[-1]
            assert isinstance(last, nn.Conv2d | nn.BatchNorm2d)
            last.weight.mul_(STEP)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


def enlarging(width: int, channels: int, scale: int, stepwise: bool) -> list[nn.Module]:
    """Layers from (B, width, h, w) to (B, channels, scale h, scale w), which give 0 at first."""
    if not stepwise:
        return [
            begin_at_zero(nn.Conv2d(width, channels * scale**2, 3, 1, 1)),
            nn.PixelShuffle(scale),
        ]
    layers: list[nn.Module] = []
    for factor in factors(scale):
        grown = nn.Conv2d(width, width * factor**2, 3, 1, 1)
        layers += [grown, nn.PixelShuffle(factor), nn.PReLU(width, 0.1)]
    return [*layers, begin_at_zero(nn.Conv2d(width, channels, 3, 1, 1))]


def factors(n: int) -> list[int]:
    """The prime factors of a number, ascending."""
    first = next((k for k in range(2, n) if n % k == 0), n)
    return [first, *factors(n // first)] if first < n else [n]


def begin_at_zero(layer: nn.Conv2d) -> nn.Conv2d:
    """A convolution that gives 0 until it has learned."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def scale_of(inputs: Sequence[int], outputs: Sequence[int]) -> int:
    """How many times as long the sides of an image become.

    Raises:
        ValueError: If that is not one whole number.
    """
    scale = outputs[1] // inputs[1] if len(inputs) == len(outputs) == 3 else 0
    if scale < 1 or any(b != scale * a for a, b in zip(inputs[1:], outputs[1:], strict=True)):
        raise ValueError(
            f"SRResNet enlarges images, and {tuple(inputs)} to {tuple(outputs)} is none so many "
            "times as long and wide: take genlit.data.SuperResolution"
        )
    if inputs[0] < outputs[0]:
        raise ValueError(f"SRResNet enlarges what it is given, and {outputs[0]} channels are more "
                         f"than the {inputs[0]} of its input")  # fmt: skip
    return scale
