"""Damage that models learn to undo. It is drawn from torch's global generator, as training does."""

import math
import re
from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as nnf
from torch import Tensor

WIDTH = 3  # standard deviations of a blur, at which its kernel ends


class Corruption(ABC):
    """A law C(x̃ | x) of spoilt events given clean ones. A base class, since the config chooses."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Draws one spoilt event for each event, (B, *shape) to (B, *shape)."""

    @property
    def name(self) -> str:
        """What it is called with all its settings, as in salt_and_pepper_0.3."""
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()
        return "_".join([kind, *map(str, vars(self).values())])


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


class Flips(Corruption):
    """Each entry x becomes 1 - x with probability p.

    Args:
        p: The share of entries that are flipped.
    """

    def __init__(self, p: float = 0.1) -> None:
        self.p = refuse_no_share("p", p)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(torch.rand_like(x) < self.p, 1 - x, x) if self.p else x


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


class Occlusion(Corruption):
    """Part of each image is covered at a place drawn at random, in all channels alike.

    Args:
        size: The share of the height and of the width that a box has; of lines, the share of
            rows and columns that are covered, each with this probability.
        form: box, or lines: whole rows and columns, as of a dead sensor or scratched film.
        value: What covers it, in the units of pixels.
    """

    def __init__(
        self, size: float = 0.4, form: Literal["box", "lines"] = "box", value: float = 0.0
    ) -> None:
        if form not in ("box", "lines"):
            raise ValueError(f"form is {form}: an occlusion is a box or lines")
        self.form: Literal["box", "lines"] = form
        self.size, self.value = refuse_no_share("size", size), value

    def __call__(self, x: Tensor) -> Tensor:
        refuse_no_image(self, x)
        covers = self._box if self.form == "box" else self._lines
        down, across = (covers(len(x), side, x.device) for side in x.shape[-2:])
        down, across = down[:, None, :, None], across[:, None, None, :]
        covered = down & across if self.form == "box" else down | across
        return x.masked_fill(covered, self.value)

    def _box(self, n: int, side: int, device: torch.device) -> Tensor:
        """Where a box covers a side, (n, side): as many pixels in each, wherever there is room."""
        length = round(self.size * side)
        first = torch.randint(side - length + 1, (n, 1), device=device)
        place = torch.arange(side, device=device)
        return (place >= first) & (place < first + length)

    def _lines(self, n: int, side: int, device: torch.device) -> Tensor:
        return torch.rand(n, side, device=device) < self.size


class Blur(Corruption):
    """Each image is smoothed by a Gaussian, as if it were out of focus.

    Pixels beyond the edge count as the nearest one in the image.

    Args:
        std: The standard deviation of the Gaussian, in pixels.
    """

    def __init__(self, std: float = 1.0) -> None:
        if std < 0:
            raise ValueError(f"std is {std}: a standard deviation is 0 or more")
        self.std = std

    def __call__(self, x: Tensor) -> Tensor:
        refuse_no_image(self, x)
        if not self.std:
            return x
        reach = math.ceil(WIDTH * self.std)
        place = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
        kernel = (-0.5 * (place / self.std) ** 2).softmax(0)
        padded = nnf.pad(x, (reach,) * 4, mode="replicate").flatten(0, 1)[:, None]
        down = nnf.conv2d(padded, kernel[None, None, :, None])
        return nnf.conv2d(down, kernel[None, None, None, :]).view_as(x)


def refuse_no_share(name: str, p: float) -> float:
    """A probability, if it is one.

    Raises:
        ValueError: If not.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"{name} is {p}: a probability is from 0 to 1")
    return p


def refuse_no_image(corruption: Corruption, x: Tensor) -> None:
    """Makes sure that events are images.

    Raises:
        ValueError: If not.
    """
    if x.dim() != 4:
        raise ValueError(
            f"{type(corruption).__name__} spoils images (channels, height, width), not events of "
            f"shape {tuple(x.shape[1:])}: take GaussianNoise or Masking"
        )
