"""What a random policy lived through in an environment, as transitions to learn from."""

import torch
from torch import Tensor

from genlit.data.environments import Environment, Episode
from genlit.data.vectors import VectorData
from genlit.randomness import derive_seed, isolated


class Rollouts(VectorData):
    """Transitions of an environment of gymnasium under a policy that acts at random.

    The event of a transition is what comes of it: the next state (S numbers), the reward, and 1 if
    the episode ended with this step, else 0; so `shape` is (S + 2,). The condition is what it
    comes of: the state (S numbers) and the action (A numbers, one-hot where actions are choices),
    so `condition_shape` is (S + A,). Where time ran out an episode did not end. All are in the
    units of the environment.

    Every split has episodes of its own, which are the same in all runs.

    Args:
        env: The environment's name in gymnasium, as in CartPole-v1 or Pendulum-v1.
        steps: Training transitions; a fifth of them more is for validation, and as many for the
            test.
        sample: Chooses the episodes: another number gives others.
        batch_size: Transitions a training batch, on each process.
        eval_batch_size: Transitions a batch of validation and test.
    """

    def __init__(
        self,
        env: str = "CartPole-v1",
        steps: int = 5_000,
        sample: int = 0,
        batch_size: int = 100,
        eval_batch_size: int = 500,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, standardize=False)
        if steps < 5:
            raise ValueError(f"steps is {steps}: there must be 5 or more to learn from")
        self.env, self.steps, self.sample = env, steps, sample
        self.environment = Environment(env)
        size = self.environment.states
        self.shape = (size + 2,)
        self.condition_shape = (size + self.environment.space.size,)
        self.episodes: dict[str, list[Episode]] = {}

    @property
    def protocol(self) -> str:
        """Of which environment transitions are, for the names of metrics."""
        return self.env

    @property
    def source(self) -> str:
        """How many episodes and transitions there are, in words."""
        parts = [
            f"{split} {sum(map(len, episodes))} steps in {len(episodes)} episodes"
            for split, episodes in self.episodes.items()
        ]
        return f"{self.env}, random policy: {', '.join(parts)}"

    def read(self) -> dict[str, Tensor]:
        """Lives through the episodes."""
        sizes = {"train": self.steps, "val": self.steps // 5, "test": self.steps // 5}
        self.episodes = {name: self.lived(name, n) for name, n in sizes.items()}
        return {
            name: torch.cat([e.transitions[1] for e in episodes])
            for name, episodes in self.episodes.items()
        }

    def read_conditions(self) -> dict[str, Tensor]:
        """The state and the action of each transition."""
        return {
            name: torch.cat([e.transitions[0] for e in episodes])
            for name, episodes in self.episodes.items()
        }

    def lived(self, split: str, steps: int) -> list[Episode]:
        """Episodes of a split with so many steps in all, the last one broken off."""
        episodes: list[Episode] = []
        with isolated("rollouts", self.env, self.sample, split):
            while (left := steps - sum(map(len, episodes))) > 0:
                seed = derive_seed("rollout", self.env, self.sample, split, len(episodes)) % 2**31
                episodes += self.environment.play(self.environment.random, [seed], left)
        return episodes
