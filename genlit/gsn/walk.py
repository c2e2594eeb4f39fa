"""The Markov chain of a generative stochastic network.

Layers 0 (the event) to L are tied to their neighbours by weights W_l of either direction. With H_0
= 0 and the events x_0 the chain goes on for t = 1, 2, ...

    x̃ = C(x_{t-1})                                                       corruption
    h_l = tanh(ε + b_l + h_{l-1}·W_{l-1} + h_{l+1}·W_lᵀ) + ε'             odd l, then even l
    x_t ~ Bernoulli(σ(b_0 + h_1·W_0ᵀ))                                   p(x | H_t)

with h_0 = x̃ and fresh Gaussian noise ε, ε' of each layer's own scale.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor

Layers = list[Tensor | None]  # the event and the hidden layers, (B, n_l) each; None: all zeros
Move = Callable[[Tensor], Tensor]  # of events (B, V)


class Parameters(NamedTuple):
    """The parameters."""

    W: Sequence[Tensor]  # W[l] ties layers l and l + 1, (n_l, n_{l+1})
    b: Sequence[Tensor]  # b[l], (n_l,)


def total_input(theta: Parameters, layers: Layers, k: int) -> Tensor:
    """What layer k gets from its neighbours and its bias, (B, n_k)."""
    total = theta.b[k]
    if k > 0 and (below := layers[k - 1]) is not None:
        total = total + below @ theta.W[k - 1]
    if k + 1 < len(layers) and (above := layers[k + 1]) is not None:
        total = total + above @ theta.W[k].mT
    return total


def excited(total: Tensor, std: float) -> Tensor:
    """Units given their total input, with noise before and after the activation."""
    if not std:
        return total.tanh()
    noise = std * torch.randn_like(total)
    return (total + noise).tanh() + std * torch.randn_like(total)


def updated(theta: Parameters, layers: Layers, first: int, stds: Sequence[float]) -> Layers:
    """The layers after one in two of them has moved on, given its neighbours.

    Args:
        theta: The parameters.
        layers: The event and the hidden layers before.
        first: The lowest layer to move: 1 moves those of odd number, 2 those of even number.
        stds: The scale of each hidden layer's noise; 0 has none.
    """
    layers = [*layers]
    for k in range(first, len(layers), 2):
        layers[k] = excited(total_input(theta, layers, k), stds[k - 1])
    return layers


def walk(
    theta: Parameters, x: Tensor, stds: Sequence[float], corrupt: Move, then: Move
) -> Iterator[Tensor]:
    """The chain from events, without end: the log-odds of p(x | H_t), (B, V), at t = 1, 2, ...

    Gradients flow through the hidden layers from step to step, and none through events drawn.

    Args:
        theta: The parameters.
        x: Where the chain starts, (B, V).
        stds: The scale of each hidden layer's noise.
        corrupt: Spoils events before the network sees them.
        then: Turns the log-odds of a step into the events that the next step starts from.
    """
    layers: Layers = [None] * (len(theta.W) + 1)
    while True:
        layers = updated(theta, [corrupt(x), *layers[1:]], 1, stds)
        logits = total_input(theta, layers, 0)
        yield logits
        layers = updated(theta, layers, 2, stds)  # not before the next step is asked for
        x = then(logits.detach())


def drawn(logits: Tensor) -> Tensor:
    """Zeros and ones, given the log-odds of ones."""
    return (torch.rand_like(logits) < logits.sigmoid()).to(logits)


def log_prob_given(logits: Tensor, x: Tensor) -> Tensor:
    """Log p(x | H) in nats of every event under every state, (S, B).

    A matrix product in place of S·B sums over pixels.

    Args:
        logits: The log-odds of p(x | H), (S, V).
        x: Events of zeros and ones, (B, V).
    """
    return torch.addmm(-nnf.softplus(logits).sum(1, keepdim=True), logits, x.mT)
