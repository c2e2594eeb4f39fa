"""Events of the run's own data, for callbacks that ask about more than a batch."""

from typing import Any

import lightning as L
from torch import Tensor

from genlit.randomness import permutation


def has_events(trainer: L.Trainer | None, *splits: str) -> bool:
    """Whether the run's datamodule can be asked for events of these splits."""
    data: Any = getattr(trainer, "datamodule", None)
    return hasattr(data, "events") and set(splits) <= set(getattr(data, "splits", ()))


def some_events(trainer: L.Trainer, split: str, n: int, *purpose: int | str) -> Tensor:
    """At most n events of a split, (m, *shape) float in [0, 1]; the same for the same purpose."""
    data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
    chosen = permutation(len(data.splits[split]), *purpose)[:n]
    x = data.events(split, chosen)
    return x if x.is_floating_point() else x / 255
