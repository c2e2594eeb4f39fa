"""Events and weights as one picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def of_figure(figure: "Figure") -> Tensor:
    """What matplotlib draws, (3, height, width) uint8."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.array(canvas.buffer_rgba())
    return torch.from_numpy(pixels)[:, :, :3].permute(2, 0, 1).contiguous()
