"""The Boltzmann machine of coupled hidden units as a model that Lightning can train."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.boltzmann import couplings
from genlit.boltzmann.coupled_layer import CoupledLayer
from genlit.boltzmann.coupled_path import JointPath
from genlit.boltzmann.learning import falling, groups
from genlit.boltzmann.machine import settle
from genlit.boltzmann.objectives import Learning
from genlit.boltzmann.stages import Stages
from genlit.learning import scheduled
from genlit.model import GenerativeModel
from genlit.protocols import (
    Batch,
    Denoises,
    Density,
    EnergyBounded,
    HasFilters,
    Imputes,
    Reconstructs,
    Samples,
)


class LateralBoltzmannMachine(
    GenerativeModel,
    Samples,
    Density,
    EnergyBounded,
    Reconstructs,
    Imputes,
    Denoises,
    HasFilters,
):
    """Boltzmann machine of binary pixels and hidden units that are coupled with each other.

    This is the general machine. Its hidden units have no closed-form law given the pixels: in
    learning, mean-field stands in for it, and log p(x) has a lower bound. Held-out data are judged
    by `val/reconstruction_error`, minus the log-probabilities of pixels given the others and the
    mean-field hidden units, and `val/log_weight_bound`, a lower bound of log p(x) + log Z that
    compares events and no machines; both in nats per event.

    References:
        | A Learning Algorithm for Boltzmann Machines (Ackley, Hinton & Sejnowski, 1985)
        | Deep Boltzmann Machines (Salakhutdinov & Hinton, 2009)

    Args:
        shape: The shape of one event.
        hidden: The number of hidden units.
        visible_couplings: Whether pixels are coupled with each other, too.
        reach: How many rows and columns apart coupled pixels may be; null couples all pairs.
        mean_field_steps: Updates of the expected hidden units given an event.
        objective: What is lowered: PersistentChains, which null takes.
        weight_decay: L2 penalty of weights and couplings; biases have none.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run, as persistent
            chains need.
        sample_steps: Gibbs sweeps over all units before a sample is taken.
        impute_steps: Gibbs sweeps that fill in missing entries.
        optimizer: Builds the optimizer from the parameters.
    """

    binary = True

    def __init__(
        self,
        shape: Sequence[int],
        hidden: int = 100,
        visible_couplings: bool = True,
        reach: int | None = None,
        mean_field_steps: int = 20,
        objective: Learning | None = None,
        weight_decay: float = 0.0,
        lr_decay: bool = False,
        sample_steps: int = 200,
        impute_steps: int = 100,
        optimizer: OptimizerCallable = torch.optim.SGD,
    ) -> None:
        super().__init__(shape, optimizer)
        if min(hidden, mean_field_steps) < 1:
            raise ValueError(
                f"hidden is {hidden} and mean_field_steps is {mean_field_steps}: both are at least "
                "1 here; a machine without hidden units is a genlit.boltzmann.BoltzmannMachine"
            )
        self.layer = CoupledLayer(
            self.shape, hidden, visible_couplings, True, reach, objective, mean_field_steps
        )
        self.per_rank = tuple(f"layer.objective.{name}" for name in self.layer.objective.chains)
        self.weight_decay, self.lr_decay = weight_decay, lr_decay
        self.sample_steps, self.impute_steps = sample_steps, impute_steps

    @property
    def theta(self) -> couplings.Couplings:
        """The parameters, as the functions of `genlit.boltzmann.couplings` take them."""
        return self.layer.theta

    # Learning

    def setup(self, stage: str) -> None:
        """Sets out from independent pixels with the means of the training data."""
        if stage == "fit":
            settle(self, self.layer)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(groups(self, self.layer.weights, self.weight_decay))
        if not self.lr_decay:
            return optimizer
        return scheduled(optimizer, falling(self.trainer, Stages([])))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The objective; in training, it moves chains that persist."""
        return {"loss": self.layer.loss(batch["x"].flatten(1))}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the reconstruction error and the bound of held-out data."""
        x = batch["x"]
        if len(x) == 0:  # a process left without a batch, see `genlit.data.loader`
            return
        self.log_dict(
            {
                "val/reconstruction_error": self.layer.reconstruction_error(x.flatten(1)),
                "val/log_weight_bound": self.log_weight_bound(x, 1).mean(),
            },
            batch_size=len(x),
            sync_dist=self.trainer.world_size > 1,
        )

    # What the model can be asked

    @torch.no_grad()
    def log_weight_bound(self, x: Tensor, samples: int) -> Tensor:
        """The mean-field bound, which is deterministic."""
        v = x.flatten(1)
        return couplings.log_weight_bound(self.theta, v, self.layer.mean_hidden(v))

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x); for machines of at most 22 units, or hidden units of uncoupled pixels."""
        return self.log_density()(x)

    @torch.no_grad()
    def log_density(self) -> Callable[[Tensor], Tensor]:
        theta = self.theta.double()
        log_z = couplings.log_partition(theta)
        return lambda x: -couplings.free_energy(theta, x.flatten(1).double()) - log_z

    def require_tractable(self) -> None:
        couplings.require_tractable(self.theta)

    @torch.no_grad()
    def path(self) -> JointPath:
        """From independent pixels with the means of the training data, and fair coins."""
        layer, steps = self.layer, self.sample_steps
        return JointPath(
            layer.gibbs, layer.base, lambda n: layer.run(n, steps), layer.origin(steps)
        )

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels, each as it was when it was drawn in the last sweep.

        Chains start where the persistent ones stand, and run for `sample_steps`.
        """
        return self.layer.means(n, self.sample_steps).view(n, *self.shape)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Expected pixels, each given all others and the mean-field hidden units."""
        return self.layer.conditional_logits(x.flatten(1)).sigmoid().view_as(x)

    denoise = reconstruct

    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Gibbs sweeps past the observed entries, whose law tends to p(missing | observed)."""
        filled = self.layer.fill(x.flatten(1), observed.flatten(1), self.impute_steps)
        return filled.view_as(x)

    @torch.no_grad()
    def filters(self) -> Tensor:
        """The weights of each hidden unit, as events: (hidden, *shape)."""
        return self.theta.W.mT.reshape(-1, *self.shape)
