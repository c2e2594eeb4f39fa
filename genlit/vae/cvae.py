"""A VAE of events given conditions of any form: images given images, numbers given numbers."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.likelihoods import Law as Likelihood
from genlit.likelihoods import SharedNormal
from genlit.model import GenerativeModel
from genlit.networks import MLP, Network
from genlit.protocols import Batch, Conditional
from genlit.vae.gaussian import log_normal
from genlit.vae.objectives import ELBO, Bound, Terms, importance_bound
from genlit.vae.posteriors import DiagonalGaussian, Law, Posterior, require_latent
from genlit.vae.vae import chunk_of


class CVAE(GenerativeModel, Conditional):
    """Conditional variational autoencoder: p(x | c) = ∫ p(x | z, c) p(z | c) dz.

    A condition has many answers, one for each z. Conditions are what `genlit.protocols.Batch` has
    under that name; where they are classes, ConditionalVAE can be asked for more.

    Encoder and decoder are each given two things as one: as channels of one image where `maps` says
    so, and else as one vector after the other.

    References:
        | Learning Structured Output Representation using Deep Conditional Generative Models
        | (Sohn, Lee & Yan, 2015)

    Args:
        shape: The shape of one event.
        condition_shape: The shape of what it is made from.
        latent: The number of latent variables.
        encoder: Builds the network from an event and its condition to the numbers of q(z | x, c).
        decoder: Builds the network from a code and a condition to the numbers of p(x | z, c).
        likelihood: The law of entries given these.
        posterior: The family of q(z | x, c): DiagonalGaussian or IAF.
        prior: Builds the network from a condition to mean and log standard deviation of p(z | c);
            null has N(0, 1) for all conditions.
        objective: What is raised: ELBO or IWAE.
        maps: Whether codes become channels, constant over the image, beside those of the condition,
            as U-Nets want; event and condition must be images of the same size.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        condition_shape: Sequence[int],
        latent: int = 8,
        encoder: Network = MLP,
        decoder: Network = MLP,
        likelihood: Likelihood = SharedNormal,
        posterior: Callable[[int], Posterior] = DiagonalGaussian,
        prior: Network | None = None,
        objective: Callable[[], Bound] = ELBO,
        maps: bool = False,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        require_latent(latent)
        self.condition_shape, self.lr_decay = tuple(condition_shape), lr_decay
        self.latent, self.maps = latent, maps
        if maps and (len(self.shape) != 3 or self.shape[1:] != self.condition_shape[1:]):
            raise ValueError(
                f"model.maps needs events and conditions that are images of the same size, not "
                f"{self.shape} and {self.condition_shape}: set it to false"
            )
        self.observation, self.posterior = likelihood(self.shape), posterior(latent)
        self.binary = self.observation.levels == 2
        self.encoder = encoder(self._both(self.shape), self.posterior.outputs)
        self.decoder = decoder(self._both((latent, *self.shape[1:]) if maps else (latent,)),
                               self.observation.outputs)  # fmt: skip
        self.prior = prior(self.condition_shape, (2 * latent,)) if prior else None
        self.objective = objective()

    def on_fit_start(self) -> None:
        """Refuses data that the law of entries is not made for."""
        super().on_fit_start()
        data: Any = getattr(self.trainer, "datamodule", None)
        self.observation.check(getattr(data, "protocol", ""))

    def _both(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of something of this shape joined with the condition."""
        given = self.condition_shape
        return (shape[0] + given[0], *shape[1:]) if self.maps else (
            math.prod(shape) + math.prod(given),)  # fmt: skip

    def joined(self, what: Tensor, condition: Tensor) -> Tensor:
        """Events (B, *shape) or codes (B, latent) with conditions, as the networks are given it."""
        if not self.maps:
            return torch.cat([what.flatten(1), condition.flatten(1)], 1)
        if what.dim() == 2:
            what = what[:, :, None, None].expand(-1, -1, *self.shape[1:])
        return torch.cat([what, condition], 1)

    # Learning

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        assert "condition" in batch, "batches have no condition: take data that have"
        step = self._trainer.global_step if self.training and self._trainer else None
        return self.objective(self.terms(batch["x"], batch["condition"]), step)

    def terms(self, x: Tensor, condition: Tensor) -> Terms:
        """What importance weights of x given c are made of."""
        mean, log_std = self.prior_of(condition)
        return Terms(
            q=self.recognition(x, condition),
            log_likelihood=partial(self.log_likelihood, x, condition),
            log_prior=lambda z: log_normal(z, mean, log_std),
            standard=self.prior is None,
            exact=True,
        )

    def recognition(self, x: Tensor, condition: Tensor) -> Law:
        """The law q(z | x, c) of each event."""
        return self.posterior(self.encoder(self.joined(x, condition)))

    def prior_of(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of p(z | c), (B, latent) each."""
        if self.prior is None:
            zeros = condition.new_zeros(len(condition), self.latent)
            return zeros, zeros
        mean, log_std = self.prior(condition).chunk(2, 1)
        return mean, log_std

    def log_likelihood(self, x: Tensor, condition: Tensor, z: Tensor) -> Tensor:
        """Log p(x | z, c) in nats of events (B, *shape) given z (S, B, latent); (S, B)."""
        told = condition.expand(len(z), *condition.shape).flatten(0, 1)
        output = self.decoder(self.joined(z.flatten(0, 1), told))
        return self.observation.log_prob(output.unflatten(0, z.shape[:2]), x)

    # What the model can be asked

    def log_prob_bound_given(self, x: Tensor, condition: Tensor, samples: int) -> Tensor:
        """A bound of log p(x | c) in nats that tightens with `samples`, (B,)."""
        return importance_bound(self.terms(x, condition), samples, chunk_of(x))

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Expected entries given c and one z ~ p(z | c)."""
        mean, log_std = self.prior_of(condition)
        z = mean + log_std.exp() * torch.randn_like(mean)
        return self.observation.mean(self.decoder(self.joined(z, condition)))
