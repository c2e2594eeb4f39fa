"""Log p(x) from states of a model's own Markov chain.

See `genlit.estimators` for what an estimator is, and `genlit.callbacks.LegacyParzen` for the kernel
density of samples, which is none.
"""

import math
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from genlit.annealing import gathered, several
from genlit.estimators.estimator import Estimator, LogDensity
from genlit.progress import track
from genlit.protocols import LatentMixture

NUMBERS = 2**22  # of log p(x | h) side by side, of states and events


class ConservativeSampling(Estimator):
    r"""The mean of p(x | h) over states of the model's chain: a conservative estimate (CSL).

    .. math:: \log \frac1S \sum_j p(x | h_j)

    On average it is below log p(x), and rises to it as states grow: in many dimensions by so little
    at a time that it stays far below, since few states have anything to say of an event. The
    details say what twice as many would have gained, and how many states, of effective sample size,
    stand behind an event. States of one chain depend on each other; its standard error is that over
    independent chains.

    References:
        | Bounding the Test Log-Likelihood of Generative Models (Bengio, Yao & Cho, 2013)
        | https://arxiv.org/abs/1311.6184

    Args:
        samples: States of all chains together.
        chains: Independent chains, each run in as the model's samples are.
        thin: Steps of a chain from one state that is taken to the next.
    """

    kind = "conservative estimate"
    protocol = LatentMixture

    def __init__(self, samples: int = 10_000, chains: int = 100, thin: int = 1) -> None:
        if chains < 2 or thin < 1:
            raise ValueError("ConservativeSampling needs 2 chains or more, and thin of 1 or more")
        if samples < chains or samples % chains:
            raise ValueError(
                f"samples is {samples}: make it a multiple of chains, which is {chains}"
            )
        self.samples, self.chains, self.thin = samples, chains, thin
        self.name = f"csl_{samples}"  # by what states are few or many

    def __call__(self, model: LatentMixture) -> LogDensity:
        self.check(model)
        steps = islice(model.states(self.chains), 0, None, self.thin)
        each = track(range(self.samples // self.chains), "chains whose states are taken, steps")
        states = [state for _, state in zip(each, steps, strict=False)]
        mean = Mean(lambda h, x: model.log_prob_given(h, x), states)
        return LogDensity(mean.log_prob, None, closing=mean.summary)


class Terms(NamedTuple):
    """What the states of each chain sum to, for each event."""

    log_sums: Tensor  # log Σ p(x | h) over the states of each chain, (chains, B) nats in float64
    log_squares: Tensor  # log Σ p(x | h)² over all states, (B,)


def summed(
    log_prob_given: Callable[[Tensor, Tensor], Tensor], states: list[Tensor], x: Tensor
) -> Terms:
    """Sums p(x | h) over states, a chunk at a time.

    Args:
        log_prob_given: Log p(x | h) of states (S, *state) and events (B, *shape), (S, B).
        states: The states of all chains at each step, (chains, *state).
        x: Events, (B, *shape).
    """
    chains = len(states[0])
    log_sums = torch.full((chains, len(x)), -math.inf, dtype=torch.float64, device=x.device)
    log_squares = log_sums[0].clone()
    size = max(1, NUMBERS // max(len(x), 1))
    for state in states:
        for first in range(0, chains, size):
            part = slice(first, first + size)
            terms = log_prob_given(state[part], x).double()
            log_sums[part] = torch.logaddexp(log_sums[part], terms)
            log_squares = torch.logaddexp(log_squares, torch.logsumexp(2 * terms, 0))
    return Terms(log_sums, log_squares)


class Mean:
    """Log of the mean of p(x | h) over states, which remembers what tells its error.

    The error is that of a mean over independent chains. To first order, the mean over events of
    log p̂ varies as the mean over chains of

        g_c = mean over events of p̂_c(x) / p̂(x),    p̂_c from chain c alone,

    whose own mean is 1: so its standard error is std(g) / √chains.

    Args:
        log_prob_given: Log p(x | h) of states (S, *state) and events (B, *shape), (S, B).
        states: The states of all chains at each step, (chains, *state).
    """

    def __init__(
        self, log_prob_given: Callable[[Tensor, Tensor], Tensor], states: list[Tensor]
    ) -> None:
        self.log_prob_given, self.states = log_prob_given, states
        self.chains = len(states[0])
        # Of events: how many, their effective states, and how far halves of the chains fall short.
        self._sums = torch.zeros(3 + self.chains, dtype=torch.float64)

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Log of the mean, (B,) nats in float64."""
        log_sums, log_squares = summed(self.log_prob_given, self.states, x)
        total = torch.logsumexp(log_sums, 0)
        half = self.chains // 2
        halves = (torch.logsumexp(log_sums[h], 0) for h in (slice(half), slice(half, 2 * half)))
        lacking = total - math.log(self.chains / half) - sum(halves) / 2
        shares = (log_sums - total).exp() * self.chains
        effective = (2 * total - log_squares).exp()
        ones = torch.ones_like(total)
        self._sums += torch.cat([torch.stack([ones, effective, lacking]), shares]).sum(1).cpu()
        return total - math.log(self.chains * len(self.states))

    def summary(self) -> tuple[float | None, dict[str, float | str]]:
        """The standard error over chains, and what else there is to say of all events asked about.

        Call it on every process, where there are several.
        """
        sums = self._sums
        if several():
            parts = gathered({torch.distributed.get_rank(): sums})
            sums = torch.stack([parts[rank] for rank in sorted(parts)]).sum(0)
        n, effective, lacking = sums[:3].tolist()
        if not n:
            return None, {}
        stderr = float((sums[3:] / n).std()) / self.chains**0.5
        return stderr, {
            "chains": self.chains,
            "effective_states_of_an_event": effective / n,
            "nats_gained_by_doubling_the_chains": lacking / n,
        }
