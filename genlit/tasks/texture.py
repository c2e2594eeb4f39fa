"""How far the texture of a picture is from that of another one, wherever in it either may be."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from genlit.randomness import generator

SIDE = 7  # pixels of a patch
STRIDE = 2  # from patch to patch
DIRECTIONS, AT_ONCE = 32, 8


def patch_swd(x: Tensor, y: Tensor) -> float:
    """Sliced Wasserstein distance of the 7 x 7 patches of two lumas (H, W), in levels.

    It is the first Wasserstein distance between projections of patches, the mean over fixed
    random directions of unit length. Each patch counts without its mean, so that it is about
    texture: where the answer is blurred, or invents what is not there, it grows.

    References:
        | Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015)
    """
    total = sum(
        float((projections(x, some) - projections(y, some)).abs().mean(1).sum())
        for some in directions().split(AT_ONCE)
    )
    return total / DIRECTIONS


def projections(x: Tensor, directions: Tensor) -> Tensor:
    """The patches of (H, W) along some directions, ascending; (directions, patches)."""
    along = conv2d(x.float()[None, None], directions[:, None], stride=STRIDE)
    return along[0].flatten(1).sort(1).values


def directions() -> Tensor:
    """Fixed random directions of patches without a mean, (DIRECTIONS, SIDE, SIDE)."""
    noise = generator("patch_swd")
    drawn = torch.randn(DIRECTIONS, SIDE * SIDE, generator=noise)
    drawn = drawn - drawn.mean(1, keepdim=True)
    return (drawn / drawn.norm(dim=1, keepdim=True)).unflatten(1, (SIDE, SIDE))
