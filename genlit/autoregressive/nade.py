"""The neural autoregressive distribution estimator."""

import math
from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.autoregressive.ancestral import Walk
from genlit.autoregressive.autoregressive import AutoregressiveModel, start_at_means
from genlit.autoregressive.hidden import nade_logits


class NADE(AutoregressiveModel):
    """Neural autoregressive distribution estimator: hidden units that all binary entries share.

    References:
        | The Neural Autoregressive Distribution Estimator (Larochelle & Murray, 2011)
        | https://arxiv.org/abs/1605.02226

    Args:
        shape: The shape of one event.
        hidden: The number of hidden units.
        impute_particles: How many imputations compete where an observed entry follows missing ones.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self, shape: Sequence[int], hidden: int = 500, impute_particles: int = 20,
        lr_decay: bool = False, optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:  # fmt: skip
        super().__init__(
            shape, impute_particles=impute_particles, lr_decay=lr_decay, optimizer=optimizer
        )
        entries = math.prod(self.shape)
        self.W = nn.Parameter(torch.randn(entries, hidden) / entries**0.5)
        self.V = nn.Parameter(torch.randn(entries, hidden) / hidden**0.5)
        self.c = nn.Parameter(torch.zeros(hidden))
        self.b = nn.Parameter(torch.zeros(entries))

    def setup(self, stage: str) -> None:
        """Sets the log-odds of entries out from the means of the training data."""
        start_at_means(self, stage, self.b, self.order)

    def outputs(self, x: Tensor) -> Tensor:
        logits = nade_logits(x.flatten(1)[:, self.order], self.W, self.c, self.V, self.b)
        return logits[:, self.order.argsort()].view_as(x)

    def walk(self, n: int) -> Walk:
        return NADEWalk(n, self.order, self.W, self.c, self.V, self.b)


class NADEWalk(Walk):
    """Its entries, each of which adds one row of weights to the hidden units.

    Args:
        n: The number of events.
        order: The places of the entries.
        W: From entries to hidden units, (entries, hidden).
        c: Biases of hidden units, (hidden,).
        V: From hidden units to entries, (entries, hidden).
        b: Biases of entries, (entries,).
    """

    def __init__(self, n: int, order: Tensor, W: Tensor, c: Tensor, V: Tensor, b: Tensor) -> None:
        super().__init__(n, order, W)
        self.W, self.V, self.b = W, V, b
        self.cache = [c.repeat(n, 1)]

    def output(self) -> Tensor:
        return (self.cache[0].sigmoid() @ self.V[self.at] + self.b[self.at])[:, None]

    def update(self, site: int, value: Tensor) -> None:
        self.cache[0].addr_(value, self.W[self.at - 1])
