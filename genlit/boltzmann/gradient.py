"""The gradient of the likelihood of a Boltzmann machine in closed form.

    - ∂ log p(v) / ∂θ = < ∂E/∂θ >_data - < ∂E/∂θ >_model,     ∂E/∂W_ij = -v_i h_j

The second mean is taken over states of a Markov chain. In both, hidden units stand with their
probabilities: E[h | v] has the same mean as h and less variance.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from genlit.boltzmann.energy import Theta, free_energy, hidden_logits, visible_logits
from genlit.boltzmann.units import draw_


class Phase(NamedTuple):
    """Visible states, with what the parameters say about their hidden units."""

    v: Tensor  # (B, V)
    logits: Tensor  # (B, H) log-odds of the hidden units
    mean: Tensor  # (B, H) probabilities of the hidden units

    @property
    def hidden(self) -> Tensor:
        """A sample of the hidden units, (B, H)."""
        return torch.rand_like(self.mean).lt_(self.mean)


def phase(theta: Theta, v: Tensor) -> Phase:
    """Looks at visible states (B, V)."""
    logits = hidden_logits(theta, v)
    return Phase(v, logits, logits.sigmoid())


@torch.no_grad()
def run(theta: Theta, h: Tensor, steps: int) -> Phase:
    """Runs chains h -> v -> h -> ... -> v from hidden states (K, H) to the `steps`-th v.

    All steps write to the same two buffers a layer.
    """
    (position, noise), (logits, other) = (h.new_empty(2, len(h), n) for n in theta.W.shape)
    v = theta.units.draw_(visible_logits(theta, h, position), noise)
    for _ in range(steps - 1):
        h = draw_(hidden_logits(theta, v, logits), other)
        v = theta.units.draw_(visible_logits(theta, h, position), noise)
    return phase(theta, v)


class EnergyGap(torch.autograd.Function):
    """Mean energy of the data minus that of the chains, in nats, with hidden units averaged out.

    For units whose energy is linear in the parameters. Its value costs next to nothing. It is no
    likelihood, but a parameter that is not finite shows in it. Its gradient, of two matrix
    products, is that of `mean F(data) - mean F(chains)`.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, W: Tensor, b: Tensor, c: Tensor, data: Phase, chains: Phase
    ) -> Tensor:
        ctx.phases = data, chains  # pyright: ignore[reportAttributeAccessIssue]
        return mean_energy(b, data) - mean_energy(b, chains)

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        data, chains = ctx.phases  # pyright: ignore[reportAttributeAccessIssue]
        down, up = -grad_outputs[0] / len(data.v), grad_outputs[0] / len(chains.v)
        h, h_chains = data.mean * down, chains.mean * up
        W = torch.mm(data.v.mT, h).addmm_(chains.v.mT, h_chains)
        b = (data.v.sum(0) * down).add_(chains.v.sum(0) * up)
        return W, b, h.sum(0).add_(h_chains.sum(0)), None, None


def mean_energy(b: Tensor, states: Phase) -> Tensor:
    """Mean over the states of E[E(v, h) | v] = -v·b - Σ_j E[h_j | v] (c_j + (v W)_j)."""
    return -(states.v.sum(0) @ b + torch.dot(states.mean.ravel(), states.logits.ravel())) / len(
        states.v
    )


def energy_gap(theta: Theta, data: Phase, chains: Phase) -> Tensor:
    """The loss of contrastive divergence. Each phase is averaged over its own number of states.

    Args:
        theta: The parameters, which receive the gradient.
        data: The states to be made more probable, looked at with the same parameters.
        chains: States of Markov chains, to be made less probable.

    Returns:
        The scalar gap of mean energies in nats.

    References:
        | Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002)
    """
    if not theta.units.linear:
        return free_energy(theta, data.v).mean() - free_energy(theta, chains.v).mean()
    gap: Tensor = EnergyGap.apply(*theta[:3], data, chains)  # pyright: ignore[reportAssignmentType]
    return gap
