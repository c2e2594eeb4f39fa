"""Chains that cross between modes: on several rungs, whose states are exchanged.

A rung is a machine of the same units, p*_t(v) = exp(-F_t(v)). The lowest has independent units, and
the highest is the machine that learns. At each step chains move by Gibbs sampling, those of every
rung under their own machine, and a state x of one rung changes places with y of the next with
probability

    min(1, exp(u(x) - u(y))),        u(v) = F_t(v) - F_t+1(v) = log p*_t+1(v) - log p*_t(v)

The hidden units are summed out at each rung. All rungs together then have the law Π_t p_t. Which
machines stand on the rungs is told in `genlit.boltzmann.tempering` and `trajectory`.
"""

import math
from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.boltzmann import bennett
from genlit.boltzmann.energy import Theta
from genlit.boltzmann.gradient import Phase
from genlit.boltzmann.samplers import Sampler, at_least_one, chosen, independent
from genlit.boltzmann.units import Units, draw
from genlit.progress import track

TOGETHER = 500  # ladders that run side by side for samples, which bounds the memory
MEMORY = 0.5  # weight of a new step in the running means of exchange rates

Both = tuple[Tensor, Tensor]  # of the lower and of the higher of two neighbouring rungs


class Rungs(NamedTuple):
    """States of K chains on each of R rungs, after a step."""

    v: Tensor  # (R, K, V)
    logits: Tensor  # (R, K, H) log-odds of the hidden units, each under its own machine
    rises: Tensor  # (pairs, 2, K) u(x) and u(y) of the pairs that met, before they exchanged

    @property
    def top(self) -> Phase:
        """The chains of the machine that learns."""
        return Phase(self.v[-1], self.logits[-1], self.logits[-1].sigmoid())

    @property
    def rates(self) -> Tensor:
        """The mean probability of exchange of each pair that met, (pairs,)."""
        return acceptance(self.rises).mean(1)


