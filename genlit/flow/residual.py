"""The convolutional network inside couplings."""

from collections.abc import Sequence

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Adds to what comes in a 3 x 3 and a 1 x 1 convolution of it.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)


class ResidualConv(nn.Sequential):
    """A residual convolutional network that keeps the resolution, (B, *inputs) to (B, *outputs).

    Args:
        inputs: Shape of the image.
        outputs: Shape of the output; it has the same sides.
        width: Channels in between.
        blocks: Residual blocks.
        fold: Works on blocks of so many pixels a side as if they were one pixel, where the sides
            can be divided so: cheaper by the square of it.
    """

    def __init__(
        self, inputs: Sequence[int], outputs: Sequence[int], width: int = 32, blocks: int = 2,
        fold: int = 1,
    ) -> None:  # fmt: skip
        if len(inputs) != 3 or tuple(inputs[1:]) != tuple(outputs[1:]):
            raise ValueError(
                f"ResidualConv turns images into images of the same sides, not {tuple(inputs)} "
                f"into {tuple(outputs)}: take MLP"
            )
        fold = fold if inputs[1] % fold == inputs[2] % fold == 0 else 1
        super().__init__(
            nn.PixelUnshuffle(fold),
            nn.Conv2d(inputs[0] * fold**2, width, 3, padding=1),
            *[ResidualBlock(width) for _ in range(blocks)],
            nn.SiLU(),
            nn.Conv2d(width, outputs[0] * fold**2, 3, padding=1),
            nn.PixelShuffle(fold),
        )
