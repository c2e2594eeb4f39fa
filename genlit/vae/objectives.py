"""What a VAE raises: bounds of log p(x) in nats per event, and whose gradient they take.

Everything is made of importance weights log w = log p(x | z) + log p(z) - log q(z | x) of samples z
from q. Sums are over all entries of an event, means over the batch.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from genlit.logmath import log_mean_exp
from genlit.vae.posteriors import Law


class Terms(NamedTuple):
    """What weights are made of, for B events."""

    q: Law
    log_likelihood: Callable[[Tensor], Tensor]  # of z (S, B, D): log p(x | z), (S, B)
    log_prior: Callable[[Tensor], Tensor]  # of z (S, B, D): log p(z), (S, B)
    standard: bool  # whether p(z) is N(0, 1)
    exact: bool  # whether log p(z) is known, and not only estimated


class Bound(ABC):
    """Turns weights into what is minimized. A base class, since the config chooses."""

    @abstractmethod
    def __call__(self, terms: Terms, step: int | None) -> dict[str, Tensor]:
        """Scalars to log, in nats per event; the one under "loss" is minimized.

        Args:
            terms: What weights are made of.
            step: Optimizer steps done, or None at validation: then it is what training ends with.
        """


class ELBO(Bound):
    """The evidence lower bound, with a divergence that may be weighed, forgiven or delayed.

    `kl` is KL(q(z | x) || p(z)), in closed form where there is one, and `elbo` the bound itself,
    whatever is minimized.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014)
        | https://arxiv.org/abs/1312.6114
        | beta-VAE (Higgins et al., 2017), for beta
        | Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), for
          free bits

    Args:
        beta: The weight of the divergence; with 1, minus the loss is the bound.
        free_bits: Nats of divergence that each latent variable has for nothing, as a mean over the
            batch; where there is no closed form it is that much for all together.
        warm_up: Optimizer steps in which the weight rises from 0 to beta.
        samples: Samples of z for each event, whose terms are averaged.
    """

    def __init__(
        self, beta: float = 1.0, free_bits: float = 0.0, warm_up: int = 0, samples: int = 1
    ) -> None:
        if beta < 0 or free_bits < 0 or warm_up < 0 or samples < 1:
            raise ValueError(
                "ELBO needs beta, free_bits and warm_up of 0 or more, and 1 sample or more, not "
                f"beta {beta}, free_bits {free_bits}, warm_up {warm_up}, samples {samples}"
            )
        self.beta, self.free_bits, self.warm_up, self.samples = beta, free_bits, warm_up, samples

    def __call__(self, terms: Terms, step: int | None) -> dict[str, Tensor]:
        z, log_q = terms.q.draw(self.samples)
        reconstruction = -terms.log_likelihood(z).mean()
        kl = terms.q.divergence() if terms.standard else None
        if kl is None:
            kl = (log_q - terms.log_prior(z)).mean(0)[:, None]
        each = kl.mean(0)
        # An estimated divergence may be negative, and without free bits it stays so.
        free = self.free_bits > 0 and step is not None
        paid = each.clamp(min=self.free_bits) if free else each
        done = 1.0 if step is None or step >= self.warm_up else step / self.warm_up
        found = {"reconstruction": reconstruction, "kl": each.sum()}
        elbo = {"elbo": -reconstruction - each.sum()}
        return {"loss": reconstruction + self.beta * done * paid.sum()} | found | elbo


class Weighing(ABC):
    """A gradient of the importance-weighted bound."""

    @abstractmethod
    def __call__(self, terms: Terms, z: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        """The bound, and a scalar whose gradient is to be followed upwards.

        Args:
            terms: What weights are made of.
            z: Reparameterized samples from q, (K, B, D).
            log_q: Their log q, (K, B).
        """


class Plain(Weighing):
    """The bound's own gradient."""

    def __call__(self, terms: Terms, z: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        bound = log_mean_exp(log_weights(terms, z, log_q)).mean()
        return bound, bound


class StickingTheLanding(Weighing):
    """Without the score of q, whose expectation is 0 for one sample: less noise near the optimum.

    For more than one sample the encoder's gradient is biased.

    References:
        | Sticking the Landing (Roeder, Wu & Duvenaud, 2017)
        | https://arxiv.org/abs/1703.09194
    """

    def __call__(self, terms: Terms, z: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        require_known(terms)
        bound = log_mean_exp(log_weights(terms, z, terms.q.detached().log_prob(z))).mean()
        return bound, bound


class DoublyReparameterized(Weighing):
    """Unbiased for any number of samples, and the encoder's signal does not drown as they grow.

    References:
        | Doubly Reparameterized Gradient Estimators (Tucker, Lawson, Gu & Maddison, 2019)
        | https://arxiv.org/abs/1810.04152
    """

    def __call__(self, terms: Terms, z: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        require_known(terms)
        log_w = log_weights(terms, z, terms.q.detached().log_prob(z))
        share = log_w.detach().softmax(0)
        if (
            z.requires_grad
        ):  # so that the encoder gets Σ share² · ∂log w/∂z, the rest Σ share · ∂log w
            z.register_hook(lambda gradient: share[..., None] * gradient)
        return log_mean_exp(log_w).mean(), (share * log_w).sum(0).mean()


Gradient = Callable[[], Weighing]  # the config names the class


class IWAE(Bound):
    """The importance-weighted bound log 1/K Σ_k w_k; the loss is minus its value.

    References:
        | Importance Weighted Autoencoders (Burda, Grosse & Salakhutdinov, 2016)
        | https://arxiv.org/abs/1509.00519

    Args:
        samples: Samples of z for each event, K; with 1 it is the evidence lower bound.
        gradient: How the encoder learns from it: Plain, StickingTheLanding or
            DoublyReparameterized.
    """

    def __init__(self, samples: int = 50, gradient: Gradient = Plain) -> None:
        if samples < 1:
            raise ValueError(f"samples is {samples}: a bound takes 1 or more")
        self.samples, self.gradient = samples, gradient()

    def __call__(self, terms: Terms, step: int | None) -> dict[str, Tensor]:
        z, log_q = terms.q.draw(self.samples)
        bound, raised = self.gradient(terms, z, log_q)
        return {"loss": (raised - bound).detach() - raised}


def log_weights(terms: Terms, z: Tensor, log_q: Tensor) -> Tensor:
    """Log p(x, z) - log q(z | x) of z (S, B, D); (S, B)."""
    return terms.log_likelihood(z) + terms.log_prior(z) - log_q


def importance_bound(terms: Terms, samples: int, chunk: int) -> Tensor:
    """The importance-weighted bound of each event, (B,) nats in float64.

    Args:
        terms: What weights are made of.
        samples: Samples of z for each event.
        chunk: How many of them are decoded at once, which bounds the memory.
    """
    total: Tensor | None = None
    for done in range(0, samples, chunk):
        weights = log_weights(terms, *terms.q.draw(min(chunk, samples - done)))
        part = torch.logsumexp(weights.double(), 0)
        total = part if total is None else torch.logaddexp(total, part)
    if total is None:
        raise ValueError(f"samples is {samples}: a bound takes 1 or more")
    return total - math.log(samples)


def require_known(terms: Terms) -> None:
    """Makes sure that a gradient without the score of q leaves none out.

    Raises:
        ValueError: If the prior draws latent variables of its own.
    """
    if not terms.exact:
        raise ValueError(
            "this gradient is for one layer of latent variables: set objective.gradient to Plain"
        )
