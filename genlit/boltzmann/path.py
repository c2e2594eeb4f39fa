"""The way from independent units to a restricted Boltzmann machine, for annealing.

    log p*_β(v) = -bias_energy(b_β, v) + Σ_j log(1 + exp(β (c_j + inputs(v)·W_j))),
            b_β = (1 - β) a + β b

where a are biases of the base. For binary units the first term is v·b_β.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.boltzmann.energy import Theta, hidden_logits
from genlit.boltzmann.units import draw

State = tuple[Tensor, Tensor]  # visible states (n, V), and hidden log-odds (n, H) at β = 1


class RBMPath:
    """Annealing of a restricted Boltzmann machine with hidden units summed out.

    A temperature costs two matrix products: the hidden log-odds at β = 1 are kept with the state.

    Args:
        theta: The parameters.
        base: Biases of independent visible units; best are those of the data's means.
        draw_samples: Draws n visible states (n, V) of the machine.
        origin: Where these come from, in words.
    """

    def __init__(
        self, theta: Theta, base: Tensor, draw_samples: Callable[[int], Tensor], origin: str
    ) -> None:
        self.theta = theta
        self.base = base
        self.draw_samples = draw_samples
        self.origin = origin

    @property
    def log_base(self) -> float:
        base, units = self.base.double()[None], self.theta.double().units
        return float(units.log_norm(base, base)) + len(self.theta.c) * math.log(2)

    def at(self, x: Tensor) -> State:
        return self._look(self.theta.units.states(x.flatten(1)))

    def start(self, n: int) -> State:
        return self._look(self.theta.units.draw(self.base.expand(n, -1)))

    def samples(self, n: int) -> State:
        return self._look(self.draw_samples(n))

    def rise(self, state: State, low: float, high: float) -> Tensor:
        v, inputs = state
        hidden = nnf.softplus(high * inputs).sub_(nnf.softplus(low * inputs)).sum(1)
        visible = self.theta.units.change(v, self._bias(low), self._bias(high))
        return hidden.double() + visible.double()

    def move(self, state: State, beta: float) -> State:
        """A Gibbs sweep v -> h -> v', which is its own reverse."""
        h = draw(beta * state[1])
        position = torch.addmm(self._bias(beta), h, self.theta.W.mT, alpha=beta)
        return self._look(self.theta.units.draw(position))

    move_back = move

    def events(self, state: State) -> Tensor:
        return self.theta.units.events(state[0])

    def _look(self, v: Tensor) -> State:
        return v, hidden_logits(self.theta, v)

    def _bias(self, beta: float) -> Tensor:
        return (1 - beta) * self.base + beta * self.theta.b
