"""Masks: which entries of events are observed, and which are missing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genlit.data.idx import DataError
from genlit.randomness import generator


def observed(mask: str, shape: Sequence[int], n: int, seed: int) -> Tensor:
    """True where n events are observed, (n, *shape); all channels of a pixel are treated alike.

    Args:
        mask: half (the lower half is missing), box (a box in the middle, of half the height and
            width), random:P (each pixel is missing with probability P), or the path of a .npy that
            is 1 or True where observed, or of a picture that is white there and black elsewhere.
        shape: The shape of one event.
        n: The number of events.
        seed: Seeds a random mask.

    Raises:
        ValueError: If there is no such mask, or it does not fit.
    """
    if mask.lower().endswith((".npy", ".png")):
        return fitted(read_mask(Path(mask)), tuple(shape), n, mask)
    image = len(shape) == 3
    grid = tuple(shape[1:]) if image else tuple(shape)
    known = torch.ones(grid, dtype=torch.bool)
    if mask == "half":
        known[grid[0] - grid[0] // 2 :] = False
    elif mask == "box":
        known[tuple(slice(side // 4, side // 4 + (side + 1) // 2) for side in grid)] = False
    else:
        known = torch.rand(n, *grid, generator=generator("mask", seed)) >= probability(mask)
    return fitted(known.unsqueeze(-3) if image else known, tuple(shape), n, mask)


def probability(mask: str) -> float:
    """The P of random:P.

    Raises:
        ValueError: If it is something else.
    """
    kind, _, number = mask.partition(":")
    try:
        missing = float(number)
    except ValueError:
        missing = -1.0
    if kind != "random" or not 0 <= missing <= 1:
        raise ValueError(
            f"there is no mask {mask}: it is half, box, random:P with P from 0 to 1, .npy or PNG"
        )
    return missing


def read_mask(path: Path) -> Tensor:
    """The mask in a .npy file, of any shape, or in a picture, (height, width).

    Raises:
        DataError: If it cannot be read, or has other values than 0 and 1.
    """
    try:
        if path.suffix.lower() == ".png":
            with Image.open(path) as picture:
                array = np.asarray(picture.convert("L")) / 255
        else:
            array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"there is no mask {path}") from None
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if not np.isin(array, (0, 1)).all():
        raise DataError(f"{path} is no mask: it has other values than 0 (missing) and 1 (observed)")
    return torch.from_numpy(array.astype(bool))


def fitted(mask: Tensor, shape: tuple[int, ...], n: int, name: str) -> Tensor:
    """A mask for one event or n, with or without channels, as (n, *shape).

    Raises:
        ValueError: If it is of another shape.
    """
    forms = {shape: (1, *shape), (n, *shape): (n, *shape)}
    if len(shape) == 3:  # alike for all channels
        plain = shape[1:]
        one, every = (1, 1, *plain), (n, 1, *plain)
        forms = {plain: one, one[1:]: one, every: every, (n, *plain): every} | forms
    if tuple(mask.shape) in forms:
        return mask.reshape(forms[tuple(mask.shape)]).expand(n, *shape)
    raise ValueError(
        f"the mask {name} has the shape {tuple(mask.shape)}: make it that of one event, {shape}, "
        f"or of all, {(n, *shape)}"
    )
