"""What all autoregressive models share: a family member says how its conditionals come about."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.autoregressive.ancestral import (
    NaiveWalk,
    Walk,
    ancestral,
    filled,
    is_prefix,
    raster,
)
from genlit.likelihoods import Bernoulli, Law
from genlit.model import GenerativeModel
from genlit.protocols import Batch, Density, Imputes, Samples

LEAST = 1e-3  # of the probabilities that learning sets out from: log-odds are within ±6.9


class AutoregressiveModel(GenerativeModel, Samples, Density, Imputes):
    """p(x) as the product of p(x_i | entries before i), trained on -log p(x) in nats.

    Args:
        shape: The shape of one event.
        likelihood: The law of an entry.
        impute_particles: How many imputations compete where an observed entry follows missing ones.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    order: Tensor

    def __init__(
        self, shape: Sequence[int], likelihood: Law = Bernoulli, impute_particles: int = 20,
        lr_decay: bool = False, optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:  # fmt: skip
        super().__init__(shape, optimizer)
        if impute_particles < 1:
            raise ValueError(f"impute_particles is {impute_particles}: it takes 1 or more")
        self.law = likelihood(self.shape)
        self.binary = self.law.levels == 2
        self.impute_particles, self.lr_decay = impute_particles, lr_decay
        self.register_buffer("order", raster(self.shape), persistent=False)

    @abstractmethod
    def outputs(self, x: Tensor) -> Tensor:
        """What the law takes of every entry given those before it, (B, *law.outputs)."""

    @abstractmethod
    def walk(self, n: int) -> Walk:
        """Begins n events whose entries come one after another, computing only what is new."""

    # Learning

    def on_fit_start(self) -> None:
        """Refuses data that has other values than the law gives probabilities to."""
        super().on_fit_start()
        self.law.check(getattr(getattr(self.trainer, "datamodule", None), "protocol", ""))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": -self.log_prob(batch["x"]).mean()}

    # What the model can be asked

    def log_prob(self, x: Tensor) -> Tensor:
        return self.law.log_prob(self.outputs(x), x)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Ancestral sampling, with what entries have in common computed once.

        Under the same seed it draws the events of `sample_naively`, bit for bit, unless a uniform
        number falls between two probabilities that differ by the rounding of sums: their terms are
        the same, but not always the order in which they are added.
        """
        return ancestral(self.walk(n), self.law).view(n, *self.shape)

    @torch.no_grad()
    def sample_naively(self, n: int) -> Tensor:
        """Ancestral sampling that computes everything anew for every entry: slow, a check."""
        walk = NaiveWalk(n, self.order, self.like, self.outputs, self.law)
        return ancestral(walk, self.law).view(n, *self.shape)

    @torch.no_grad()
    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Ancestral sampling given what is observed.

        Exact where all observed entries come before all missing ones in the order of reading, as
        where the lower half is missing. Else by sequential importance resampling, which tends to
        the conditional law as `impute_particles` grow.
        """
        known = observed.flatten(1)
        particles = 1 if is_prefix(known[:, self.order]) else self.impute_particles
        events = filled(self.walk, self.law, x.flatten(1), known, particles)
        return torch.where(observed, x, events.view_as(x))

    @property
    def like(self) -> Tensor:
        """A tensor of the type and on the device of the parameters."""
        return next(self.parameters())


@torch.no_grad()
def start_at_means(model: GenerativeModel, stage: str, bias: nn.Parameter, order: Tensor) -> None:
    """Sets log-odds to those of independent pixels with the means of the training data.

    Args:
        model: Whose Trainer has the data.
        stage: What Lightning is about to do: only a fit begins anywhere.
        bias: The log-odds, (entries,); they stay as they are unless they are all 0.
        order: Which entry of a flat event each is of, (entries,).
    """
    data: Any = getattr(model.trainer, "datamodule", None)
    if stage == "fit" and hasattr(data, "mean") and not bias.any():
        bias.copy_(data.mean.flatten().to(bias)[order].logit(LEAST))
