"""Networks that learn to undo damage."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlit.corruptions import Corruption, GaussianNoise
from genlit.protocols import Batch, Denoises
from genlit.translation.translator import Translator


class Restorer(Translator, Denoises):
    """A network that makes of a spoilt event the clean one: the direct way to remove noise.

    Data come clean, and are spoilt anew at every visit.

    References:
        | Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising (Zhang et
        | al., 2017)
        | https://arxiv.org/abs/1608.03981

    Args:
        shape: The shape of one event.
        corruption: The damage that it learns to undo; None is Gaussian noise of standard
            deviation 0.1.
        **options: All that Translator takes, but for condition_shape.
    """

    def __init__(
        self,
        shape: Sequence[int],
        corruption: Corruption | None = None,
        **options: Any,
    ) -> None:
        super().__init__(shape, condition_shape=shape, **options)
        self.condition_shape = ()  # of what data must bring along: nothing
        self.corruption = corruption or GaussianNoise(0.1)

    def condition_of(self, batch: Batch) -> Tensor:
        """The events of a batch, spoilt."""
        return self.corruption(batch["x"])

    @torch.no_grad()
    def denoise(self, x: Tensor) -> Tensor:
        """Returns the expected clean event in [0, 1], with shape (B, *shape)."""
        return self.sample_given(x)
