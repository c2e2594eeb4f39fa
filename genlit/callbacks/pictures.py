"""Events and weights as one picture."""

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
GREY = 128  # of what is between the images


def is_image(shape: Sequence[int]) -> bool:
    """Whether events of a shape can be drawn: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in (1, 3)


def as_grid(images: Tensor, columns: int) -> Tensor:
    """Images (n, 1 or 3, H, W) uint8 side by side on grey, (3, height, width) uint8."""
    return make_grid(images, nrow=columns, pad_value=GREY)


def enlarged(images: Tensor) -> Tensor:
    """Small images (n, C, H, W) with every pixel repeated in both directions."""
    times = max(1, round(SMALL / max(images.shape[-2:])))
    return images.repeat_interleave(times, -1).repeat_interleave(times, -2)


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
    widened = torch.nn.functional.pad(picture, (0, width - picture.shape[2]), value=GREY)
    return torch.cat([widened, pil_to_tensor(line)], 1)


def side_by_side(columns: Mapping[str, Tensor]) -> Tensor:
    """Images of several kinds, each kind a column with its name above it.

    Args:
        columns: By name, as many images each, (n, 1 or 3, H, W) in [0, 1], of one size.

    Returns:
        The picture, (3, height, width) uint8.
    """
    every = torch.stack([*columns.values()], 1).flatten(0, 1).cpu()
    levels = (every.float().clamp(0, 1) * 255).round().byte()
    grid = as_grid(enlarged(levels), len(columns))
    width = (grid.shape[2] - 2) // len(columns)  # of a column; make_grid leaves 2 pixels around
    font = ImageFont.load_default(11)
    lines = [wrapped(name, font, width - 4) for name in columns]
    height = 13 * max(map(len, lines)) + 4
    heading = Image.new("RGB", (grid.shape[2], height), (255, 255, 255))
    pen = ImageDraw.Draw(heading)
    for k, words in enumerate(lines):
        pen.text((2 + k * width, height - 13 * len(words) - 3), "\n".join(words), (0, 0, 0), font,
                 spacing=1)  # fmt: skip
    return torch.cat([pil_to_tensor(heading), grid], 1)


def wrapped(text: str, font: Any, width: int) -> list[str]:
    """Text in lines of at most so many pixels, broken anywhere if need be."""
    lines, line = [], ""
    for letter in text:
        if line and font.getlength(line + letter) > width:
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
