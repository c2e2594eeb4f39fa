"""Running Markov chains of any model."""

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def clamped(step: Callable[[Tensor], Tensor], x: Tensor, observed: Tensor, steps: int) -> Tensor:
    """Runs chains with observed entries held at their values; the others start at coin flips.

    Args:
        step: Moves B chains by one step.
        x: Events, (B, *shape); entries that are not observed do not matter.
        observed: True where x is known, of the shape of x.
        steps: How many steps to run.

    Returns:
        The last states, (B, *shape), equal to x where observed.
    """
    state = torch.where(observed, x, torch.rand_like(x).round())
    for _ in range(steps):
        state = torch.where(observed, x, step(state))
    return state
