"""NIQE: how natural a picture looks, judged without the true one.

A picture is cut into blocks; each gives the parameters of generalized normal laws of its locally
normalized luma, at full and at half size. The mean and covariance of these over blocks are compared
with those of pristine photos, which a file brings along: genlit has none of its own.

References:
    | Making a "Completely Blind" Image Quality Analyzer (Mittal, Soundararajan & Bovik, 2013)
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from genlit.data.idx import DataError
from genlit.data.resizing import bicubic
from genlit.tasks.fidelity import gaussian

SIDE = 96  # of blocks, in pixels
SIGMA, REACH = 7 / 6, 3  # of the window that normalizes
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # whose products are looked at
FEATURES = 36  # 18 at each of two sizes


class Pristine(NamedTuple):
    """The law of the features of pristine photos."""

    mean: Tensor  # (36,) float64
    covariance: Tensor  # (36, 36) float64


def read_pristine(path: Path) -> Pristine:
    """Reads a .npz with `mu_pris_param` and `cov_pris_param`, as BasicSR's niqe_pris_params.npz.

    Raises:
        DataError: If it is no such file.
    """
    try:
        with np.load(path) as arrays:
            found = [torch.from_numpy(arrays[f"{k}_pris_param"]).double() for k in ("mu", "cov")]
        return Pristine(found[0].reshape(FEATURES), found[1].reshape(FEATURES, FEATURES))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"{path} is not the parameters of NIQE, a .npz with mu_pris_param and "
                        f"cov_pris_param: {error}") from None  # fmt: skip


def niqe(luma: Tensor, pristine: Pristine) -> float:
    """NIQE of a luma (H, W): 0 for what looks like pristine photos, and grows without bound.

    NaN where there are fewer than two blocks of 96 x 96 pixels. Blocks begin at the upper left.
    """
    rows, columns = luma.shape[0] // SIDE, luma.shape[1] // SIDE
    if rows * columns < 2:
        return float("nan")
    whole = luma[: rows * SIDE, : columns * SIDE].round()
    half = bicubic(whole[None], Fraction(1, 2))[0]
    seen = torch.cat([block_features(whole, SIDE), block_features(half, SIDE // 2)], 1)
    seen = seen[seen.isfinite().all(1)]
    if len(seen) < 2:
        return float("nan")
    off = seen.mean(0) - pristine.mean
    pooled = (torch.cov(seen.T) + pristine.covariance) / 2
    return float((off @ torch.linalg.pinv(pooled, hermitian=True) @ off).clamp(min=0).sqrt())


def block_features(luma: Tensor, side: int) -> Tensor:
    """The 18 features of each block of a picture, (blocks, 18)."""
    normal = normalized(luma)
    blocks = normal.unfold(0, side, side).unfold(1, side, side).flatten(0, 1)
    shape, left, right = asymmetric_fit(blocks)
    features = [shape, (left + right) / 2]
    for shift in NEIGHBOURS:
        products = blocks * blocks.roll(shift, (1, 2))
        shape, left, right = asymmetric_fit(products)
        features += [shape, mean_of_law(shape, left, right), left, right]
    return torch.stack(features, 1)


def normalized(luma: Tensor) -> Tensor:
    """A picture less its local mean, over its local standard deviation and one level."""
    mean = local_mean(luma)
    variance = local_mean(luma.square()) - mean.square()
    return (luma - mean) / (variance.abs().sqrt() + 1)


def local_mean(x: Tensor) -> Tensor:
    """The mean around each pixel under a normal window; edges are repeated."""
    window = gaussian(SIGMA, REACH)
    wider = pad(x[None, None], (REACH,) * 4, mode="replicate")
    return conv2d(wider, (window[:, None] * window)[None, None])[0, 0]


def asymmetric_fit(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fits generalized normal laws with two scales to (n, h, w), by moments.

    Their density is proportional to exp(-(-x / left)^shape) below 0 and exp(-(x / right)^shape)
    above.

    Returns:
        Shape, left scale and right scale; (n,) each.
    """
    x = x.flatten(1)
    below, above = spread(x, x < 0), spread(x, x > 0)
    ratio = below / above
    kurtosis = x.abs().mean(1).square() / x.square().mean(1)
    wanted = kurtosis * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shapes, ratios = table()
    place = torch.searchsorted(ratios, wanted.nan_to_num()).clamp(1, len(ratios) - 1)
    lower = (wanted - ratios[place - 1]).abs() <= (wanted - ratios[place]).abs()
    shape = torch.where(wanted.isfinite(), shapes[place - lower.long()], torch.nan)
    scale = torch.exp((torch.lgamma(1 / shape) - torch.lgamma(3 / shape)) / 2)
    return shape, below * scale, above * scale


def mean_of_law(shape: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The mean of a generalized normal law with two scales."""
    return (right - left) * torch.exp(torch.lgamma(2 / shape) - torch.lgamma(1 / shape))


def spread(x: Tensor, where: Tensor) -> Tensor:
    """The root of the mean square of the numbers where a mask says so, a row each; NaN of none."""
    return ((x * where).square().sum(1) / where.sum(1)).sqrt()


@cache
def table() -> tuple[Tensor, Tensor]:
    """Shapes from 0.2 to 10, and Γ(2/a)² / (Γ(1/a) Γ(3/a)) of each, which ascends with them."""
    shapes = torch.arange(200, 10_000, dtype=torch.float64) / 1000
    log: Callable[[float], Tensor] = lambda k: torch.lgamma(k / shapes)  # noqa: E731
    return shapes, torch.exp(2 * log(2) - log(1) - log(3))
