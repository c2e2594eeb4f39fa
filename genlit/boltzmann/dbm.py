"""The deep Boltzmann machine as a model that Lightning can train."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as nnf
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.boltzmann import deep
from genlit.boltzmann.deep import DeepTheta
from genlit.boltzmann.deep_gradient import bernoulli
from genlit.boltzmann.deep_layers import DeepLayers
from genlit.boltzmann.deep_path import DeepPath
from genlit.boltzmann.learning import constant, falling, groups
from genlit.boltzmann.stages import Stages
from genlit.boltzmann.units import SMOOTHING, draw
from genlit.learning import scheduled
from genlit.model import GenerativeModel
from genlit.protocols import (
    Batch,
    Denoises,
    Encodes,
    EnergyBounded,
    HasFilters,
    Imputes,
    Reconstructs,
    Samples,
)
from genlit.randomness import isolated

PATIENCE, TOLERANCE = 100, 1e-4  # of mean-field when the model is asked, and not trained


class DBM(
    GenerativeModel, Samples, EnergyBounded, Encodes, Reconstructs, Imputes, Denoises, HasFilters
):
    """Deep Boltzmann machine of binary units, whose layers hear from both of their neighbours.

    One run trains it in stages. First each pair of neighbouring layers learns as a restricted
    Boltzmann machine on samples of the layer below, an inner layer counting its one neighbour
    twice. Then all learn together: with mean-field given the data, against persistent chains. Until
    then, samples and reconstructions are those of the stack of machines trained so far.

    The loss is a difference of mean energies, and no likelihood. Held-out data are judged by
    `val/reconstruction_error`, the cross-entropy of an event and its reconstruction in nats.

    References:
        | Deep Boltzmann Machines (Salakhutdinov & Hinton, 2009)
        | https://proceedings.mlr.press/v5/salakhutdinov09a.html

    Args:
        shape: The shape of one event.
        layers: The numbers of hidden units, from the lowest layer up; two layers or more.
        pretrain_epochs: Epochs of pretraining for each layer; an empty list trains all layers
            together at once, which needs `centred`. What trainer.max_epochs leaves is for joint
            training.
        pretrain_lr: The learning rate of pretraining, in units of the optimizer's.
        persistent: Whether chains persist in pretraining, too (PCD); otherwise they start at the
            data (CD). In joint training they always persist.
        steps: Gibbs sweeps before each gradient.
        particles: Persistent chains on each process.
        mean_field_steps: The most updates of the hidden means for each gradient.
        mean_field_tolerance: Fewer suffice when no mean moves by as much in one; 0 takes all.
        centred: Whether to take the gradient in centred coordinates.
        weight_decay: L2 penalty of the weights; biases have none.
        lr_decay: Whether the learning rate falls linearly to 0 in each stage.
        sample_steps: Gibbs sweeps before a sample is taken.
        impute_steps: Gibbs sweeps that fill in missing entries.
        optimizer: Builds the optimizer from the parameters.
    """

    binary = True
    per_rank = ("deep.particles",)

    base: Tensor  # (V,), log-odds of the means of the training data

    def __init__(
        self,
        shape: Sequence[int],
        layers: Sequence[int] = (500, 1000),
        pretrain_epochs: Sequence[int] = (),
        pretrain_lr: float = 1.0,
        persistent: bool = True,
        steps: int = 1,
        particles: int = 100,
        mean_field_steps: int = 10,
        mean_field_tolerance: float = 0.0,
        centred: bool = True,
        weight_decay: float = 0.0,
        lr_decay: bool = False,
        sample_steps: int = 1000,
        impute_steps: int = 100,
        optimizer: OptimizerCallable = torch.optim.SGD,
    ) -> None:
        super().__init__(shape, optimizer)
        _check(layers, pretrain_epochs, particles, mean_field_steps)
        self.deep = DeepLayers(
            [math.prod(self.shape), *layers], particles, steps, mean_field_steps,
            mean_field_tolerance, centred, persistent, pretrained=len(pretrain_epochs) > 0,
        )  # fmt: skip
        self.stages, self.pretrain_lr = Stages(pretrain_epochs), pretrain_lr
        self.weight_decay, self.lr_decay = weight_decay, lr_decay
        self.sample_steps, self.impute_steps = sample_steps, impute_steps
        self.register_buffer("base", torch.zeros(math.prod(self.shape)))

    @property
    def theta(self) -> DeepTheta:
        """The parameters, as the functions of `genlit.boltzmann.deep` take them."""
        return self.deep.theta

    # Learning

    def setup(self, stage: str) -> None:
        """Sets out from independent pixels with the means of the training data.

        Raises:
            ValueError: If the run ends before joint training begins.
        """
        if stage != "fit":
            return
        if not self.trainer.fast_dev_run:  # pyright: ignore[reportAttributeAccessIssue]
            self.stages.check(self.trainer.max_epochs)
        data: Any = getattr(self.trainer, "datamodule", None)
        if not hasattr(data, "mean") or self.base.any():
            return
        mean = data.mean.flatten().to(self.base)
        self.base.copy_(torch.logit((mean + SMOOTHING) / (1 + 2 * SMOOTHING)))
        with isolated("particles", torch.initial_seed(), self.global_rank):
            self.deep.settle(self.base)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Enters the stage of the epoch, at its first batch. A resumed run may have entered it."""
        while self.deep.lower is not None and self.deep.lower < self.stages.at(self.current_epoch):
            self.deep.go_on()
            for optimizer in self.trainer.optimizers:
                optimizer.state.clear()  # its momentum was that of another machine

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(groups(self, self.deep.W, self.weight_decay))
        rate = falling if self.lr_decay else constant
        early = [self.pretrain_lr] * len(self.stages.ends)
        return scheduled(optimizer, rate(self.trainer, self.stages, early))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The gap of mean energies; in training, it moves the chains on."""
        return {"loss": self.deep.loss(batch["x"].flatten(1))}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.deep.turn()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the reconstruction error of held-out data."""
        if len(batch["x"]) == 0:  # a process left without a batch, see `genlit.data.loader`
            return
        v = batch["x"].flatten(1)
        logits = self.deep.reconstruction(v, PATIENCE, TOLERANCE)
        error = nnf.binary_cross_entropy_with_logits(logits, v, reduction="sum") / len(v)
        self.log(
            "val/reconstruction_error", error, batch_size=len(v),
            sync_dist=self.trainer.world_size > 1,
        )  # fmt: skip

    # What the model can be asked

    @torch.no_grad()
    def log_weight_bound(self, x: Tensor, samples: int = 1) -> Tensor:
        """The variational bound with mean-field, the same whatever `samples`."""
        mean = deep.mean_field(self.theta, x.flatten(1), PATIENCE, TOLERANCE)
        return deep.variational_bound(self.theta, mean)

    def path(self) -> DeepPath:
        """From independent pixels with the means of the training data."""
        origin = f"the persistent chains after {self.sample_steps} Gibbs sweeps"
        draw_samples = partial(self.deep.samples, steps=self.sample_steps)
        return DeepPath(self.theta, self.base, draw_samples, origin)

    def sample(self, n: int) -> Tensor:
        """Expected pixels given the hidden units: the grey levels customarily shown and judged.

        Chains start where the persistent ones stand and run for `sample_steps`.
        """
        return self.deep.expected_pixels(n, self.sample_steps).view(n, *self.shape)

    @torch.no_grad()
    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Gibbs sampling of all layers with observed entries held.

        Its law tends to p(missing | observed). The hidden layers start at their mean-field.
        """
        seen = observed.flatten(1)
        v = torch.where(seen, x.flatten(1), draw(self.base.expand(len(x), -1)))
        mean = deep.mean_field(self.theta, v, PATIENCE, TOLERANCE)
        state = {0: v} | {k: bernoulli(m) for k, m in mean.items() if k}
        for _ in range(self.impute_steps):
            state = deep.sweep(self.theta, state, v, seen)
        return state[0].view_as(x)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Mean-field probabilities of the lowest hidden layer, which the upper ones have a say in.

        The pixels hear from no other, so that it is the whole code of an event; (B, units).
        """
        return deep.mean_field(self.theta, x.flatten(1), PATIENCE, TOLERANCE)[1]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Expected pixels given the lowest hidden layer, or its probabilities."""
        return deep.logits(self.theta, {1: z}, 0).sigmoid().view(-1, *self.shape)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Expected pixels given the mean-field of the hidden layers given x."""
        return self.deep.reconstruction(x.flatten(1), PATIENCE, TOLERANCE).sigmoid().view_as(x)

    denoise = reconstruct

    @torch.no_grad()
    def filters(self) -> Tensor:
        """The weights of each unit of the lowest hidden layer, as events: (units, *shape)."""
        return self.deep.W[0].mT.reshape(-1, *self.shape)


def _check(
    layers: Sequence[int], epochs: Sequence[int], particles: int, mean_field_steps: int
) -> None:
    """Refuses arguments that make no deep Boltzmann machine."""
    if len(layers) < 2:
        raise ValueError(
            f"layers is {list(layers)}: a DBM has 2 hidden layers or more; with one it is an RBM, "
            "genlit.boltzmann.RBM"
        )
    if epochs and (len(epochs) != len(layers) or min(epochs) < 1):
        raise ValueError(
            f"pretrain_epochs is {list(epochs)} for {len(layers)} layers: give 1 or more for each "
            "layer, or none at all"
        )
    if particles < 1:
        raise ValueError(f"particles is {particles}: the persistent chains are at least 1")
    if mean_field_steps < 1:
        raise ValueError(f"mean_field_steps is {mean_field_steps}: it takes 1 update or more")
