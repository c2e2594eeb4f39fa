"""Gibbs sweeps over units that are coupled with each other.

Units that are coupled must not be drawn at once: each would answer to what the others were, and the
law of the machine would not stay. A sweep visits them one after another, in every chain the same
unit at the same time. It is a great many small operations, so two things make it fast, and change
nothing of its law:

- Units that are not coupled may be drawn at once. Where couplings reach as far as neighbours only,
  a few classes of such units, its colours, make up the whole layer.
- Otherwise units are taken in blocks. One matrix product brings the states of all other units to a
  block; within it, a unit that flips adds its couplings to the log-odds of those yet to be drawn.

The colours are drawn in order, or the blocks and the units within, or else all of it backwards:
that is the same sweep reversed in time.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from genlit.boltzmann.couplings import Couplings, anneal, hidden_logits
from genlit.boltzmann.units import draw

BLOCK = 32  # units: longer blocks cost more within, shorter ones more matrix products


class Order(NamedTuple):
    """In which order the units of a layer are visited: one group after another."""

    groups: tuple[Tensor | slice, ...]
    coupled: bool  # whether units of a group are coupled, and so are drawn one by one


class Drawn(NamedTuple):
    """States of a layer, with the log-odds that they were drawn with; both (B, N)."""

    states: Tensor
    logits: Tensor


class Gibbs(NamedTuple):
    """A machine with the orders in which Gibbs sampling visits its units."""

    theta: Couplings
    visible_order: Order | None  # None where these units are not coupled with each other
    hidden_order: Order | None

    def hidden(self, v: Tensor, h: Tensor | None = None, backwards: bool = False) -> Drawn:
        """Hidden states given v (B, V): all at once if uncoupled, else by a sweep.

        Args:
            v: Visible states.
            h: Where the sweep starts, (B, H); None starts it at coin flips.
            backwards: Whether to reverse it in time.
        """
        logits = hidden_logits(self.theta, v)
        if self.theta.S is None:
            return Drawn(draw(logits), logits)
        assert self.hidden_order is not None
        h = torch.rand_like(logits).round() if h is None else h
        return sweep(self.theta.S, logits, h, self.hidden_order, None, backwards)

    def visible(
        self, h: Tensor, v: Tensor, held: Tensor | None = None, backwards: bool = False
    ) -> Drawn:
        """Visible states given h (B, H): all at once if uncoupled, else a sweep that starts at v.

        Args:
            h: Hidden states.
            v: Visible states, (B, V), which do not matter where uncoupled and not held.
            held: True for units that keep their state, (B, V) bool.
            backwards: Whether to reverse the sweep in time.
        """
        logits = torch.addmm(self.theta.b, h, self.theta.W.mT)
        if self.theta.R is None:
            drawn = draw(logits)
            return Drawn(drawn if held is None else torch.where(held, v, drawn), logits)
        assert self.visible_order is not None
        return sweep(self.theta.R, logits, v, self.visible_order, held, backwards)

    def run(
        self, v: Tensor, h: Tensor, sweeps: Iterable[int], held: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Chains that move from (v, h), visible units first; their last (v, h)."""
        for _ in sweeps:
            v = self.visible(h, v, held).states
            h = self.hidden(v, h).states
        return v, h

    def annealed(self, base: Tensor, beta: float) -> "Gibbs":
        """The machine at β between independent visible units with biases `base` and this one."""
        return self._replace(theta=anneal(self.theta, base, beta))


def neighbours(shape: Sequence[int], reach: int | None) -> Tensor:
    """Which entries of an event may be coupled: no entry with itself, else as `reach` says.

    Args:
        shape: The shape of an event, of which the last two sizes are rows and columns.
        reach: How many rows and columns apart two entries may be; None for any number.

    Returns:
        (N, N) bool.
    """
    n = math.prod(shape)
    apart = torch.zeros(n, n)
    for axis in torch.unravel_index(torch.arange(n), tuple(shape))[-2:]:
        apart = apart.maximum((axis[:, None] - axis).abs())
    far = math.inf if reach is None else reach
    return (apart <= far) & ~torch.eye(n, dtype=torch.bool)


def order(mask: Tensor) -> Order:
    """Colours if there are at most half as many as units, otherwise blocks.

    Args:
        mask: Whether two units may be coupled, (N, N) bool and symmetric.
    """
    n = len(mask)
    if mask.sum(1).max() <= n / 2:  # with more neighbours, colours are too many to be counted
        colour = colours(mask)
        if (count := int(colour.max()) + 1) <= n // 2:
            return Order(tuple((colour == k).nonzero()[:, 0] for k in range(count)), coupled=False)
    blocks = (slice(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK))
    return Order(tuple(blocks), coupled=True)


def colours(mask: Tensor) -> Tensor:
    """A number for each unit such that coupled units have different ones; (N,) int64.

    Each takes the smallest number that none of its neighbours has taken.
    """
    colour = torch.full((len(mask),), -1)
    for i, neighbours in enumerate(mask):
        taken = set(colour[neighbours].tolist())
        colour[i] = next(k for k in range(len(mask)) if k not in taken)
    return colour


def sweep(
    coupling: Tensor, inputs: Tensor, x: Tensor, visits: Order,
    held: Tensor | None = None, backwards: bool = False,
) -> Drawn:  # fmt: skip
    """Draws each unit of a layer once, given all others as they are by then.

    Args:
        coupling: Symmetric couplings with a zero diagonal, (N, N).
        inputs: Log-odds of the units but for what comes from their own layer, (B, N).
        x: States, (B, N).
        visits: The order.
        held: True for units that keep their state, (B, N) bool.
        backwards: Whether to visit in the opposite order.
    """
    # Chains side by side in a row, so that each unit is one piece of memory.
    inputs, x = inputs.mT, x.mT.clone(memory_format=torch.contiguous_format)
    keep = None if held is None else held.mT
    logits, thresholds = torch.empty_like(x), torch.logit(torch.rand_like(x))
    for group in reversed(visits.groups) if backwards else visits.groups:
        field = torch.addmm(inputs[group], coupling[group], x, alpha=2)
        kept = None if keep is None else keep[group]
        if visits.coupled:
            _one_by_one(coupling[group, group], field, thresholds[group], x[group], kept, backwards)
        else:
            drawn = (field > thresholds[group]).to(x)
            x[group] = drawn if kept is None else torch.where(kept, x[group], drawn)
        logits[group] = field
    return Drawn(x.mT.contiguous(), logits.mT.contiguous())


def _one_by_one(
    coupling: Tensor, field: Tensor, thresholds: Tensor, x: Tensor, kept: Tensor | None,
    backwards: bool,
) -> None:  # fmt: skip
    """Draws the units of a block (N, B) in place; `field` ends as what each was drawn with."""
    rows, limits, states = field.unbind(), thresholds.unbind(), x.unbind()
    for i, later in _visited(len(x), backwards):
        change = (rows[i] > limits[i]).to(x).sub_(states[i])
        if kept is not None:
            change.masked_fill_(kept[i], 0)
        states[i].add_(change)
        field[later].addr_(coupling[later, i], change, alpha=2)


def _visited(n: int, backwards: bool) -> Iterator[tuple[int, slice]]:
    """The units of a block in their order, each with those that come after it."""
    if backwards:
        return ((i, slice(0, i)) for i in reversed(range(n)))
    return ((i, slice(i + 1, n)) for i in range(n))
