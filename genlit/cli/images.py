"""Reading the user's own images, and checking that they are what a model can be asked about."""

import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlit.data.idx import DataError
from genlit.data.pictures import PICTURES, open_picture
from genlit.randomness import generator


def read_images(path: Path, shape: Sequence[int]) -> Tensor:
    """Reads the events in a file, (n, *shape) float32; images in [0, 1].

    Args:
        path: A .npy or .npz file, a picture, or a folder of pictures.
        shape: The shape of one event.

    Raises:
        DataError: If there is no such file, or it holds something else.
    """
    if not path.exists():
        raise DataError(f"there is no file {path}")
    if path.is_dir() or path.suffix.lower() in PICTURES:
        array = read_pictures(path, shape)
    elif path.suffix in (".npy", ".npz"):
        array = read_array(path)
    else:
        raise DataError(f"{path} is not a .npy, a .npz, a PNG or a folder of PNGs")
    ready = arranged(array, tuple(shape), path)
    return in_unit_interval(ready, path) if len(shape) == 3 else finite(ready, path)


def read_array(path: Path) -> Any:
    """The array in a .npy file, or the one in a .npz file that is alone or called images.

    Raises:
        DataError: If there is none.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as arrays:
            names = list(arrays)
            if len(names) != 1 and "images" not in names:
                raise DataError(f"{path} holds the arrays {', '.join(names)}: call one images")
            return arrays["images" if "images" in names else names[0]]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read {path}: {error}") from None


def read_pictures(path: Path, shape: Sequence[int]) -> Any:
    """The pictures in a folder in the order of their names, or a single one; (n, *shape) uint8.

    Raises:
        DataError: If there are none, or they are of another size.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise DataError(f"{path}: pictures cannot be events of shape {tuple(shape)}; give a .npy")
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    every = [p for p in inside if p.suffix.lower() in PICTURES]
    if not every:
        raise DataError(f"{path} holds no PNGs")
    return np.stack([read_picture(p, shape) for p in every])


def read_picture(path: Path, shape: Sequence[int]) -> Any:
    """One picture, of (*shape) uint8.

    Raises:
        DataError: If it is no picture of 8 bits a channel, or of another size.
    """
    pixels = np.asarray(open_picture(path, shape[0]))
    if pixels.shape[:2] != tuple(shape[1:]):
        height, width = pixels.shape[:2]
        raise DataError(
            f"{path} has {height} x {width} pixels, and the model's images have "
            f"{shape[1]} x {shape[2]}: scale it first"
        )
    return pixels[None] if shape[0] == 1 else pixels.transpose(2, 0, 1)


def arranged(array: Any, shape: tuple[int, ...], path: Path) -> Any:
    """The array as (n, *shape).

    Raises:
        DataError: If it cannot be understood so, or is empty.
    """
    if array.size == 0:
        raise DataError(f"{path} holds no events: its array has the shape {array.shape}")
    for known, axes in layouts(shape):
        if array.shape[1:] == known:
            return array.transpose(0, *(1 + a for a in axes)).reshape(-1, *shape)
    for known, axes in layouts(shape):
        if array.shape == known:
            return array.transpose(axes).reshape(1, *shape)
    raise DataError(
        f"{path} holds an array of shape {array.shape}, and the model's events have the shape "
        f"{shape}: make it (n, {', '.join(map(str, shape))})"
    )


def layouts(shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The shapes in which an event may be given, with the order of its axes that is ours."""
    yield shape, tuple(range(len(shape)))
    if len(shape) == 3:
        yield (*shape[1:], shape[0]), (2, 0, 1)
        if shape[0] == 1:
            yield shape[1:], (0, 1)
    yield (math.prod(shape),), (0,)


def finite(array: Any, path: Path) -> Tensor:
    """The vectors as float32.

    Raises:
        DataError: If they are no finite numbers.
    """
    if array.dtype.kind not in "buif" or not np.isfinite(array).all():
        raise DataError(f"{path} holds other things than finite numbers")
    return torch.from_numpy(array.astype(np.float32))


def in_unit_interval(array: Any, path: Path) -> Tensor:
    """The array as float32 in [0, 1].

    Raises:
        DataError: If its numbers are no such.
    """
    if array.dtype.kind not in "buif":
        raise DataError(f"{path} holds an array of {array.dtype}, not of numbers")
    largest, smallest = array.max(), array.min()
    if array.dtype == np.uint8 and largest > 1:
        return torch.from_numpy(np.ascontiguousarray(array)).float() / 255
    if not (smallest >= 0 and largest <= 1):  # NaN too
        raise DataError(
            f"{path} holds numbers from {smallest} to {largest}, not in [0, 1]: scale them, or "
            "save levels from 0 to 255 as uint8"
        )
    return torch.from_numpy(array.astype(np.float32))


def is_binary(x: Tensor) -> bool:
    """Whether all numbers are zeros and ones."""
    return bool(((x == 0) | (x == 1)).all())


def binarized(x: Tensor, how: str, seed: int) -> Tensor:
    """Events in [0, 1] as zeros and ones, by "threshold" or "sample"; or "dequantize"d.

    Raises:
        ValueError: If they are to be dequantized, and are no levels of 8 bits.
    """
    if how == "threshold":
        return (x > 0.5).float()
    uniform = torch.rand(x.shape, generator=generator("binarize", seed))
    return dequantized(x, uniform) if how == "dequantize" else (uniform < x).float()


def dequantized(x: Tensor, uniform: Tensor) -> Tensor:
    """Grey levels k / 255 as (k + u) / 256, given u; what `data.binarize: dequantized` does.

    Raises:
        ValueError: If some number is no such level.
    """
    levels = (x * 255).round()
    if ((x * 255 - levels).abs() > 1e-3).any():
        raise ValueError(
            "--binarize dequantize takes grey levels of 8 bits, and some of these numbers lie "
            "between two: leave it out if they are dequantized already"
        )
    return (levels + uniform) / 256
