"""Events as one picture."""

from collections.abc import Sequence

from torch import Tensor
from torchvision.utils import make_grid


def is_image(shape: Sequence[int]) -> bool:
    """Whether events of a shape can be drawn: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in (1, 3)


def as_grid(images: Tensor, columns: int) -> Tensor:
    """Images (n, 1 or 3, H, W) uint8 side by side on grey, (3, height, width) uint8."""
    return make_grid(images, nrow=columns, pad_value=128)
