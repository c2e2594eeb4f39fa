"""Learning rates that change with every optimizer step, and how long a run is."""

import math
from collections.abc import Callable
from typing import Any

import torch


def falling(trainer: Any) -> Callable[[int], float]:
    """The share of the learning rate at a step: it falls linearly to 0 at the end of the run.

    Args:
        trainer: The Trainer of the run.

    Raises:
        ValueError: If the run has no end.
    """
    refuse_endless(trainer)
    return lambda step: max(1 - step / lengths(trainer, step)[1], 0.0)


def refuse_endless(trainer: Any) -> None:
    """Makes sure that a run has an end, which a falling rate needs.

    Raises:
        ValueError: If it has none.
    """
    if trainer.max_epochs == trainer.max_steps == -1:
        raise ValueError("lr_decay needs a run that ends: set trainer.max_epochs or max_steps")


def lengths(trainer: Any, step: int) -> tuple[int, float]:
    """Optimizer steps of an epoch, and of the whole run.

    Before the first step they are not asked for, as they do not matter then: Lightning sets up the
    batches to answer, and those of a resumed run would begin anew.
    """
    if step == 0:
        return 1, math.inf
    epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    return epoch, trainer.estimated_stepping_batches


def scheduled(optimizer: torch.optim.Optimizer, rate: Callable[[int], float]) -> Any:
    """What `configure_optimizers` returns for a rate that changes with every step."""
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    return [optimizer], [{"scheduler": scheduler, "interval": "step"}]
