"""The rounds of a game of two players, as Lightning has to play them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from genlit.gan.clipping import WeightClipping
from genlit.gan.conditions import Share
from genlit.gan.discriminator import Discriminator
from genlit.gan.trainer_options import refuse_automatic_options, refuse_options, warn_of_batches
from genlit.learning import falling
from genlit.model import GenerativeModel
from genlit.protocols import Batch


class Rounds(GenerativeModel):
    """A game of two players who take turns. A game writes what each of them lowers.

    A training batch is a round: the discriminator takes its steps, each on an equal share of the
    batch, then the generator takes its steps. Epochs and logs count rounds. A step zeroes the
    gradients of its player alone, before and after, and the other one's parameters are out of the
    graph.

    Args:
        shape: The shape of one event.
        discriminator_steps: The discriminator's steps a round; data.batch_size must be a multiple.
        generator_steps: The generator's steps a round.
        clipping: Weight clipping of the discriminator.
        lr_decay: Whether the learning rates of both players fall linearly to 0 over the run.
        discriminator_optimizer: Builds the discriminator's optimizer from its parameters.
        generator_optimizer: Builds the generator's optimizer from its parameters.

    Raises:
        ValueError: If a number of steps is less than 1.
    """

    generator: nn.Module
    discriminator: Discriminator
    rounds: Tensor
    discriminator_updates: Tensor
    generator_updates: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        discriminator_steps: int,
        generator_steps: int,
        clipping: WeightClipping | None,
        lr_decay: bool,
        discriminator_optimizer: OptimizerCallable,
        generator_optimizer: OptimizerCallable,
    ) -> None:
        if min(discriminator_steps, generator_steps) < 1:
            raise ValueError("discriminator_steps and generator_steps must be 1 or more")
        super().__init__(shape)
        self.automatic_optimization = False
        self.discriminator_steps, self.generator_steps = discriminator_steps, generator_steps
        self.clipping, self.lr_decay = clipping, lr_decay
        self.discriminator_optimizer = discriminator_optimizer
        self.generator_optimizer = generator_optimizer
        for counter in ("rounds", "discriminator_updates", "generator_updates"):
            self.register_buffer(counter, torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def discriminator_terms(self, share: Share) -> dict[str, Tensor]:
        """Returns scalars to log, "real_accuracy" among them, and "discriminator_loss"."""

    @abstractmethod
    def generator_terms(self, share: Share) -> dict[str, Tensor]:
        """Returns scalars to log; the one under "generator_loss" is minimized."""

    def after_generator(self) -> None:
        """Is called after each of the generator's steps."""

    @property
    def players(self) -> dict[str, nn.Module]:
        """Both players by name."""
        return {"discriminator": self.discriminator, "generator": self.generator}

    def configure_callbacks(self) -> list[L.Callback]:
        """None; but this is the last moment to speak before Lightning does."""
        refuse_automatic_options(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        if stage == "fit":
            refuse_options(self.trainer, self.discriminator_steps + self.generator_steps)
            warn_of_batches(self.trainer, self.players)

    def configure_optimizers(self) -> Any:
        optimizers = [
            self.discriminator_optimizer(self.discriminator.parameters()),
            self.generator_optimizer(self.generator.parameters()),
        ]
        if not self.lr_decay:
            return optimizers
        rate = falling(self.trainer)  # Lightning leaves its steps to us: they are rounds
        return optimizers, [torch.optim.lr_scheduler.LambdaLR(o, rate) for o in optimizers]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """What either player would minimize on a batch; nothing is minimized jointly."""
        share = Share(batch["x"], batch.get("condition"))
        return self.discriminator_terms(share) | self.generator_terms(share)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Plays one round."""
        discriminator, generator = self.optimizers()  # pyright: ignore[reportGeneralTypeIssues]
        shares, terms = self._shares(batch), {}
        for share in shares:
            with self.toggled_optimizer(discriminator):
                terms |= self.discriminator_terms(share)
                self._descend(discriminator, terms["discriminator_loss"])
            self._after_discriminator(terms["real_accuracy"], len(share.x))
        for k in range(self.generator_steps):
            with self.toggled_optimizer(generator):
                terms |= self.generator_terms(shares[k % len(shares)])
                self._descend(generator, terms["generator_loss"])
            self.generator_updates += 1
            self._share_statistics()
            self.after_generator()
        self.rounds += 1
        self._lower_rates()
        self.report(terms)

    def _shares(self, batch: Batch) -> list[Share]:
        x, steps = batch["x"], self.discriminator_steps
        if len(x) % steps:
            raise ValueError(
                f"a batch of {len(x)} cannot be shared evenly among the discriminator's {steps} "
                f"steps: set data.batch_size to a multiple of {steps}, such as "
                f"{-(-len(x) // steps) * steps}"
            )
        condition = batch.get("condition")
        conditions = [None] * steps if condition is None else condition.chunk(steps)
        return [Share(*pair) for pair in zip(x.chunk(steps), conditions, strict=True)]

    def _descend(self, optimizer: LightningOptimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    def _after_discriminator(self, accuracy: Tensor, n: int) -> None:
        self.discriminator_updates += 1
        if self.clipping is not None:
            self.clipping(self.discriminator, int(self.discriminator_updates))
        if len(self.discriminator.views):
            if self.trainer.world_size > 1:
                accuracy = self.trainer.strategy.reduce(accuracy, reduce_op="mean")
            self.discriminator.adapt(accuracy, n * self.trainer.world_size)

    def _share_statistics(self) -> None:
        """Gives all processes the mean of their networks' statistics, so that they sample alike."""
        if self.trainer.world_size == 1:
            return
        for player in (self.discriminator, self.generator):
            for buffer in player.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.trainer.strategy.reduce(buffer, reduce_op="mean"))

    def _lower_rates(self) -> None:
        schedulers: Any = self.lr_schedulers() or ()
        for scheduler in schedulers:
            scheduler.step()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Validating is what callbacks do; see the class."""
