"""An ensemble of multilayer perceptrons computed at once, and the law of a transition.

Notation: M members, B transitions, S numbers in a state s. A transition is the change of the state,
the reward r, and whether the episode ended, e:

    p(s', r, e | s, a) = N(s' - s, r; m(s, a), σ(s, a)²) · p(e | s')

with independent Gaussians, and the end a function of the state that it led to. Logarithms are in
nats.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from genlit.likelihoods.normal import normal_terms


class Ensemble(nn.Module):
    """Multilayer perceptrons of one form with weights of their own, (M, B, inputs) to (…, outputs).

    Args:
        members: How many there are.
        inputs: Numbers that go in.
        outputs: Numbers that come out.
        hidden: Widths of the hidden layers.
        activation: Builds what follows each of them.
    """

    def __init__(
        self,
        members: int,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        layers = list(pairwise([inputs, *hidden, outputs]))
        bounds = [(torch.empty(members, a, b), a**-0.5) for a, b in layers]
        self.weights = nn.ParameterList(nn.Parameter(w.uniform_(-r, r)) for w, r in bounds)
        self.biases = nn.ParameterList(
            nn.Parameter(torch.empty(members, 1, b).uniform_(-(a**-0.5), a**-0.5))
            for a, b in layers
        )
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            x = x if k == last else self.activation(x)
        return x


class StepLaw(NamedTuple):
    """Independent Gaussians: the law of the change of the state and the reward."""

    mean: Tensor  # (*, S + 1)
    log_std: Tensor  # (*, S + 1)

    def log_prob(self, outcome: Tensor) -> Tensor:
        """Log-density of outcomes (B, S + 1), (*, B)."""
        return normal_terms(self.mean, self.log_std, outcome).sum(-1)

    def draw(self, temperature: float) -> Tensor:
        """Draws an outcome with noise of so many standard deviations, (*, S + 1)."""
        if not temperature:
            return self.mean
        return self.mean + temperature * self.log_std.exp() * torch.randn_like(self.mean)


def law_of(output: Tensor, least_log_std: Tensor) -> StepLaw:
    """The law that a network's output (*, 2 S + 2) stands for, with widths above a floor."""
    mean, raw = output.chunk(2, -1)
    return StepLaw(mean, least_log_std + nnf.softplus(raw - least_log_std))


def dealt(rows: Tensor, members: int) -> Tensor:
    """Rows (B, D) dealt out to members in turn, (M, ⌈B / M⌉, D); the last ones may get zeros."""
    short = -len(rows) % members
    return nnf.pad(rows, (0, 0, 0, short)).unflatten(0, (-1, members)).transpose(0, 1)


def gathered(dealt: Tensor, rows: int) -> Tensor:
    """What was dealt out, in the order that it had; (M, ⌈B / M⌉, *) to (rows, *)."""
    return dealt.transpose(0, 1).flatten(0, 1)[:rows]
