"""The IDX files in which MNIST and its relatives are kept, plain or compressed."""

import gzip
import lzma
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

IMAGES, LABELS = 0x00000803, 0x00000801  # unsigned bytes in three dimensions, and in one


class DataError(ValueError):
    """A data file that is missing, or is not what it should be."""


def read_bytes(path: Path) -> bytes:
    """Returns what a plain, .gz or .xz file holds.

    Raises:
        DataError: If the file is missing, truncated or corrupt.
    """
    opened = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    try:
        with opened(path, "rb") as file:
            return file.read()  # pyright: ignore[reportReturnType]
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error or 'it ends too early'}") from None


def parse(raw: bytes, magic: int, path: Path) -> Tensor:
    """Returns the array of an IDX file as uint8: images (N, rows, columns) or labels (N,).

    Raises:
        DataError: If the bytes are not an IDX file of this kind, or too few or too many.
    """
    dims = magic & 0xFF
    header = 4 + 4 * dims
    if len(raw) < header or int.from_bytes(raw[:4], "big") != magic:
        kind = "images" if magic == IMAGES else "labels"
        raise DataError(f"{path} is not an IDX file of {kind}")
    shape = struct.unpack(f">{dims}I", raw[4:header])
    expected = torch.Size(shape).numel()
    if len(raw) - header != expected:
        raise DataError(
            f"{path} is truncated or corrupt: its header promises {expected:,} bytes, "
            f"{len(raw) - header:,} follow"
        )
    if expected == 0:
        raise DataError(f"{path} is empty: its header promises no bytes")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=header).view(shape)
