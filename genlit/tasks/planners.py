"""Planners: they find actions whose consequences are good in imagination, and act on the first.

Notation: B situations are planned for at once, N candidates each, over a horizon of H steps.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genlit.data.spaces import Space
from genlit.protocols import Simulates


class Planner(ABC):
    """Model-predictive control. A base class, since the config chooses.

    Args:
        candidates: Sequences of actions that are imagined, N; in every round, if it takes several.
        horizon: Steps that are looked ahead, H.
        particles: How often each is imagined; the returns are averaged. As many as an ensemble has
            members ask each of them.
        discount: What a reward one step later is worth.
    """

    def __init__(
        self, candidates: int, horizon: int, particles: int = 1, discount: float = 1.0
    ) -> None:
        if min(candidates, horizon, particles) < 1 or not 0 < discount <= 1:
            raise ValueError(
                f"{type(self).__name__} needs candidates, horizon and particles of 1 or more and a "
                f"discount up to 1, not {candidates}, {horizon}, {particles} and {discount}"
            )
        self.candidates, self.horizon = candidates, horizon
        self.particles, self.discount = particles, discount

    @property
    def label(self) -> str:
        """The planner with all that its plans depend on, for the names of metrics."""
        extent = f"{self.candidates}x{self.horizon}x{self.particles}"
        discount = "" if self.discount == 1 else f"_discount{self.discount:g}"
        return f"{type(self).__name__}_{extent}{discount}"

    @abstractmethod
    def plan(
        self, world: Simulates, states: Tensor, space: Space, before: Tensor | None = None
    ) -> Tensor:
        """Plans what to do, drawing from torch's global generator.

        Args:
            world: What imagines.
            states: The situations, (B, S).
            space: The actions that there are.
            before: The plans of a step earlier (B, H, A), for planners that go on from them.

        Returns:
            The plans, (B, H, A).
        """

    def judge(self, world: Simulates, states: Tensor, plans: Tensor) -> Tensor:
        """The imagined return of plans (B, N, H, A), (B, N)."""
        return imagined_return(world, states, plans, self.particles, self.discount)


class RandomShooting(Planner):
    """Draws sequences of actions, and takes the best or a mean in which better ones count more.

    Where many plans are nearly as good, as all that keep a pole up, the best is a matter of luck
    and the mean is not: weights are proportional to exp(return / softness), as in path integral
    control. Every sequence is drawn together with its mirror image, so that luck has no side.

    References:
        | Neural Network Dynamics for Model-Based Deep Reinforcement Learning with Model-Free
          Fine-Tuning (Nagabandi et al., 2018), for the best
        | https://arxiv.org/abs/1708.02596
        | Information Theoretic MPC for Model-Based Reinforcement Learning (Williams et al., 2017),
          for the mean

    Args:
        candidates: Sequences of actions that are drawn, an even number.
        horizon: Steps that are looked ahead.
        particles: How often each is imagined; the returns are averaged. As many as an ensemble has
            members ask each of them.
        discount: What a reward one step later is worth.
        softness: The difference of returns by which one counts e times as much as another; with 0
            the best alone counts, and those that are exactly as good.
    """

    def __init__(
        self,
        candidates: int = 200,
        horizon: int = 20,
        particles: int = 1,
        discount: float = 1.0,
        softness: float = 0.0,
    ) -> None:
        super().__init__(candidates, horizon, particles, discount)
        if candidates % 2 or softness < 0:
            raise ValueError(
                "RandomShooting needs an even number of candidates and softness of 0 or more, not "
                f"{candidates} and {softness}"
            )
        self.softness = softness

    @property
    def label(self) -> str:
        return super().label + (f"_soft{self.softness:g}" if self.softness else "")

    def plan(
        self, world: Simulates, states: Tensor, space: Space, before: Tensor | None = None
    ) -> Tensor:
        half = space.uniform(len(states), self.candidates // 2, self.horizon)
        plans = torch.cat([half, space.mirrored(half)], 1)
        returns = self.judge(world, states, plans)
        soft = self.softness > 0
        weights = (returns / self.softness).softmax(1) if soft else weights_of_best(returns, 1)
        return space.nearest((weights[..., None, None] * plans).sum(1))


class CrossEntropy(Planner):
    """The cross-entropy method: draws plans, and moves the law that it draws from to the best ones.

    It begins with the widest law, or about the plan of a step earlier, where that leads on.

    References:
        | The Cross-Entropy Method for Combinatorial and Continuous Optimization (Rubinstein, 1999)
        | Deep Reinforcement Learning in a Handful of Trials using Probabilistic Dynamics Models
          (Chua et al., 2018)

    Args:
        candidates: Sequences of actions that are drawn in a round.
        horizon: Steps that are looked ahead.
        particles: How often each is imagined; the returns are averaged. As many as an ensemble has
            members ask each of them.
        discount: What a reward one step later is worth.
        rounds: How often the law is moved.
        elites: How many of the best it is moved to.
        smoothing: The share of the law that stays as it was.
    """

    def __init__(
        self,
        candidates: int = 100,
        horizon: int = 20,
        particles: int = 1,
        discount: float = 1.0,
        rounds: int = 4,
        elites: int = 10,
        smoothing: float = 0.1,
    ) -> None:
        super().__init__(candidates, horizon, particles, discount)
        if rounds < 1 or not 1 <= elites <= candidates or not 0 <= smoothing < 1:
            raise ValueError(
                "CrossEntropy needs 1 round or more, from 1 to all candidates as elites and a "
                f"smoothing below 1, not {rounds}, {elites} and {smoothing}"
            )
        self.rounds, self.elites, self.smoothing = rounds, elites, smoothing

    @property
    def label(self) -> str:
        return f"{super().label}_{self.rounds}rounds_{self.elites}elites_{self.smoothing:g}"

    def plan(
        self, world: Simulates, states: Tensor, space: Space, before: Tensor | None = None
    ) -> Tensor:
        mean, std = space.widest(len(states), self.horizon)
        if before is not None:
            mean = torch.cat([before[:, 1:], mean[:, :1]], 1)
            mean = (1 - self.smoothing) * mean + self.smoothing * space.widest(*mean.shape[:2])[0]
        for _ in range(self.rounds):
            plans = space.draw(self.candidates, mean, std).transpose(0, 1)
            weights = weights_of_best(self.judge(world, states, plans), self.elites)
            weights = weights[..., None, None]
            center = (weights * plans).sum(1)
            spread = (weights * (plans - center[:, None]) ** 2).sum(1).sqrt()
            mean = self.smoothing * mean + (1 - self.smoothing) * center
            std = self.smoothing * std + (1 - self.smoothing) * spread
        return space.nearest(mean)


def weights_of_best(returns: Tensor, k: int, tolerance: float = 1e-6) -> Tensor:
    """Equal weights of the k best and of all that are as good as these, else 0.

    Args:
        returns: Returns of candidates, (B, N).
        k: How many are chosen, where no two are the same.
        tolerance: How much worse a return may be and still count as the same.

    Returns:
        Weights that sum to 1, (B, N).
    """
    worst = returns.topk(k, 1).values[:, -1:]
    chosen = (returns >= worst - tolerance).to(returns)
    return chosen / chosen.sum(1, keepdim=True)


def imagined_return(
    world: Simulates, states: Tensor, plans: Tensor, particles: int = 1, discount: float = 1.0
) -> Tensor:
    """The expected return of plans in imagination.

    A reward counts as probably as the episode goes on until then.

    Args:
        world: What imagines.
        states: The situations, (B, S).
        plans: Candidates for each, (B, N, H, A).
        particles: How often each is imagined, side by side.
        discount: What a reward one step later is worth.

    Returns:
        The means over particles, (B, N), on the CPU.
    """
    b, n, horizon, _ = plans.shape
    state = states.repeat_interleave(n * particles, 0)
    actions = plans.to(state).flatten(0, 1).repeat_interleave(particles, 0)
    total = state.new_zeros(len(state))
    alive = state.new_ones(len(state))
    for step in range(horizon):
        state, reward, ended = world.imagine(state, actions[:, step])
        total = total + discount**step * alive * reward
        alive = alive * (1 - ended)
    return total.view(b, n, particles).mean(-1).cpu()
