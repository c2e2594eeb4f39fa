"""The callback that has the model of a run solve the problems of a task."""

from typing import Any

import lightning as L
import torch.distributed as dist
from torch import Tensor

from genlit.callbacks import Judge
from genlit.randomness import isolated
from genlit.runs import Measurement
from genlit.tasks.task import Problems, Score, Task, answered


class Examination(Judge):
    """Sets the model a task in `genlit test`, and measures how well it solves that.

    Each process solves its share of the problems. `genlit compare` sets the same task to several
    runs, beside baselines.

    Args:
        task: The task.
        every_n_epochs: Also measures the validation set after every so many epochs, so that
            Checkpoints can monitor it; 0 never does.
        seed: Chooses the problems, and draws what is random in them and in the answers.
    """

    def __init__(self, task: Task, every_n_epochs: int = 0, seed: int = 0) -> None:
        super().__init__(every_n_epochs)
        self.task, self.seed = task, seed

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses at once what could not be measured hours later."""
        self.task.require(pl_module)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.measurements = []
        self._examine(trainer, pl_module, "test")

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.due(trainer):
            self._examine(trainer, pl_module, "val")

    def _examine(self, trainer: L.Trainer, model: L.LightningModule, split: str) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        problems = self.task.pose(data, split, self.seed)
        rank, processes = trainer.global_rank, trainer.world_size
        share = problems.every(rank, processes)
        with isolated(self.task.name, self.seed, rank):
            scores = self.task.score(share, answered(self.task, model, share))
        for score in scores:
            values = in_turns(gathered(score.values.double().cpu()))
            whole = score._replace(values=values)
            self.conclude(model, measurement(self.task, whole, split, problems, data))


def measurement(task: Task, score: Score, split: str, problems: Problems, data: Any) -> Measurement:
    """A score with all that it takes to understand it."""
    return Measurement(
        name=f"{task.name}_{score.name}",
        split=split,
        value=score.mean,
        stderr=score.stderr,
        unit=score.unit,
        kind="estimate",
        method=f"{type(task).__name__} of {problems.source}",
        n=score.n,
        protocol=getattr(data, "protocol", ""),
    )


def gathered(mine: Tensor) -> list[Tensor]:
    """What every process has, in the order of ranks."""
    if not (dist.is_available() and dist.is_initialized()):
        return [mine]
    every: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(every, mine)
    return every


def in_turns(shares: list[Tensor]) -> Tensor:
    """Joins what was dealt out in turns: the first of each, then the second, and so on."""
    whole = shares[0].new_empty(sum(map(len, shares)))
    for rank, share in enumerate(shares):
        whole[rank :: len(shares)] = share
    return whole
