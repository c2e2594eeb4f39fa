"""What a machine of coupled units lowers to learn, and the chains that this takes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from genlit.boltzmann import gradient
from genlit.boltzmann.couplings import Couplings, full_pseudo_log_likelihood, mean_field
from genlit.boltzmann.energy import Theta
from genlit.boltzmann.gradient import Phase
from genlit.boltzmann.samplers import at_least_one, chosen
from genlit.boltzmann.sweeps import Gibbs
from genlit.boltzmann.units import draw


def phase(theta: Couplings, v: Tensor, iterations: int) -> Phase:
    """Looks at visible states (B, V); hidden units by mean-field, which is exact without S."""
    logits = torch.addmm(theta.c, v, theta.W)  # without S: it has a term of its own in the energy
    return Phase(v, logits, mean_field(theta, v, iterations))


def energy_gap(theta: Couplings, data: Phase, chains: Phase) -> Tensor:
    """Mean energy of the data minus that of the chains, in nats, with its gradient.

    Args:
        theta: The parameters, which receive the gradient.
        data: The states to be made more probable, with means of hidden units given v.
        chains: States of Markov chains, with means given v; with S, with states.
    """
    gap = gradient.energy_gap(Theta(theta.W, theta.b, theta.c), data, chains)
    if theta.R is not None:
        gap = gap - (theta.R * (moments(data.v) - moments(chains.v))).sum()
    if theta.S is not None:
        gap = gap - (theta.S * (moments(data.mean) - moments(chains.mean))).sum()
    return gap


def moments(x: Tensor) -> Tensor:
    """Mean products of units that are independent given each state (B, N); (N, N).

    The diagonal means nothing, and is multiplied by the zeros of a coupling's.
    """
    return (x.mT / len(x)) @ x


class Objective(nn.Module, ABC):
    """What is lowered in training.

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
    """

    chains: ClassVar[tuple[str, ...]] = ()  # buffers that differ between processes
    origin: ClassVar[str] = "independent pixels"  # where `start` takes its states from

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()

    @abstractmethod
    def loss(self, gibbs: Gibbs, data: Phase) -> Tensor:
        """The scalar in nats per event; in training, chains that persist move on."""

    def settle(self, gibbs: Gibbs, base: Tensor) -> None:
        """Puts chains that persist at independent pixels, before learning begins."""

    def start(self, gibbs: Gibbs, base: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """States (n, V) and (n, H) from which samples are begun; `base` are biases of the data."""
        return independent(gibbs, base, n)


class PseudoLikelihood(Objective):
    """Minus the sum over units of log p(unit | all others): as many logistic regressions as units.

    It needs no chain, is convex, and its best parameters tend to those of the likelihood as data
    grow, if the data are of such a machine. For machines without hidden units.

    References:
        | Statistical Analysis of Non-Lattice Data (Besag, 1975)
        | Consistency of Pseudolikelihood Estimation of Fully Visible Boltzmann Machines (Hyvärinen,
          2006)

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units, 0.
    """

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__(visible, hidden)
        if hidden:
            raise ValueError(
                f"PseudoLikelihood knows no hidden units, and this machine has {hidden}: set "
                "hidden to 0, or objective to genlit.boltzmann.PersistentChains"
            )

    def loss(self, gibbs: Gibbs, data: Phase) -> Tensor:
        return -full_pseudo_log_likelihood(gibbs.theta, data.v).mean()


class PersistentChains(Objective):
    """The gap of mean energies between data and chains that go on from gradient to gradient.

    It is no likelihood; its gradient is that of minus the likelihood if the chains keep up, for
    which the learning rate must fall. Coupled hidden units of the data stand with their mean-field
    means: then it is the gradient of minus a lower bound.

    References:
        | Training RBMs using Approximations to the Likelihood Gradient (Tieleman, 2008)
        | Deep Boltzmann Machines (Salakhutdinov & Hinton, 2009)

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
        particles: Chains on each process.
        sweeps: Sweeps over all units before each gradient.
    """

    chains: ClassVar[tuple[str, ...]] = ("particles",)
    origin: ClassVar[str] = "the persistent chains"

    particles: Tensor  # (particles, V + H)

    def __init__(self, visible: int, hidden: int, particles: int = 100, sweeps: int = 1) -> None:
        super().__init__(visible, hidden)
        if particles < 1:
            raise ValueError(f"particles is {particles}: persistent chains are at least 1")
        self.visible, self.sweeps = visible, at_least_one(sweeps)
        self.register_buffer("particles", torch.rand(particles, visible + hidden).round())

    def loss(self, gibbs: Gibbs, data: Phase) -> Tensor:
        with torch.no_grad():
            v, h = gibbs.run(*self._layers(self.particles), range(self.sweeps))
            if self.training:
                self.particles.copy_(torch.cat([v, h], 1))
            end = phase(gibbs.theta, v, 0)
            if gibbs.theta.S is not None:
                end = end._replace(mean=h)
        return energy_gap(gibbs.theta, data, end)

    def settle(self, gibbs: Gibbs, base: Tensor) -> None:
        self.particles.copy_(torch.cat(independent(gibbs, base, len(self.particles)), 1))

    def start(self, gibbs: Gibbs, base: Tensor, n: int) -> tuple[Tensor, Tensor]:
        return self._layers(chosen(self.particles, n))

    def _layers(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return states[:, : self.visible], states[:, self.visible :]


def independent(gibbs: Gibbs, base: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Independent visible units with biases `base` (V,), and hidden ones drawn given these."""
    v = draw(base.expand(n, -1))
    return v, gibbs.hidden(v).states


Learning = Callable[[int, int], Objective]  # builds it from the numbers of visible and hidden units
