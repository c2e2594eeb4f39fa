"""Restoring photos of any size, whole or a tile at a time."""

import argparse
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from genlit.cli.asking import prepared
from genlit.cli.corruptions import spoilt
from genlit.cli.photos import OVERLAP, beside, photos_in, targets_of
from genlit.cli.place import Place
from genlit.corruptions import Corruption
from genlit.data.idx import DataError
from genlit.data.pictures import PICTURES, open_picture
from genlit.features import quantized
from genlit.randomness import isolated
from genlit.tasks.pixels import decibels
from genlit.tasks.tiling import tiled

SPOILT = "spoilt"  # what the names of spoilt photos end with


def odd_photos(path: Path | None, shape: tuple[int, ...]) -> list[Path]:
    """The photos that a path means, if it means any and one is of another size than events are."""
    pictures = path is not None and (path.is_dir() or path.suffix.lower() in PICTURES)
    if path is None or not pictures or len(shape) != 3 or shape[0] not in (1, 3):
        return []
    files = photos_in(path)
    return files if any(size_of(file) != shape[1:] for file in files) else []


def size_of(path: Path) -> tuple[int, int]:
    """The height and width of a photo.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return image.size[1], image.size[0]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read {path}: {error}") from None


def restore_photos(
    files: list[Path], options: argparse.Namespace, place: Place, model: Any, kind: Corruption
) -> tuple[Tensor, Tensor]:
    """Spoils photos and has a model restore each by itself; writes both.

    Args:
        files: The photos.
        options: What the user asked for.
        place: The run.
        model: The model.
        kind: What spoils them; one of strength 0 leaves them as they are.

    Returns:
        The PSNR in dB of spoilt and of restored photos, (n,) each.
    """
    targets = targets_of(files, options.file, options.out, "denoise", SPOILT)(place.folder)
    found = []
    for k, (file, target) in enumerate(zip(files[: options.n], targets, strict=False)):
        clean = prepared(opened(file, place.shape[0]), options, model)
        noisy = spoilt(clean, kind, options.seed, k)
        answer = restored(model, noisy, file, options, k)
        if not torch.equal(noisy, clean):
            print(written(noisy[0], beside(target, SPOILT)))
        print(written(answer[0], target))
        found.append([float(decibels((x - clean).square().mean())) for x in (noisy, answer)])
    before, after = torch.tensor(found, dtype=torch.float64).unbind(1)
    return before, after


def opened(file: Path, channels: int) -> Tensor:
    """An upright photo, (1, channels, height, width) uint8."""
    photo = ImageOps.exif_transpose(open_picture(file, None))
    return pil_to_tensor(photo.convert("L" if channels == 1 else "RGB"))[None]


def restored(model: Any, noisy: Tensor, file: Path, options: argparse.Namespace, k: int) -> Tensor:
    """What a model makes of a photo (1, C, H, W) in [0, 1], of the same shape.

    Raises:
        DataError: If its network takes one size only, and this is another.
    """

    def ask(x: Tensor) -> Tensor:
        return model.denoise(x.to(model.device)).float()

    tile = options.tile
    try:
        with torch.no_grad(), isolated("denoise", options.seed, k):
            answer = tiled(ask, noisy[0], 1, tile, tile // OVERLAP)[None].clamp(0, 1)
        if answer.shape == noisy.shape and torch.isfinite(answer).all():
            return answer
        problem = "and answers with something else"
    except (RuntimeError, ValueError) as error:
        problem = f"whose network takes no other ({str(error).splitlines()[0]})"
    (height, width), (rows, columns) = noisy.shape[2:], model.shape[1:]
    raise DataError(
        f"{file} has {height} x {width} pixels, and the model's images have {rows} x {columns}, "
        f"{problem}: scale it first, or train a convolutional Restorer"
    ) from None


def written(image: Tensor, path: Path) -> Path:
    """Writes an image (channels, height, width) in [0, 1] as a PNG that is new; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        to_pil_image(quantized(image)).save(file, format="PNG")
    return path
