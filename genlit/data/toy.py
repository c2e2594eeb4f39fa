"""Data small enough that every likelihood can be computed exactly."""

import torch
from torch import Tensor

from genlit.data.images import ImageData


def bars_and_stripes(side: int) -> Tensor:
    """All distinct images whose rows, or whose columns, are each constant: (2^(side+1)-2, 1, s, s).

    References:
        | Information Theory, Inference, and Learning Algorithms (MacKay, 2003), ch. 43
    """
    codes = ((torch.arange(2**side)[:, None] >> torch.arange(side)) & 1).float()
    bars = codes[:, :, None].expand(-1, side, side)
    return torch.cat([bars, bars.mT]).unique(dim=0).unsqueeze(1)


class BarsAndStripes(ImageData):
    """The bars-and-stripes images, each equally probable.

    Args:
        side: Pixels a side.
        repeats: How often an epoch shows each image.
        batch_size: Images a training batch, on each process.
    """

    def __init__(self, side: int = 4, repeats: int = 100, batch_size: int = 50) -> None:
        super().__init__(batch_size, binarize="threshold")
        self.shape = (1, side, side)
        self.repeats = repeats

    def read(self) -> dict[str, Tensor]:
        images = bars_and_stripes(self.shape[-1]).mul(255).byte()
        return {"train": images.repeat(self.repeats, 1, 1, 1), "val": images, "test": images}
