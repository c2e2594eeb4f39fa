"""A world model: an ensemble that predicts what comes of actions."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.likelihoods.observation import bernoulli_terms
from genlit.model import GenerativeModel
from genlit.protocols import Batch, Conditional, Imagined, Simulates
from genlit.worlds.ensemble import Ensemble, StepLaw, dealt, gathered, law_of


class WorldModel(GenerativeModel, Conditional, Simulates):
    """An ensemble of networks that each give the law of a transition, given state and action.

    Change of state and reward are Gaussians with means and widths of one network; whether the
    episode ended is a Bernoulli variable, and the next state tells another network how probable
    that is. Each member learns from all transitions by its own likelihood;
    they differ by where they began, and so disagree where there was little to learn from. Events
    and conditions are those of genlit.data.Rollouts.

    In imagination row i is the business of member i mod M. A caller that keeps rows in their order
    so follows each future under one member, which is the trajectory sampling of PETS (TS∞).

    References:
        | Deep Reinforcement Learning in a Handful of Trials using Probabilistic Dynamics Models
          (Chua, Calandra, McAllister & Levine, 2018)
        | https://arxiv.org/abs/1805.12114
        | World Models (Ha & Schmidhuber, 2018), for the temperature
        | https://arxiv.org/abs/1803.10122

    Args:
        shape: The shape of one event: next state, reward and end.
        condition_shape: The shape of state and action.
        members: How many networks there are, M.
        hidden: Widths of the hidden layers of each.
        end_hidden: Widths of the hidden layers of the networks that tell the end.
        activation: Builds what follows each hidden layer.
        least_std: The least standard deviation of a prediction, as a share of the deviation over
            the training transitions. Without a floor a world without noise has no end of density.
        temperature: How much of the noise is drawn in imagination; 0 takes what is expected.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    offset: Tensor
    scale: Tensor
    given_offset: Tensor
    given_scale: Tensor
    least: Tensor
    low: Tensor  # of what networks are asked about
    high: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        condition_shape: Sequence[int],
        members: int = 5,
        hidden: Sequence[int] = (64, 64),
        end_hidden: Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.SiLU,
        least_std: float = 0.01,
        temperature: float = 1.0,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        self.condition_shape, self.lr_decay = tuple(condition_shape), lr_decay
        if len(self.shape) != 1 or not 0 < self.shape[0] - 2 < self.condition_shape[0]:
            raise ValueError(
                f"WorldModel learns transitions, not events of shape {self.shape} given "
                f"{self.condition_shape}: take genlit.data.Rollouts"
            )
        if members < 1 or least_std <= 0 or temperature < 0:
            raise ValueError(
                "WorldModel needs 1 member or more, least_std above 0 and temperature of 0 or "
                f"more, not {members}, {least_std} and {temperature}"
            )
        self.members, self.temperature = members, temperature
        self.states = self.shape[0] - 2
        size, given = self.states + 1, self.condition_shape[0]
        self.dynamics = Ensemble(members, given, 2 * size, hidden, activation)
        self.end = Ensemble(members, self.states, 1, end_hidden, activation)
        self.register_buffer("least", torch.full((size,), least_std).log())
        for name, numbers in (("offset", size), ("given_offset", given)):
            self.register_buffer(name, torch.zeros(numbers))
        self.register_buffer("low", torch.full((given,), -math.inf))
        self.register_buffer("high", torch.full((given,), math.inf))
        for name, numbers in (("scale", size), ("given_scale", given)):
            self.register_buffer(name, torch.ones(numbers))

    def setup(self, stage: str) -> None:
        """Takes the units of what goes in and out from the training transitions."""
        data: Any = getattr(self._trainer, "datamodule", None)
        if stage == "fit" and "train" in getattr(data, "conditions", {}):
            self.standardize(data.splits["train"], data.conditions["train"])

    def standardize(self, x: Tensor, condition: Tensor) -> None:
        """Has networks see and say numbers of mean 0 and deviation 1 over these transitions.

        What never changes keeps its unit.
        """
        outcome = self.outcome(x, condition)
        for name, values in (("", outcome), ("given_", condition)):
            std = values.double().std(0, correction=0)
            getattr(self, f"{name}offset").copy_(values.double().mean(0))
            getattr(self, f"{name}scale").copy_(torch.where(std > 1e-6, std, 1.0))
        lived = torch.cat([x[:, : self.states], condition[:, : self.states]])
        self.low[: self.states], self.high[: self.states] = lived.aminmax(dim=0)

    # Learning

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Minus log p(x | condition) in nats per transition, as a mean over members."""
        assert "condition" in batch, "batches have no condition: take genlit.data.Rollouts"
        dynamics, end = self.log_probs(batch["x"], batch["condition"])
        found = {"dynamics": -dynamics.mean(), "end": -end.mean()}
        return {"loss": found["dynamics"] + found["end"], **found}

    def log_probs(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Each member's log-density of change and reward, and log-probability of the end.

        Both are in nats, (M, B); the density is that in the units of the data.
        """
        law = self.law(condition.expand(self.members, -1, -1))
        density = law.log_prob((self.outcome(x, condition) - self.offset) / self.scale)
        odds = self.end_odds(x[:, : self.states].expand(self.members, -1, -1))
        return density - self.scale.log().sum(), bernoulli_terms(odds, x[:, -1])

    def outcome(self, x: Tensor, condition: Tensor) -> Tensor:
        """Change of state, and the reward; (B, S + 1)."""
        change = x[:, : self.states] - condition[:, : self.states]
        return torch.cat([change, x[:, -2:-1]], 1)

    def law(self, given: Tensor) -> StepLaw:
        """The law of outcomes in standard units, of states and actions (M, B, S + A)."""
        return law_of(self.dynamics(self.seen(given)), self.least)

    def end_odds(self, state: Tensor) -> Tensor:
        """Log-odds that an episode ended on its way to states (M, B, S); (M, B)."""
        return self.end(self.seen(state)).squeeze(-1)

    def seen(self, given: Tensor) -> Tensor:
        """Numbers (*, D) as networks see them: in standard units, and no further than was known."""
        d = given.shape[-1]
        known = given.clamp(self.low[:d], self.high[:d])
        return (known - self.given_offset[:d]) / self.given_scale[:d]

    # What the model can be asked

    def imagine(self, state: Tensor, action: Tensor) -> Imagined:
        """Draws a future of each row by one member, differentiably."""
        law = self.law(dealt(torch.cat([state, action], 1), self.members))
        drawn = gathered(law.draw(self.temperature), len(state)) * self.scale + self.offset
        after = state + drawn[:, :-1]
        odds = self.end_odds(dealt(after, self.members))
        return Imagined(after, drawn[:, -1], gathered(odds, len(state)).sigmoid())

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Draws what comes of each state and action: next state, reward, and 1 for an end."""
        state, action = condition[:, : self.states], condition[:, self.states :]
        found = self.imagine(state, action)
        ended = (torch.rand_like(found.ended) < found.ended).to(found.reward)
        return torch.cat([found.state, found.reward[:, None], ended[:, None]], 1)
