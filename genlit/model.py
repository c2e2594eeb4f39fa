"""The one base class: what Lightning needs from every model, and nothing of any family."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor, nn

from genlit.learning import falling, scheduled
from genlit.protocols import Batch
from genlit.randomness import derive_seed, isolated, rng_state, set_rng_state

# What data calls itself first whose events are zeros and ones; "" where it does not say.
BINARY_PROTOCOLS = ("", "dynamic", "static", "threshold")


class Diverged(ArithmeticError):
    """A loss that is not a finite number."""


class GenerativeModel(L.LightningModule, ABC):
    """A model of events of a fixed shape. A family writes `loss`; the rest is said once, here.

    Args:
        shape: The shape of one event; the command line takes it from the datamodule.
        optimizer: Builds the optimizer from the parameters.
    """

    binary: bool = False  # True where p(x) is a probability of zeros and ones only
    per_rank: tuple[str, ...] = ()  # buffers that differ between processes, as chains do
    lr_decay: bool = False  # whether the learning rate falls linearly to 0 over the run

    def __init__(
        self, shape: Sequence[int], optimizer: OptimizerCallable = torch.optim.Adam
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.optimizer = optimizer
        self._resumed: dict[str, Any] | None = None

    @property
    def _ddp_params_and_buffers_to_ignore(self) -> list[str]:
        return list(self.per_rank)  # DistributedDataParallel would overwrite them with rank 0's

    @abstractmethod
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Returns scalars to log; the one under "loss" is minimized."""

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        return scheduled(optimizer, falling(self.trainer)) if self.lr_decay else optimizer

    def training_step(self, batch: Batch, batch_idx: int) -> STEP_OUTPUT:
        terms = self.loss(batch)
        self.report(terms)
        return terms["loss"]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the loss on held-out data, under noise that depends on the batch alone."""
        if len(batch["x"]) == 0:  # a process left without a batch, see `genlit.data.loader`
            return
        with isolated("validation", batch_idx * self.trainer.world_size + self.global_rank):
            terms = self.loss(batch)
        self.log_dict(
            {f"val/{name}": value for name, value in terms.items()},
            batch_size=len(batch["x"]),
            sync_dist=self.trainer.world_size > 1,
        )

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Testing is what callbacks do; Lightning only needs this to exist."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the name of the running hook some forty times a step, and Module's setter
        # takes its time to find out that a string is no parameter: a quarter of a millisecond.
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def report(self, terms: dict[str, Tensor]) -> None:
        """Stops the run if a term is not finite, and logs all as often as the Trainer wants.

        Logging costs most of a millisecond a term, and looking at a number waits for an
        accelerator; so both are done at the Trainer's logging steps, and looking always on a CPU.

        Raises:
            Diverged: If a term is NaN or infinite.
        """
        done = self.trainer.fit_loop.epoch_loop.total_batch_idx + 1
        due = done % max(self.trainer.log_every_n_steps, 1) == 0
        if due or self.device.type == "cpu":
            self._refuse_nonfinite(terms, done)
        if due:
            self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()})

    def _refuse_nonfinite(self, terms: dict[str, Tensor], step: int) -> None:
        total = sum(value.detach() for value in terms.values())
        if isinstance(total, Tensor) and not torch.isfinite(total):
            bad = [name for name, value in terms.items() if not torch.isfinite(value)] or ["sum"]
            raise Diverged(
                f"{type(self).__name__} diverged at training step {step} "
                f"(epoch {self.current_epoch}): not finite: {', '.join(bad)}"
            )

    # Exact resume: each process finds its own random state and its own chains in the checkpoint.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._refuse_broken_weights()
        mine = {"rng": rng_state(), "buffers": {n: self.get_buffer(n).cpu() for n in self.per_rank}}
        checkpoint["genlit_ranks"] = _gathered(mine)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        ranks = checkpoint.get("genlit_ranks", [])
        if self._trainer is None or len(ranks) != self.trainer.world_size:
            return
        self._resumed = ranks[self.trainer.global_rank]
        checkpoint["state_dict"].update(ranks[self.trainer.global_rank]["buffers"])

    def on_fit_start(self) -> None:
        """Refuses grey levels where the loss is a probability of zeros and ones."""
        protocol = getattr(getattr(self.trainer, "datamodule", None), "protocol", "")
        if self.binary and protocol.partition("_")[0] not in BINARY_PROTOCOLS:
            raise ValueError(
                f"{type(self).__name__} learns probabilities of zeros and ones, and this data is "
                "grey: set data.binarize to dynamic, static or threshold"
            )

    def on_train_start(self) -> None:
        if self._resumed is not None:
            set_rng_state(self._resumed["rng"])
            self._resumed = None
        else:
            torch.manual_seed(
                derive_seed(
                    "rank", torch.initial_seed(), self.global_rank, self.trainer.global_step
                )
            )

    def _refuse_broken_weights(self) -> None:
        broken = [n for n, p in self.named_parameters() if not torch.isfinite(p).all()]
        if broken:
            raise Diverged(
                f"{type(self).__name__} diverged: {', '.join(broken)} not finite after step "
                f"{self.trainer.global_step}; the checkpoint before it was kept"
            )


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Inside, a network and all its parts are in evaluation mode; then they are as before."""
    before = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


@contextmanager
def unmoved(network: nn.Module) -> Iterator[None]:
    """Inside, a forward pass in training mode leaves no trace in the network's buffers."""
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)


def _gathered(mine: dict[str, Any]) -> list[dict[str, Any]]:
    """What every process holds, in the order of ranks."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [mine]
    everyone: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everyone, mine)
    return everyone
