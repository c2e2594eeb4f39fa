"""Invertible transformations z = f(x) that know log |det ∂z/∂x|, and their composition.

All take a batch: x (B, *shape) to z (B, *other), where both shapes have D entries, and log-
determinants are (B,) nats, computed in the precision of x.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn


class Transformation(nn.Module, ABC):
    """An invertible function with a known Jacobian determinant."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns z = f(x) and log |det ∂z/∂x| of each event, (B,)."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """Returns the x of which z is the image."""

    @torch.no_grad()
    def settle(self, x: Tensor) -> Tensor:
        """Adapts what is to start at the scale of the data, given events of it; returns f(x)."""
        return self(x)[0]


class Composition(Transformation):
    """One transformation after another.

    Args:
        *parts: The transformations, the one of x first.
    """

    def __init__(self, *parts: Transformation) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for part in self.parts:
            x, log_det = part(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        for part in reversed(self.parts):
            assert isinstance(part, Transformation)
            z = part.inverse(z)
        return z

    def settle(self, x: Tensor) -> Tensor:
        for part in self.parts:
            assert isinstance(part, Transformation)
            x = part.settle(x)
        return x


class Logit(Transformation):
    """From [0, 1] to real numbers: log-odds of α + (1 - 2α) x, which are finite at 0 and 1.

    References:
        | Density Estimation Using Real NVP (Dinh, Sohl-Dickstein & Bengio, 2017), section 4.1
        | https://arxiv.org/abs/1605.08803

    Args:
        alpha: How far from 0 and 1 numbers are kept.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        super().__init__()
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha is {alpha}: it must be above 0 and below 1/2")
        self.alpha = alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        alpha, slope = self.alpha, 1 - 2 * self.alpha
        log_p, log_q = (alpha + slope * x).log(), (alpha + slope * (1 - x)).log()
        return log_p - log_q, (math.log(slope) - log_p - log_q).flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        return (z.sigmoid() - self.alpha) / (1 - 2 * self.alpha)


class Affine(Transformation):
    """A shift and a scale of every entry, (x + shift) exp(log_scale); the identity at first.

    Args:
        shape: The shape of one event.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(*shape))
        self.log_scale = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = (x + self.shift) * self.log_scale.exp()
        return z, self.log_scale.sum().to(x.dtype).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return z * (-self.log_scale).exp() - self.shift

    def settle(self, x: Tensor) -> Tensor:
        """Takes all entries together to mean 0 and deviation 1, unless it was adapted before.

        One scale for all: a pixel that is always black in these events need not be so in others.
        """
        if not (self.shift.any() or self.log_scale.any()):
            self.shift.data.fill_(-float(x.mean()))
            self.log_scale.data.fill_(-math.log(max(float(x.std()), 1e-6)))
        return super().settle(x)


class Reshape(Transformation):
    """The same numbers in another shape.

    Args:
        before: The shape of x.
        after: The shape of z.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        super().__init__()
        self.before, self.after = tuple(before), tuple(after)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.reshape(len(x), *self.after), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return z.reshape(len(z), *self.before)


class Squeeze(Transformation):
    """Every block of 2 x 2 pixels as one pixel of 4 times the channels."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return nnf.pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return nnf.pixel_shuffle(z, 2)


class FactorOut(Transformation):
    """Transforms the first half of the channels further, and leaves the others as they are.

    Args:
        shape: The shape of x; it has an even number of channels.
        inner: Transforms (channels / 2, height, width) to a vector.
    """

    def __init__(self, shape: Sequence[int], inner: Transformation) -> None:
        super().__init__()
        self.done = (shape[0] // 2, *shape[1:])
        self.inner = inner

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, done = x.chunk(2, 1)
        z, log_det = self.inner(kept)
        return torch.cat([z, done.flatten(1)], 1), log_det

    def inverse(self, z: Tensor) -> Tensor:
        inner, done = z.chunk(2, 1)
        return torch.cat([self.inner.inverse(inner), done.reshape(-1, *self.done)], 1)

    def settle(self, x: Tensor) -> Tensor:
        kept, done = x.chunk(2, 1)
        return torch.cat([self.inner.settle(kept), done.flatten(1)], 1)
