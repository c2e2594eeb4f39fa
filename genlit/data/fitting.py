"""Pictures and arrays cut and scaled to a size."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as nnf
from torch.nn.functional import one_hot
from torchvision.transforms.functional import pil_to_tensor

from genlit.data.idx import DataError
from genlit.data.pictures import open_picture

Found = Image.Image | Tensor  # a picture, or an array (channels, height, width) uint8


def opened(path: Path) -> Found:
    """The picture in a file, upright and as it is; or the array in a .npy file.

    Raises:
        DataError: If it cannot be read.
    """
    if path.suffix != ".npy":
        return ImageOps.exif_transpose(open_picture(path, None))
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if array.dtype != np.uint8 or array.ndim != 3:
        raise DataError(
            f"{path} holds {array.dtype} of shape {array.shape}: make it uint8 of shape "
            "(channels, height, width)"
        )
    return torch.from_numpy(array)


def halves(both: Found) -> tuple[Found, Found]:
    """The left and the right half."""
    if isinstance(both, Tensor):
        middle = both.shape[-1] // 2
        return both[..., :middle], both[..., -middle:]
    width, height = both.size
    return (
        both.crop((0, 0, width // 2, height)),
        both.crop((width - width // 2, 0, width, height)),
    )


def fitted(found: Found, shape: tuple[int, ...], path: Path) -> Tensor:
    """The middle of an image that has the right form, scaled to (*shape), bicubic; uint8.

    Args:
        found: The image.
        shape: Of 1 or 3 channels for pictures; arrays have to have as many as it says.
        path: Where it was found.

    Raises:
        DataError: If it has other channels.
    """
    channels, height, width = shape
    if isinstance(found, Tensor):
        if len(found) != channels:
            raise DataError(f"{path} has {len(found)} channels, and not {channels}")
        middle = middle_of(found, height, width).float()
        scaled = nnf.interpolate(middle[None], (height, width), mode="bicubic", antialias=True)
        return scaled[0].round().clamp(0, 255).byte()
    if channels not in (1, 3):
        raise DataError(f"{path} is a picture, of 1 or 3 channels and not {channels}: take .npy")
    return pil_to_tensor(ImageOps.fit(found.convert("L" if channels == 1 else "RGB"),
                                      (width, height)))  # fmt: skip


def fitted_classes(found: Found, shape: tuple[int, ...], path: Path) -> Tensor:
    """The same of a map of class numbers, each pixel the nearest: channels of 0 and 255; uint8.

    Raises:
        DataError: If it is no such map.
    """
    classes, height, width = shape
    if not isinstance(found, Tensor):
        if found.mode not in ("L", "P", "1"):
            raise DataError(
                f"{path} is of mode {found.mode}: a map of classes is grey or has a palette"
            )
        found = torch.from_numpy(np.array(found)).to(torch.uint8)[None]
    if len(found) != 1 or found.max() >= classes:
        raise DataError(
            f"{path} has {len(found)} channels and numbers up to {int(found.max())}: a map of "
            f"{classes} classes has one channel and numbers up to {classes - 1}"
        )
    middle = middle_of(found, height, width).float()
    nearest = nnf.interpolate(middle[None], (height, width), mode="nearest-exact")[0, 0]
    return one_hot(nearest.long(), classes).permute(2, 0, 1).byte() * 255


def middle_of(image: Tensor, height: int, width: int) -> Tensor:
    """The largest part in the middle of an image (C, H, W) with the form of a size."""
    h, w = image.shape[1:]
    scale = min(h / height, w / width)
    tall, wide = max(round(height * scale), 1), max(round(width * scale), 1)
    top, left = (h - tall) // 2, (w - wide) // 2
    return image[:, top : top + tall, left : left + wide]
