"""Events of a split that problems are made of."""

from typing import Any

from torch import Tensor

from genlit.data.loader import in_unit_interval
from genlit.randomness import permutation
from genlit.tasks.digits import labels_of
from genlit.tasks.task import Problems


def chosen_events(
    data: Any, split: str, n: int, purpose: str, seed: int
) -> tuple[Problems, Tensor]:
    """Draws events as evaluation sees them, which are both what is given and the truth.

    Args:
        data: The data.
        split: Which of their splits.
        n: How many; fewer where there are fewer.
        purpose: What for: other purposes have other events.
        seed: Draws them.

    Returns:
        The events in [0, 1], with labels where a classifier can tell whether they are recognized;
        and their places in the split, (n,).
    """
    places = permutation(len(data.events(split)), purpose, split, seed)[:n]
    x = in_unit_interval(data.events(split, places)).cpu()
    labels = labels_of(data, split, places)
    more = {} if labels is None else {"labels": labels}
    return Problems(x, x, f"{type(data).__name__}, {split}", more), places


def require_images(data: Any, task: str) -> None:
    """Makes sure that events are images.

    Raises:
        ValueError: If they are not.
    """
    if len(data.shape) != 3:
        raise ValueError(
            f"{task} takes images (channels, height, width), and {type(data).__name__} has events "
            f"of shape {tuple(data.shape)}"
        )
