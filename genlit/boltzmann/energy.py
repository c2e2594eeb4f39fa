"""The restricted Boltzmann machine as pure functions of its parameters θ = (W, b, c).

    E(v, h) = - v·b - h·c - v·W h         v in {0, 1}^V,  h in {0, 1}^H
    F(v)    = - log Σ_h exp(-E(v, h))     p(v) = exp(-F(v)) / Z

Hidden units are binary. Visible ones are, too, unless θ says otherwise: `genlit.boltzmann.units`
tells what then stands in place of v·b and v. Energies have no unit (kT = 1) and logarithms are
natural, so F and log Z are in nats. Nothing here knows of training, devices or Lightning.
"""

from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int
from torch import Tensor

from genlit.boltzmann.units import Binary, Units, draw

BINARY = Binary(0)  # knows no number of units, and so fits any


class Theta(NamedTuple):
    """Parameters of a restricted Boltzmann machine."""

    W: Float[Tensor, "V H"]
    b: Float[Tensor, " V"]
    c: Float[Tensor, " H"]
    units: Units = BINARY

    def double(self) -> "Theta":
        """The same machine in float64, out of reach of gradients."""
        W, b, c = (p.detach().double() for p in self[:3])
        return Theta(W, b, c, deepcopy(self.units).double())


def energy(theta: Theta, v: Float[Tensor, "*B V"], h: Float[Tensor, "*B H"]) -> Float[Tensor, "*B"]:
    """Energy E(v, h) of joint states."""
    coupled = torch.einsum("...i,ij,...j", theta.units.inputs(v), theta.W, h)
    return theta.units.bias_energy(theta.b, v) - (h @ theta.c) - coupled


def hidden_logits(
    theta: Theta, v: Float[Tensor, "B V"], out: Tensor | None = None
) -> Float[Tensor, "B H"]:
    """Log-odds of h_j = 1 given v; the hidden units are independent given v."""
    return torch.addmm(theta.c, theta.units.inputs(v), theta.W, out=out)


def visible_logits(
    theta: Theta, h: Float[Tensor, "B H"], out: Tensor | None = None
) -> Float[Tensor, "B V"]:
    """Positions of the visible units given h: the log-odds of v_i = 1 where they are binary."""
    return torch.addmm(theta.b, h, theta.W.mT, out=out)


def free_energy(theta: Theta, v: Float[Tensor, "B V"]) -> Float[Tensor, " B"]:
    r"""Free energy of visible states, the hidden units summed out.

    .. math:: F(v) = -v \cdot b - \sum_j \log(1 + \exp(c_j + (v W)_j))

    Args:
        theta: The parameters.
        v: Visible states.

    Returns:
        F(v) in nats. Only differences mean something: log p(v) = -F(v) - log Z.

    References:
        | A Practical Guide to Training Restricted Boltzmann Machines (Hinton, 2010)
        | https://www.cs.toronto.edu/~hinton/absps/guideTR.pdf
    """
    return theta.units.bias_energy(theta.b, v) - nnf.softplus(hidden_logits(theta, v)).sum(-1)


def hidden_free_energy(theta: Theta, h: Float[Tensor, "B H"]) -> Float[Tensor, " B"]:
    """Free energy of hidden states in nats, the visible units summed or integrated out."""
    return -(h @ theta.c) - theta.units.log_norm(theta.b, visible_logits(theta, h))


def pseudo_log_likelihood(
    theta: Theta, v: Float[Tensor, "B V"], sites: Int[Tensor, " B"]
) -> Float[Tensor, " B"]:
    r"""An unbiased estimate of Σ_i log p(v_i | all other units), one unit looked at in each state.

    Flipping unit i changes only one term of every hidden input, so one product v W serves both
    states of the unit:

    .. math:: \log p(v_i \mid v_{-i}) = \log \sigma(F(v \text{ with } v_i \text{ flipped}) - F(v))

    Args:
        theta: The parameters.
        v: Visible states, of zeros and ones.
        sites: The unit looked at in each state; drawn uniformly for the estimate to be unbiased.

    Returns:
        V log p(v_i | v_-i) in nats.

    References:
        | Statistical Analysis of Non-Lattice Data (Besag, 1975)
    """
    inputs = hidden_logits(theta, v)
    change = 1 - 2 * v.gather(1, sites[:, None])
    flipped = inputs + change * theta.W[sites]
    gap = nnf.softplus(inputs).sum(1) - nnf.softplus(flipped).sum(1) - change[:, 0] * theta.b[sites]
    return v.shape[1] * nnf.logsigmoid(gap)


def gibbs_step(theta: Theta, v: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
    """One sweep v -> h -> v'. It leaves p(v) as it is."""
    return theta.units.draw(visible_logits(theta, draw(hidden_logits(theta, v))))


def transpose(theta: Theta) -> Theta:
    """The same machine of binary units with the names of its two layers exchanged."""
    return Theta(theta.W.mT, theta.c, theta.b)


def states(n: int, first: int = 0, last: int | None = None) -> Float[Tensor, "S {n}"]:
    """The binary vectors of length n that spell the numbers from `first` to before `last` or 2^n.

    For sums that are small enough to be done exactly.
    """
    numbers = torch.arange(first, 2**n if last is None else last)
    return ((numbers[:, None] >> torch.arange(n)) & 1).to(torch.get_default_dtype())
