"""Noise that models learn to undo. It is drawn from torch's global generator, as training does."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Corruption(ABC):
    """A law C(x̃ | x) of spoilt events given clean ones. A base class, since the config chooses."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Draws one spoilt event for each event, (B, *shape) to (B, *shape)."""


class SaltAndPepper(Corruption):
    """Each entry is kept with probability 1 - p, and else becomes 0 or 1 by a fair coin.

    Args:
        p: The share of entries that are replaced; zeros and ones are flipped at half this rate.
    """

    def __init__(self, p: float = 0.4) -> None:
        self.p = refuse_no_share("p", p)

    def __call__(self, x: Tensor) -> Tensor:
        if not self.p:
            return x
        u = torch.rand_like(x)
        return x.masked_fill(u < self.p, 1.0).masked_fill_(u < self.p / 2, 0.0)


class Masking(Corruption):
    """Each entry becomes 0 with probability p.

    References:
        | Extracting and Composing Robust Features with Denoising Autoencoders (Vincent et al.,
          2008)

    Args:
        p: The share of entries that become 0.
    """

    def __init__(self, p: float = 0.25) -> None:
        self.p = refuse_no_share("p", p)

    def __call__(self, x: Tensor) -> Tensor:
        return x.masked_fill(torch.rand_like(x) < self.p, 0.0) if self.p else x


class GaussianNoise(Corruption):
    """Each entry gets Gaussian noise, and may leave [0, 1].

    Args:
        std: The standard deviation, in the units of pixels.
    """

    def __init__(self, std: float = 0.3) -> None:
        if std < 0:
            raise ValueError(f"std is {std}: a standard deviation is 0 or more")
        self.std = std

    def __call__(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.std else x


def refuse_no_share(name: str, p: float) -> float:
    """A probability, if it is one.

    Raises:
        ValueError: If not.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"{name} is {p}: a probability is from 0 to 1")
    return p
