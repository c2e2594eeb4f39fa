"""Options of the Trainer that two players cannot have, refused with the option to take instead.

A round of the game is one batch, but the Trainer's `global_step` counts every optimizer's step, so
that it grows by several a round; and Lightning's callbacks that average weights average both
players.
"""

import warnings

import lightning as L
from lightning.pytorch.callbacks import (
    ModelCheckpoint,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.strategies import DDPStrategy
from torch import nn


def refuse_options(trainer: L.Trainer, steps: int) -> None:
    """Makes sure that all that the Trainer was told can work.

    Args:
        trainer: The Trainer.
        steps: Optimizer steps a round, of both players together.

    Raises:
        ValueError: If something cannot; the message names it, and what to take instead.
    """
    _refuse_max_steps(trainer, steps)
    _refuse_precision(trainer)
    _refuse_strategy(trainer)
    for callback in trainer.callbacks:
        if isinstance(callback, ModelCheckpoint):
            _refuse_checkpoints(callback, steps)
        if isinstance(callback, WeightAveraging | StochasticWeightAveraging):
            raise ValueError(
                f"{type(callback).__name__} would average the discriminator too: leave it out, "
                "and set model.ema_decay, which averages the generator"
            )


def refuse_automatic_options(trainer: L.Trainer) -> None:
    """Makes sure that the Trainer was told nothing that only automatic optimization can do.

    Lightning refuses these too, between configuring callbacks and setting up, without a way out.

    Raises:
        ValueError: If it was.
    """
    if trainer.gradient_clip_val:
        raise ValueError(
            "trainer.gradient_clip_val cannot clip players that step in turn: leave it out, and "
            "lower the lr of model.discriminator_optimizer and model.generator_optimizer"
        )
    if trainer.accumulate_grad_batches != 1:
        raise ValueError(
            "trainer.accumulate_grad_batches cannot join the batches of players that step in turn: "
            "leave it out, and set a larger data.batch_size"
        )


def _refuse_max_steps(trainer: L.Trainer, steps: int) -> None:
    n = trainer.max_steps
    if n != -1 and not trainer.fast_dev_run:
        raise ValueError(
            f"trainer.max_steps counts every optimizer's step, {steps} a round, so that {n} would "
            f"mean {-(-n // steps)} rounds: set trainer.max_epochs or trainer.limit_train_batches "
            "(a batch is a round)"
        )


def _refuse_precision(trainer: L.Trainer) -> None:
    refused = {
        "16-mixed": "has one scale of gradients for the steps of all players, and none for slopes",
        "16-true": "has no scale of gradients, which vanish",
        "bf16-true": "would take slopes of the discriminator in bfloat16, which are of float32",
    }
    if reason := refused.get(trainer.precision):
        raise ValueError(
            f"trainer.precision {trainer.precision} {reason}: set bf16-mixed or 32-true"
        )


def _refuse_strategy(trainer: L.Trainer) -> None:
    if not isinstance(strategy := trainer.strategy, DDPStrategy):
        return
    options = strategy._ddp_kwargs
    if options.get("static_graph") or not options.get("find_unused_parameters"):
        raise ValueError(
            "each player's step leaves the other's parameters unused, which this trainer.strategy "
            "does not allow for: set ddp_find_unused_parameters_true, without static_graph"
        )


def _refuse_checkpoints(callback: ModelCheckpoint, steps: int) -> None:
    every = callback._every_n_train_steps
    if callback._train_time_interval is not None:
        raise ValueError(
            "ModelCheckpoint.train_time_interval never saves a model of two optimizers: "
            "set every_n_epochs"
        )
    if every % steps:
        raise ValueError(
            f"ModelCheckpoint.every_n_train_steps counts every optimizer's step, {steps} a round: "
            f"set a multiple of {steps}, such as {every * steps} for every {every} rounds"
        )
    # What Lightning says at each such checkpoint is about weights from before the step.
    warnings.filterwarnings("ignore", "Using ModelCheckpoint with manual optimization")


def warn_of_batches(trainer: L.Trainer, players: dict[str, nn.Module]) -> None:
    """Warns where processes on accelerators normalize batches each by itself."""
    strategy = trainer.strategy
    alone = strategy.root_device.type == "cpu" or getattr(strategy, "_layer_sync", None)
    for name, player in players.items() if trainer.world_size > 1 and not alone else ():
        if normalizes_batches(player):
            warnings.warn(
                f"the {name} normalizes batches, and every process those of its own: set "
                "trainer.sync_batchnorm to true",
                stacklevel=2,
            )


def normalizes_batches(network: nn.Module) -> bool:
    """Whether a network has batch normalization."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
