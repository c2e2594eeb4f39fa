"""When which stage of a training in stages begins, and the learning rate within it."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate


class Stages:
    """Stages of so many epochs each, and a last one of all epochs that are left.

    Args:
        epochs: The epochs of each stage but the last; none has the last alone.
    """

    def __init__(self, epochs: Sequence[int]) -> None:
        self.ends = list(accumulate(epochs))

    def at(self, epoch: int) -> int:
        """The number of the stage that an epoch belongs to, from 0."""
        return bisect_right(self.ends, epoch)

    def check(self, max_epochs: int | None) -> None:
        """Makes sure that a run reaches the last stage.

        Raises:
            ValueError: If it does not.
        """
        before = self.ends[-1] if self.ends else 0
        if before and max_epochs is not None and 0 <= max_epochs <= before:
            raise ValueError(
                f"pretrain_epochs take {before} epochs and trainer.max_epochs is {max_epochs}, "
                "which leaves none for joint training: raise trainer.max_epochs"
            )

    def rate(
        self, step: int, epoch: int, total: float, scales: Sequence[float], fall: bool
    ) -> float:
        """The learning rate at a step, in units of the optimizer's.

        Args:
            step: The number of steps taken.
            epoch: Steps an epoch.
            total: Steps of the whole run.
            scales: The rate of each stage in these units; 1 where there is none.
            fall: Whether it falls linearly to 0 within each stage.
        """
        ends = [epoch * end for end in self.ends]
        stage = bisect_right(ends, step)
        scale = scales[stage] if stage < len(scales) else 1.0
        if not fall:
            return scale
        first, last = [0, *ends][stage], [*ends, total][stage]
        return scale * max(0.0, 1 - (step - first) / max(last - first, 1))
