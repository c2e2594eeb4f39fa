"""Fully convolutional networks between images and grids a quarter as wide and high."""

from collections.abc import Sequence

from torch import Tensor, nn

from genlit.networks.conv import quarter


class Residual(nn.Module):
    """x + f(x), with f of two convolutions.

    Args:
        channels: Of x.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class GridEncoder(nn.Sequential):
    """Two strided convolutions and residual blocks, (B, channels, H, W) to (B, D, H / 4, W / 4).

    Args:
        inputs: Shape of the image; its sides must be multiples of 4.
        outputs: Shape of the grid.
        width: Channels inside.
        blocks: The number of residual blocks.
    """

    def __init__(
        self, inputs: Sequence[int], outputs: Sequence[int], width: int = 64, blocks: int = 2
    ) -> None:
        check_grid(inputs, outputs, "GridEncoder")
        super().__init__(
            nn.Conv2d(inputs[0], width, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(width, width, 4, 2, 1),
            *(Residual(width) for _ in range(blocks)),
            nn.SiLU(),
            nn.Conv2d(width, outputs[0], 1),
        )


class GridDecoder(nn.Sequential):
    """Residual blocks and two transposed convolutions, (B, D, H / 4, W / 4) to (B, channels, H, W).

    Args:
        inputs: Shape of the grid.
        outputs: Shape of the image; its sides must be multiples of 4.
        width: Channels inside.
        blocks: The number of residual blocks.
    """

    def __init__(
        self, inputs: Sequence[int], outputs: Sequence[int], width: int = 64, blocks: int = 2
    ) -> None:
        check_grid(outputs, inputs, "GridDecoder")
        super().__init__(
            nn.Conv2d(inputs[0], width, 3, 1, 1),
            *(Residual(width) for _ in range(blocks)),
            nn.SiLU(),
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.SiLU(),
            nn.ConvTranspose2d(width, outputs[0], 4, 2, 1),
        )


def check_grid(image: Sequence[int], grid: Sequence[int], name: str) -> None:
    """Compares the sides of an image with those of its grid.

    Raises:
        ValueError: If they are not four times as long.
    """
    if len(grid) != 3 or quarter(image, name) != tuple(grid[1:]):
        raise ValueError(
            f"{name} is between images (channels, height, width) and grids of a quarter of their "
            f"sides, not {tuple(image)} and {tuple(grid)}"
        )
