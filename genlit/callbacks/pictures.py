"""Events and weights as one picture."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor
from torchvision.utils import make_grid

if TYPE_CHECKING:  # it is imported by those who draw with it
    from matplotlib.figure import Figure

SMALL = 64  # pixels: smaller images are enlarged to about this, as 4 x 4 pixels cannot be seen
RED, BLUE = (178, 24, 43), (33, 102, 172)  # for positive and negative weights; 0 is white
LARGE = 96  # pixels: the same of images with names above them, that these can be read
NAME = 12  # the size of the letters of these names
GAP_WIDTH = 6  # pixels between images of several kinds
GREY = 128  # of what is between the images
GAP = (0.7, 0.3, 0.3)  # of pixels that are not known: a muted red, that no grey image has


def is_image(shape: Sequence[int]) -> bool:
    """Whether events of a shape can be drawn: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in (1, 3)


def as_grid(images: Tensor, columns: int) -> Tensor:
    """Images (n, 1 or 3, H, W) uint8 side by side on grey, (3, height, width) uint8."""
    return make_grid(images, nrow=columns, pad_value=GREY)


def enlarged(images: Tensor, side: int = SMALL) -> Tensor:
    """Images (n, C, H, W) below about so many pixels a side with all of these repeated."""
    times = max(1, round(side / max(images.shape[-2:])))
    return images.repeat_interleave(times, -1).repeat_interleave(times, -2)


def gaps_marked(images: Tensor, known: Tensor) -> Tensor:
    """Images (n, 1 or 3, H, W) in [0, 1] in colour, with red where pixels are not known.

    Events that are no images have 0.5 there.
    """
    if not is_image(images.shape[1:]):
        return images.where(known, 0.5)
    return torch.where(known, images, torch.tensor(GAP).to(images)[:, None, None])


def signed(weights: Tensor, scale: float) -> Tensor:
    """Weights as images: from -scale in blue through 0 in white to scale in red.

    Args:
        weights: Weights seen as images, (n, 1 or 3, H, W). Three channels are drawn in colours of
            their own, with grey for 0.
        scale: The magnitude that has the full colour, as have those beyond it.

    Returns:
        (n, 3, H, W) uint8.
    """
    share = (weights / scale).clamp(-1, 1)
    if weights.shape[1] == 3:
        return share.add(1).mul(127.5).round().byte()
    ends = torch.tensor([RED, BLUE], device=weights.device)[:, :, None, None]
    end = torch.where(share > 0, *ends)
    return (255 + share.abs() * (end - 255)).round().byte()


def captioned(picture: Tensor, text: str) -> Tensor:
    """A picture (3, height, width) uint8 with a line of text below it, wide enough for both."""
    font = ImageFont.load_default(12)
    width = max(picture.shape[2], round(font.getlength(text)) + 8)
    line = Image.new("RGB", (width, 18), (255, 255, 255))
    ImageDraw.Draw(line).text((4, 2), text, (0, 0, 0), font)
    widened = torch.nn.functional.pad(picture, (0, width - picture.shape[2]), value=255)
    return torch.cat([widened, pil_to_tensor(line)], 1)


def side_by_side(columns: Mapping[str, Tensor]) -> Tensor:
    """Images of several kinds, each kind below its name.

    Args:
        columns: By name, as many images each, in [0, 1] and of one size: one column of them,
            (n, 1 or 3, H, W), or several, (n, k, 1 or 3, H, W).

    Returns:
        The picture, (3, height, width) uint8.
    """
    blocks = {name: block_of(x if x.dim() == 5 else x[:, None]) for name, x in columns.items()}
    font = ImageFont.load_default(NAME)
    lines = {name: wrapped(name, font, x.shape[2] - 4) for name, x in blocks.items()}
    height = (NAME + 3) * max(map(len, lines.values())) + 4
    parts = [
        part
        for name, block in blocks.items()
        for part in (torch.cat([heading(lines[name], block.shape[2], height), block], 1),
                     block.new_full((3, height + block.shape[1], GAP_WIDTH), 255))
    ]  # fmt: skip
    return torch.cat(parts[:-1], 2)


def strips(rows: Sequence[tuple[str, Tensor]]) -> Tensor:
    """Images in rows, each row below its name.

    Args:
        rows: A name, and as many images in each, (k, 1 or 3, H, W) in [0, 1], of one size.

    Returns:
        The picture, (3, height, width) uint8.
    """
    parts = []
    for name, images in rows:
        block = block_of(images[None])
        parts += [heading([name], block.shape[2], NAME + 7), block]
    return torch.cat(parts, 1)


def block_of(images: Tensor) -> Tensor:
    """Rows of images (n, k, 1 or 3, H, W) in [0, 1] as a picture, large enough for a name above."""
    levels = (images.flatten(0, 1).cpu().float().nan_to_num(0.5).clamp(0, 1) * 255).round().byte()
    return as_grid(enlarged(levels, LARGE), images.shape[1])


def heading(lines: Sequence[str], width: int, height: int) -> Tensor:
    """Lines of text on white, at the foot of (3, height, width) uint8."""
    paper = Image.new("RGB", (width, height), (255, 255, 255))
    top = height - (NAME + 3) * len(lines) - 3
    font = ImageFont.load_default(NAME)
    ImageDraw.Draw(paper).text((2, top), "\n".join(lines), (0, 0, 0), font, spacing=1)
    return pil_to_tensor(paper)


def wrapped(text: str, font: Any, width: int) -> list[str]:
    """Text in lines of at most so many pixels, broken between words, or within long ones."""
    lines, line = [], ""
    for word in re.findall(r"\S+\s*", text):
        if line and font.getlength(line + word.rstrip()) > width:
            lines.append(line.strip())
            line = ""
        for letter in word:
            if line and font.getlength((line + letter).rstrip()) > width:
                lines.append(line.strip())
                line = ""
            line += letter
    return [*lines, line.strip()]


def of_figure(figure: "Figure") -> Tensor:
    """What matplotlib draws, (3, height, width) uint8."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.array(canvas.buffer_rgba())
    return torch.from_numpy(pixels)[:, :, :3].permute(2, 0, 1).contiguous()
