"""Laws of grey levels: log-probabilities in nats, which over all levels sum to one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.likelihoods.observation import Observation

LEAST_LOG_SCALE = -7.0  # of logistics: below it all mass is in one of 256 levels anyway


class Categorical(Observation):
    """Grey levels, each with a log-odds of its own.

    Args:
        shape: The shape of one event.
        levels: The number of grey levels.
    """

    def __init__(self, shape: Sequence[int], levels: int = 256) -> None:
        super().__init__(shape)
        self.levels = self.numbers = refuse_few(levels)

    def terms(self, output: Tensor, x: Tensor) -> Tensor:
        log_p = torch.stack(self.parts(output)).log_softmax(0)
        level = (x * (self.numbers - 1)).round().long().expand(log_p.shape[1:])
        return log_p.gather(0, level[None])[0]

    def mean(self, output: Tensor) -> Tensor:
        p = torch.stack(self.parts(output), -1).softmax(-1)
        return p @ torch.linspace(0, 1, self.numbers, dtype=p.dtype, device=p.device)

    def sample(self, output: Tensor) -> Tensor:
        logits = torch.stack(self.parts(output), -1)
        noise = -torch.empty_like(logits).exponential_().log()  # Gumbel's: its maximum samples
        return (logits + noise).argmax(-1).to(logits) / (self.numbers - 1)


class LogisticMixture(Observation):
    """Grey levels under a mixture of logistic densities, each integrated over the level's bin.

    The bins of black and white reach to infinity, so that the probabilities of all levels sum to 1.

    References:
        | PixelCNN++ (Salimans, Karpathy, Chen & Kingma, 2017)
        | https://arxiv.org/abs/1701.05517

    Args:
        shape: The shape of one event.
        components: The number of logistics for each entry; channels are independent.
        levels: The number of grey levels.
    """

    def __init__(self, shape: Sequence[int], components: int = 5, levels: int = 256) -> None:
        super().__init__(shape)
        if components < 1:
            raise ValueError(f"components is {components}: a mixture takes 1 or more")
        self.components, self.levels = components, refuse_few(levels)
        self.numbers = 3 * components
        self.bin = 1 / (levels - 1)

    def terms(self, output: Tensor, x: Tensor) -> Tensor:
        log_weight, mean, log_scale = self._law(output)
        log_p = log_logistic_bin((x - mean) * (-log_scale).exp(), self.bin * (-log_scale).exp())
        below = nnf.logsigmoid((x + self.bin / 2 - mean) * (-log_scale).exp())
        above = nnf.logsigmoid((mean - x + self.bin / 2) * (-log_scale).exp())
        log_p = torch.where(x < self.bin / 2, below, log_p)
        log_p = torch.where(x > 1 - self.bin / 2, above, log_p)
        return torch.logsumexp(log_weight + log_p, 0)

    def mean(self, output: Tensor) -> Tensor:
        """The mean of the components' own means, clipped to [0, 1]."""
        log_weight, mean, _ = self._law(output)
        return (log_weight.exp() * mean.clamp(0, 1)).sum(0)

    def sample(self, output: Tensor) -> Tensor:
        log_weight, mean, log_scale = self._law(output)
        noise = -torch.empty_like(log_weight).exponential_().log()
        k = (log_weight + noise).argmax(0, keepdim=True)
        mean, log_scale = mean.gather(0, k)[0], log_scale.gather(0, k)[0]
        x = mean + log_scale.exp() * torch.rand_like(mean).logit(1e-6)
        return ((x / self.bin).round() * self.bin).clamp(0, 1)

    def _law(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, means and log-scales, each (components, *S, B, *shape)."""
        every = torch.stack(self.parts(output))
        logit, mean, log_scale = every.chunk(3)
        return logit.log_softmax(0), mean + 0.5, log_scale.clamp(min=LEAST_LOG_SCALE)


def log_logistic_bin(centre: Tensor, width: Tensor) -> Tensor:
    """Log-probability that a standard logistic falls within width / 2 of a centre, in nats.

    σ(a) - σ(b) = σ(a) σ(-b) (1 - exp(b - a)) loses no digits, however far out the bin is.
    """
    a, b = centre + width / 2, centre - width / 2
    return nnf.logsigmoid(a) + nnf.logsigmoid(-b) + (-torch.expm1(-width)).log()


def refuse_few(levels: int) -> int:
    """The number of grey levels, if there can be so many.

    Raises:
        ValueError: If not.
    """
    if not 2 <= levels <= 256:
        raise ValueError(f"levels is {levels}: grey levels are 2 to 256")
    return levels
