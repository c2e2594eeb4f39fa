"""One picture in a file."""

from pathlib import Path

from PIL import Image

from genlit.data.idx import DataError

PICTURES = (".png", ".jpg", ".jpeg")
EIGHT_BITS = ("1", "L", "LA", "P", "RGB", "RGBA")  # Pillow's modes


def is_picture(path: Path) -> bool:
    """Whether a path is a PNG or a JPEG by its name; hidden files are not."""
    return path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()


def open_picture(path: Path, channels: int | None) -> Image.Image:
    """A picture in grey or colour, for 1 or 3 channels of 8 bits; None keeps it as it is.

    Raises:
        DataError: If it cannot be read, or has more bits a channel.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if image.mode not in EIGHT_BITS:
        raise DataError(f"{path} is of mode {image.mode}: make it one of 8 bits a channel")
    if channels is None:
        return image
    return image.convert("L" if channels == 1 else "RGB")