class Tempered(Sampler):
    """Chains on the rungs of a ladder. Even pairs of neighbours meet at one step, odd at the next.

    Samples are drawn by copies of the ladder, at the price of all its rungs.

    References:
        | Non-Reversible Parallel Tempering: a Scalable Highly Parallel MCMC Scheme (Syed et al.,
          2022)

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
        particles: Chains on each rung, on each process.
        steps: Steps before each gradient.
        most: The greatest number of rungs.
    """

    chains: ClassVar[tuple[str, ...]] = ("particles", "rates", "turns")

    particles: Tensor  # (most, particles, H)
    rates: Tensor  # (most - 1,)
    turns: Tensor  # () steps so far
    base: Tensor  # (V,) biases of the lowest rung

    def __init__(self, visible: int, hidden: int, particles: int, steps: int, most: int) -> None:
        super().__init__(visible, hidden)
        if particles < 1:
            raise ValueError(f"particles is {particles}: every rung needs at least 1 chain")
        self.steps = at_least_one(steps)
        self.register_buffer("particles", torch.rand(most, particles, hidden).round())
        self.register_buffer("rates", torch.ones(most - 1))
        self.register_buffer("turns", torch.zeros((), dtype=torch.long))
        self.register_buffer("base", torch.zeros(visible))

    @property
    @abstractmethod
    def rungs(self) -> int:
        """The number of rungs in use."""

    @abstractmethod
    def step(self, theta: Theta, h: Tensor, turn: int) -> Rungs:
        """Moves hidden states (R, K, H) of all rungs to visible ones, and lets neighbours meet.

        Hidden states drawn from what it returns have the law that `h` had, at every rung.
        """

    def negative(self, theta: Theta, data: Phase) -> Phase:
        first, end, h = int(self.turns), None, self.particles[: self.rungs]
        for turn in range(first, first + self.steps):
            end = self.step(theta, h, turn)
            h = draw(end.logits)
            if self.training:
                self.swap_rates()[turn % 2 :: 2].lerp_(end.rates.to(self.rates), MEMORY)
        assert end is not None
        if self.training:
            self.particles[: self.rungs] = h
            self.turns += self.steps
        return end.top

    def settle(self, theta: Theta, base: Tensor) -> None:
        self.base.copy_(base)
        h = independent(theta, base, self.particles[..., 0].numel())
        self.particles.copy_(h.view_as(self.particles))

    def start(self, theta: Theta, base: Tensor, n: int) -> Tensor:
        return chosen(self.particles[self.rungs - 1], n)

    def go_on(self, theta: Theta, base: Tensor, n: int, steps: int) -> Tensor:
        ladders = chosen(self.particles[: self.rungs].transpose(0, 1), n).split(TOGETHER)
        ended = []
        for done, some in enumerate(ladders, 1):
            h = some.transpose(0, 1)
            for t in track(range(steps), f"Tempering, {done} of {len(ladders)}"):
                h = draw(self.step(theta, h, t).logits)
            ended.append(h[-1])
        return torch.cat(ended)

    def swap_rates(self) -> Tensor:
        return self.rates[: self.rungs - 1]

    def require_ladder(self) -> None:
        if self.particles.shape[1] < 2:
            raise ValueError("log Z has an error where ladders differ: set particles to 2 or more")

    @torch.no_grad()
    def log_partition(self, theta: Theta, steps: int) -> tuple[Tensor, Tensor]:
        """Log Z of every rung, that of the machine last, from how neighbours exchange.

        It adds up Bennett's acceptance ratios from the lowest rung, whose Z is known. The chains
        must have settled, as those of training have where it was slow; the error does not tell.

        Args:
            theta: The machine that learned with these chains.
            steps: How often each pair of neighbours meets.

        Returns:
            Log Z in nats, and its standard error over ladders; each (R,), in float64.

        Raises:
            ValueError: If there is but one ladder, so that nothing tells the error.
        """
        self.require_ladder()
        h = self.particles[: self.rungs]
        met: list[list[Tensor]] = [[] for _ in h[1:]]
        for t in track(range(2 * steps), "Tempering"):
            end = self.step(theta, h, t)
            for pair, rises in zip(met[t % 2 :: 2], end.rises, strict=True):
                pair.append(rises)
            h = draw(end.logits)
        ratios = [bennett.log_ratio(*torch.stack(pair, 1)) for pair in met]
        base = self.base.double()
        lowest = theta.units.log_norm(base, base) + h.shape[2] * math.log(2)
        influence = torch.stack([ratio.influence for ratio in ratios]).cumsum(0)
        values = torch.stack([lowest, *(ratio.value for ratio in ratios)]).cumsum(0)
        return values, nnf.pad(influence.std(1) / h.shape[1] ** 0.5, (1, 0))


def rise(units: Units, v: Tensor, biases: Both, logits: Both) -> Tensor:
    """What log p*(v) gains from one rung to the next; (..., K) nats in float64.

    Args:
        units: The visible units, the same on both rungs.
        v: Their states, (..., K, V).
        biases: Their biases on the lower and on the higher rung, (V,).
        logits: Log-odds of the hidden units given v on either rung, (..., K, H).
    """
    low, high = logits
    hidden = nnf.softplus(high).sub_(nnf.softplus(low)).sum(-1)
    return hidden.double() + units.change(v, *biases).double()


def acceptance(rises: Tensor) -> Tensor:
    """Probability that states change places, given their rises (..., 2, K), the lower's first."""
    return (rises[..., 0, :] - rises[..., 1, :]).clamp(max=0).exp()


def exchanged(rises: Tensor) -> Tensor:
    """Which of the pairs with rises (2, K) change places; (K,) bool."""
    p = acceptance(rises)
    return torch.rand_like(p) < p


def traded(pair: Tensor, flip: Tensor) -> Tensor:
    """Two rungs' states (2, K, ·), with places changed where `flip` (K,) says so."""
    return torch.where(flip[:, None], pair.flip(0), pair)
