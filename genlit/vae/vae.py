"""The variational autoencoder, put together from its parts."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.likelihoods import Bernoulli
from genlit.likelihoods import Law as Likelihood
from genlit.model import GenerativeModel
from genlit.networks import MLP, Network
from genlit.protocols import (
    Batch,
    Bounded,
    Decoder,
    Denoises,
    Encodes,
    Generates,
    Imputes,
    MarkovChain,
    Reconstructs,
    Samples,
)
from genlit.randomness import isolated
from genlit.vae.imputation import Filling, PseudoGibbs
from genlit.vae.objectives import ELBO, Bound, Terms, importance_bound
from genlit.vae.posteriors import DiagonalGaussian, Law, Posterior, require_latent
from genlit.vae.priors import Prior, StandardNormal

CHUNK = 2**21  # numbers in one decoded chunk of the bound: few enough to stay in the cache


class VAE(
    GenerativeModel,
    Samples,
    Bounded,
    Decoder,
    Generates,
    MarkovChain,
    Encodes,
    Reconstructs,
    Imputes,
    Denoises,
):
    """Variational autoencoder: p(x) = ∫ p(x | z) p(z) dz, learned by raising a lower bound.

    Its parts are arguments: the law of pixels, the families of q(z | x) and p(z), the bound. Where
    data have missing entries (`observed` in a batch), those that are observed count alone.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014)
        | https://arxiv.org/abs/1312.6114

    Args:
        shape: The shape of one event.
        latent: The number of latent variables.
        encoder: Builds the network from events to the numbers of q(z | x).
        decoder: Builds the network from latent variables to the numbers of p(x | z).
        likelihood: The law of pixels given these: Bernoulli, Normal, SharedNormal, Categorical or
            LogisticMixture; of tables StudentT.
        posterior: The family of q(z | x): DiagonalGaussian or IAF.
        prior: The family of p(z): StandardNormal, VampPrior, LearnedPrior or StochasticLayer.
        objective: What is raised: ELBO or IWAE.
        imputation: How missing entries are filled in: PseudoGibbs, MetropolisWithinGibbs,
            ImportanceResampling or ImportanceMean.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        latent: int = 50,
        encoder: Network = MLP,
        decoder: Network = MLP,
        likelihood: Likelihood = Bernoulli,
        posterior: Callable[[int], Posterior] = DiagonalGaussian,
        prior: Callable[[int, Sequence[int]], Prior] = StandardNormal,
        objective: Callable[[], Bound] = ELBO,
        imputation: Filling = PseudoGibbs,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        require_latent(latent)
        self.codes, self.lr_decay = latent, lr_decay
        self.observation = likelihood(self.shape)
        self.binary = self.observation.levels == 2
        self.posterior, self.prior = posterior(latent), prior(latent, self.shape)
        self.encoder = encoder(self.shape, self.posterior.outputs)
        self.decoder = decoder((latent,), self.observation.outputs)
        self.objective, self.imputation = objective(), imputation()

    def setup(self, stage: str) -> None:
        """Lets the prior look at the data."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and hasattr(data, "mean"):
            with isolated("prior", torch.initial_seed()):
                self.prior.begin(data.mean.to(self.device))

    def on_fit_start(self) -> None:
        """Refuses data that the law of pixels is not made for."""
        super().on_fit_start()
        data: Any = getattr(self.trainer, "datamodule", None)
        self.observation.check(getattr(data, "protocol", ""))

    # Learning

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        step = self._trainer.global_step if self.training and self._trainer else None
        return self.objective(self.terms(batch["x"], batch.get("observed")), step)

    def terms(self, x: Tensor, observed: Tensor | None = None) -> Terms:
        """What importance weights of x are made of; only observed entries count, if given."""
        return Terms(
            q=self.recognition(x if observed is None else torch.where(observed, x, 0.0)),
            log_likelihood=partial(self.log_likelihood, x, observed=observed),
            log_prior=self.log_prior,
            standard=self.prior.standard,
            exact=self.prior.exact,
        )

    def recognition(self, x: Tensor) -> Law:
        """The law q(z | x) of each event."""
        return self.posterior(self.encoder(x))

    def log_likelihood(self, x: Tensor, z: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log p(x | z) in nats of events (B, *shape) given z (S, B, latent); (S, B)."""
        output = self.decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        return self.observation.log_prob(output, x, observed)

    def log_prior(self, z: Tensor) -> Tensor:
        """Log p(z) in nats of z (S, B, latent); (S, B)."""
        return self.prior.log_prob(z, self.recognition)

    # What the model can be asked

    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        """The importance-weighted bound, in memory that does not grow with `samples`."""
        return importance_bound(self.terms(x), samples, chunk_of(x))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels given z ~ p(z): the grey levels customarily shown and judged."""
        return self.decode(self.draw_codes(n))

    @torch.no_grad()
    def draw_codes(self, n: int) -> Tensor:
        """Draws n codes from p(z), (n, latent)."""
        return self.prior.sample(n, self.recognition)

    def require_known_prior(self) -> None:
        """Makes sure that the prior has no latent variables of its own."""
        if not self.prior.exact:
            raise ValueError(
                f"{type(self.prior).__name__} only estimates log p(z), and annealing needs it "
                "itself: use genlit.estimators.LowerBound"
            )

    @torch.no_grad()
    def draw(self, z: Tensor) -> Tensor:
        """Draws an event for each code (B, latent); (B, *shape)."""
        return self.observation.sample(self.decoder(z))

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """X -> z ~ q(z | x) -> x' ~ p(x | z)."""
        return self.draw(self.recognition(x).draw(1)[0][0]).to(x)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        return self.recognition(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.observation.mean(self.decoder(z))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    denoise = reconstruct

    @torch.no_grad()
    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """A sample of what is missing, by `imputation`."""
        return self.imputation(self, x, observed)


def chunk_of(x: Tensor) -> int:
    """How many codes of each event (B, *shape) are decoded at once."""
    return max(1, CHUNK // max(x.numel(), 1))
