"""Which unit of a masked network may see which: the mathematics of MADE.

Every entry has a position 1..D in an ordering, and every hidden unit a degree in 1..D-1: it sees
entries up to the position that is its degree. An entry's log-odds see units of lower degree.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.autoregressive.ancestral import Walk
from genlit.randomness import permutation


class Ordering(NamedTuple):
    """An order of the entries, and a degree for every hidden unit."""

    order: Tensor  # places of entries, first to last, (entries,)
    degrees: list[Tensor]  # of each hidden layer, (width,)

    @property
    def positions(self) -> Tensor:
        """The position of each entry in the order, from 1; (entries,)."""
        return self.order.argsort() + 1

    def masks(self) -> list[Tensor]:
        """True where a unit of a layer may see one of the layer before, each (width, before)."""
        levels = [self.positions, *self.degrees]
        inner = [high[:, None] >= low for low, high in pairwise(levels)]
        return [*inner, self.positions[:, None] > levels[-1]]

    def direct(self) -> Tensor:
        """True where an entry's log-odds may see an entry, (entries, entries)."""
        return self.positions[:, None] > self.positions


def spread(width: int, entries: int) -> Tensor:
    """Degrees of the units of a layer, as many of each as of any other; (width,)."""
    return 1 + torch.arange(width) * max(entries - 1, 1) // width


def shuffled(order: Tensor, degrees: Sequence[Tensor], number: int) -> Ordering:
    """One of many orderings that are the same in all runs; number 0 is what is given."""
    if number == 0:
        return Ordering(order, list(degrees))
    new = [d[permutation(len(d), "degrees", number, k)] for k, d in enumerate(degrees)]
    return Ordering(order[permutation(len(order), "ordering", number)], new)


class MaskedNetwork(NamedTuple):
    """A masked network as it is: weights that are 0 where their unit may not see."""

    weights: list[Tensor]  # of each layer, (width, before)
    biases: list[Tensor]
    direct: Tensor | None  # from entries to entries, (entries, entries)

    def logits(self, x: Tensor) -> Tensor:
        """Log-odds of every entry given those before it, (B, entries)."""
        h = x
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = nnf.linear(h, W, b).relu()
        logits = nnf.linear(h, self.weights[-1], self.biases[-1])
        return logits if self.direct is None else logits + nnf.linear(x, self.direct)


class MaskedWalk(Walk):
    """The entries of a masked network, in which every hidden unit is computed once.

    A unit is final when the entry at the position of its degree is known, since those that it sees
    in the layer before are final, too. So n events cost what one pass through the network does.

    Args:
        n: The number of events.
        network: The network.
        ordering: The ordering of its masks.
    """

    def __init__(self, n: int, network: MaskedNetwork, ordering: Ordering) -> None:
        super().__init__(n, ordering.order, network.biases[-1])
        self.network = network
        self.cache = [self.x.new_zeros(n, len(degree)) for degree in ordering.degrees]
        self.final = [final_units(degree, len(ordering.order)) for degree in ordering.degrees]

    def output(self) -> Tensor:
        site, net = self.order[self.at], self.network
        last = self.cache[-1] if self.cache else self.x
        logits = last @ net.weights[-1][site] + net.biases[-1][site]
        if net.direct is not None:
            logits = logits + self.x @ net.direct[site]
        return logits[:, None]

    def update(self, site: int, value: Tensor) -> None:
        below = self.x
        for h, final, W, b in zip(
            self.cache, self.final, self.network.weights, self.network.biases, strict=False
        ):
            units = final[self.at]
            h[:, units] = nnf.linear(below, W[units], b[units]).relu()
            below = h


def final_units(degrees: Tensor, entries: int) -> tuple[Tensor, ...]:
    """Which units have each degree 0..D, a tensor of places for each of them."""
    counts = torch.bincount(degrees, minlength=entries + 1)
    return degrees.argsort().split(counts.tolist())
