"""Tempering by temperature: the ladder leads from independent pixels to the machine, at β = 1."""

from typing import ClassVar

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.boltzmann.energy import Theta, hidden_logits
from genlit.boltzmann.gradient import Phase
from genlit.boltzmann.rungs import Rungs, Tempered, exchanged, rise, traded

PACE = 0.02  # how fast temperatures move towards equal rates


class ParallelTempering(Tempered):
    """Parallel tempering: rungs between independent pixels and the machine, at β = 0 to 1.

    Rung β has weights β W, hidden biases β c and visible ones (1 - β) a + β b, where a are biases
    of independent pixels with the means of the data. A step costs what it costs one of PCD with as
    many chains as stand on all rungs together. While the machine learns, the temperatures move
    towards equal rates of exchange.

    References:
        | Parallel Tempering for Training of Restricted Boltzmann Machines (Desjardins et al., 2010)
        | https://proceedings.mlr.press/v9/desjardins10a.html

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
        particles: Chains at each temperature, on each process.
        steps: Steps before each gradient.
        temperatures: The number of temperatures, β = 0 and 1 included.
    """

    chains: ClassVar[tuple[str, ...]] = (*Tempered.chains, "betas")

    betas: Tensor  # (temperatures,), ascending from 0 to 1

    def __init__(
        self, visible: int, hidden: int, particles: int = 100, steps: int = 1,
        temperatures: int = 10,
    ) -> None:  # fmt: skip
        if temperatures < 2:
            raise ValueError(f"temperatures is {temperatures}: tempering needs at least 2; or take "
                             "genlit.boltzmann.PCD, which has one")  # fmt: skip
        super().__init__(visible, hidden, particles, steps, temperatures)
        self.register_buffer("betas", torch.linspace(0, 1, temperatures))

    @property
    def origin(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return f"parallel tempering of {self.rungs} temperatures"

    @property
    def rungs(self) -> int:
        return len(self.betas)

    def negative(self, theta: Theta, data: Phase) -> Phase:
        end = super().negative(theta, data)
        if self.training:
            self.betas.copy_(respaced(self.betas, self.rates))
        return end

    def step(self, theta: Theta, h: Tensor, turn: int) -> Rungs:
        """All rungs at once, as W is the same; hidden log-odds are β times those of the machine."""
        betas = self.betas[:, None, None]
        biases = torch.lerp(self.base, theta.b, self.betas[:, None])  # (R, V)
        inputs = (h.flatten(0, 1) @ theta.W.mT).view(*h.shape[:2], -1)
        v = theta.units.draw(torch.addcmul(biases[:, None], inputs, betas))
        logits = hidden_logits(theta, v.flatten(0, 1)).view(h.shape)
        rises = logits.new_zeros(self.rungs - 1, 2, h.shape[1], dtype=torch.float64)
        for low in range(turn % 2, self.rungs - 1, 2):
            pair = slice(low, low + 2)
            ends = betas[low] * logits[pair], betas[low + 1] * logits[pair]
            rises[low] = rise(theta.units, v[pair], (biases[low], biases[low + 1]), ends)
            flip = exchanged(rises[low])
            v[pair], logits[pair] = traded(v[pair], flip), traded(logits[pair], flip)
        return Rungs(v, betas * logits, rises[turn % 2 :: 2])


def respaced(betas: Tensor, rates: Tensor) -> Tensor:
    """Temperatures a little closer where neighbours exchange less often than others do."""
    gaps = betas.diff() * (PACE * (rates - rates.mean())).exp()
    return nnf.pad(gaps.cumsum(0) / gaps.sum(), (1, 0))
