"""Random changes of images that gradients pass through; each image has a draw of its own.

Images are (B, channels, height, width) in [0, 1]; what is outside of them is black.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as nnf


def require_images(x: Tensor) -> None:
    """Makes sure that events are images.

    Raises:
        ValueError: If they are not.
    """
    if x.dim() != 4:
        raise ValueError(
            f"events of shape {tuple(x.shape[1:])} are no images, which augmentation is of: take "
            "genlit.gan.InstanceNoise"
        )


def draws(x: Tensor) -> Tensor:
    """A number from [0, 1) for each image, (B, 1, 1, 1)."""
    return torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype)


def colored(x: Tensor) -> Tensor:
    """Brightness up to ±1/4, saturation 0 to 2 times, and contrast 1/2 to 3/2 times as much."""
    x = x + (draws(x) - 0.5) / 2
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, 2 * draws(x))
    middle = x.mean((1, 2, 3), keepdim=True)
    return torch.lerp(middle, x, draws(x) + 0.5)


def shifted(x: Tensor, share: float) -> Tensor:
    """Moved by whole pixels, up to a share of each side.

    Args:
        x: Images.
        share: The share.
    """
    moved = []
    for dim in (2, 3):
        side = x.shape[dim]
        most = int(side * share + 0.5)
        by = (draws(x) * (2 * most + 1)).long() - most
        moved.append(torch.arange(side, device=x.device).view(-1, *[1] * (3 - dim)) - by)
    rows, columns = moved
    height, width = x.shape[2:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    place = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    flat = place.expand(-1, x.shape[1], -1, -1).flatten(2)
    return x.flatten(2).gather(2, flat).view_as(x) * inside.to(x)


def cut_out(x: Tensor, share: float) -> Tensor:
    """Black in a square, whose middle may lie anywhere.

    Args:
        x: Images.
        share: Its sides, as a share of the image's.
    """
    inside = torch.ones(len(x), 1, 1, 1, dtype=torch.bool, device=x.device)
    for dim in (2, 3):
        side = x.shape[dim]
        size = int(side * share + 0.5)
        first = (draws(x) * (side + 1 - size % 2)).long() - size // 2
        place = torch.arange(side, device=x.device).view(-1, *[1] * (3 - dim))
        inside = inside & (place >= first) & (place < first + size)
    return x * ~inside


def mirrored(x: Tensor) -> Tensor:
    """The right side on the left."""
    return x.flip(3)


def turned(x: Tensor) -> Tensor:
    """Turned about the middle by up to ±45°, between pixels interpolated linearly."""
    angle = (draws(x)[:, 0, 0, 0] - 0.5) * (math.pi / 2)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    ratio = x.shape[2] / x.shape[3]  # of sides, since coordinates go from -1 to 1 on either
    rows = [cosine, -sine * ratio, zero], [sine / ratio, cosine, zero]
    matrix = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = nnf.affine_grid(matrix, list(x.shape), align_corners=False)
    return nnf.grid_sample(x, grid, align_corners=False)
