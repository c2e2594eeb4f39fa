"""Images made of late, among which a discriminator is shown some again."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Gives back images, half of them exchanged for earlier ones, (B, *shape) to (B, *shape).

    So a discriminator does not forget what the generator did some steps ago. Images are given back
    as they are until the pool is full. Checkpoints carry it.

    References:
        | Learning from Simulated and Unsupervised Images through Adversarial Training (Shrivastava
        | et al., 2017), https://arxiv.org/abs/1612.07828

    Args:
        shape: The shape of an image.
        size: How many are kept; 0 gives back all as they are.
    """

    images: Tensor
    kept: Tensor

    def __init__(self, shape: Sequence[int], size: int = 50) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("kept", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        if self.size == 0:
            return x
        shown = []
        for image in x:
            n = int(self.kept)
            if n < self.size:
                self.images[n] = image
                self.kept += 1
                shown.append(image)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                shown.append(self.images[place].clone().to(image))
                self.images[place] = image
            else:
                shown.append(image)
        return torch.stack(shown)
