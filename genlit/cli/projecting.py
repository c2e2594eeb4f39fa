"""Codes of events by search, for any model that makes events of codes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genlit.cli.codes import drawn_spread
from genlit.latent import Projection, Search, Spread, Wish, agree, project
from genlit.protocols import Encodes
from genlit.randomness import isolated
from genlit.tasks.blocks import block_of


def project_events(
    model: Any, x: Tensor, known: Tensor, restarts: int, search: Search, seed: int
) -> Projection:
    """The codes whose events are nearest to given ones; on the CPU.

    Args:
        model: The model, which Generates.
        x: The events, (n, *shape).
        known: Which of their entries count, (n, *shape) bool.
        restarts: How many searches for each code; for a model that encodes, the first begins at
            the event's own, with 0 where an entry does not count.
        search: How to search.
        seed: Of where searches begin.
    """

    def find(wish: Wish, drawn: Tensor, spread: Spread) -> Projection:
        starts = drawn
        if isinstance(model, Encodes):
            hidden = torch.where(wish.observed, wish.target, 0.0)
            with torch.no_grad():
                starts = torch.cat([model.encode(hidden)[None], drawn[1:]])
        return project(model.decode, wish, starts, spread, search)

    return in_parts(find, model, x, known, restarts, seed)


def agreeing_events(
    model: Any, x: Tensor, known: Tensor, restarts: int, search: Search, seed: int
) -> Projection:
    """Codes near drawn ones whose events agree with given ones; as with `project_events`."""

    def find(wish: Wish, drawn: Tensor, spread: Spread) -> Projection:
        return agree(model.decode, wish, drawn, spread, search)

    return in_parts(find, model, x, known, restarts, seed)


def in_parts(
    find: Callable[[Wish, Tensor, Spread], Projection],
    model: Any,
    x: Tensor,
    known: Tensor,
    restarts: int,
    seed: int,
) -> Projection:
    """What is found for events of which a bounded number is searched for at a time.

    Raises:
        ValueError: If a code is not finite.
    """
    spread = drawn_spread(model, seed)
    spread = Spread(spread.mean.to(model.device), spread.std.to(model.device))
    parts, size = [], max(1, block_of(model.shape) // restarts)
    for k, (events, entries) in enumerate(zip(x.split(size), known.split(size), strict=True)):
        wish = Wish(events.to(model.device), entries.to(model.device))
        with isolated("project", seed, k):
            with torch.no_grad():
                drawn = model.draw_codes(restarts * len(events)).unflatten(0, (restarts, -1))
            parts.append(find(wish, drawn, spread))
    codes, errors = (torch.cat(values).float().cpu() for values in zip(*parts, strict=True))
    if not torch.isfinite(codes).all():
        raise ValueError(f"{type(model).__name__} has codes that are not finite: it has diverged")
    return Projection(codes, errors)
