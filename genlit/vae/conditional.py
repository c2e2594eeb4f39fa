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
from genlit.protocols import (
    Batch,
    Bounded,
    Conditional,
    Denoises,
    Encodes,
    Generates,
    Imputes,
    Reconstructs,
    Samples,
)
from genlit.vae.gaussian import log_normal
from genlit.vae.imputation import chosen
from genlit.vae.objectives import ELBO, Bound, Terms, importance_bound
from genlit.vae.posteriors import DiagonalGaussian, Law, Posterior, require_latent
from genlit.vae.vae import chunk_of

JUDGED_BY = 10  # samples of the bounds that tell the most probable class of an event


class ConditionalVAE(
    GenerativeModel,
    Samples,
    Bounded,
    Conditional,
    Generates,
    Encodes,
    Reconstructs,
    Denoises,
    Imputes,
):
    """Conditional variational autoencoder: p(x | c) = ∫ p(x | z, c) p(z) dz of events of class c.

    Both networks are told the class: the encoder by channels beside those of the event, the decoder
    by entries beside those of the code. Without a condition it is the mean over all classes, each
    as probable: so are its samples, its bound of log p(x), and what it fills in. The code of an
    event is z followed by its most probable class.

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
        impute_samples: Codes of each class for an event with missing entries, of which one is
            chosen to fill them in.
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
        impute_samples: int = 100,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        require_latent(latent)
        if impute_samples < 1:
            raise ValueError(f"impute_samples is {impute_samples}: it must be 1 or more")
        self.classes, self.latent, self.lr_decay = classes, latent, lr_decay
        self.impute_samples = impute_samples
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

    def terms(self, x: Tensor, condition: Tensor, observed: Tensor | None = None) -> Terms:
        """What importance weights of x are made of, given classes (B, classes), one-hot.

        Only observed entries count, if given.
        """
        seen = x if observed is None else torch.where(observed, x, 0.0)
        return Terms(
            q=self.recognition(seen, condition),
            log_likelihood=partial(self.log_likelihood, x, condition, observed=observed),
            log_prior=lambda z: log_normal(z, 0.0, 0.0),
            standard=True,
            exact=True,
        )

    def recognition(self, x: Tensor, condition: Tensor) -> Law:
        """The law q(z | x, c) of each event."""
        maps = condition.view(*condition.shape, *[1] * (x.dim() - 2))
        maps = maps.expand(-1, -1, *x.shape[2:])
        return self.posterior(self.encoder(torch.cat([x, maps.to(x)], 1)))

    def log_likelihood(
        self, x: Tensor, condition: Tensor, z: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Log p(x | z, c) in nats of events (B, *shape) given z (S, B, latent); (S, B)."""
        told = torch.cat([z, condition.to(z).expand(len(z), -1, -1)], -1)
        output = self.decoder(told.flatten(0, 1)).unflatten(0, z.shape[:2])
        return self.observation.log_prob(output, x, observed)

    # What the model can be asked

    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        """The bound of the mean over all classes, with so many samples for each of them."""
        return log_mean_exp(self.bounds(x, samples))

    def bounds(self, x: Tensor, samples: int) -> Tensor:
        """Bounds of log p(x | c) in nats for every class; (classes, B)."""
        return torch.stack(
            [self.log_prob_bound_given(x, c, samples) for c in self.every_class(len(x))]
        )

    def every_class(self, n: int) -> Tensor:
        """The condition of n events of each class, (classes, n, classes), one-hot."""
        return torch.eye(self.classes, device=self.device)[:, None].expand(-1, n, -1)

    def log_prob_bound_given(self, x: Tensor, condition: Tensor, samples: int) -> Tensor:
        """A bound of log p(x | c) in nats of events of classes (B, classes), one-hot; (B,)."""
        return importance_bound(self.terms(x, condition), samples, chunk_of(x))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels of codes from the prior, of one class after the other."""
        return self.decode(self.draw_codes(n))

    def categories(self) -> list[range]:
        """The entries after z, which tell the class."""
        return [range(self.latent, self.latent + self.classes)]

    @torch.no_grad()
    def draw_codes(self, n: int) -> Tensor:
        """Draws z from the prior followed by one class after the other, (n, latent + classes)."""
        condition = self.every_class(math.ceil(n / self.classes)).transpose(0, 1).flatten(0, 1)
        return self._with_noise(condition[:n])

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Expected pixels of one code from the prior for each class (B, classes), one-hot."""
        return self.decode(self._with_noise(condition))

    def _with_noise(self, condition: Tensor) -> Tensor:
        z = torch.randn(len(condition), self.latent, device=condition.device)
        return torch.cat([z, condition.to(z)], -1)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z | x, c) followed by c, the class with the largest bound; one-hot."""
        best = self.bounds(x, JUDGED_BY).argmax(0)
        condition = torch.eye(self.classes, device=x.device)[best]
        return torch.cat([self.recognition(x, condition).mean, condition.to(x)], -1)

    def decode(self, z: Tensor) -> Tensor:
        """Expected pixels of codes followed by classes, (B, latent + classes); these may mix."""
        return self.observation.mean(self.decoder(z))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    denoise = reconstruct

    @torch.no_grad()
    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Samples of what is missing: codes of all classes, one of them chosen by its weight."""
        seen, found = torch.where(observed, x, 0.0), []
        for condition in self.every_class(len(x)):
            terms = self.terms(seen, condition, observed)
            z, score = chosen(terms, self.impute_samples, chunk_of(x))
            found.append((torch.cat([z, condition], -1), score))
        codes, scores = map(torch.stack, zip(*found, strict=True))
        best = codes[scores.argmax(0), torch.arange(len(x), device=x.device)]
        return torch.where(observed, x, self.observation.sample(self.decoder(best)).to(x))
