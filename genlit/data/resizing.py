"""Bicubic resizing as MATLAB's imresize does it, by which low-resolution pictures are defined.

The kernel is Keys' with a = -1/2; where a picture is made smaller it is widened, so that nothing is
aliased; and beyond its edges a picture is mirrored. Torch's own bicubic has that kernel where it is
told to antialias, and another one (a = -3/4) where it is not.

References:
    | Cubic Convolution Interpolation for Digital Image Processing (Keys, 1981)
"""

from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def bicubic(x: Tensor, factor: Fraction) -> Tensor:
    """Resizes (..., C, H, W) to (..., C, factor H, factor W); levels may leave their range.

    Args:
        x: Pictures.
        factor: A whole number, or one over a whole number that divides both sides.

    Raises:
        ValueError: If sides would not be whole numbers.
    """
    sides = [side * factor for side in x.shape[-2:]]
    if any(side.denominator != 1 for side in sides):
        raise ValueError(f"sides of {tuple(x.shape[-2:])} pixels cannot become {factor} of that")
    margin = 2 * factor.denominator  # half of the kernel's width
    wider = mirrored(x, margin).reshape(1, -1, *(n + 2 * margin for n in x.shape[-2:]))
    size = [int((n + 2 * margin) * factor) for n in x.shape[-2:]]
    resized = interpolate(wider, size, mode="bicubic", antialias=True)
    cut = int(margin * factor)
    return resized[..., cut:-cut, cut:-cut].reshape(*x.shape[:-2], *map(int, sides))


def enlarged(x: Tensor, times: int) -> Tensor:
    """Pictures of uint8 levels (..., C, H, W) with sides so many times as long, uint8."""
    return as_levels(bicubic(x.float(), Fraction(times)))


def shrunk(x: Tensor, times: int) -> Tensor:
    """Pictures of uint8 levels (..., C, H, W) with sides a so-manieth as long, uint8."""
    return as_levels(bicubic(x.float(), Fraction(1, times)))


def as_levels(x: Tensor) -> Tensor:
    """The nearest levels from 0 to 255, uint8."""
    return x.round().clamp(0, 255).byte()


def cut_to_multiple(x: Tensor, of: int) -> Tensor:
    """Pictures (..., H, W) without their last rows and columns, so that `of` divides both sides."""
    height, width = x.shape[-2:]
    return x[..., : height - height % of, : width - width % of]


def mirrored(x: Tensor, margin: int) -> Tensor:
    """Pictures (..., H, W) with a margin in which they are mirrored, the edge itself repeated."""
    for dim in (-2, -1):
        n = x.shape[dim]
        at = torch.arange(-margin, n + margin, device=x.device) % (2 * n)
        x = x.index_select(dim, torch.where(at < n, at, 2 * n - 1 - at))
    return x
