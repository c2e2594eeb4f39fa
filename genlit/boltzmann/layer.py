"""A restricted Boltzmann machine that learns: parameters, chains and coordinates of its gradient.

A model of one layer has one of these; a belief net has a stack.
"""

import torch
from torch import Tensor, nn

from genlit.boltzmann import energy, gradient
from genlit.boltzmann.centring import Gradient, Ordinary
from genlit.boltzmann.energy import Theta
from genlit.boltzmann.gradient import Phase
from genlit.boltzmann.path import RBMPath
from genlit.boltzmann.samplers import PCD, Chains
from genlit.boltzmann.units import Units


class Layer(nn.Module):
    """Visible and hidden units with weights between them.

    Args:
        units: The visible units.
        hidden: The number of hidden units.
        sampler: Builds the chains of the negative phase.
        coordinates: Builds the coordinates of the gradient.
        sparsity: Weight of a penalty that draws mean activations of hidden units to `target`.
        target: The activation that is drawn to.
    """

    W: nn.Parameter
    b: nn.Parameter
    c: nn.Parameter
    base: Tensor  # (V,), biases of independent visible units with the means of the training data

    def __init__(
        self,
        units: Units,
        hidden: int,
        sampler: Chains = PCD,
        coordinates: Gradient = Ordinary,
        sparsity: float = 0.0,
        target: float = 0.1,
    ) -> None:
        super().__init__()
        if not 0 < target < 1:
            raise ValueError(
                f"the target of sparsity is {target}: an activation is between 0 and 1"
            )
        self.units = units
        self.sparsity, self.target = sparsity, target
        self.W = nn.Parameter(0.01 * torch.randn(units.size, hidden))
        self.b = nn.Parameter(torch.zeros(units.size))
        self.c = nn.Parameter(torch.zeros(hidden))
        self.sampler = sampler(units.size, hidden)
        self.coordinates = coordinates(units.size, hidden)
        self.register_buffer("base", torch.zeros(units.size))

    @property
    def theta(self) -> Theta:
        """The parameters, as the functions of `genlit.boltzmann` take them."""
        return Theta(self.W, self.b, self.c, self.units)

    @torch.no_grad()
    def settle(self, base: Tensor) -> None:
        """Sets out from independent visible units with biases `base` (V,), chains included."""
        self.base.copy_(base)
        self.b.copy_(base)
        self.sampler.settle(self.theta, self.base)

    def loss(self, v: Tensor) -> Tensor:
        """The gap of mean energies of states (B, V) and the chains, which move on in training."""
        return self.gap(*self.phases(v))

    @torch.no_grad()
    def phases(self, v: Tensor) -> tuple[Phase, Phase]:
        """Looks at states (B, V), and at the chains, which move on in training."""
        data = gradient.phase(self.theta, v)
        chains = self.sampler.negative(self.theta, data)
        if self.training:
            self.coordinates.observe(data, chains)
        return data, chains

    def gap(self, data: Phase, chains: Phase) -> Tensor:
        """The gap of mean energies, with the penalty on dense activations where there is one."""
        gap = gradient.energy_gap(self.theta, data, chains)
        return gap + self.sparsity * self._density(data.v) if self.sparsity else gap

    def _density(self, v: Tensor) -> Tensor:
        """Cross-entropy of the target and each hidden unit's mean activation, in nats, summed."""
        q = energy.hidden_logits(self.theta, v).sigmoid().mean(0).clamp(1e-6, 1 - 1e-6)
        return -(self.target * q.log() + (1 - self.target) * (1 - q).log()).sum()

    @torch.no_grad()
    def turn(self) -> None:
        """Takes the gradient to the coordinates in which the step is made, before it is made."""
        grads = [p.grad for p in (self.W, self.b, self.c)]
        if None not in grads:
            self.coordinates.turn(*(g for g in grads if g is not None))

    @torch.no_grad()
    def positions(self, n: int, steps: int) -> Tensor:
        """Positions of the visible units after steps from where the chains stand; (n, V)."""
        h = self.sampler.go_on(self.theta, self.base, n, steps)
        return energy.visible_logits(self.theta, h)

    def path(self, steps: int) -> RBMPath:
        """The way to this machine from independent units; its samples come after so many steps."""
        origin = f"{self.sampler.origin} after {steps} Gibbs steps"
        return RBMPath(
            self.theta,
            self.base,
            lambda n: self.units.draw(self.positions(n, steps)),
            origin,
        )
