"""Laws of the visible units of a restricted Boltzmann machine, given the hidden ones.

A law is an exponential family. Each unit is told a number, its position: the bias b plus what comes
from the hidden units, W h. What the position means is the law's affair: log-odds of binary units,
logits of categories, means of Gaussian units. The joint energy is

    E(v, h) = bias_energy(b, v) - h·c - inputs(v)·W h
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

SMOOTHING = 1e-4  # keeps the log-odds of pixels that never change finite


def draw(logits: Tensor) -> Tensor:
    """Independent binary units, each 1 with the given log-odds; of the shape of `logits`."""
    return torch.rand_like(logits).lt_(logits.sigmoid())  # 3 times as fast as torch.bernoulli


def draw_(logits: Tensor, noise: Tensor) -> Tensor:
    """The same in place of the log-odds, with a buffer of their shape; chains need no others."""
    return torch.lt(noise.uniform_(), logits.sigmoid_(), out=logits)


class Units(nn.Module, ABC):
    """A law of visible units. A base class, since the config chooses among them.

    Args:
        pixels: The number of entries of an event.
    """

    binary: ClassVar[bool] = False  # True for events of zeros and ones
    linear: ClassVar[bool] = True  # True where inputs(v) = v and bias_energy = -v·b

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    @property
    def size(self) -> int:
        """The number of units."""
        return self.pixels

    def fit(self, mean: Tensor, std: Tensor) -> Tensor:
        """Takes means and deviations of the training pixels; returns biases to set out from."""
        return torch.logit((mean + SMOOTHING) / (1 + 2 * SMOOTHING))

    def states(self, x: Tensor) -> Tensor:
        """The states of the units (B, size) that stand for events (B, pixels)."""
        return x

    def events(self, v: Tensor) -> Tensor:
        """The events (B, pixels) that states or their means (B, size) stand for."""
        return v

    def inputs(self, v: Tensor) -> Tensor:
        """What the hidden units see of states (B, size)."""
        return v

    def bias_energy(self, bias: Tensor, v: Tensor) -> Tensor:
        """The part of E(v, h) that does not depend on h, in nats; (B,)."""
        return -(v @ bias)

    def change(self, v: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """What -bias_energy gains if the biases change, without the loss of a difference; (B,)."""
        return v @ (after - before)

    def weights(self, W: Tensor) -> Tensor:
        """The weights of hidden units (H, size), one for each entry of an event: (H, pixels)."""
        return W

    @abstractmethod
    def draw(self, position: Tensor) -> Tensor:
        """Draws states (B, size) from p(v | h)."""

    def draw_(self, position: Tensor, noise: Tensor) -> Tensor:
        """The same, in place of the positions where the law allows it, with a buffer like them."""
        return self.draw(position)

    @abstractmethod
    def mean(self, position: Tensor) -> Tensor:
        """The expected states given h, (B, size)."""

    @abstractmethod
    def log_norm(self, bias: Tensor, position: Tensor) -> Tensor:
        """Log of the sum over v of exp(inputs(v)·W h - bias_energy(b, v)), in nats; (B,)."""

    @abstractmethod
    def log_prob(self, position: Tensor, v: Tensor) -> Tensor:
        """Log p(v | h) in nats of states, one by one or as a density; (B,)."""


class Binary(Units):
    """Units of zeros and ones.

    Args:
        pixels: The number of entries of an event.
    """

    binary = True

    def draw(self, position: Tensor) -> Tensor:
        return draw(position)

    def draw_(self, position: Tensor, noise: Tensor) -> Tensor:
        return draw_(position, noise)

    def mean(self, position: Tensor) -> Tensor:
        return position.sigmoid()

    def log_norm(self, bias: Tensor, position: Tensor) -> Tensor:
        return nnf.softplus(position).sum(-1)

    def log_prob(self, position: Tensor, v: Tensor) -> Tensor:
        return (v * position - nnf.softplus(position)).sum(-1)


class Categorical(Units):
    """Pixels of a few grey levels, evenly spaced from 0 to 1; no order among them is assumed.

    The states are one-hot: (B, pixels * levels), all levels of the first pixel first.

    Args:
        pixels: The number of entries of an event.
        levels: Grey levels; the data must have no others (data.binarize: levels).
    """

    def __init__(self, pixels: int, levels: int = 4) -> None:
        super().__init__(pixels)
        if levels < 2:
            raise ValueError(f"levels is {levels}: categorical units need at least 2")
        self.levels = levels

    @property
    def size(self) -> int:
        return self.pixels * self.levels

    def fit(self, mean: Tensor, std: Tensor) -> Tensor:
        """Binomial logits: the law over levels that has the right mean and the most spread."""
        odds = torch.logit((mean + SMOOTHING) / (1 + 2 * SMOOTHING))
        k = torch.arange(self.levels, device=mean.device)
        ways = torch.tensor([math.log(math.comb(self.levels - 1, int(i))) for i in k]).to(odds)
        return (odds[:, None] * k + ways).flatten()

    def states(self, x: Tensor) -> Tensor:
        """One-hot levels.

        Raises:
            ValueError: If an intensity is not one of the levels.
        """
        k = (x * (self.levels - 1)).round()
        if ((x * (self.levels - 1) - k).abs() > 1e-3).any():
            raise ValueError(
                f"Categorical units have the {self.levels} grey levels 0, 1/{self.levels - 1}, "
                f"..., 1, and this data has others: set data.binarize to levels and data.levels to "
                f"{self.levels}"
            )
        return nnf.one_hot(k.long(), self.levels).to(x).flatten(1)

    def events(self, v: Tensor) -> Tensor:
        return self._by_pixel(v) @ torch.linspace(0, 1, self.levels).to(v)

    def weights(self, W: Tensor) -> Tensor:
        """Those of the expected level."""
        return self._by_pixel(W) @ torch.linspace(-1, 1, self.levels).to(W)

    def draw(self, position: Tensor) -> Tensor:
        noise = -torch.rand_like(position).clamp_(min=1e-30).log_().neg_().log_()  # Gumbel
        level = self._by_pixel(position + noise).argmax(-1)
        return nnf.one_hot(level, self.levels).to(position).flatten(-2)

    def mean(self, position: Tensor) -> Tensor:
        return self._by_pixel(position).softmax(-1).flatten(-2)

    def log_norm(self, bias: Tensor, position: Tensor) -> Tensor:
        return self._by_pixel(position).logsumexp(-1).sum(-1)

    def log_prob(self, position: Tensor, v: Tensor) -> Tensor:
        return (v * self._by_pixel(position).log_softmax(-1).flatten(-2)).sum(-1)

    def _by_pixel(self, v: Tensor) -> Tensor:
        return v.unflatten(-1, (self.pixels, self.levels))


class Gaussian(Units):
    r"""Real pixels with a variance of their own each, which is learned.

    The states are the pixels z = (x - mean) / deviation of the training data, and

    .. math:: E(z, h) = \sum_i \frac{(z_i - b_i)^2}{2 s_i^2} - h \cdot c
        - \sum_{ij} \frac{z_i}{s_i^2} W_{ij} h_j

    so that p(z | h) is Gaussian with mean b + W h and variance s². Energies are those of densities
    of x. Samples are drawn with their noise.

    References:
        | Improved Learning of Gaussian-Bernoulli Restricted Boltzmann Machines (Cho, Ilin & Raiko,
          2011)

    Args:
        pixels: The number of entries of an event.
        smallest: The smallest standard deviation of a unit given h, in those of its pixel.
    """

    linear = False

    mean_of_data: Tensor  # (pixels,)
    std_of_data: Tensor  # (pixels,)

    def __init__(self, pixels: int, smallest: float = 0.1) -> None:
        super().__init__(pixels)
        self.smallest = smallest
        self.log_variance = nn.Parameter(torch.zeros(pixels))
        self.register_buffer("mean_of_data", torch.zeros(pixels))
        self.register_buffer("std_of_data", torch.ones(pixels))

    def fit(self, mean: Tensor, std: Tensor) -> Tensor:
        self.mean_of_data.copy_(mean)
        self.std_of_data.copy_(std.clamp(min=0.01))  # of pixels that never change
        return torch.zeros_like(mean)

    @property
    def variance(self) -> Tensor:
        """The variances s² of the units given h, (pixels,)."""
        return self.log_variance.clamp(2 * math.log(self.smallest), 2.0).exp()

    def states(self, x: Tensor) -> Tensor:
        return (x - self.mean_of_data) / self.std_of_data

    def events(self, v: Tensor) -> Tensor:
        return self.mean_of_data + self.std_of_data * v

    def inputs(self, v: Tensor) -> Tensor:
        return v / self.variance

    def bias_energy(self, bias: Tensor, v: Tensor) -> Tensor:
        return ((v - bias).square() / (2 * self.variance) + self.std_of_data.log()).sum(-1)

    def change(self, v: Tensor, before: Tensor, after: Tensor) -> Tensor:
        return ((2 * v - before - after) / (2 * self.variance)) @ (after - before)

    def draw(self, position: Tensor) -> Tensor:
        return position + self.variance.sqrt() * torch.randn_like(position)

    def mean(self, position: Tensor) -> Tensor:
        return position

    def log_norm(self, bias: Tensor, position: Tensor) -> Tensor:
        gained = (position.square() - bias.square()) / self.variance
        return 0.5 * (gained + (2 * math.pi * self.variance).log()).sum(-1)

    def log_prob(self, position: Tensor, v: Tensor) -> Tensor:
        away = (v - position).square() / self.variance + (2 * math.pi * self.variance).log()
        return -(0.5 * away + self.std_of_data.log()).sum(-1)


Law = Callable[[int], Units]  # builds the units from the number of entries of an event
