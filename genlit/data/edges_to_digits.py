"""Digits, to be made from their edges."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as nnf

from genlit.data.mnist import MNIST, SIDE
from genlit.data.pairs import Pair, Pairs

SHARPEST = 4.0  # the largest gradient that Sobel's filters find along one axis of [0, 1]


class EdgesToDigits(Pairs):
    """MNIST's digits, each made from its edges: a translation that is learned in seconds.

    An edge is where the gradient that Sobel's filters find is above a threshold. What is inside an
    edge and what outside, it does not say.

    References:
        | A 3 x 3 Isotropic Gradient Operator for Image Processing (Sobel & Feldman, 1968)

    Args:
        data_dir: A folder with IDX files of your own (Fashion-MNIST, KMNIST, EMNIST), plain, .gz
            or .xz; None takes the MNIST that genlit brings along.
        threshold: The gradient above which there is an edge, as a share of the largest possible.
        swap: Whether edges are made from digits instead.
        batch_size: Pairs a training batch, on each process.
        eval_batch_size: Pairs a batch of validation and test.

    Raises:
        ValueError: If the threshold is no share.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        threshold: float = 0.5,
        swap: bool = False,
        batch_size: int = 32,
        eval_batch_size: int = 500,
    ) -> None:
        super().__init__(batch_size, eval_batch_size)
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}: a share of the largest gradient, as 0.5")
        self.data_dir, self.threshold, self.swap = data_dir, threshold, swap
        self.shape = self.condition_shape = (1, SIDE, SIDE)
        self.source = "MNIST" if data_dir is None else str(data_dir)

    @property
    def protocol(self) -> str:
        return f"{super().protocol}_edges{self.threshold:g}{'_swapped' if self.swap else ''}"

    def read_pairs(self) -> dict[str, Pair]:
        digits = MNIST(self.data_dir).read()
        pairs = {split: (edges(images, self.threshold), images) for split, images in digits.items()}
        return {split: (b, a) if self.swap else (a, b) for split, (a, b) in pairs.items()}


def edges(images: Tensor, threshold: float) -> Tensor:
    """Where the gradient of images (N, 1, H, W) uint8 is large: 255 there, 0 elsewhere; uint8."""
    found = [gradients(part) > 255 * threshold * SHARPEST for part in images.split(5000)]
    return torch.cat(found).byte() * 255


def gradients(images: Tensor) -> Tensor:
    """The length of the gradient by Sobel's filters at each pixel, edges repeated; (N, 1, H, W)."""
    x = nnf.pad(images.float(), (1, 1, 1, 1), mode="replicate")
    rows = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]
    columns = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    right = rows[..., 2:] - rows[..., :-2]
    down = columns[..., 2:, :] - columns[..., :-2, :]
    return torch.hypot(right, down)
