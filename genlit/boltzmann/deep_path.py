"""The way from independent units to a deep Boltzmann machine, for annealing.

Chains live on the layers of one parity, kept; the others are summed out:

    log p*_β(kept) = Σ_kept x_l·b_l(β) + Σ_others Σ_j log(1 + exp(b_l(β) + β (inputs from kept)))

where b_l(β) = β b_l in hidden layers, and (1 - β) a + β b_0 in the visible one, with biases a of
the base.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.boltzmann.deep import DeepTheta, Layers, logits, parity, smaller, width
from genlit.boltzmann.units import draw

State = tuple[Layers, Layers]  # states of the kept layers, and slopes of the others: see `_look`


class DeepPath:
    """Annealing of a deep Boltzmann machine, every other layer summed out.

    A temperature costs two matrix products for each matrix of weights, as the log-odds of the
    layers that are summed out are kept with the state.

    Args:
        theta: The parameters.
        base: Biases of independent visible units; best are those of the data's means.
        draw_samples: Draws states of all layers of n chains of the machine.
        origin: Where these come from, in words.
        odd: The parity of the layers that chains live on, 0 or 1; None takes the one of fewer
            units.
    """

    def __init__(
        self, theta: DeepTheta, base: Tensor, draw_samples: Callable[[int], Layers], origin: str,
        odd: int | None = None,
    ) -> None:  # fmt: skip
        self.theta = theta
        self.base = base
        self.draw_samples = draw_samples
        self.origin = origin
        self.odd = smaller(theta) if odd is None else odd

    @property
    def log_base(self) -> float:
        hidden = width(self.theta, 0) + width(self.theta, 1) - len(self.base)
        return float(nnf.softplus(self.base.double()).sum()) + hidden * math.log(2)

    def start(self, n: int) -> State:
        flat = (torch.zeros_like(b) for b in self.theta.b[1:])
        biases = dict(enumerate([self.base, *flat]))
        return self._look({k: draw(biases[k].expand(n, -1)) for k in self._kept})

    def samples(self, n: int) -> State:
        return self._look(self.draw_samples(n))

    def rise(self, state: State, low: float, high: float) -> Tensor:
        kept, slopes = state
        total = sum((high - low) * (x @ self._bias_slope(k)).double() for k, x in kept.items())
        for k, slope in slopes.items():
            gained = nnf.softplus(self._at(slope, k, high))
            total = total + gained.sub_(nnf.softplus(self._at(slope, k, low))).sum(1).double()
        return total  # pyright: ignore[reportReturnType]

    def move(self, state: State, beta: float) -> State:
        """A Gibbs sweep from the kept layers to the others and back, which is its own reverse."""
        others = {k: draw(self._at(slope, k, beta)) for k, slope in state[1].items()}
        slopes = {k: self._slope(others, k) for k in self._kept}
        return self._look({k: draw(self._at(slope, k, beta)) for k, slope in slopes.items()})

    move_back = move

    def events(self, state: State) -> Tensor:
        """The visible layer, which is drawn if it is one of those that are summed out."""
        kept, slopes = state
        return kept[0] if 0 in kept else draw(self._at(slopes[0], 0, 1.0))

    @property
    def _kept(self) -> range:
        return parity(self.theta, self.odd)

    def _look(self, x: Layers) -> State:
        others = parity(self.theta, 1 - self.odd)
        return {k: x[k] for k in self._kept}, {k: self._slope(x, k) for k in others}

    def _slope(self, x: Layers, layer: int) -> Tensor:
        """By how much the log-odds of a layer grow from β = 0 to 1, in proportion to β."""
        at_one = logits(self.theta, x, layer)
        return at_one if layer else at_one.sub_(self.base)

    def _bias_slope(self, layer: int) -> Tensor:
        return self.theta.b[layer] if layer else self.theta.b[0] - self.base

    def _at(self, slope: Tensor, layer: int, beta: float) -> Tensor:
        """The log-odds of a layer at β."""
        return beta * slope if layer else torch.add(self.base, slope, alpha=beta)
