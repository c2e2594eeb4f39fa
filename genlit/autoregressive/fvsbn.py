"""The fully visible sigmoid belief net: logistic regressions, one for each entry."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.autoregressive.ancestral import Walk
from genlit.autoregressive.autoregressive import AutoregressiveModel, start_at_means


class FVSBN(AutoregressiveModel):
    """Fully visible sigmoid belief net: each binary entry a logistic regression on those before.

    References:
        | Connectionist Learning of Belief Networks (Neal, 1992)
        | Does the Wake-sleep Algorithm Produce Good Density Estimators? (Frey et al., 1996)

    Args:
        shape: The shape of one event.
        impute_particles: How many imputations compete where an observed entry follows missing ones.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    before: Tensor

    def __init__(
        self, shape: Sequence[int], impute_particles: int = 20, lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:  # fmt: skip
        super().__init__(
            shape, impute_particles=impute_particles, lr_decay=lr_decay, optimizer=optimizer
        )
        entries = math.prod(self.shape)
        self.W = nn.Parameter(torch.zeros(entries, entries))
        self.b = nn.Parameter(torch.zeros(entries))
        rank = self.order.argsort()
        self.register_buffer("before", rank[:, None] > rank, persistent=False)

    def setup(self, stage: str) -> None:
        """Sets out from independent pixels with the means of the training data."""
        start_at_means(self, stage, self.b, torch.arange(len(self.b), device=self.b.device))

    def outputs(self, x: Tensor) -> Tensor:
        return nnf.linear(x.flatten(1), self.W * self.before, self.b).view_as(x)

    def walk(self, n: int) -> Walk:
        return FVSBNWalk(n, self.order, self.W * self.before, self.b)


class FVSBNWalk(Walk):
    """Its entries: each is one product of what is known with one row of weights.

    Args:
        n: The number of events.
        order: The places of the entries.
        weights: Those of regressions on entries before, else 0; (entries, entries).
        bias: Their intercepts, (entries,).
    """

    def __init__(self, n: int, order: Tensor, weights: Tensor, bias: Tensor) -> None:
        super().__init__(n, order, bias)
        self.weights, self.bias = weights, bias

    def output(self) -> Tensor:
        site = self.order[self.at]
        return (self.x @ self.weights[site] + self.bias[site])[:, None]

    def update(self, site: int, value: Tensor) -> None:
        """All is in the events."""
