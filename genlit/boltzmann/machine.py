"""The Boltzmann machine of coupled pixels as a model that Lightning can train."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.boltzmann import couplings
from genlit.boltzmann.coupled_layer import CoupledLayer
from genlit.boltzmann.coupled_path import CoupledPath
from genlit.boltzmann.learning import falling, groups
from genlit.boltzmann.objectives import Learning
from genlit.boltzmann.stages import Stages
from genlit.boltzmann.units import SMOOTHING
from genlit.learning import scheduled
from genlit.model import GenerativeModel
from genlit.protocols import (
    Batch,
    Denoises,
    Density,
    EnergyBased,
    HasFilters,
    Imputes,
    MarkovChain,
    Reconstructs,
    Samples,
)
from genlit.randomness import isolated

SITES = 5  # pixels of an image that one validation pass looks at for the pseudo-likelihood


class BoltzmannMachine(
    GenerativeModel,
    Samples,
    Density,
    EnergyBased,
    MarkovChain,
    Reconstructs,
    Imputes,
    Denoises,
    HasFilters,
):
    """Boltzmann machine of binary pixels coupled with each other, and with hidden units if it has.

    Without hidden units it is fully visible, with them semi-restricted: they are coupled with
    pixels and not with each other. Held-out data are judged by `val/pseudo_log_likelihood`, and by
    `val/reconstruction_error`, minus the log-probabilities of pixels given the others and the
    expected hidden units; both in nats per event.

    References:
        | A Learning Algorithm for Boltzmann Machines (Ackley, Hinton & Sejnowski, 1985)
        | Modeling Image Patches with a Directed Hierarchy of Markov Random Fields (Osindero &
          Hinton, 2007)

    Args:
        shape: The shape of one event.
        hidden: The number of hidden units; 0 makes the machine fully visible.
        visible_couplings: Whether pixels are coupled with each other; without, it is an RBM.
        reach: How many rows and columns apart coupled pixels may be; null couples all pairs.
        objective: What is lowered: PseudoLikelihood (without hidden units) or PersistentChains;
            null takes the former where it can.
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
        hidden: int = 0,
        visible_couplings: bool = True,
        reach: int | None = None,
        objective: Learning | None = None,
        weight_decay: float = 0.0,
        lr_decay: bool = False,
        sample_steps: int = 200,
        impute_steps: int = 100,
        optimizer: OptimizerCallable = torch.optim.SGD,
    ) -> None:
        super().__init__(shape, optimizer)
        self.layer = CoupledLayer(self.shape, hidden, visible_couplings, False, reach, objective)
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
        """Logs the pseudo-log-likelihood and the reconstruction error of held-out data."""
        v = batch["x"].flatten(1)
        if len(v) == 0:  # a process left without a batch, see `genlit.data.loader`
            return
        with isolated("validation", batch_idx * self.trainer.world_size + self.global_rank):
            sites = torch.randint(v.shape[1], (SITES, len(v)), device=v.device)
        theta, error = self.theta, self.layer.reconstruction_error(v)
        pseudo = -error  # of a machine without hidden units it is the same thing
        if len(theta.c):
            each = [couplings.pseudo_log_likelihood(theta, v, i) for i in sites]
            pseudo = torch.stack(each).mean()
        self.log_dict(
            {"val/pseudo_log_likelihood": pseudo, "val/reconstruction_error": error},
            batch_size=len(v),
            sync_dist=self.trainer.world_size > 1,
        )

    # What the model can be asked

    def free_energy(self, x: Tensor) -> Tensor:
        return couplings.free_energy(self.theta, x.flatten(1))

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x); for machines of at most 22 pixels."""
        return self.log_density()(x)

    @torch.no_grad()
    def log_density(self) -> Callable[[Tensor], Tensor]:
        log_z = couplings.log_partition(self.theta)
        return lambda x: -self.free_energy(x) - log_z

    def require_tractable(self) -> None:
        couplings.require_tractable(self.theta)

    @torch.no_grad()
    def path(self) -> CoupledPath:
        """From independent pixels with the means of the training data."""
        layer, steps = self.layer, self.sample_steps
        return CoupledPath(
            layer.gibbs, layer.base, lambda n: layer.run(n, steps), layer.origin(steps)
        )

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels, each as it was when it was drawn in the last sweep.

        Chains start where the persistent ones stand, or at independent pixels if there are none,
        and run for `sample_steps`.
        """
        return self.layer.means(n, self.sample_steps).view(n, *self.shape)

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """X -> h ~ p(h | x) -> x' by a sweep over pixels given h, which leaves p(x) as it is."""
        gibbs, v = self.layer.gibbs, x.flatten(1)
        return gibbs.visible(gibbs.hidden(v).states, v).states.view_as(x)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Expected pixels, each given all others and the expected hidden units."""
        return self.layer.conditional_logits(x.flatten(1)).sigmoid().view_as(x)

    denoise = reconstruct

    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Gibbs sweeps past the observed entries, whose law tends to p(missing | observed)."""
        filled = self.layer.fill(x.flatten(1), observed.flatten(1), self.impute_steps)
        return filled.view_as(x)

    @torch.no_grad()
    def filters(self) -> Tensor:
        """The weights of each hidden unit, or without any the couplings of each pixel."""
        theta = self.theta
        weights = theta.W.mT if theta.R is None or len(theta.c) else theta.R
        return weights.reshape(-1, *self.shape)


def settle(model: GenerativeModel, layer: CoupledLayer) -> None:
    """Puts a layer that has learned nothing yet at the means of the training data."""
    data: Any = getattr(model.trainer, "datamodule", None)
    if not hasattr(data, "mean") or layer.base.any():
        return
    mean = data.mean.flatten().to(layer.base)
    with isolated("particles", torch.initial_seed(), model.global_rank):
        layer.settle(torch.logit((mean + SMOOTHING) / (1 + 2 * SMOOTHING)))
