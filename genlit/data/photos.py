"""Photos of any size, and their small versions: what super-resolution learns and is tested on."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import ImageOps
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from genlit.data.folder import SPLIT_SEED, is_picture
from genlit.data.idx import DataError
from genlit.data.pictures import open_picture
from genlit.data.resizing import cut_to_multiple, shrunk
from genlit.progress import track
from genlit.randomness import derive_seed

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


def dealt(folder: Path, held_out: int | None, tested: bool) -> dict[str, list[Path]]:
    """The pictures in a folder, and in those in it, for train, val and test.

    A file's name says which it is for, so that most stay where they are when others come.

    Args:
        folder: The folder.
        held_out: How many are for validation; None takes a tenth, and at least one.
        tested: Whether as many are for the test.

    Raises:
        DataError: If there is no such folder, or none are left to train on.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: set data.data_dir to one of photos")
    found = {p.relative_to(folder): p for p in folder.rglob("*") if is_picture(p)}
    n = max(len(found) // 10, 1) if held_out is None else held_out
    m = n if tested else 0
    if len(found) < 2 + tested:
        least = "train on, to validate and to test with" if tested else "train on and to validate"
        raise DataError(
            f"{folder} holds {len(found) or 'no'} PNG or JPEG pictures, and it takes {2 + tested} "
            f"to {least}: set data.data_dir to a folder of photos"
        )
    if not 0 < n + m < len(found):
        raise DataError(
            f"{folder} holds {len(found)} PNG and JPEG pictures, of which {n} would be for "
            f"validation and {m} for the test: set data.held_out so that some of each are left"
        )
    names = sorted(found, key=lambda name: derive_seed("split", SPLIT_SEED, name.as_posix()))
    parts = {"val": names[:n], "test": names[n : n + m], "train": names[n + m :]}
    return {split: [found[name] for name in chosen] for split, chosen in parts.items()}


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
