"""The way from independent units to a machine of coupled units, for annealing.

With hidden units summed out, where these are not coupled with each other:

    log p*_β(v) = (1 - β) v·a + β (v·b + v·R v) + Σ_j log(1 + exp(β (c_j + (v W)_j)))

Otherwise over joint states: log p*_β(v, h) = (1 - β) v·a - β E(v, h). In both, a are biases of the
base, in which each hidden unit is a fair coin.

A sweep is not its own reverse in time: that visits the units in the opposite order. If hidden units
are uncoupled, each transition draws h given v afresh and then sweeps over v given h. Reversed, it
draws h given v likewise, and sweeps backwards given h. Over joint states, the two sweeps of a
transition change places, too.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.boltzmann.couplings import energy, hidden_logits, within
from genlit.boltzmann.sweeps import Gibbs
from genlit.boltzmann.units import draw

State = tuple[Tensor, Tensor]  # visible and hidden states, (n, V) and (n, H)


class CoupledPath:
    """Annealing of a machine with uncoupled hidden units, which are summed out.

    A state is one of the visible units, (n, V).

    Args:
        gibbs: The machine.
        base: Biases of independent visible units; best are those of the data's means.
        draw_samples: Draws n states (n, V) and (n, H) of the machine.
        origin: Where these come from, in words.
    """

    def __init__(
        self, gibbs: Gibbs, base: Tensor, draw_samples: Callable[[int], State], origin: str
    ) -> None:
        self.gibbs = gibbs
        self.base = base
        self.draw_samples = draw_samples
        self.origin = origin

    @property
    def log_base(self) -> float:
        return log_base(self.gibbs, self.base)

    def at(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def start(self, n: int) -> Tensor:
        return draw(self.base.expand(n, -1))

    def samples(self, n: int) -> Tensor:
        return self.draw_samples(n)[0]

    def rise(self, state: Tensor, low: float, high: float) -> Tensor:
        theta = self.gibbs.theta
        inputs = hidden_logits(theta, state)
        hidden = nnf.softplus(high * inputs).sub_(nnf.softplus(low * inputs)).sum(1)
        visible = state @ (theta.b - self.base) + within(theta.R, state)
        return hidden.double() + (high - low) * visible.double()

    def move(self, state: Tensor, beta: float) -> Tensor:
        """V -> h ~ p(h | v) -> v' by a sweep given h."""
        return self._sweep(state, beta, backwards=False)

    def move_back(self, state: Tensor, beta: float) -> Tensor:
        return self._sweep(state, beta, backwards=True)

    def events(self, state: Tensor) -> Tensor:
        return state

    def _sweep(self, v: Tensor, beta: float, backwards: bool) -> Tensor:
        gibbs = self.gibbs.annealed(self.base, beta)
        return gibbs.visible(gibbs.hidden(v).states, v, None, backwards).states


class JointPath:
    """Annealing of a machine whose hidden units are coupled: a state is one of all units.

    Args:
        gibbs: The machine.
        base: Biases of independent visible units; best are those of the data's means.
        draw_samples: Draws n states (n, V) and (n, H) of the machine.
        origin: Where these come from, in words.
    """

    def __init__(
        self, gibbs: Gibbs, base: Tensor, draw_samples: Callable[[int], State], origin: str
    ) -> None:
        self.gibbs = gibbs
        self.base = base
        self.draw_samples = draw_samples
        self.origin = origin

    @property
    def log_base(self) -> float:
        return log_base(self.gibbs, self.base)

    def start(self, n: int) -> State:
        h = torch.rand(n, len(self.gibbs.theta.c), dtype=self.base.dtype, device=self.base.device)
        return draw(self.base.expand(n, -1)), h.round()

    def samples(self, n: int) -> State:
        return self.draw_samples(n)

    def rise(self, state: State, low: float, high: float) -> Tensor:
        v, h = state
        return (high - low) * -(energy(self.gibbs.theta, v, h) + v @ self.base).double()

    def move(self, state: State, beta: float) -> State:
        """Hidden units given visible ones, then these given the hidden ones."""
        v, h = state
        gibbs = self.gibbs.annealed(self.base, beta)
        h = gibbs.hidden(v, h).states
        return gibbs.visible(h, v).states, h

    def move_back(self, state: State, beta: float) -> State:
        v, h = state
        gibbs = self.gibbs.annealed(self.base, beta)
        v = gibbs.visible(h, v, backwards=True).states
        return v, gibbs.hidden(v, h, backwards=True).states

    def events(self, state: State) -> Tensor:
        return state[0]


def log_base(gibbs: Gibbs, base: Tensor) -> float:
    """Exact log Z at β = 0, in nats."""
    return float(nnf.softplus(base.double()).sum()) + len(gibbs.theta.c) * math.log(2)
