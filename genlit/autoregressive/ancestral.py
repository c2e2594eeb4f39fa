"""Ancestral sampling: one entry after another, each given those before it; and with some known.

A `Walk` goes through the entries of several events at once. It knows what the law of the next entry
takes, and is told which value that entry got. What it remembers in between is its own affair.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlit.likelihoods import Observation
from genlit.logmath import effective_sample_size


class Walk(ABC):
    """A walk through the entries of n events, in an order.

    Args:
        n: The number of events.
        order: The places of the entries in a flat event, first to last, (entries,).
        like: A tensor of the type and on the device that events are to have.
    """

    def __init__(self, n: int, order: Tensor, like: Tensor) -> None:
        self.order: list[int] = order.tolist()
        self.at = 0  # how many entries are known
        self.x = like.new_zeros(n, len(self.order))  # flat events, 0 where not yet known
        self.cache: list[Tensor] = []  # what it remembers, each (n, ...)

    @abstractmethod
    def output(self) -> Tensor:
        """What the law of the next entry takes, given those before it; (n, numbers)."""

    @abstractmethod
    def update(self, site: int, value: Tensor) -> None:
        """Remembers that the entry at a place has the values (n,); they are in `x` already."""

    def take(self, value: Tensor) -> None:
        """Goes on by one entry, whose values are (n,)."""
        site = self.order[self.at]
        self.x[:, site] = value
        self.at += 1
        self.update(site, value)

    def pick(self, rows: Tensor) -> None:
        """Goes on with these events alone, in this order; an event may be there repeatedly."""
        self.x = self.x[rows]
        self.cache = [kept[rows] for kept in self.cache]


class NaiveWalk(Walk):
    """A walk that remembers nothing, and computes all conditionals anew for every entry.

    Args:
        n: The number of events.
        order: The places of the entries.
        like: A tensor of the type that events are to have.
        outputs: Turns events into what their law takes, (B, *shape) to (B, *law.outputs).
        law: The law of the events.
    """

    def __init__(
        self, n: int, order: Tensor, like: Tensor, outputs: Callable[[Tensor], Tensor],
        law: Observation,
    ) -> None:  # fmt: skip
        super().__init__(n, order, like)
        self.outputs, self.law = outputs, law

    def output(self) -> Tensor:
        every = self.outputs(self.x.view(-1, *self.law.shape))
        return every.reshape(len(self.x), self.law.numbers, -1)[..., self.order[self.at]]

    def update(self, site: int, value: Tensor) -> None:
        """There is nothing to remember."""


@torch.no_grad()
def ancestral(walk: Walk, law: Observation) -> Tensor:
    """Draws what is left of events, (n, entries)."""
    for _ in walk.order[walk.at :]:
        walk.take(law.sample(entry(law, walk.output())).flatten())
    return walk.x


@torch.no_grad()
def filled(
    start: Callable[[int], Walk], law: Observation, x: Tensor, observed: Tensor, particles: int
) -> Tensor:
    """Draws what is missing of events given what is observed, by sequential importance resampling.

    Every event has some particles. Each draws its missing entries in turn, and is weighted with the
    probability of every observed entry given what it has so far. Where few particles have most of
    the weight they are resampled, and after the last observed entry one of them is drawn. Its law
    tends to the conditional one as particles grow, and is that with a single particle where
    observed entries come before missing ones.

    Args:
        start: Begins a walk of so many events.
        law: The law of the events.
        x: Flat events, (B, entries).
        observed: True where x is known, (B, entries).
        particles: How many for each event.

    References:
        | Novel Approach to Nonlinear/Non-Gaussian Bayesian State Estimation (Gordon et al., 1993)
    """
    particles = particles if observed.any() else 1
    walk = start(len(x) * particles)
    last = max((k for k, some in enumerate(observed[:, walk.order].any(0)) if some), default=-1)
    values, known = (t.repeat_interleave(particles, 0) for t in (x, observed))
    log_weights = torch.zeros(len(x), particles, dtype=torch.float64, device=x.device)
    for k, site in enumerate(walk.order):
        output, seen = entry(law, walk.output()), known[:, site]
        value = torch.where(seen, values[:, site], law.sample(output).flatten())
        walk.take(value)
        if particles > 1 and k <= last and seen.any():
            terms = law.terms(output, value.view(-1, *[1] * len(law.shape))).flatten()
            log_weights += terms.double().where(seen, 0.0).view_as(log_weights)
            if (few := effective_sample_size(log_weights.mT) < particles / 2).any():
                rows, log_weights = resampled(log_weights, few)
                walk.pick(rows)
        if k == last:
            walk.pick(chosen(log_weights))
            values, known, particles = x, observed, 1
    return walk.x


def entry(law: Observation, output: Tensor) -> Tensor:
    """What the law takes of one entry, (B, numbers), in the form of an event with one entry."""
    return output.view(len(output), law.numbers, *[1] * (len(law.shape) - 1))


def resampled(log_weights: Tensor, few: Tensor) -> tuple[Tensor, Tensor]:
    """Systematic resampling of the particles of some events, whose weights become equal.

    Args:
        log_weights: Of the particles of each event, (B, particles).
        few: True for these events, (B,).

    Returns:
        Which of the B x particles rows go on, and their log-weights.
    """
    b, n = log_weights.shape
    stay = torch.arange(n, device=log_weights.device).expand(b, n)
    steps = (stay + torch.rand(b, 1, dtype=log_weights.dtype, device=log_weights.device)) / n
    drawn = torch.searchsorted(log_weights.softmax(1).cumsum(1), steps).clamp(max=n - 1)
    kept = torch.where(few[:, None], drawn, stay)
    return rows(kept, n), log_weights.where(~few[:, None], 0.0)


def chosen(log_weights: Tensor) -> Tensor:
    """One row for each event, drawn with the weights of its particles; (B,)."""
    return rows(log_weights.softmax(1).multinomial(1), log_weights.shape[1])


def rows(particle: Tensor, particles: int) -> Tensor:
    """Where particles (B, k) of each event stand among all B x particles; (B k,)."""
    first = torch.arange(len(particle), device=particle.device)[:, None] * particles
    return (first + particle).flatten()


def raster(shape: Sequence[int]) -> Tensor:
    """The order of reading: rows, in them columns, and at each pixel its channels; (entries,)."""
    places = torch.arange(torch.Size(shape).numel())
    return places.view(shape[0], -1).T.flatten() if len(shape) > 1 else places


def is_prefix(observed: Tensor) -> bool:
    """Whether in each event (B, entries), in order, what is observed comes before what is not."""
    return not (observed[:, 1:] & ~observed[:, :-1]).any()
