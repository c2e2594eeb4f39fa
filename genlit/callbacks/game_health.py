"""Whether the two players of a game keep each other busy, and whether samples still differ."""

import warnings
from typing import Any

import lightning as L
import torch
from torch import Tensor

from genlit.callbacks.held_out import has_events, some_events
from genlit.callbacks.sampling import draw_events
from genlit.protocols import Batch, Plays, Samples, require
from genlit.randomness import isolated

TINY = 1e-12  # below a distance or a norm that may be 0

Weights = dict[str, list[Tensor]]  # of each player


class GameHealth(L.Callback):
    """Looks at a game as it is played, and says when samples become alike.

    - `train/real_slope` and `train/fake_slope`, the mean norm of the gradient of the
      discriminator's logit by the event, at real and at generated events: what R1 and R2 penalize.
    - `train/discriminator_update_ratio` and `train/generator_update_ratio`, ‖Δθ‖ / ‖θ‖ of the
      round for each player.
    - `train/diversity`, the mean distance between two samples over that between two real events,
      under the same noise again and again: 0 where all samples are one, about 1 where they differ
      as real events do. Callbacks can monitor it, as Lightning's EarlyStopping does. It shows that
      samples are alike, and not which modes are lost: for that there is ModeCoverage.

    Where diversity stays low, a warning says so, once. Of a model that draws no samples it is left
    out.

    Args:
        every_n_rounds: Looks after every so many rounds, which are training batches, and after the
            last of an epoch.
        n: The most events of a batch that the discriminator judges, and how many samples and real
            events diversity is of.
        threshold: The diversity below which samples are alike.
        patience: Looks in a row at which they are before the warning.
        seed: Seeds the noise.

    Raises:
        ValueError: If a number is too small.
    """

    def __init__(
        self,
        every_n_rounds: int = 100,
        n: int = 100,
        threshold: float = 0.2,
        patience: int = 5,
        seed: int = 0,
    ) -> None:
        if min(every_n_rounds, patience) < 1 or n < 2 or threshold < 0:
            raise ValueError(
                "GameHealth needs every_n_rounds and patience of 1 or more, n of 2 or more, and a "
                "threshold that is not below 0"
            )
        self.every_n_rounds = every_n_rounds
        self.n = n
        self.threshold, self.patience = threshold, patience
        self.seed = seed
        self._before: Weights | None = None  # the players at the start of a round that is due
        self._low, self._warned = 0, False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        require(pl_module, "the health of its game", Plays)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        due = _rounds(trainer) % self.every_n_rounds == 0 or trainer.is_last_batch
        self._before = _weights(pl_module) if due else None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        if self._before is None:
            return
        numbers = _moved(self._before, _weights(pl_module))
        self._before = None
        numbers |= self._slopes(trainer, pl_module, batch)
        if isinstance(pl_module, Samples):
            numbers["diversity"] = self._diversity(trainer, pl_module, batch)
        self._tell(trainer, pl_module, numbers)

    def state_dict(self) -> dict[str, Any]:
        return {"low": self._low, "warned": self._warned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._low, self._warned = state_dict["low"], state_dict["warned"]

    def _slopes(self, trainer: L.Trainer, model: Any, batch: Batch) -> dict[str, Tensor]:
        few: Any = {name: x[: self.n] for name, x in batch.items() if isinstance(x, Tensor)}
        with isolated("game health", self.seed, trainer.global_rank):
            verdict = model.judge(few)
        return {"real_slope": verdict.real_slope.mean(), "fake_slope": verdict.fake_slope.mean()}

    def _diversity(self, trainer: L.Trainer, model: L.LightningModule, batch: Batch) -> Tensor:
        if has_events(trainer, "train"):
            real = some_events(trainer, "train", self.n, "diversity", self.seed)
        else:
            real = batch["x"][: self.n]
        return diversity(draw_events(model, self.n, "diversity", self.seed), real)

    def _tell(
        self, trainer: L.Trainer, model: L.LightningModule, numbers: dict[str, Tensor]
    ) -> None:
        """Logs the means of all processes, and gives the alarm.

        Lightning itself would log a number of this round again at later ones, and not at all
        between its logging steps.
        """
        mine = torch.stack([number.to(model.device, torch.float32) for number in numbers.values()])
        means = trainer.strategy.reduce(mine, reduce_op="mean").tolist()
        told = dict(zip([f"train/{name}" for name in numbers], means, strict=True))
        model.log_dict(told, logger=False)
        for logger in trainer.loggers:
            logger.log_metrics({"epoch": trainer.current_epoch, **told}, _rounds(trainer) - 1)
        if "train/diversity" in told:
            self._heed(trainer, model, told["train/diversity"])

    def _heed(self, trainer: L.Trainer, model: L.LightningModule, diversity: float) -> None:
        self._low = self._low + 1 if diversity < self.threshold else 0
        if self._low < self.patience or self._warned:
            return
        self._warned = True
        if trainer.is_global_zero:
            warnings.warn(
                f"{type(model).__name__} seems to have collapsed: {self.patience} times in a row, "
                f"at round {_rounds(trainer)} the last, its samples were less than "
                f"{self.threshold:g} times as far from each other as real events are "
                f"({diversity:.2g} times): try genlit.gan.R1 and R2 as model.penalties, "
                "model.packing 2, or a lower rate of the generator",
                stacklevel=2,
            )


def diversity(samples: Tensor, real: Tensor) -> Tensor:
    """Mean distance of two samples over that of two real events, each (n, *shape); a scalar."""
    return mean_distance(samples) / mean_distance(real).clamp(min=TINY)


def mean_distance(x: Tensor) -> Tensor:
    """Mean Euclidean distance of two different ones of n events (n, *shape), a scalar float64."""
    return torch.pdist(x.detach().flatten(1).double().cpu()).mean()


def _rounds(trainer: L.Trainer) -> int:
    """Which round it is, the first being 1; those of earlier epochs count."""
    return trainer.fit_loop.epoch_loop.total_batch_idx + 1


def _weights(model: Any) -> Weights:
    """A copy of what each player can learn."""
    return {
        name: [p.detach().clone() for p in player.parameters()]
        for name, player in model.players.items()
    }


def _moved(before: Weights, after: Weights) -> dict[str, Tensor]:
    """‖Δθ‖ / ‖θ‖ of each player."""
    ratios = {}
    for name, start in before.items():
        steps = [b - a for a, b in zip(start, after[name], strict=True)]
        ratios[f"{name}_update_ratio"] = _norm(steps) / _norm(start).clamp(min=TINY)
    return ratios


def _norm(parameters: list[Tensor]) -> Tensor:
    """‖θ‖ of all of a player's parameters together, a scalar."""
    return torch.stack([p.double().norm() for p in parameters]).norm()
