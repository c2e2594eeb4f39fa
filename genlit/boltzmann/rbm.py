"""The restricted Boltzmann machine as a model that Lightning can train."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.boltzmann import energy, partition
from genlit.boltzmann.centring import Gradient, Ordinary
from genlit.boltzmann.energy import Theta
from genlit.boltzmann.layer import Layer
from genlit.boltzmann.learning import falling, groups
from genlit.boltzmann.path import RBMPath
from genlit.boltzmann.samplers import CD, Chains
from genlit.boltzmann.stages import Stages
from genlit.boltzmann.units import Binary, Law
from genlit.chains import clamped
from genlit.learning import scheduled
from genlit.model import GenerativeModel
from genlit.protocols import (
    Batch,
    Denoises,
    Density,
    Encodes,
    EnergyBased,
    HasFilters,
    Imputes,
    Laddered,
    MarkovChain,
    Reconstructs,
    Samples,
    Tempered,
)
from genlit.randomness import isolated

SITES = 5  # pixels of an image that one validation pass looks at for the pseudo-likelihood


class RBM(
    GenerativeModel,
    Samples,
    Density,
    EnergyBased,
    MarkovChain,
    Encodes,
    Reconstructs,
    Imputes,
    Denoises,
    HasFilters,
    Tempered,
    Laddered,
):
    """Restricted Boltzmann machine: visible units of any law, binary hidden ones.

    The loss is a difference of mean energies, and no likelihood: see `genlit.boltzmann.gradient`.
    Held-out data are judged by `val/reconstruction_error`, minus the log-probability of an event
    given its mean-field reconstruction, and, where events are binary, by
    `val/pseudo_log_likelihood`; both in nats per event.

    References:
        | A Practical Guide to Training Restricted Boltzmann Machines (Hinton, 2010)
        | https://www.cs.toronto.edu/~hinton/absps/guideTR.pdf

    Args:
        shape: The shape of one event.
        hidden: The number of hidden units.
        visible: The law of the visible units: Binary, Categorical or Gaussian.
        sampler: Where the states of the model come from that each gradient needs: CD, PCD, FastPCD,
            ParallelTempering or TrajectoryTempering.
        gradient: The coordinates of the gradient: Ordinary, Centred or Enhanced.
        sparsity: Weight of a penalty on mean activations of hidden units; 0 has none.
        sparsity_target: The mean activation that it draws to.
        weight_decay: L2 penalty of the weights; biases have none.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run, as persistent
            chains need.
        sample_steps: Gibbs steps before a sample is taken.
        impute_steps: Gibbs steps that fill in missing entries.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        hidden: int = 500,
        visible: Law = Binary,
        sampler: Chains = CD,
        gradient: Gradient = Ordinary,
        sparsity: float = 0.0,
        sparsity_target: float = 0.1,
        weight_decay: float = 0.0,
        lr_decay: bool = False,
        sample_steps: int = 1000,
        impute_steps: int = 100,
        optimizer: OptimizerCallable = torch.optim.SGD,
    ) -> None:
        super().__init__(shape, optimizer)
        units = visible(math.prod(self.shape))
        self.layer = Layer(units, hidden, sampler, gradient, sparsity, sparsity_target)
        self.binary = units.binary
        self.per_rank = tuple(f"layer.sampler.{name}" for name in self.layer.sampler.chains)
        self.weight_decay = weight_decay
        self.lr_decay = lr_decay
        self.sample_steps, self.impute_steps = sample_steps, impute_steps

    @property
    def theta(self) -> Theta:
        """The parameters, as the functions of `genlit.boltzmann` take them."""
        return self.layer.theta

    # Learning

    def setup(self, stage: str) -> None:
        """Sets out from independent pixels with the means of the training data."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if stage != "fit" or not hasattr(data, "mean") or self.layer.base.any():
            return
        moments = data.mean.flatten(), data.std.flatten()
        with torch.no_grad(), isolated("particles", torch.initial_seed(), self.global_rank):
            base = self.layer.units.fit(*(m.to(self.layer.base) for m in moments))
            self.layer.settle(base)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(groups(self, [self.layer.W], self.weight_decay))
        if not self.lr_decay:
            return optimizer
        return scheduled(optimizer, falling(self.trainer, Stages([])))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The gap of mean energies; in training, it moves the chains on."""
        return {"loss": self.layer.loss(self._states(batch["x"]))}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.layer.turn()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the pseudo-log-likelihood and the reconstruction error of held-out data."""
        if len(batch["x"]) == 0:  # a process left without a batch, see `genlit.data.loader`
            return
        v, units = self._states(batch["x"]), self.layer.units
        positions = energy.visible_logits(self.theta, energy.hidden_logits(self.theta, v).sigmoid())
        found = {"val/reconstruction_error": -units.log_prob(positions, v).mean()}
        if units.binary:
            with isolated("validation", batch_idx * self.trainer.world_size + self.global_rank):
                sites = torch.randint(v.shape[1], (SITES, len(v)), device=v.device)
            pseudo = [energy.pseudo_log_likelihood(self.theta, v, i) for i in sites]
            found["val/pseudo_log_likelihood"] = torch.stack(pseudo).mean()
        self.log_dict(found, batch_size=len(v), sync_dist=self.trainer.world_size > 1)

    # What the model can be asked

    def free_energy(self, x: Tensor) -> Tensor:
        return energy.free_energy(self.theta, self._states(x))

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x); for machines whose smaller binary layer has at most 22 units."""
        return self.log_density()(x)

    @torch.no_grad()
    def log_density(self) -> Callable[[Tensor], Tensor]:
        log_z = partition.log_partition(self.theta)
        return lambda x: -self.free_energy(x) - log_z

    def require_tractable(self) -> None:
        partition.require_tractable(self.theta)

    def path(self) -> RBMPath:
        """From independent pixels with the means of the training data."""
        return self.layer.path(self.sample_steps)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels given the hidden units: the grey levels customarily shown and judged.

        Chains start where the persistent ones stand, or at independent pixels if there are none,
        and run for `sample_steps`.
        """
        positions = self.layer.positions(n, self.sample_steps)
        return self._events(self.layer.units.mean(positions)).clamp(0, 1)

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """X -> h ~ p(h | x) -> x' ~ p(x | h), which leaves p(x) as it is."""
        return self._events(energy.gibbs_step(self.theta, self._states(x)))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Probabilities of the hidden units given x, (B, hidden)."""
        return energy.hidden_logits(self.theta, self._states(x)).sigmoid()

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Expected pixels given hidden units, or their probabilities."""
        return self._events(self.layer.units.mean(energy.visible_logits(self.theta, z))).clamp(0, 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Mean-field: expected pixels given the expected hidden units given x."""
        return self.decode(self.encode(x))

    denoise = reconstruct

    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Gibbs sampling with observed entries held, whose law tends to p(missing | observed)."""
        filled = clamped(self.step, x, observed, self.impute_steps)
        return torch.where(observed, x, filled.clamp(0, 1))

    @torch.no_grad()
    def filters(self) -> Tensor:
        """The weights of each hidden unit, as events: (hidden, *shape)."""
        return self.layer.units.weights(self.theta.W.mT).view(-1, *self.shape)

    def swap_rates(self) -> Tensor:
        return self.layer.sampler.swap_rates()

    def require_ladder(self) -> None:
        self.layer.sampler.require_ladder()

    def ladder_log_partition(self, steps: int) -> tuple[Tensor, Tensor]:
        """By Bennett's acceptance ratio of neighbouring rungs, from where the chains stand."""
        return self.layer.sampler.log_partition(self.theta, steps)

    def _states(self, x: Tensor) -> Tensor:
        return self.layer.units.states(x.flatten(1))

    def _events(self, v: Tensor) -> Tensor:
        return self.layer.units.events(v).view(-1, *self.shape)
