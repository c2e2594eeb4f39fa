"""Packing: the discriminator judges several events at once, and so sees a lack of variety."""

from collections.abc import Sequence

from torch import Tensor


def pack(x: Tensor, size: int) -> Tensor:
    """Joins every n events along their first dimension: (B, C, ...) to (B / n, n C, ...).

    References:
        | PacGAN: The Power of Two Samples in Generative Adversarial Networks (Lin et al., 2018)
        | https://arxiv.org/abs/1712.04086

    Args:
        x: Events, of which those left over are not seen.
        size: n, how many of them are judged together.
    """
    if size == 1:
        return x
    packs = len(x) // size
    return x[: packs * size].reshape(packs, size * x.shape[1], *x.shape[2:])


def packed_shape(shape: Sequence[int], size: int) -> tuple[int, ...]:
    """The shape of a pack of events of a shape."""
    return (size * shape[0], *shape[1:])
