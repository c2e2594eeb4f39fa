"""Environments of gymnasium, whose states and actions are vectors, and what happened in them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genlit.data.spaces import Box, Choices, Space

# From the states (n, S) of some episodes, and which these are (n,), to their actions (n, A).
Policy = Callable[[Tensor, Tensor], Tensor]


class Episode(NamedTuple):
    """What happened from a reset until the end, or until time ran out."""

    states: Tensor  # (T + 1, S)
    actions: Tensor  # (T, A); one-hot where they are choices
    rewards: Tensor  # (T,)
    ended: Tensor  # (T,), 1 where the episode ended with that step, which only the last can; else 0

    def __len__(self) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        return len(self.rewards)

    @property
    def transitions(self) -> tuple[Tensor, Tensor]:
        """State and action of each step (T, S + A), and next state, reward and end (T, S + 2)."""
        given = torch.cat([self.states[:-1], self.actions], 1)
        return given, torch.cat([self.states[1:], self.rewards[:, None], self.ended[:, None]], 1)


class Environment:
    """An environment of gymnasium.

    Args:
        name: Its name there, as in CartPole-v1.

    Raises:
        ValueError: If there is none of that name, or its states are no vectors, or its actions
            neither choices nor vectors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        world = self._made()
        self.space = space_of(world.action_space, name)
        shape = getattr(world.observation_space, "shape", None) or ()
        if len(shape) != 1:
            raise ValueError(f"{name} has states of shape {shape}, and here they are vectors")
        self.states = shape[0]
        self.limit: int | None = world.spec.max_episode_steps
        world.close()

    def _made(self) -> Any:
        import gymnasium

        try:
            return gymnasium.make(self.name)
        except (gymnasium.error.Error, ModuleNotFoundError) as error:
            raise ValueError(f"gymnasium cannot make {self.name}: {error}") from None

    def play(self, policy: Policy, seeds: Sequence[int], steps: int | None = None) -> list[Episode]:
        """Lets a policy act in several episodes side by side.

        Args:
            policy: The policy; it is asked about the episodes that go on.
            seeds: What each episode's reset is seeded with.
            steps: After how many steps an episode is broken off, if the environment has not done
                so; None leaves it to the environment.

        Raises:
            ValueError: If neither sets a limit.
        """
        if steps is None and self.limit is None:
            raise ValueError(f"{self.name} has no limit of time: say after how many steps to stop")
        worlds = [self._made() for _ in seeds]
        tales = [Tale(self.vector(w.reset(seed=s)[0])) for w, s in zip(worlds, seeds, strict=True)]
        going = list(range(len(seeds)))
        while going:
            states = torch.stack([tales[k].states[-1] for k in going])
            actions = policy(states, torch.tensor(going))
            over = [
                tales[k].step(action, worlds[k].step(self.told(action)), steps)
                for k, action in zip(going, actions, strict=True)
            ]
            going = [k for k, done in zip(going, over, strict=True) if not done]
        for world in worlds:
            world.close()
        return [tale.episode() for tale in tales]

    def told(self, action: Tensor) -> Any:
        """An action (A,) as gymnasium takes it."""
        return int(action.argmax()) if isinstance(self.space, Choices) else action.float().numpy()

    @staticmethod
    def vector(observation: Any) -> Tensor:
        """A state as it comes from gymnasium; (S,)."""
        return torch.as_tensor(observation, dtype=torch.float32).clone()

    def random(self, states: Tensor, which: Tensor) -> Tensor:
        """The policy that draws actions from torch's global generator and looks at nothing."""
        return self.space.uniform(len(states))


class Tale:
    """An episode as it goes on.

    Args:
        start: The first state, (S,).
    """

    def __init__(self, start: Tensor) -> None:
        self.states, self.actions = [start], []
        self.rewards: list[float] = []
        self.ends: list[bool] = []

    def step(self, action: Tensor, answer: Any, steps: int | None) -> bool:
        """Takes down a step and gymnasium's answer to it, and says whether it was the last."""
        observation, reward, ended, stopped, _ = answer
        self.states.append(Environment.vector(observation))
        self.actions.append(action)
        self.rewards.append(float(reward))
        self.ends.append(bool(ended))
        return bool(ended or stopped) or len(self.rewards) == steps

    def episode(self) -> Episode:
        """All that happened."""
        actions = torch.stack(self.actions)
        rewards, ends = torch.tensor(self.rewards), torch.tensor(self.ends)
        return Episode(torch.stack(self.states), actions, rewards, ends.float())


def space_of(space: Any, name: str) -> Space:
    """The actions of an environment.

    Raises:
        ValueError: If they are neither choices that count from 0 nor vectors.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete) and space.start == 0:
        return Choices(int(space.n))
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return Box(torch.tensor(space.low), torch.tensor(space.high))
    raise ValueError(f"{name} has the actions {space}: here they are choices or vectors")
