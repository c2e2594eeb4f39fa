"""GANs of events of known classes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlit.gan.conditions import Classes
from genlit.gan.gan import GAN
from genlit.protocols import Conditional


class ConditionalGAN(GAN, Conditional):
    """Conditional generative adversarial network: the generator is told a class.

    How the discriminator comes to know it is an argument of `condition`: by concatenation
    (Mirza & Osindero, 2014), by projection (Miyato & Koyama, 2018), or as an auxiliary classifier
    that has to tell it (AC-GAN; Odena et al., 2017). Data give classes where data.labels is true.

    Args:
        shape: The shape of one event.
        condition: The classes.
        **options: All that GAN takes.
    """

    def __init__(
        self,
        shape: Sequence[int],
        condition: Classes = Classes(),  # noqa: B008 - it has no state
        **options: Any,
    ) -> None:
        super().__init__(shape, condition=condition, **options)

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Draws one event of each class (B, classes), one-hot; (B, *shape)."""
        z = self._noise(len(condition))
        return self.decode(torch.cat([z, condition.to(z)], 1))
