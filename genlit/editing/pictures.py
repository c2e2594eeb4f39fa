"""Images as files: PNG and GIF, as bytes and as what a page can hold."""

import base64
import io

import torch
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from genlit.editing.strokes import Painting
from genlit.features import quantized

LARGE = 256  # pixels: films of small images are enlarged to about this
QUICK, SLOW = 60, 600  # milliseconds that a frame of a film is seen, and that its ends are


def png(image: Tensor) -> bytes:
    """An image (C, H, W), uint8 or in [0, 1], as a PNG of its own size."""
    file = io.BytesIO()
    to_pil_image(quantized(image)).save(file, "PNG")
    return file.getvalue()


def film(images: Tensor) -> bytes:
    """Images (n, C, H, W) in [0, 1] as a GIF that goes there and back for ever, enlarged."""
    times = max(1, round(LARGE / max(images.shape[-2:])))
    large = quantized(images).repeat_interleave(times, -1).repeat_interleave(times, -2)
    frames = [to_pil_image(image) for image in large]
    frames = [frame if frame.mode == "L" else frame.quantize() for frame in frames]
    slow = (0, len(frames) - 1)
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    file = io.BytesIO()
    first, *others = [frames[k] for k in order]
    first.save(file, "GIF", save_all=True, append_images=others, loop=0,
               duration=[SLOW if k in slow else QUICK for k in order])  # fmt: skip
    return file.getvalue()


def picture_of(painting: Painting) -> Tensor:
    """What is painted as RGBA, transparent where nothing is; (4, H, W) uint8."""
    colour = painting.colour.expand(3, -1, -1) if len(painting.colour) == 1 else painting.colour
    return quantized(torch.cat([colour, painting.painted[None].float()]))


def uri(kind: str, data: bytes) -> str:
    """A file of a kind, as image/png, as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
