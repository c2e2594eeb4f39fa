"""Where the states come from that learning makes less probable: Markov chains of many kinds.

Each keeps hidden states only. Visible ones, and E[h | v], follow from them under the newest
parameters. Chains with tempering stand in `genlit.boltzmann.rungs` and what it names.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from genlit.boltzmann.centring import over_processes
from genlit.boltzmann.energy import Theta, hidden_logits, visible_logits
from genlit.boltzmann.gradient import Phase, run
from genlit.boltzmann.units import draw
from genlit.progress import track


class Sampler(nn.Module, ABC):
    """Markov chains of a restricted Boltzmann machine.

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
    """

    chains: ClassVar[tuple[str, ...]] = ()  # buffers that differ between processes
    origin: str  # where `start` takes its states from, in words

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()

    @abstractmethod
    def negative(self, theta: Theta, data: Phase) -> Phase:
        """States of the machine for one gradient; chains that persist move on in training."""

    @abstractmethod
    def start(self, theta: Theta, base: Tensor, n: int) -> Tensor:
        """Hidden states (n, H) from which samples are begun; `base` are biases of the data."""

    def go_on(self, theta: Theta, base: Tensor, n: int, steps: int) -> Tensor:
        """Hidden states (n, H) so many steps later; the chains of training stay where they are."""
        h = self.start(theta, base, n)
        for _ in track(range(steps), "Gibbs sampling"):
            h = sweep(theta, h)
        return h

    def settle(self, theta: Theta, base: Tensor) -> None:
        """Puts chains that persist at independent pixels, before learning begins."""

    def settle_at(self, theta: Theta, visible: Callable[[int], Tensor]) -> None:
        """Puts chains that persist at visible states, of which `visible` draws so many; (n, V)."""

    def require_ladder(self) -> None:
        """Makes sure that chains stand on several rungs, and are enough to tell an error.

        Raises:
            ValueError: If they are not.
        """
        raise self._one_rung()

    def log_partition(self, theta: Theta, steps: int) -> tuple[Tensor, Tensor]:
        """Log Z of every rung, that of the machine last, and standard errors; each (rungs,).

        Raises:
            ValueError: If there is one rung only.
        """
        raise self._one_rung()

    def _one_rung(self) -> ValueError:
        return ValueError(
            f"Bennett's ratio needs chains on several rungs, and those of {type(self).__name__} "
            "have one: set sampler to genlit.boltzmann.ParallelTempering or TrajectoryTempering, "
            "or use genlit.estimators.Annealed"
        )

    def swap_rates(self) -> Tensor:
        """How often neighbouring temperatures exchanged states, (temperatures - 1,)."""
        return torch.zeros(0)


class CD(Sampler):
    """Contrastive divergence: chains that start at the data, and take a few steps.

    References:
        | Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002)

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
        steps: Gibbs steps before each gradient, the k of CD-k.
    """

    origin = "independent pixels"

    def __init__(self, visible: int, hidden: int, steps: int = 1) -> None:
        super().__init__(visible, hidden)
        self.steps = at_least_one(steps)

    def negative(self, theta: Theta, data: Phase) -> Phase:
        return run(theta, data.hidden, self.steps)

    def start(self, theta: Theta, base: Tensor, n: int) -> Tensor:
        return independent(theta, base, n)


class PCD(Sampler):
    """Persistent contrastive divergence: chains that go on from one gradient to the next.

    Their number does not depend on the batch. The learning rate must fall for them to keep up.

    References:
        | Training RBMs using Approximations to the Likelihood Gradient (Tieleman, 2008)

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
        particles: Chains on each process.
        steps: Gibbs steps before each gradient.
    """

    chains: ClassVar[tuple[str, ...]] = ("particles",)
    origin = "the persistent chains"

    particles: Tensor  # (particles, H)

    def __init__(self, visible: int, hidden: int, particles: int = 100, steps: int = 1) -> None:
        super().__init__(visible, hidden)
        if particles < 1:
            raise ValueError(f"particles is {particles}: persistent chains are at least 1; or take "
                             "genlit.boltzmann.CD, which has none")  # fmt: skip
        self.steps = at_least_one(steps)
        self.register_buffer("particles", torch.rand(particles, hidden).round())

    def negative(self, theta: Theta, data: Phase) -> Phase:
        end = run(theta, self.particles, self.steps)
        if self.training:
            self.particles.copy_(end.hidden)
        return end

    def settle(self, theta: Theta, base: Tensor) -> None:
        self.particles.copy_(independent(theta, base, len(self.particles)))

    def settle_at(self, theta: Theta, visible: Callable[[int], Tensor]) -> None:
        self.particles.copy_(draw(hidden_logits(theta, visible(len(self.particles)))))

    def start(self, theta: Theta, base: Tensor, n: int) -> Tensor:
        return chosen(self.particles, n)


class FastPCD(PCD):
    """Persistent chains on fast weights, which decay, and meanwhile drive the chains on.

    The chains move under θ + θ_fast, where θ_fast learns with a rate of its own that does not fall.

    References:
        | Using Fast Weights to Improve Persistent Contrastive Divergence (Tieleman & Hinton, 2009)

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
        particles: Chains on each process.
        steps: Gibbs steps before each gradient.
        fast_lr: Learning rate of the fast weights.
        decay: What remains of the fast weights after each gradient.
    """

    chains: ClassVar[tuple[str, ...]] = ("particles", "W", "b", "c")

    W: Tensor  # (V, H), and so on: the fast parameters
    b: Tensor
    c: Tensor

    def __init__(
        self, visible: int, hidden: int, particles: int = 100, steps: int = 1,
        fast_lr: float = 0.05, decay: float = 0.95,
    ) -> None:  # fmt: skip
        super().__init__(visible, hidden, particles, steps)
        self.fast_lr, self.decay = fast_lr, decay
        self.register_buffer("W", torch.zeros(visible, hidden))
        self.register_buffer("b", torch.zeros(visible))
        self.register_buffer("c", torch.zeros(hidden))

    def negative(self, theta: Theta, data: Phase) -> Phase:
        fast = Theta(theta.W + self.W, theta.b + self.b, theta.c + self.c, theta.units)
        end = super().negative(fast, data)
        if self.training:
            self._learn(theta, data, end)
        return end

    def _learn(self, theta: Theta, data: Phase, end: Phase) -> None:
        """Follows the gradient of all processes, as the slow parameters do."""
        x, y = theta.units.inputs(data.v), theta.units.inputs(end.v)
        W = torch.mm(x.mT, data.mean / len(x)).addmm_(y.mT, end.mean, alpha=-1 / len(y))
        b, c = x.mean(0) - y.mean(0), data.mean.mean(0) - end.mean.mean(0)
        for fast, step in ((self.W, W), (self.b, b), (self.c, c)):
            fast.mul_(self.decay).add_(over_processes(step), alpha=self.fast_lr)


def independent(theta: Theta, base: Tensor, n: int) -> Tensor:
    """Hidden states (n, H) of independent visible units with biases `base` (V,)."""
    v = theta.units.draw(base.expand(n, -1))
    return draw(hidden_logits(theta, v))


def chosen(states: Tensor, n: int) -> Tensor:
    """N of the states (K, H) at random, each as often as any other, give or take one; (n, H)."""
    order = torch.randperm(len(states), device=states.device)
    return states[order.repeat(math.ceil(n / len(order)))[:n]]


def sweep(theta: Theta, h: Tensor) -> Tensor:
    """A Gibbs step h -> v -> h', which leaves p(h) as it is; (B, H)."""
    return draw(hidden_logits(theta, theta.units.draw(visible_logits(theta, h))))


def at_least_one(steps: int) -> int:
    """The number of steps of a chain.

    Raises:
        ValueError: If it is not positive.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}: a chain needs at least 1 Gibbs step")
    return steps


Chains = Callable[[int, int], Sampler]  # builds chains from the numbers of visible and hidden units
