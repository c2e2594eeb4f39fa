"""A VAE of events of known classes."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.likelihoods import Bernoulli
from genlit.likelihoods import Law as Likelihood
from genlit.logmath import log_mean_exp
from genlit.model import GenerativeModel
from genlit.networks import MLP, Network
from genlit.protocols import Batch, Bounded, Conditional, Samples
from genlit.vae.gaussian import log_normal
from genlit.vae.objectives import ELBO, Bound, Terms, importance_bound
from genlit.vae.posteriors import DiagonalGaussian, Law, Posterior, require_latent
from genlit.vae.vae import CHUNK


class ConditionalVAE(GenerativeModel, Samples, Bounded, Conditional):
    """Conditional variational autoencoder: p(x | c) = ∫ p(x | z, c) p(z) dz of events of class c.

    Both networks are told the class: the encoder by channels beside those of the event, the decoder
    by entries beside those of the code. Without a condition it is the mean over all classes, each
    as probable: so are its samples, and its bound of log p(x).

    References:
        | Learning Structured Output Representation using Deep Conditional Generative Models
        | (Sohn, Lee & Yan, 2015)

    Args:
        shape: The shape of one event.
        classes: The number of classes.
        latent: The number of latent variables.
        encoder: Builds the network from an event and its class to the numbers of q(z | x, c).
        decoder: Builds the network from a code and a class to the numbers of p(x | z, c).
        likelihood: The law of pixels given these.
        posterior: The family of q(z | x, c): DiagonalGaussian or IAF.
        objective: What is raised: ELBO or IWAE.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 10,
        latent: int = 50,
        encoder: Network = MLP,
        decoder: Network = MLP,
        likelihood: Likelihood = Bernoulli,
        posterior: Callable[[int], Posterior] = DiagonalGaussian,
        objective: Callable[[], Bound] = ELBO,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        require_latent(latent)
        self.classes, self.latent, self.lr_decay = classes, latent, lr_decay
        self.observation, self.posterior = likelihood(self.shape), posterior(latent)
        self.binary = self.observation.levels == 2
        told = (self.shape[0] + classes, *self.shape[1:])
        self.encoder = encoder(told, self.posterior.outputs)
        self.decoder = decoder((latent + classes,), self.observation.outputs)
        self.objective = objective()

    def on_fit_start(self) -> None:
        """Refuses data without these classes, or that the law of pixels is not made for."""
        super().on_fit_start()
        data: Any = getattr(self.trainer, "datamodule", None)
        self.observation.check(getattr(data, "protocol", ""))
        conditions = getattr(data, "conditions", {}).get("train")
        if data is not None and (conditions is None or conditions.shape[1:] != (self.classes,)):
            raise ValueError(
                f"ConditionalVAE learns events of {self.classes} classes, and this data has "
                "others or none: set data.labels to true, or model.classes to their number"
            )

    # Learning

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        assert "condition" in batch, "batches have no condition: set data.labels to true"
        step = self._trainer.global_step if self.training and self._trainer else None
        return self.objective(self.terms(batch["x"], batch["condition"]), step)

    def terms(self, x: Tensor, condition: Tensor) -> Terms:
        """What importance weights of x are made of, given classes (B, classes), one-hot."""
        return Terms(
            q=self.recognition(x, condition),
            log_likelihood=partial(self.log_likelihood, x, condition),
            log_prior=lambda z: log_normal(z, 0.0, 0.0),
            standard=True,
            exact=True,
        )

    def recognition(self, x: Tensor, condition: Tensor) -> Law:
        """The law q(z | x, c) of each event."""
        maps = condition.view(*condition.shape, *[1] * (x.dim() - 2))
        maps = maps.expand(-1, -1, *x.shape[2:])
        return self.posterior(self.encoder(torch.cat([x, maps.to(x)], 1)))

    def log_likelihood(self, x: Tensor, condition: Tensor, z: Tensor) -> Tensor:
        """Log p(x | z, c) in nats of events (B, *shape) given z (S, B, latent); (S, B)."""
        told = torch.cat([z, condition.to(z).expand(len(z), -1, -1)], -1)
        output = self.decoder(told.flatten(0, 1)).unflatten(0, z.shape[:2])
        return self.observation.log_prob(output, x)

    # What the model can be asked

    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        """The bound of the mean over all classes, with so many samples for each of them."""
        every = torch.eye(self.classes, device=x.device)
        bounds = [self.log_prob_bound_given(x, c.expand(len(x), -1), samples) for c in every]
        return log_mean_exp(torch.stack(bounds))

    def log_prob_bound_given(self, x: Tensor, condition: Tensor, samples: int) -> Tensor:
        """A bound of log p(x | c) in nats of events of classes (B, classes), one-hot; (B,)."""
        chunk = max(1, CHUNK // max(x.numel(), 1))
        return importance_bound(self.terms(x, condition), samples, chunk)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels of codes from the prior, of one class after the other."""
        condition = torch.eye(self.classes, device=self.device).repeat(
            math.ceil(n / self.classes), 1
        )
        return self.sample_given(condition[:n])

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Expected pixels of one code from the prior for each class (B, classes), one-hot."""
        z = torch.randn(len(condition), self.latent, device=condition.device)
        return self.observation.mean(self.decoder(torch.cat([z, condition.to(z)], -1)))
