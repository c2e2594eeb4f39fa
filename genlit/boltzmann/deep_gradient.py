"""The gradient of a deep Boltzmann machine's bound on the likelihood, in closed form.

    < ∂E/∂θ >_data - < ∂E/∂θ >_model,     ∂E/∂W_l = -x_l x_{l+1}',  ∂E/∂b_l = -x_l

The first mean is taken over mean-field approximations of p(h | v), the second over states of Markov
chains, whose odd layers stand with their probabilities given the even ones: they have the same mean
as a sample and less variance. Where a phase lacks a layer, its parameters have no gradient.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from genlit.boltzmann.deep import DeepTheta, Layers, drawn, logits, parity


def run(theta: DeepTheta, odd: Layers, steps: int) -> tuple[Layers, Layers]:
    """Runs chains from states of the odd layers, one Gibbs sweep a step.

    Returns:
        The negative phase: a sample of the even layers, and probabilities of the odd ones given
        it; then a sample of the odd ones to go on with.
    """
    even, mean = {}, {}
    for _ in range(steps):
        even = drawn(theta, odd, 0)
        mean = {k: logits(theta, even, k).sigmoid() for k in parity(theta, 1)}
        odd = {k: bernoulli(p) for k, p in mean.items()}
    return even | mean, odd


def bernoulli(mean: Tensor) -> Tensor:
    """Independent binary units, each 1 with the given probability."""
    return torch.rand_like(mean).lt_(mean)


def gap_gradient(data: Layers, chains: Layers) -> tuple[Layers, Layers]:
    """Gradients of the gap of mean energies: of W_l by their l, and of b_l by their l.

    Args:
        data: States or means of layers whose numbers are without a gap, (B, n_l) each.
        chains: The same layers of other states, (K, n_l) each.
    """
    W = {}
    for k in data.keys() & {above - 1 for above in data}:
        x, y = chains[k], data[k]
        W[k] = torch.mm(x.mT, chains[k + 1])
        W[k].addmm_(y.mT, data[k + 1], beta=1 / len(x), alpha=-1 / len(y))
    return W, {k: chains[k].mean(0) - data[k].mean(0) for k in data}


class DeepEnergyGap(torch.autograd.Function):
    """Mean energy of the data minus that of the chains, in nats.

    Energies are linear in the parameters, so that the gap is their product with its own gradient:
    nothing but that is computed.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, data: Layers, chains: Layers, *parameters: Tensor) -> Tensor:
        W, b = gap_gradient(data, chains)
        depth = len(parameters) // 2
        grads = [*map(W.get, range(depth)), *map(b.get, range(depth + 1))]
        ctx.grads = grads  # pyright: ignore[reportAttributeAccessIssue]
        pairs = zip(grads, parameters, strict=True)
        return sum(torch.dot(g.ravel(), p.ravel()) for g, p in pairs if g is not None)  # pyright: ignore[reportReturnType]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if g is None else g.mul(grad_outputs[0]) for g in ctx.grads)
        return None, None, *scaled


def energy_gap(theta: DeepTheta, data: Layers, chains: Layers) -> Tensor:
    """The loss of learning. Each phase is averaged over its own number of states.

    Args:
        theta: The parameters; those of layers in the phases receive the gradient.
        data: The states to be made more probable, or their means: the positive phase.
        chains: States of Markov chains, to be made less probable: the negative phase.

    Returns:
        The scalar gap of mean energies in nats.

    References:
        | Deep Boltzmann Machines (Salakhutdinov & Hinton, 2009)
    """
    return DeepEnergyGap.apply(data, chains, *theta.W, *theta.b)  # pyright: ignore[reportReturnType]


def centred(
    W: Mapping[int, Tensor],
    b: Mapping[int, Tensor],
    offsets: Layers,
    counts: Callable[[int], float] = lambda _: 1.0,
) -> None:
    """Turns gradients with respect to (W, b) into steps of the centred machine, in place.

    That machine is the same one, written with x_l - offset_l in place of x_l wherever layers meet;
    its gradient does not depend on whether a unit says 0 or 1. Deep machines hardly learn without
    it unless they are pretrained.

    Args:
        W: Gradients of W_l by their l.
        b: Gradients of b_l by their l, of all layers that these join.
        offsets: Offsets (n_l,) of these layers by number, such as their means.
        counts: How often a layer counts its input, see `genlit.boltzmann.deep.shared_input`.

    References:
        | Deep Boltzmann Machines and the Centering Trick (Montavon & Müller, 2012)
        | How to Center Deep Boltzmann Machines (Melchior, Fischer & Wiskott, 2016)
    """
    for k, g in W.items():
        columns = torch.stack([counts(k) * b[k], offsets[k]], 1)
        g.addmm_(columns, torch.stack([offsets[k + 1], counts(k + 1) * b[k + 1]]), alpha=-1)
    for k, g in W.items():
        b[k].addmv_(g, offsets[k + 1], alpha=-counts(k))
        b[k + 1].addmv_(g.mT, offsets[k], alpha=-counts(k + 1))
