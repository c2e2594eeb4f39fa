"""Ways to fill in what is missing of an event, given a model of latent variables.

Their answers are samples, whose law is p(missing | observed) or tends to it; but for
ImportanceMean, whose answer is what is expected.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from genlit.chains import clamped
from genlit.vae.objectives import Terms, log_weights


class Imputable(Protocol):
    """What is asked of a model."""

    def terms(self, x: Tensor, observed: Tensor | None = None) -> Terms:
        """What importance weights of x are made of; only observed entries count, if given."""
        ...

    def draw(self, z: Tensor) -> Tensor:
        """Draws an event for each code (B, D); (B, *shape)."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """The expected event of each code (B, D); (B, *shape)."""
        ...

    def step(self, x: Tensor) -> Tensor:
        """X -> z ~ q(z | x) -> x' ~ p(x | z)."""
        ...


class Completion(ABC):
    """A way to fill in. A base class, since the config chooses."""

    @abstractmethod
    def __call__(self, model: Imputable, x: Tensor, observed: Tensor) -> Tensor:
        """Events with missing entries drawn; both (B, *shape), of which `observed` is bool."""


class PseudoGibbs(Completion):
    """The chain x -> z ~ q(z | x) -> x' ~ p(x | z), with observed entries held.

    Its law is p(missing | observed) as far as q is the true posterior.

    References:
        | Stochastic Backpropagation and Approximate Inference (Rezende et al., 2014), app. F

    Args:
        steps: Steps of the chain.
    """

    def __init__(self, steps: int = 100) -> None:
        self.steps = steps

    def __call__(self, model: Imputable, x: Tensor, observed: Tensor) -> Tensor:
        return clamped(model.step, x, observed, self.steps)


class MetropolisWithinGibbs(Completion):
    """The same chain, whose z are refused as often as it takes to make its law right whatever q is.

    References:
        | Leveraging the Exact Likelihood of Deep Latent Variable Models (Mattei & Frellsen, 2018)
        | https://arxiv.org/abs/1802.04826

    Args:
        steps: Steps of the chain.
    """

    def __init__(self, steps: int = 100) -> None:
        self.steps = steps

    def __call__(self, model: Imputable, x: Tensor, observed: Tensor) -> Tensor:
        x = torch.where(observed, x, torch.rand_like(x).round())
        z = model.terms(x).q.draw(1)[0]
        for _ in range(self.steps):
            terms = model.terms(x)
            proposed, log_q = terms.q.draw(1)
            gain = log_weights(terms, proposed, log_q)
            gain = gain - log_weights(terms, z, terms.q.log_prob(z))
            accepted = torch.rand_like(gain).log() < gain
            z = torch.where(accepted[..., None], proposed, z)
            x = torch.where(observed, x, model.draw(z[0]))
        return x


class ImportanceResampling(Completion):
    """Codes drawn from q given what is observed, one of them chosen with its importance weight.

    The weights are p(observed | z) p(z) / q(z); its law tends to p(missing | observed) as samples
    grow, whatever q is.

    References:
        | MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets
        | (Mattei & Frellsen, 2019)
        | https://arxiv.org/abs/1812.02633

    Args:
        samples: Codes for each event, of which one is chosen.
        chunk: How many of them are decoded at once, which bounds the memory.
    """

    def __init__(self, samples: int = 1000, chunk: int = 50) -> None:
        refuse_none(samples, chunk)
        self.samples, self.chunk = samples, chunk

    def __call__(self, model: Imputable, x: Tensor, observed: Tensor) -> Tensor:
        terms = model.terms(torch.where(observed, x, 0.0), observed)
        z, _ = chosen(terms, self.samples, self.chunk)
        return torch.where(observed, x, model.draw(z))


class ImportanceMean(Completion):
    """The expected missing entries given what is observed: one best guess, and no draw.

    It is the mean of E[x | z] over the same codes with the same weights as ImportanceResampling
    has, and tends to E[missing | observed], which no other guess beats in squared error.

    References:
        | MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets
        | (Mattei & Frellsen, 2019)
        | https://arxiv.org/abs/1812.02633

    Args:
        samples: Codes for each event.
        chunk: How many of them are decoded at once, which bounds the memory.
    """

    def __init__(self, samples: int = 1000, chunk: int = 50) -> None:
        refuse_none(samples, chunk)
        self.samples, self.chunk = samples, chunk

    def __call__(self, model: Imputable, x: Tensor, observed: Tensor) -> Tensor:
        terms = model.terms(torch.where(observed, x, 0.0), observed)
        mean, log_total = _mean(model, terms, min(self.chunk, self.samples))
        for done in range(self.chunk, self.samples, self.chunk):
            other, its_log_total = _mean(model, terms, min(self.chunk, self.samples - done))
            share = (its_log_total - torch.logaddexp(log_total, its_log_total)).exp()
            mean = torch.lerp(mean, other, share.to(mean).view(-1, *[1] * (mean.dim() - 1)))
            log_total = torch.logaddexp(log_total, its_log_total)
        return torch.where(observed, x, mean)


def chosen(terms: Terms, samples: int, chunk: int) -> tuple[Tensor, Tensor]:
    """One code of each event, chosen by its importance weight, and the score it won with.

    The largest of log-weights with Gumbel noise is at k with the k-th share of all weights, and the
    largest of two such maxima is at one of either with its share of them together.

    Args:
        terms: What weights are made of.
        samples: Codes drawn for each event.
        chunk: How many of them at once.

    Returns:
        z: Codes (B, D).
        score: Their scores (B,): of several draws, the one with the largest is chosen from all.
    """
    z, score = _best(terms, min(chunk, samples))
    for done in range(chunk, samples, chunk):
        other, its_score = _best(terms, min(chunk, samples - done))
        z = torch.where((its_score > score)[:, None], other, z)
        score = torch.maximum(score, its_score)
    return z, score


def _best(terms: Terms, samples: int) -> tuple[Tensor, Tensor]:
    z, log_q = terms.q.draw(samples)
    noise = -torch.empty_like(log_q).exponential_().log()
    score, k = (log_weights(terms, z, log_q) + noise).max(0)
    return z[k, torch.arange(z.shape[1], device=z.device)], score


def _mean(model: Imputable, terms: Terms, samples: int) -> tuple[Tensor, Tensor]:
    """The weighted mean of E[x | z], (B, *shape), and the log of the weights' sum, (B,) float64."""
    z, log_q = terms.q.draw(samples)
    log_w = log_weights(terms, z, log_q).double()
    events = model.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])
    share = log_w.softmax(0).to(events)
    return torch.einsum("sb,sb...->b...", share, events), log_w.logsumexp(0)


def refuse_none(samples: int, chunk: int) -> None:
    """Makes sure that there are codes, and some at once.

    Raises:
        ValueError: If not.
    """
    if samples < 1 or chunk < 1:
        raise ValueError(f"samples is {samples} and chunk {chunk}: both must be 1 or more")


Filling = Callable[[], Completion]  # the config names the class
