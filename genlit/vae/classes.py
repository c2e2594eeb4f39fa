"""Bounds of events whose class is not known, by an explicit sum over what it may be.

With a classifier q(y | x) and, for each class, a bound L(x, y) <= log p(x, y), in nats,

    U(x) = Σ_y q(y | x) [L(x, y) - log q(y | x)] <= log Σ_y exp L(x, y) <= log p(x)

The first step is Jensen's inequality, and holds for any q. So it does for one that gives classes no
probability that are not worth the time: what is left out makes the bound lower, and no less true.

References:
    | Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014), eq. 7
    | https://arxiv.org/abs/1406.5298
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Candidates(NamedTuple):
    """Pairs of an event and a class that it may be of."""

    log_q: Tensor  # (B, K), log q(y | x) in nats; -inf where a class was left out
    event: Tensor  # (M,), the places of the events of these pairs among the B
    label: Tensor  # (M,), their classes


def candidates(log_q: Tensor, least: float) -> Candidates:
    """The classes worth looking at: those that q gives a probability above the least, renormalized.

    The most probable class of each event is always one of them; with 0 all are.

    Args:
        log_q: Log q(y | x) in nats, (B, K).
        least: The least probability.
    """
    probability = log_q.detach().exp()
    kept = probability >= probability.amax(1, keepdim=True).clamp(max=least)
    event, label = kept.nonzero(as_tuple=True)
    return Candidates(log_q.masked_fill(~kept, -torch.inf).log_softmax(1), event, label)


def marginal_bound(pairs: Candidates, bounds: Tensor) -> Tensor:
    """U(x) of each event, (B,) nats, from L(x, y) of the pairs, (M,) nats."""
    log_q = pairs.log_q[pairs.event, pairs.label]
    terms = log_q.exp() * (bounds - log_q)
    return terms.new_zeros(len(pairs.log_q)).index_add(0, pairs.event, terms)
