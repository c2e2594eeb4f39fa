"""Laws of real numbers: log-densities in nats."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from genlit.likelihoods.observation import Observation


class Normal(Observation):
    """Real numbers with a Gaussian density each, whose mean and width the network puts out.

    The width has a floor: without one the density of a pixel that never changes grows for ever.

    Args:
        shape: The shape of one event.
        least_std: The least standard deviation, in the units of pixels.
    """

    numbers = 2

    def __init__(self, shape: Sequence[int], least_std: float = 0.01) -> None:
        super().__init__(shape)
        if least_std <= 0:
            raise ValueError(f"least_std is {least_std}: it must be above 0")
        self.least = math.log(least_std)

    def terms(self, output: Tensor, x: Tensor) -> Tensor:
        mean, log_std = self._law(output)
        return normal_terms(mean, log_std, x)

    def mean(self, output: Tensor) -> Tensor:
        return self._law(output)[0].clamp(0, 1)

    def sample(self, output: Tensor) -> Tensor:
        mean, log_std = self._law(output)
        return mean + log_std.exp() * torch.randn_like(mean)

    def _law(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log standard deviations of entries."""
        mean, raw = self.parts(output)
        return mean, self.least + nnf.softplus(raw - self.least)


class SharedNormal(Observation):
    """Real numbers with a Gaussian density each, of one width that is learned, or given.

    References:
        | Simple and Effective VAE Training with Calibrated Decoders (Rybkin et al., 2021)
        | https://arxiv.org/abs/2006.13202

    Args:
        shape: The shape of one event.
        std: The standard deviation to start at, in the units of pixels.
        learned: Whether it is learned.
    """

    def __init__(self, shape: Sequence[int], std: float = 0.1, learned: bool = True) -> None:
        super().__init__(shape)
        if std <= 0:
            raise ValueError(f"std is {std}: it must be above 0")
        log_std = torch.tensor(math.log(std))
        self.log_std: Tensor
        if learned:
            self.log_std = nn.Parameter(log_std)
        else:
            self.register_buffer("log_std", log_std)

    def terms(self, output: Tensor, x: Tensor) -> Tensor:
        return normal_terms(output, self.log_std, x)

    def mean(self, output: Tensor) -> Tensor:
        return output.clamp(0, 1)

    def sample(self, output: Tensor) -> Tensor:
        return output + self.log_std.exp() * torch.randn_like(output)


def normal_terms(mean: Tensor, log_std: Tensor, x: Tensor) -> Tensor:
    """Log-density of each entry under a Gaussian; arguments broadcast."""
    scaled = (x - mean) * (-log_std).exp()
    return -0.5 * scaled**2 - log_std - 0.5 * math.log(2 * math.pi)
