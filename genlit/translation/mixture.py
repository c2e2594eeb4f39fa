"""Mixtures of diagonal Gaussians: laws of B events of D numbers, of K components each; in nats."""

from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.likelihoods.normal import normal_terms


class GaussianMixture(NamedTuple):
    """The law of each of B events."""

    log_weight: Tensor  # (B, K), normalized
    mean: Tensor  # (B, K, D)
    log_std: Tensor  # (B, K, D)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of events (B, D), (B,)."""
        each = normal_terms(self.mean, self.log_std, x[:, None]).sum(-1)
        return (self.log_weight + each).logsumexp(1)

    def draw(self, temperature: float = 1.0) -> Tensor:
        """Draws one event of each law, (B, D): a component, and then from it.

        Args:
            temperature: How much of a component's noise is drawn, in standard deviations.
        """
        which = torch.multinomial(self.log_weight.exp(), 1)[:, :, None]
        index = which.expand(-1, 1, self.mean.shape[2])
        mean, log_std = (t.gather(1, index).squeeze(1) for t in (self.mean, self.log_std))
        return mean + temperature * log_std.exp() * torch.randn_like(mean)


def mixture(output: Tensor, components: int, least_log_std: float) -> GaussianMixture:
    """The mixture that a network's output (B, K (2 D + 1)) stands for, with widths above a floor.

    References:
        | Mixture Density Networks (Bishop, 1994), whose components are round
    """
    logits, rest = output[:, :components], output[:, components:]
    mean, raw = rest.unflatten(1, (components, -1)).chunk(2, -1)
    log_std = least_log_std + nnf.softplus(raw - least_log_std)
    return GaussianMixture(logits.log_softmax(1), mean, log_std)
