"""Photos of any size, and their small versions: what super-resolution learns and is tested on."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import ImageOps
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from genlit.data.idx import DataError
from genlit.data.pictures import is_picture, open_picture
from genlit.data.resizing import cut_to_multiple, shrunk
from genlit.progress import track

# What scikit-image and scikit-learn bring along in colour, dealt by hand; no scene is there twice.
PACKAGED = {
    "train": (
        "coffee", "hubble_deep_field", "immunohistochemistry", "retina", "stereo_motorcycle",
        "china.jpg", "flower.jpg",
    ),
    "val": ("rocket",),
    "test": ("astronaut", "chelsea"),
}  # fmt: skip
PACKAGED_SOURCE = "photos of scikit-image and scikit-learn"


class Photo(NamedTuple):
    """A photo and the small version that it is to be made from."""

    name: str
    high: Tensor  # (3, scale * h, scale * w) uint8
    low: Tensor  # (3, h, w) uint8


def photo_of(name: str, pixels: Tensor, scale: int) -> Photo:
    """A photo (3, H, W) uint8, cut so that the scale divides its sides, and its small version.

    Raises:
        DataError: If it is smaller than the scale.
    """
    high = cut_to_multiple(pixels, scale).contiguous()
    if 0 in high.shape:
        raise DataError(f"{name} has {pixels.shape[1]} x {pixels.shape[2]} pixels: too few")
    return Photo(name, high, shrunk(high, scale))


def read_pixels(path: Path) -> Tensor:
    """The picture in a file, upright and in colour, (3, H, W) uint8.

    Raises:
        DataError: If it cannot be read.
    """
    return pil_to_tensor(ImageOps.exif_transpose(open_picture(path, 3)))


def packaged(split: str, scale: int) -> list[Photo]:
    """The photos of scikit-image and scikit-learn that are for train, val or test."""
    return [photo_of(name, packaged_pixels(name), scale) for name in PACKAGED[split]]


def packaged_pixels(name: str) -> Tensor:
    """One of them, (3, H, W) uint8."""
    import skimage.data
    from sklearn.datasets import load_sample_image

    found = load_sample_image(name) if name.endswith(".jpg") else getattr(skimage.data, name)()
    left = found[0] if isinstance(found, tuple) else found  # of what two cameras saw
    return torch.from_numpy(left.copy()).permute(2, 0, 1)


def read_photos(files: Sequence[Path], scale: int, label: str) -> list[Photo]:
    """The photos in files.

    Raises:
        DataError: If one cannot be read.
    """
    return [photo_of(p.stem, read_pixels(p), scale) for p in track(files, label)]


def read_test_set(folder: Path, scale: int) -> list[Photo]:
    """A test set of super-resolution, in the order of its names.

    Pictures called ..._HR and ..._LR come in pairs, as in img_001_SRF_4_HR.png, and small versions
    are taken as they are; where there are no such names, every picture is made smaller here.

    Raises:
        DataError: If there is no such set, or it is of another scale.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: data.sets_dir is to hold it")
    files = sorted(p for p in folder.iterdir() if is_picture(p))
    if not files:
        raise DataError(f"{folder} holds no PNG and JPEG pictures")
    high = [p for p in files if p.stem.endswith("_HR")]
    if not high:
        return read_photos(files, scale, folder.name)
    return [read_pair(p, scale) for p in track(high, folder.name)]


def read_pair(path: Path, scale: int) -> Photo:
    """A photo called ..._HR, and the one called ..._LR beside it.

    Raises:
        DataError: If that is missing, or not of such a size.
    """
    small = path.with_name(f"{path.stem.removesuffix('_HR')}_LR{path.suffix}")
    if not small.is_file():
        raise DataError(f"{small} is missing: {path.name} is to have a small version beside it")
    high, low = read_pixels(path), read_pixels(small)
    if tuple(high.shape[1:]) != tuple(side * scale for side in low.shape[1:]):
        raise DataError(
            f"{path} has {high.shape[1]} x {high.shape[2]} pixels and {small.name} has "
            f"{low.shape[1]} x {low.shape[2]}, which is not {scale} times less"
        )
    return Photo(path.stem.removesuffix("_HR"), high, low)
