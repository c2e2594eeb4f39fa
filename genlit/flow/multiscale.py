"""The multi-scale architecture of RealNVP: couplings of pixels, then of channels, at each scale."""

from collections.abc import Sequence

from torch import Tensor

from genlit.flow.couplings import AffineCoupling, Conditioner, checkerboard, first_half
from genlit.flow.transformations import (
    Affine,
    Composition,
    FactorOut,
    Reshape,
    Squeeze,
    Transformation,
)


def multiscale(
    shape: Sequence[int], scales: int, couplings: int, network: Conditioner
) -> Transformation:
    """Transforms images (channels, height, width) to vectors.

    At each scale but the last, half of the numbers is done and leaves. The last coupling of a scale
    transforms those given the others, so that their law is conditional.

    References:
        | Density Estimation Using Real NVP (Dinh, Sohl-Dickstein & Bengio, 2017), section 3.6
        | https://arxiv.org/abs/1605.08803

    Args:
        shape: The shape of one image.
        scales: How many scales; from one to the next the sides are halved.
        couplings: How many couplings of each kind a scale has.
        network: Builds their networks.

    Raises:
        ValueError: If the sides cannot be halved so often.
    """
    refuse_odd(shape, scales)
    channels, height, width = shape
    parts = alternating(checkerboard(shape), couplings, network)
    flat = (channels * height * width,)
    if scales == 1:
        return Composition(*parts, Affine(shape), Reshape(shape, flat))
    squeezed = (4 * channels, height // 2, width // 2)
    parts += [Squeeze(), *alternating(first_half(squeezed), couplings, network), Affine(squeezed)]
    half = (2 * channels, *squeezed[1:])
    inner = multiscale(half, scales - 1, couplings, network)
    return Composition(*parts, FactorOut(squeezed, inner))


def alternating(mask: Tensor, n: int, network: Conditioner) -> list[Transformation]:
    """So many affine couplings, the last with the mask, and every other one with its opposite."""
    masks = [mask if (n - k) % 2 else 1 - mask for k in range(n)]
    return [AffineCoupling(m, network) for m in masks]


def refuse_odd(shape: Sequence[int], scales: int) -> None:
    """Makes sure that images can be halved as often as there are scales.

    Raises:
        ValueError: If they cannot.
    """
    if len(shape) != 3:
        raise ValueError(
            f"RealNVP needs images (channels, height, width), not events of shape {tuple(shape)}: "
            "take genlit.flow.NeuralSplineFlow for vectors"
        )
    multiple = 2 ** (scales - 1)
    if scales < 1 or shape[1] % multiple or shape[2] % multiple:
        raise ValueError(
            f"{scales} scales need images with sides that are multiples of {multiple}, not "
            f"{shape[1]} x {shape[2]}: set scales to a smaller number, 1 or more"
        )
