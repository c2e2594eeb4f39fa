"""How machines take their steps: decay of weights alone, and a rate that falls to 0."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn

from genlit.boltzmann.stages import Stages
from genlit.learning import lengths, refuse_endless


def groups(model: nn.Module, weights: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Parameters for an optimizer: the weights with an L2 penalty, all others without.

    Args:
        model: Holds the parameters.
        weights: Those which are weights.
        decay: The penalty.
    """
    decayed = {id(p) for p in weights}
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if id(p) in decayed], "weight_decay": decay},
        {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
    ]


def falling(trainer: Any, stages: Stages, scales: Sequence[float] = ()) -> Callable[[int], float]:
    """The learning rate at a step, which falls linearly to 0 within each stage.

    Args:
        trainer: The Trainer of the run.
        stages: The stages before the last, which takes the rest of the run.
        scales: The rate of each stage in units of the optimizer's; 1 where there is none.

    Raises:
        ValueError: If the run has no end.
    """
    refuse_endless(trainer)
    return lambda step: stages.rate(step, *lengths(trainer, step), scales, True)


def constant(trainer: Any, stages: Stages, scales: Sequence[float] = ()) -> Callable[[int], float]:
    """The learning rate at a step, which does not fall; arguments as those of `falling`."""
    return lambda step: stages.rate(step, *lengths(trainer, step), scales, False)
