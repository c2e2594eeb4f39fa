"""Asking a network about a picture of any size, a tile at a time."""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

Span = tuple[int, int, int, int]  # a tile's start and stop, and what of it is kept


def spans(length: int, tile: int, overlap: int) -> list[Span]:
    """Tiles of one length that cover a side, of which each keeps the part nearest to its middle.

    Args:
        length: Of the side.
        tile: Of a tile; a shorter side is one tile by itself.
        overlap: What a tile sees at least beyond the part that it keeps, but for the side's ends.

    Raises:
        ValueError: If tiles would not move on.
    """
    if not 0 <= 2 * overlap < tile:
        raise ValueError(f"tiles of {tile} pixels cannot overlap by {overlap} on both sides: "
                         "make the overlap less than half of a tile")  # fmt: skip
    if length <= tile:
        return [(0, length, 0, length)]
    step = tile - 2 * overlap
    starts = [min(s, length - tile) for s in range(0, length - tile + step, step)]
    seams = [(earlier + tile + later) // 2 for earlier, later in pairwise(starts)]
    kept = zip([0, *seams], [*seams, length], strict=True)
    return [(s, s + tile, first, last) for s, (first, last) in zip(starts, kept, strict=True)]


def tiled(
    network: Callable[[Tensor], Tensor], x: Tensor, scale: int, tile: int, overlap: int
) -> Tensor:
    """What a network makes of a picture, asked about overlapping tiles of it.

    Where the overlap is as wide as what a pixel of the answer depends on, this is what the network
    makes of the whole picture.

    Args:
        network: From (1, C, h, w) to (1, D, scale * h, scale * w).
        x: The picture, (C, H, W).
        scale: How many times as long sides become.
        tile: Sides of a tile, in pixels of x; 0 asks about the whole picture.
        overlap: What a tile sees beyond the part that it keeps, in pixels of x.

    Returns:
        (D, scale * H, scale * W), on the CPU.

    Raises:
        ValueError: If the network answers with another size.
    """
    height, width = x.shape[-2:]
    answer = None
    for top, bottom, first, last in spans(height, tile or height, overlap if tile else 0):
        for left, right, begin, end in spans(width, tile or width, overlap if tile else 0):
            part = network(x[None, :, top:bottom, left:right])[0].cpu()
            refuse_other_size(part, ((bottom - top) * scale, (right - left) * scale))
            if answer is None:
                answer = part.new_empty(len(part), height * scale, width * scale)
            rows = slice((first - top) * scale, (last - top) * scale)
            columns = slice((begin - left) * scale, (end - left) * scale)
            whole = slice(first * scale, last * scale), slice(begin * scale, end * scale)
            answer[:, *whole] = part[:, rows, columns]
    assert answer is not None
    return answer


def refuse_other_size(answer: Tensor, size: tuple[int, int]) -> None:
    """Makes sure that an answer has a size.

    Raises:
        ValueError: If it has another one.
    """
    if tuple(answer.shape[-2:]) != size:
        raise ValueError(
            f"the model answered with {answer.shape[-2]} x {answer.shape[-1]} pixels in place of "
            f"{size[0]} x {size[1]}: it takes one size only, so ask about tiles of that size"
        )
