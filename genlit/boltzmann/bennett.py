"""The ratio of two normalizers from samples of both distributions.

With rises u = log p*_1 - log p*_0 of chains of either, log Z_1 - log Z_0 is the C that solves

    E_0[σ(u - C)] = E_1[σ(C - u)]

Of all estimates that weigh samples by a function of u, its variance is the least.

References: Efficient Estimation of Free Energy Differences from Monte Carlo Data (Bennett, 1976).
"""

from typing import NamedTuple

import torch
from torch import Tensor

HALVINGS = 60  # of an interval: to the last digits of a double


class Ratio(NamedTuple):
    """An estimate of log Z_1 - log Z_0."""

    value: Tensor  # () nats
    influence: Tensor  # (chains,) what each moves the value by, times their number


def log_ratio(below: Tensor, above: Tensor) -> Ratio:
    """Bennett's acceptance ratio; its error comes from chains, which may remember what they were.

    Args:
        below: Rises u of chains of p_0, (steps, chains).
        above: Rises u of chains of p_1, (steps, chains). The k-th chains of both may depend on each
            other, and on their own past, but not on other chains.
    """
    below, above = below.double(), above.double()
    low, high = torch.aminmax(torch.stack([below, above]))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rising = excess(below, above, middle).mean() > 0
        low, high = torch.where(rising, middle, low), torch.where(rising, high, middle)
    value = (low + high) / 2
    slope = sum((u - value).sigmoid().mul((value - u).sigmoid()).mean() for u in (below, above))
    return Ratio(value, excess(below, above, value) / slope)


def excess(below: Tensor, above: Tensor, c: Tensor) -> Tensor:
    """What the left side of the equation has more than the right one, in each chain; (chains,)."""
    return (below - c).sigmoid().mean(0) - (c - above).sigmoid().mean(0)
