"""The rounds of a game of two players, as Lightning has to play them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from genlit.learning import falling
from genlit.model import GenerativeModel
from genlit.protocols import Batch
from genlit.trainer_options import refuse_automatic_options, refuse_options, warn_of_batches


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
        lr_decay: Whether the learning rates of both players fall linearly to 0 over the run.
        discriminator_optimizer: Builds the discriminator's optimizer from its parameters.
        generator_optimizer: Builds the generator's optimizer from its parameters.

    Raises:
        ValueError: If a number of steps is less than 1.
    """

    rounds: Tensor
    discriminator_updates: Tensor
    generator_updates: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        discriminator_steps: int,
        generator_steps: int,
        lr_decay: bool,
        discriminator_optimizer: OptimizerCallable,
        generator_optimizer: OptimizerCallable,
    ) -> None:
        if min(discriminator_steps, generator_steps) < 1:
            raise ValueError("discriminator_steps and generator_steps must be 1 or more")
        super().__init__(shape)
        self.automatic_optimization = False
        self.discriminator_steps, self.generator_steps = discriminator_steps, generator_steps
        self.lr_decay = lr_decay
        self.discriminator_optimizer = discriminator_optimizer
        self.generator_optimizer = generator_optimizer
        for counter in ("rounds", "discriminator_updates", "generator_updates"):
            self.register_buffer(counter, torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def discriminator_terms(self, share: Batch) -> dict[str, Tensor]:
        """Returns scalars to log; the one under "discriminator_loss" is minimized."""

    @abstractmethod
    def generator_terms(self, share: Batch) -> dict[str, Tensor]:
        """Returns scalars to log; the one under "generator_loss" is minimized."""

    def after_discriminator(self, terms: dict[str, Tensor], n: int) -> None:
        """Is called after each of the discriminator's steps, with its terms of n real events."""

    def after_generator(self) -> None:
        """Is called after each of the generator's steps."""

    @property
    @abstractmethod
    def players(self) -> dict[str, nn.Module]:
        """Both players, "discriminator" and "generator", in the order of their turns."""

    def configure_callbacks(self) -> list[L.Callback]:
        """None; but this is the last moment to speak before Lightning does."""
        refuse_automatic_options(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        if stage == "fit":
            refuse_options(self.trainer, self.discriminator_steps + self.generator_steps)
            warn_of_batches(self.trainer, self.players)

    def configure_optimizers(self) -> Any:
        players = self.players
        optimizers = [
            self.discriminator_optimizer(players["discriminator"].parameters()),
            self.generator_optimizer(players["generator"].parameters()),
        ]
        if not self.lr_decay:
            return optimizers
        rate = falling(self.trainer)  # Lightning leaves its steps to us: they are rounds
        return optimizers, [torch.optim.lr_scheduler.LambdaLR(o, rate) for o in optimizers]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """What either player would minimize on a batch; nothing is minimized jointly."""
        return self.discriminator_terms(batch) | self.generator_terms(batch)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Plays one round."""
        discriminator, generator = self.optimizers()  # pyright: ignore[reportGeneralTypeIssues]
        shares, terms = self._shares(batch), {}
        for share in shares:
            with self.toggled_optimizer(discriminator):
                terms |= self.discriminator_terms(share)
                self._descend(discriminator, terms["discriminator_loss"])
            self.discriminator_updates += 1
            self.after_discriminator(terms, len(share["x"]))
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

    def _shares(self, batch: Batch) -> list[Batch]:
        n, steps = len(batch["x"]), self.discriminator_steps
        if steps == 1:
            return [batch]
        if n % steps:
            raise ValueError(
                f"a batch of {n} cannot be shared evenly among the discriminator's {steps} "
                f"steps: set data.batch_size to a multiple of {steps}, such as "
                f"{-(-n // steps) * steps}"
            )
        parts = {key: cast(Tensor, value).chunk(steps) for key, value in batch.items()}
        return [cast(Batch, {key: part[k] for key, part in parts.items()}) for k in range(steps)]

    def _descend(self, optimizer: LightningOptimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    def mean_over_processes(self, value: Tensor) -> Tensor:
        """The mean of what every process has; all of them have to ask."""
        if self.trainer.world_size == 1:
            return value
        return self.trainer.strategy.reduce(value, reduce_op="mean")

    def _share_statistics(self) -> None:
        """Gives all processes the mean of their networks' statistics, so that they sample alike."""
        if self.trainer.world_size == 1:
            return
        for player in self.players.values():
            for buffer in player.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.mean_over_processes(buffer))

    def _lower_rates(self) -> None:
        schedulers: Any = self.lr_schedulers() or ()
        for scheduler in schedulers:
            scheduler.step()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Validating is what callbacks do; see the class."""
