"""The deep belief network as a model that Lightning can train, layer by layer."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as nnf
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.annealing import several
from genlit.boltzmann import belief, energy, growth
from genlit.boltzmann.belief_path import BeliefPath
from genlit.boltzmann.centring import Gradient, Ordinary
from genlit.boltzmann.learning import constant, falling, groups
from genlit.boltzmann.samplers import PCD, Chains
from genlit.boltzmann.stack import Stack
from genlit.boltzmann.stages import Stages
from genlit.boltzmann.units import draw
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
    Tempered,
)
from genlit.randomness import isolated


class DBN(
    GenerativeModel,
    Samples,
    EnergyBounded,
    Encodes,
    Reconstructs,
    Imputes,
    Denoises,
    HasFilters,
    Tempered,
):
    """Deep belief network: a restricted Boltzmann machine above directed layers.

    One run trains it in stages. In each stage of the first, greedy part one layer learns as a
    machine of its own, from samples of the layers below, which stay as they are. It begins as the
    machine below turned upside down, so that nothing is lost, if it has hidden units enough; or at
    independent units with the right means. A last stage may follow in which all learn together:
    up-down, also called contrastive wake-sleep, with weights of recognition of their own.

    At any time the model is the net of those layers whose stages have begun. Held-out data are
    judged by `val/reconstruction_error`, minus the log-probability of an event given its mean-field
    reconstruction, in nats, up through all layers whose stages have begun and down again: it rises
    where a stage begins. The loss is no likelihood.

    References:
        | A Fast Learning Algorithm for Deep Belief Nets (Hinton, Osindero & Teh, 2006)
        | https://www.cs.toronto.edu/~hinton/absps/fastnc.pdf

    Args:
        shape: The shape of one event.
        layers: The numbers of hidden units, from the lowest layer up.
        epochs: The epochs of each layer's stage and, one number more, of up-down if it is wanted;
            trainer.max_epochs is their sum.
        sampler: Where each layer takes the states of its machine from: CD, PCD, FastPCD, ...
        gradient: The coordinates of each machine's gradient: Ordinary, Centred or Enhanced.
        weight_decay: L2 penalty of the weights; biases have none.
        lr_decay: Whether the learning rate falls linearly to 0 within each stage.
        rates: The learning rate of each stage, in units of the optimizer's; None takes 1, and 0.1
            for up-down. A layer that begins as the machine below turned upside down loses what it
            was given where its rate is high.
        sample_steps: Gibbs steps of the machine on top before a sample is taken.
        impute_steps: Steps of the chain that fills in missing entries.
        optimizer: Builds the optimizer from the parameters.
    """

    binary = True

    def __init__(
        self,
        shape: Sequence[int],
        layers: Sequence[int] = (500, 2000),
        epochs: Sequence[int] = (30, 30),
        sampler: Chains = PCD,
        gradient: Gradient = Ordinary,
        weight_decay: float = 0.0,
        lr_decay: bool = False,
        rates: Sequence[float] | None = None,
        sample_steps: int = 1000,
        impute_steps: int = 100,
        optimizer: OptimizerCallable = torch.optim.SGD,
    ) -> None:
        super().__init__(shape, optimizer)
        growth.check(layers, epochs, rates)
        sizes = [math.prod(self.shape), *layers]
        self.up_down = len(epochs) > len(layers)
        self.stack = Stack(sizes, sampler, gradient, self.up_down)
        self.epochs, self.stages = list(epochs), Stages(epochs[:-1])
        self.per_rank = tuple(
            f"stack.layers.{k}.sampler.{name}"
            for k, layer in enumerate(self.stack.machines)
            for name in layer.sampler.chains
        )
        self.weight_decay, self.lr_decay = weight_decay, lr_decay
        self.rates = [*([1.0] * len(layers)), 0.1] if rates is None else list(rates)
        self.sample_steps, self.impute_steps = sample_steps, impute_steps

    # Stages

    def setup(self, stage: str) -> None:
        """Sets out from independent pixels with the means of the training data."""
        data: Any = getattr(self.trainer, "datamodule", None)
        lowest = self.stack.machines[0]
        if stage != "fit" or not hasattr(data, "mean") or lowest.base.any():
            return
        mean = data.mean.flatten().to(lowest.base)
        with isolated("particles", torch.initial_seed(), self.global_rank):
            lowest.settle(growth.log_odds(mean))
            for layer in self.stack.machines[1:]:  # whose time has not come
                layer.settle(layer.base)

    def on_fit_start(self) -> None:
        """Compares the length of the run with that of its stages.

        Raises:
            ValueError: If the run is longer.
        """
        super().on_fit_start()
        missing = growth.missing(self.epochs, self.trainer.max_epochs)
        looking = self.trainer.fast_dev_run  # pyright: ignore[reportAttributeAccessIssue]
        if missing and not looking and self.global_rank == 0:
            warnings.warn(missing, stacklevel=2)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Begins the stage of the epoch, at its first batch. A resumed run may have begun it."""
        while int(self.stack.stage) < self.stages.at(self.current_epoch):
            self.begin(int(self.stack.stage) + 1)
            for optimizer in self.trainer.optimizers:
                optimizer.state.clear()  # its momentum was that of another machine

    def begin(self, stage: int) -> None:
        """Makes a layer the machine on top; after the last one, unties recognition."""
        layers = self.stack.machines
        base = layers[min(stage, len(layers) - 1)].base
        if stage < len(layers):
            data: Any = getattr(self._trainer, "datamodule", None)
            base = growth.hidden_log_odds(self.stack, data, base)
        self.stack.begin(stage, base)

    # Learning

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(groups(self, self.stack.weights, self.weight_decay))
        rate = falling if self.lr_decay else constant
        return scheduled(optimizer, rate(self.trainer, self.stages, self.rates))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """What the stage lowers; in training, the chains move on."""
        terms = self.stack.loss(batch["x"].flatten(1))
        if several():  # each of which must have a gradient for every parameter
            idle = torch.stack([p.sum() for p in self.stack.idle()])
            terms["loss"] = terms["loss"] + 0.0 * idle.sum()
        return terms

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Centres the gradient; keeps weight decay and momentum off parameters that are idle."""
        self.stack.top.turn()
        for parameter in self.stack.idle():
            parameter.grad = None

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the reconstruction error of held-out data."""
        if len(batch["x"]) == 0:  # a process left without a batch, see `genlit.data.loader`
            return
        v, net, top = batch["x"].flatten(1), self.stack.net, self.stack.top.theta
        position = belief.means_down(net, top, belief.means_up(net, top, v))
        error = nnf.binary_cross_entropy_with_logits(position, v, reduction="sum") / len(v)
        self.log_dict(
            {"val/reconstruction_error": error},
            batch_size=len(v),
            sync_dist=self.trainer.world_size > 1,
        )

    # What the model can be asked

    @torch.no_grad()
    def log_weight_bound(self, x: Tensor, samples: int = 1) -> Tensor:
        """The importance-weighted bound over paths of recognition; one gives the variational bound.

        Without directed layers, while the first stage lasts, it is exact.
        """
        net, top = self.stack.net, self.stack.top.theta
        return belief.log_weight_bound(net, top, x.flatten(1), samples)

    def path(self) -> BeliefPath:
        """That of the machine on top, from independent units with their means given the data."""
        return BeliefPath(self.stack.net, self.stack.top.path(self.sample_steps))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels given the layer above: the grey levels customarily shown and judged.

        Chains of the machine on top go on from where they stand for `sample_steps`; then each lower
        layer is drawn given the one above it.
        """
        position, net = self.stack.top.positions(n, self.sample_steps), self.stack.net
        if net:
            h = belief.descend(net[1:], draw(position))[0]
            position = energy.visible_logits(net[0].down, h)
        return position.sigmoid().view(-1, *self.shape)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Mean-field probabilities of the top hidden layer by recognition, (B, units)."""
        return belief.means_up(self.stack.net, self.stack.top.theta, x.flatten(1))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Expected pixels given the top hidden layer, by means all the way down."""
        position = belief.means_down(self.stack.net, self.stack.top.theta, z)
        return position.sigmoid().view(-1, *self.shape)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Mean-field: expected pixels given the expected top layer given x."""
        return self.decode(self.encode(x))

    denoise = reconstruct

    @torch.no_grad()
    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Metropolis-within-Gibbs sampling, whose law tends to p(missing | observed).

        Each step proposes hidden layers by recognition, accepts or refuses them, and draws missing
        entries given them. Bad recognition makes it slow, but not wrong.
        """
        lowest, net, top = self.stack.machines[0], self.stack.net, self.stack.top.theta
        v, seen = x.flatten(1), observed.flatten(1)
        states = belief.climb(net, torch.where(seen, v, draw(lowest.base.expand_as(v))))
        for _ in range(self.impute_steps):
            states = belief.refresh(net, top, states)
            h = states[1] if net else draw(energy.hidden_logits(top, states[0]))
            states[0] = torch.where(seen, v, draw(energy.visible_logits(lowest.theta, h)))
        return states[0].view_as(x)

    @torch.no_grad()
    def filters(self) -> Tensor:
        """The weights of each unit of the lowest hidden layer, as events: (units, *shape)."""
        return self.stack.machines[0].W.mT.reshape(-1, *self.shape)

    def swap_rates(self) -> Tensor:
        return self.stack.top.sampler.swap_rates()
