"""How a belief net grows: its stages, and where a new machine on top sets out from."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlit.boltzmann import belief
from genlit.boltzmann.centring import over_processes
from genlit.boltzmann.energy import hidden_logits
from genlit.boltzmann.stack import Stack
from genlit.boltzmann.units import SMOOTHING
from genlit.randomness import isolated, permutation

LOOKED_AT = 10_000  # training events from which the means of hidden units are taken


def check(layers: Sequence[int], epochs: Sequence[int], rates: Sequence[float] | None) -> None:
    """Refuses arguments that make no deep belief network.

    Raises:
        ValueError: If they do not.
    """
    if not layers or len(epochs) not in (len(layers), len(layers) + 1) or min(epochs) < 1:
        raise ValueError(
            f"epochs is {list(epochs)} for layers {list(layers)}: give 1 or more for each layer, "
            "and one number more for up-down"
        )
    if len(layers) == 1 and len(epochs) == 2:
        raise ValueError("a DBN of one layer is an RBM, which has nothing for up-down to tune")
    if rates is not None and (len(rates) != len(epochs) or min(rates) <= 0):
        raise ValueError(f"rates is {list(rates)} for epochs {list(epochs)}: give one above 0 for "
                         "each stage")  # fmt: skip


def missing(epochs: Sequence[int], max_epochs: int | None) -> str:
    """What of its stages a run will not come to, in words; nothing where it comes to their end.

    Args:
        epochs: The epochs of each stage.
        max_epochs: Those of the run.

    Raises:
        ValueError: If the run is longer than all stages.
    """
    total = sum(epochs)
    if max_epochs is None or max_epochs < 0 or max_epochs > total:
        raise ValueError(
            f"the stages of this DBN take {' + '.join(map(str, epochs))} = {total} epochs and "
            f"trainer.max_epochs is {max_epochs}: set it to {total}, or change model epochs"
        )
    if max_epochs == total:
        return ""
    begun = sum(sum(epochs[:k]) < max_epochs for k in range(len(epochs)))
    return (
        f"trainer.max_epochs is {max_epochs}, and the stages of this DBN take {total} epochs: only "
        f"{begun} of {len(epochs)} will begin"
    )


@torch.no_grad()
def hidden_log_odds(stack: Stack, data: Any, otherwise: Tensor) -> Tensor:
    """Log-odds of the mean hidden units of the machine on top given training data; (H,).

    Args:
        stack: The net so far.
        data: The datamodule.
        otherwise: What is returned if it has no events that could be asked for.
    """
    if not hasattr(data, "events"):
        return otherwise
    means = []
    with isolated("means of hidden units", int(stack.stage)):
        chosen = permutation(len(data.splits["train"]), "means of hidden units")[:LOOKED_AT]
        for x in data.events("train", chosen).split(1000):
            x = x.to(otherwise) / (1 if x.is_floating_point() else 255)
            h = belief.climb(stack.net, x.flatten(1))[-1]
            means.append(hidden_logits(stack.top.theta, h).sigmoid())
    return log_odds(over_processes(torch.cat(means).mean(0)))


def log_odds(mean: Tensor) -> Tensor:
    """Biases of independent units with these means, finite where a unit never changes."""
    return torch.logit((mean + SMOOTHING) / (1 + 2 * SMOOTHING))
