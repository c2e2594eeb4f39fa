"""Planning: acting in an environment by imagining what would come of actions."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from genlit.callbacks.pictures import side_by_side
from genlit.data.environments import Environment, Episode, Policy
from genlit.protocols import Simulates
from genlit.randomness import derive_seed, isolated
from genlit.tasks.dynamics import KNOWN
from genlit.tasks.planners import Planner, RandomShooting
from genlit.tasks.scenes import SCENES
from genlit.tasks.task import Many, Problems, Score, Solver, Task

MOMENTS = 6  # of an episode, in a picture


class Planning(Task):
    """Acting in a real environment of gymnasium with a planner that asks the model only.

    A problem is an episode, which begins as its seed says; the answer is what happened in it, and
    the score its return, the sum of its rewards. The baselines are a policy that acts at random,
    and where the environment's equations are known an oracle: the same planner with these.

    Args:
        env: The environment's name in gymnasium; the model has to be of the same.
        planner: What finds actions: RandomShooting or CrossEntropy.
        episodes: How many problems there are.
        steps: After how many steps an episode is broken off; None leaves it to the environment.
    """

    verb = "plan"
    question = "imagined futures"
    protocols = (Simulates,)

    def __init__(
        self,
        env: str = "CartPole-v1",
        planner: Planner = RandomShooting(),  # noqa: B008 - it has no state
        episodes: int = 10,
        steps: int | None = None,
    ) -> None:
        if episodes < 1 or (steps is not None and steps < 1):
            raise ValueError(f"episodes is {episodes} and steps {steps}: 1 or more of both")
        self.env, self.planner, self.episodes, self.steps = env, planner, episodes, steps

    @property
    def name(self) -> str:
        steps = f"_{self.steps}steps" if self.steps else ""
        return f"plan_{self.env}{steps}_{self.planner.label}"

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Chooses the seeds of episodes, which no training episode has.

        Raises:
            ValueError: If the data are of another environment.
        """
        if (other := getattr(data, "env", self.env)) != self.env:
            raise ValueError(
                f"the task is to plan in {self.env}, and the model is of {other}: set the task's "
                "env to it"
            )
        seeds = [derive_seed("plan", split, seed, k) % 2**31 for k in range(self.episodes)]
        return Problems(torch.tensor(seeds), torch.tensor(seeds), f"{self.env} of gymnasium")

    def solve(self, model: Any, problems: Problems) -> list[Episode]:
        """Plans anew at every step, with a model or whatever else imagines."""
        environment = Environment(self.env)
        policy = planned(model, self.planner, environment)
        with torch.no_grad():
            return environment.play(policy, self.seeds(problems), self.steps)

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        """Actions at random."""

        def random(problems: Problems) -> Many:
            environment = Environment(self.env)
            with isolated("random policy", seed):
                return environment.play(environment.random, self.seeds(problems), self.steps)

        return {"random": random}

    def oracles(self, data: Any, seed: int) -> dict[str, Solver]:
        """The same planner with the true equations, where these are known."""

        def true_equations(problems: Problems) -> Many:
            with isolated("oracle", seed):
                return self.solve(KNOWN[self.env](), problems)

        return {"true equations": true_equations} if self.env in KNOWN else {}

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        episodes = cast(list[Episode], answers)
        returns = torch.tensor([float(e.rewards.double().sum()) for e in episodes])
        return [Score("return", returns.double(), "", float("inf"))]

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """The first episode at evenly spaced moments, one below the other, of each solver.

        Where it was over, its last state stays.
        """
        if self.env not in SCENES:
            return None
        scene = SCENES[self.env]
        episodes = {name: cast(list[Episode], found)[0] for name, found in answers.items()}
        longest = max(map(len, episodes.values()))
        moments = [round(k * longest / (MOMENTS - 1)) for k in range(MOMENTS)]
        return side_by_side(
            {
                name: torch.stack([scene(e.states[min(t, len(e))]) for t in moments])
                for name, e in episodes.items()
            }
        )

    @staticmethod
    def seeds(problems: Problems) -> list[int]:
        """What the resets of gymnasium are seeded with."""
        return [int(seed) for seed in problems.given]


def planned(world: Any, planner: Planner, environment: Environment) -> Policy:
    """The policy that makes a plan for every step, and takes its first action.

    Args:
        world: What imagines; a model, or equations.
        planner: What finds actions; plans of the step before are given to it.
        environment: Which actions there are.
    """
    before: dict[int, Tensor] = {}
    device = getattr(world, "device", torch.device("cpu"))

    def policy(states: Tensor, which: Tensor) -> Tensor:
        last = [before[int(k)] for k in which] if before else None
        old = None if last is None else torch.stack(last)
        plans = planner.plan(world, states.to(device), environment.space, old)
        before.update(zip(which.tolist(), plans, strict=True))
        return plans[:, 0]

    return policy
