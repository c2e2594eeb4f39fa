"""The variational autoencoder of binary events, with a Gaussian posterior."""

import math
from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.chains import clamped
from genlit.likelihoods import bernoulli_log_prob
from genlit.model import GenerativeModel
from genlit.networks import MLP, Network
from genlit.protocols import (
    Batch,
    Bounded,
    Denoises,
    Encodes,
    Imputes,
    MarkovChain,
    Reconstructs,
    Samples,
)
from genlit.vae.gaussian import kl_to_standard, log_normal

CHUNK = 2**21  # numbers in one decoded chunk of the bound: few enough to stay in the cache


class VAE(GenerativeModel, Samples, Bounded, MarkovChain, Encodes, Reconstructs, Imputes, Denoises):
    """Variational autoencoder with Bernoulli pixels, trained on the evidence lower bound in nats.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014)
        | https://arxiv.org/abs/1312.6114

    Args:
        shape: The shape of one event.
        latent: The number of latent variables.
        encoder: Builds the network from events to the posterior's means and log-deviations.
        decoder: Builds the network from latent variables to the log-odds of pixels.
        impute_steps: Steps of the chain x -> z -> x that fill in missing entries.
        optimizer: Builds the optimizer from the parameters.
    """

    binary: bool = True

    def __init__(
        self,
        shape: Sequence[int],
        latent: int = 50,
        encoder: Network = MLP,
        decoder: Network = MLP,
        impute_steps: int = 100,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        self.latent = latent
        self.impute_steps = impute_steps
        self.encoder = encoder(self.shape, (2 * latent,))
        self.decoder = decoder((latent,), self.shape)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = batch["x"]
        mean, log_std = self.posterior(x)
        z = mean + log_std.exp() * torch.randn_like(mean)
        reconstruction = -bernoulli_log_prob(self.decoder(z), x).mean()
        kl = kl_to_standard(mean, log_std).mean()
        return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log standard deviations of q(z | x), both (B, latent)."""
        mean, log_std = self.encoder(x).chunk(2, dim=-1)
        return mean, log_std

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Log p(x | z) in nats of events (B, *shape) given z (S, B, latent); (S, B)."""
        logits = self.decoder(z.flatten(0, 1)).view(*z.shape[:2], *self.shape)
        return bernoulli_log_prob(logits, x)

    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        """The importance-weighted bound, in memory that does not grow with `samples`."""
        mean, log_std = self.posterior(x)
        total = torch.full((len(x),), -math.inf, device=x.device, dtype=torch.float64)
        chunk = max(1, CHUNK // max(x.numel(), 1))
        for done in range(0, samples, chunk):
            s = min(chunk, samples - done)
            z = mean + log_std.exp() * torch.randn(s, *mean.shape, device=mean.device)
            log_weights = self._log_weights(x, z, mean, log_std).double()
            total = torch.logaddexp(total, torch.logsumexp(log_weights, 0))
        return total - math.log(samples)

    def _log_weights(self, x: Tensor, z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        """Log p(x, z) - log q(z | x) of z (S, B, latent); (S, B)."""
        log_joint = self.log_likelihood(x, z) + log_normal(z, 0.0, 0.0)
        return log_joint - log_normal(z, mean, log_std)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels given z ~ N(0, 1): the grey levels customarily shown and judged."""
        return self.decode(torch.randn(n, self.latent, device=self.device))

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """X -> z ~ q(z | x) -> x' ~ p(x | z)."""
        mean, log_std = self.posterior(x)
        probability = self.decode(mean + log_std.exp() * torch.randn_like(mean))
        return (torch.rand_like(probability) < probability).to(x)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid()

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    denoise = reconstruct

    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Pseudo-Gibbs sampling: the chain x -> z -> x with observed entries held.

        References:
            | Stochastic Backpropagation and Approximate Inference (Rezende et al., 2014), app. F
        """
        return clamped(self.step, x, observed, self.impute_steps)
