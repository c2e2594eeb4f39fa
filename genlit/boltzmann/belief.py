"""A belief net: directed layers below a restricted Boltzmann machine. Pure functions.

    p(h_0, ..., h_L) = p(h_{L-1}, h_L) Π_l p(h_l | h_{l+1}),    l = 0 ... L-2,   h_0 = v visible
    q(h_1, ..., h_{L-1} | v) = Π_l q(h_{l+1} | h_l)

The machine on top has an unnormalized p* of h_{L-1}, with h_L summed out. What stands here for p is
p* of the whole net: its normalizer is that of the machine, since directed layers have none.

References:
    | A Fast Learning Algorithm for Deep Belief Nets (Hinton, Osindero & Teh, 2006)
    | On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov & Murray, 2008)
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.boltzmann.energy import BINARY, Theta, free_energy, hidden_logits, visible_logits
from genlit.boltzmann.units import draw

States = list[Tensor]  # of the layers 0 ... L-1, (B, n_l) each


class Directed(NamedTuple):
    """Two neighbouring layers, the lower given the upper and, in recognition, the other way round.

    While both are of one machine, they have the same weights.
    """

    down: Theta  # p(h_l | h_{l+1}): its W and b
    up: Theta  # q(h_{l+1} | h_l): its W and c


Net = Sequence[Directed]  # from the lowest up


def log_down(layer: Directed, lower: Tensor, upper: Tensor) -> Tensor:
    """Log p(h_l | h_{l+1}) in nats; (B,)."""
    return layer.down.units.log_prob(visible_logits(layer.down, upper), lower)


def log_up(layer: Directed, lower: Tensor, upper: Tensor) -> Tensor:
    """Log q(h_{l+1} | h_l) in nats; (B,)."""
    return BINARY.log_prob(hidden_logits(layer.up, lower), upper)


def log_joint(net: Net, top: Theta, states: States) -> Tensor:
    """Log p*(h_0, ..., h_{L-1}) in nats and float64, h_L summed out; (B,)."""
    log_p = -free_energy(top, states[-1]).double()
    for layer, (lower, upper) in zip(net, pairwise(states), strict=True):
        log_p += log_down(layer, lower, upper).double()
    return log_p


def log_recognition(net: Net, states: States) -> Tensor:
    """Log q(h_1, ..., h_{L-1} | h_0) in nats and float64; (B,)."""
    log_q = states[0].new_zeros(len(states[0]), dtype=torch.float64)
    for layer, (lower, upper) in zip(net, pairwise(states), strict=True):
        log_q += log_up(layer, lower, upper).double()
    return log_q


def climb(net: Net, v: Tensor, inputs: Tensor | None = None) -> States:
    """Draws the layers above v (B, V) from q, one after the other.

    Args:
        net: The directed layers.
        v: Visible states.
        inputs: Log-odds of h_1 given v where they are known already.
    """
    states = [v]
    for layer in net:
        logits = hidden_logits(layer.up, states[-1]) if inputs is None else inputs
        states.append(draw(logits))
        inputs = None
    return states


def descend(net: Net, h: Tensor) -> States:
    """Draws the layers below h_{L-1} (B, n) from p, one after the other; the lowest comes first."""
    states = [h]
    for layer in reversed(net):
        states.append(layer.down.units.draw(visible_logits(layer.down, states[-1])))
    return states[::-1]


def means_up(net: Net, top: Theta, v: Tensor) -> Tensor:
    """Mean-field probabilities of the top hidden layer h_L by recognition; (B, units)."""
    h = v
    for theta in (*(layer.up for layer in net), top):
        h = hidden_logits(theta, h).sigmoid()
    return h


def means_down(net: Net, top: Theta, h: Tensor) -> Tensor:
    """Log-odds of the visible units given the top hidden layer, by means all the way; (B, V)."""
    position = visible_logits(top, h)
    for layer in reversed(net):
        position = visible_logits(layer.down, position.sigmoid())
    return position


def log_weight(net: Net, top: Theta, states: States) -> Tensor:
    """Log p* - log q of a path of recognition in nats and float64; (B,).

    The mean of its exponential under q is p*(v), so its own mean is a lower bound of log p*(v).
    """
    return log_joint(net, top, states) - log_recognition(net, states)


def log_weight_bound(net: Net, top: Theta, v: Tensor, samples: int) -> Tensor:
    """Log-mean of the weights of some paths of recognition of v (B, V), in nats and float64; (B,).

    Its expectation is below log p*(v). Without directed layers it is log p*(v) itself.
    """
    if not net:
        return -free_energy(top, v).double()
    inputs = hidden_logits(net[0].up, v)
    total = v.new_full((len(v),), -math.inf, dtype=torch.float64)
    for _ in range(samples):
        total = torch.logaddexp(total, log_weight(net, top, climb(net, v, inputs)))
    return total - math.log(samples)


def refresh(net: Net, top: Theta, states: States) -> States:
    """A Metropolis step on the layers above v: a path of recognition is accepted or refused.

    It leaves p(h | v) as it is, whatever q.

    References:
        | Leveraging the Exact Likelihood of Deep Latent Variable Models (Mattei & Frellsen, 2018)
    """
    proposed = climb(net, states[0])
    gain = log_weight(net, top, proposed) - log_weight(net, top, states)
    accepted = torch.rand_like(gain).log_() < gain
    pairs = zip(proposed, states, strict=True)
    return [torch.where(accepted[:, None], new, old) for new, old in pairs]


def wake_loss(net: Net, states: States) -> Tensor:
    """Mean of -log p of the directed layers in states from q: the delta rule on generative weights.

    Args:
        net: The directed layers, of which `down` receives the gradient.
        states: What `climb` drew from data.
    """
    pairs = zip(net, pairwise(states), strict=True)
    return -torch.stack([log_down(layer, *pair).mean() for layer, pair in pairs]).sum()


def sleep_loss(net: Net, states: States) -> Tensor:
    """Mean of -log q in states from p: the delta rule on recognition weights.

    Args:
        net: The directed layers, of which `up` receives the gradient.
        states: What `descend` drew from dreams of the machine on top.
    """
    pairs = zip(net, pairwise(states), strict=True)
    return -torch.stack([log_up(layer, *pair).mean() for layer, pair in pairs]).sum()


def stacked(below: Theta, W: Tensor, c: Tensor) -> Theta:
    """A machine over the hidden units of another, to which it gives the very same law.

    It is the one below upside down; surplus hidden units keep their weights. Biases make up for
    what they add to the energy of each visible unit alone, so that p changes by the little that
    their weights squared do for pairs of units.

    Args:
        below: A machine of V binary and H hidden units.
        W: Weights (H, n) of the new machine, n at least V, of which the first V are replaced.
        c: Hidden biases (n,), likewise.
    """
    visible = len(below.b)
    gained = nnf.softplus(c[visible:] + W[:, visible:])
    surplus = (gained - nnf.softplus(c[visible:])).sum(1)
    W = torch.cat([below.W.mT, W[:, visible:]], 1)
    return Theta(W, below.c - surplus, torch.cat([below.b, c[visible:]]))
