"""How probable held-out data is under the model."""

import warnings
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import lightning as L
import torch
import torch.distributed as dist
from torch import Tensor

from genlit.annealing import gathered
from genlit.callbacks.judge import Judge
from genlit.estimators import Estimator, LogDensity
from genlit.logmath import bits_per_dim
from genlit.model import GenerativeModel
from genlit.protocols import Batch
from genlit.randomness import isolated
from genlit.runs import EventValues, Measurement


class Lot(NamedTuple):
    """Events of a batch, of which those with low random numbers may be asked about."""

    batch: int
    numbers: Tensor  # (B,)
    x: Tensor  # (B, *shape)


class Likelihood(Judge):
    """Measures the mean log-likelihood of the test set in nats per event and in bits per dimension.

    Its standard error joins that of the finite test set and that of what all events share, such as
    log Z. The name of the metric carries the estimator and what was done to the data.

    Where an estimator takes its time for every event, a number of them is drawn at random.

    The log-likelihoods of single test events are kept for the run folder, so that `genlit report`
    can compare runs event by event.

    Args:
        estimator: How log p(x) is computed.
        every_n_epochs: Also measures the validation set after every so many epochs; 0 never does.
        seed: Seeds the estimator's randomness, which is its own.
    """

    def __init__(self, estimator: Estimator, every_n_epochs: int = 0, seed: int = 0) -> None:
        super().__init__(every_n_epochs)
        self.estimator = estimator
        self.seed = seed
        self._density: LogDensity | None = None
        self._answers: dict[int, Tensor] = {}  # by batch: places in it and log p(x), (n, 2) float64
        self._digests: dict[int, Tensor] = {}  # by batch, of all its events
        self._drawn: list[Lot] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses, before any time is spent, what could not be measured in the end."""
        self.estimator.check(pl_module)

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.measurements, self.event_values = [], []
        self._begin(pl_module)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._density = None
        if self.due(trainer):
            self._begin(pl_module)

    def on_test_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any,
        batch_idx: int, dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._add(trainer, pl_module, batch, batch_idx)

    on_validation_batch_end = on_test_batch_end

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._conclude(trainer, pl_module, "test")

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._conclude(trainer, pl_module, "val")

    @torch.no_grad()
    def _begin(self, model: L.LightningModule) -> None:
        with isolated("likelihood", self.seed):
            self._density = self.estimator(model)
        self._answers, self._digests, self._drawn = {}, {}, []
        for text in self._density.warnings if model.global_rank == 0 else ():
            warnings.warn(text, stacklevel=2)

    @torch.no_grad()
    def _add(self, trainer: L.Trainer, model: L.LightningModule, batch: Batch, k: int) -> None:
        x = batch["x"]
        if self._density is None or len(x) == 0:
            return
        if getattr(model, "binary", False):
            refuse_grey(x, type(model).__name__)
        batch_of_all = k * trainer.world_size + trainer.global_rank
        if trainer.testing:
            self._digests[batch_of_all] = digests(x)
        if self._density.events:
            with isolated("events", self.seed, batch_of_all):
                self._drawn.append(Lot(batch_of_all, torch.rand(len(x), dtype=torch.float64), x))
        else:
            self._ask(batch_of_all, torch.arange(len(x)), x)

    def _ask(self, batch: int, places: Tensor, x: Tensor) -> None:
        """Takes down log-likelihoods of events, under noise that depends on their batch alone."""
        assert self._density is not None
        with isolated("likelihood", self.seed, batch):
            log_p = self._density.log_prob(x).double()
        self._answers[batch] = torch.stack([places.to(log_p), log_p], 1)

    @torch.no_grad()
    def _ask_about_drawn(self) -> None:
        """Asks about the events with the lowest lots, so many of those that all processes have."""
        assert self._density is not None
        highest = nth_lowest([lot.numbers for lot in self._drawn], self._density.events)
        for lot in self._drawn:
            if len(places := (lot.numbers <= highest).nonzero()[:, 0]):
                self._ask(lot.batch, places, lot.x[places.to(lot.x.device)])

    def _conclude(self, trainer: L.Trainer, model: L.LightningModule, split: str) -> None:
        if self._density is None:
            return
        assert isinstance(model, GenerativeModel)
        if self._density.events:
            self._ask_about_drawn()
        answers = in_order(gathered({k: found.cpu() for k, found in self._answers.items()}))
        log_p = torch.cat([*answers.values()])[:, 1]
        measurement = self._measurement(self._density.closed(), log_p, trainer, model, split)
        self.conclude(model, measurement)
        if split == "test":
            of_all = in_order(gathered(self._digests))
            index, values = places_in_split(answers, of_all).numpy(), log_p.numpy()
            self.event_values = [EventValues(measurement, index, values, fingerprint(of_all))]
        self._density, self._answers, self._digests, self._drawn = None, {}, {}, []

    def _measurement(
        self, density: LogDensity, log_p: Tensor, trainer: L.Trainer, model: GenerativeModel,
        split: str,
    ) -> Measurement:  # fmt: skip
        n, mean = len(log_p), float(log_p.mean())
        of_data = float(log_p.var(correction=0) / max(n - 1, 1)) ** 0.5
        stderr = (of_data**2 + (density.stderr or 0.0) ** 2) ** 0.5
        data = getattr(trainer, "datamodule", None)
        protocol, bins = getattr(data, "protocol", "unknown"), getattr(data, "bins", 1)
        dims = torch.Size(model.shape).numel()
        of_estimator = {} if density.stderr is None else {"stderr_of_estimator": density.stderr}
        return Measurement(
            name=f"log_likelihood_{self.estimator.name}_{protocol}",
            split=split,
            value=mean,
            stderr=stderr,
            unit="nats",
            kind=self.estimator.kind,
            method=self.estimator.method,
            n=n,
            protocol=protocol,
            details={
                "stderr_of_data": of_data,
                **of_estimator,
                "bits_per_dim": float(bits_per_dim(mean, dims, bins)),
                **density.details,
            },
        )


def in_order(blocks: dict[int, Tensor]) -> dict[int, Tensor]:
    """The same in the order of batches, which is that of the data."""
    return dict(sorted(blocks.items()))


def places_in_split(answers: dict[int, Tensor], of_all: dict[int, Tensor]) -> Tensor:
    """The places in the split of the events that were asked about, (n,) int64.

    Args:
        answers: By batch, in order, with the places in it as the first column.
        of_all: What has a row for each event, by batch, in order.
    """
    firsts, first = {}, 0
    for batch, rows in of_all.items():
        firsts[batch], first = first, first + len(rows)
    return torch.cat([firsts[batch] + found[:, 0].long() for batch, found in answers.items()])


def digests(x: Tensor) -> Tensor:
    """A digest of each event, (B, 16) uint8, of sixteen binary digits of its numbers.

    Further digits differ between devices, which do not divide grey levels by 255 alike.
    """
    mantissa, exponent = torch.frexp(x.detach().flatten(1).cpu().float())
    rounded = torch.ldexp((mantissa * 2**16).round(), exponent - 16) + 0.0  # of zeros only one
    rows = (blake2b(row, digest_size=16).digest() for row in rounded.contiguous().numpy())
    return torch.frombuffer(bytearray(b"".join(rows)), dtype=torch.uint8).view(-1, 16)


def fingerprint(of_all: dict[int, Tensor]) -> str:
    """One digest of all events, however they were dealt into batches."""
    rows = torch.cat([*of_all.values()])
    return blake2b(rows.numpy().tobytes(), digest_size=16).hexdigest()


def nth_lowest(numbers: Sequence[Tensor], n: int) -> float:
    """The n-th lowest of all numbers that all processes have, or the last if they are fewer."""
    every: list[Tensor] = [torch.cat([torch.empty(0, dtype=torch.float64), *numbers])]
    if dist.is_available() and dist.is_initialized():
        mine, every = every[0], [torch.empty(0)] * dist.get_world_size()
        dist.all_gather_object(every, mine)
    joined = torch.cat(every).sort().values
    return float(joined[:n][-1])


def refuse_grey(
    x: Tensor, model: str, remedy: str = "set data.binarize to dynamic, static or threshold"
) -> None:
    """Makes sure that events are of zeros and ones.

    Args:
        x: The events.
        model: The name of the model that knows no others.
        remedy: What the user can do.

    Raises:
        ValueError: If they are not.
    """
    if not ((x == 0) | (x == 1)).all():
        raise ValueError(
            f"{model} gives probabilities to zeros and ones only, and this data has other values: "
            f"{remedy}"
        )
