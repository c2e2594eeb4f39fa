"""Handwritten digits one upon the other, whose thousand modes can be counted."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genlit.data.images import Binarize, ImageData
from genlit.data.mnist import CLASSES, MNIST, SIDE
from genlit.randomness import generator

if TYPE_CHECKING:
    from genlit.features.modes import DigitModes

STACKING_SEED = 1_000  # of the one choice of stacks that all runs share


class StackedMNIST(ImageData):
    """Images whose channels are MNIST digits chosen at random: 1,000 modes for three of them.

    All runs share the same stacks, chosen with a fixed seed; those of validation and test are made
    of the digits held out for these. The literature has 128,000 for training, which take 301 MB;
    the 60,000 here take 141 MB, and more would show no digit that these do not. `modes` says which
    digits a stack shows, by the classifier of `genlit.features.LeNetMNIST`.

    References:
        | Unrolled Generative Adversarial Networks (Metz et al., 2017)
        | PacGAN: The Power of Two Samples in Generative Adversarial Networks (Lin et al., 2018)
        | https://arxiv.org/abs/1712.04086

    Args:
        digits: How many digits are stacked, 1 to 3: 10, 100 or 1,000 modes.
        n: Training stacks; a sixth of them more is for validation, and as many for the test.
        batch_size: Stacks a training batch, on each process.
        eval_batch_size: Stacks a batch of validation and test.
        binarize: How grey levels become events: none (grey levels), dequantized, dynamic, static,
            threshold or levels (four of them).
    """

    def __init__(
        self,
        digits: int = 3,
        n: int = 60_000,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        binarize: Binarize = "none",
    ) -> None:
        super().__init__(batch_size, eval_batch_size, binarize)
        if not 1 <= digits <= 3 or n < 6:
            raise ValueError(f"digits is {digits} and n {n}: digits is 1 to 3, n 6 or more")
        self.digits, self.n = digits, n
        self.shape = (digits, SIDE, SIDE)

    @property
    def modes(self) -> "DigitModes":
        """All combinations of digits."""
        from genlit.features import LeNetMNIST  # where asked for: it loads networks
        from genlit.features.modes import DigitModes

        return DigitModes(LeNetMNIST(), CLASSES, self.digits)

    def read(self) -> dict[str, Tensor]:
        sizes = {"train": self.n, "val": self.n // 6, "test": self.n // 6}
        images = MNIST(binarize="none").read()
        return {
            split: images[split][self.chosen(split, n, len(images[split])), 0]
            for split, n in sizes.items()
        }

    def chosen(self, split: str, n: int, images: int) -> Tensor:
        """The places of the digits of each stack among so many images, (n, digits)."""
        draws = generator("stacked", STACKING_SEED, split)
        return torch.randint(images, (n, self.digits), generator=draws)
