"""From the prior of a decoder to its posterior: p_β(z) ∝ p(z) p(x | z)^β, for many events at once.

The normalizer at β = 1 is p(x). Chains move by Hamiltonian Monte Carlo, whose step sizes a run
before has found; they stay as they are while weights are made, since chains that choose them by
what they have seen no longer leave p_β as it is.

References: MCMC Using Hamiltonian Dynamics (Neal, 2011); On the Quantitative Analysis of Decoder-
Based Generative Models (Wu, Burda, Salakhutdinov & Grosse, 2017).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from genlit.annealing import Rung
from genlit.protocols import Decoder

ACCEPTED = 0.65  # the share of moves at which Hamiltonian Monte Carlo spends its steps best
PACE = 0.05  # by how much the logarithm of a step size follows the share of accepted moves
WIDEST = 1.0  # a step, in standard deviations of a standard normal prior

Sizes = Callable[[float], float]  # step sizes by β


class State(NamedTuple):
    """Where the chains stand."""

    z: Tensor  # (S, B, D)
    log_prior: Tensor  # (S, B)
    log_likelihood: Tensor  # (S, B)


class DecoderPath:
    """The path of events x; S * B chains, of which those that are B apart are of one event.

    Args:
        model: The decoder.
        x: Events, (B, *shape).
        sizes: The step sizes.
        leapfrogs: Steps of a move.
    """

    log_base = 0.0

    def __init__(self, model: Decoder, x: Tensor, sizes: Sizes, leapfrogs: int) -> None:
        self.model, self.sizes, self.leapfrogs = model, sizes, leapfrogs
        with torch.inference_mode(False):
            self.x = x.clone()  # which gradients may pass, whatever x was made by
        self.accepted = 0.0  # the share of the last moves

    def start(self, n: int) -> State:
        return self.at(self.model.draw_codes(n).view(-1, len(self.x), self.model.codes))

    @torch.no_grad()
    def at(self, z: Tensor) -> State:
        """The state of chains at codes z (S, B, D)."""
        return State(z, self.model.log_prior(z), self.model.log_likelihood(self.x, z))

    def rise(self, state: State, low: float, high: float) -> Tensor:
        return (high - low) * state.log_likelihood.flatten().double()

    @torch.no_grad()
    def move(self, state: State, beta: float) -> State:
        """One Hamiltonian trajectory, accepted or refused; it is its own reversal in time."""
        size, momentum = self.sizes(beta), torch.randn_like(state.z)
        z, speed = state.z, momentum + size / 2 * self._force(state.z, beta)
        for k in range(self.leapfrogs):
            z = z + size * speed
            last = k == self.leapfrogs - 1
            speed = speed + (size / 2 if last else size) * self._force(z, beta)
        there = self.at(z)
        gain = there.log_prior - state.log_prior
        gain = gain + beta * (there.log_likelihood - state.log_likelihood)
        gain = gain + 0.5 * (momentum.square() - speed.square()).sum(-1)
        taken = torch.rand_like(gain).log() < gain  # never where the trajectory left for nan
        self.accepted = float(taken.float().mean())
        pairs = zip(there, state, strict=True)
        return State(
            *(torch.where(taken if n.dim() == 2 else taken[..., None], n, o) for n, o in pairs)
        )

    move_back = move

    def _force(self, z: Tensor, beta: float) -> Tensor:
        """The gradient of log p_β at z."""
        with torch.inference_mode(False), torch.enable_grad():
            z = z.detach().clone().requires_grad_()
            log_p = self.model.log_prior(z) + beta * self.model.log_likelihood(self.x, z)
            return torch.autograd.grad(log_p.sum(), z)[0]


@torch.no_grad()
def tuned(model: Decoder, x: Tensor, rungs: Sequence[Rung], chains: int, leapfrogs: int) -> Sizes:
    """Step sizes by β, found by a run that changes them as it goes and makes no weights.

    Args:
        model: The decoder.
        x: Events to run along the path of, (B, *shape).
        rungs: The temperatures in ascending order.
        chains: Chains for each event.
        leapfrogs: Steps of a move.
    """
    sizes: dict[float, float] = {}
    size = 0.3
    path = DecoderPath(model, x, lambda beta: size, leapfrogs)
    state = path.start(chains * len(x))
    for _, high in rungs:
        state = path.move(state, high)
        size = min(size * float(torch.tensor(PACE * (path.accepted - ACCEPTED)).exp()), WIDEST)
        sizes[high] = size
    return sizes.__getitem__
