"""Two half circles in the plane: vectors whose density can be seen."""

import torch
from torch import Tensor

from genlit.data.vectors import VectorData
from genlit.randomness import generator

MOONS_SEED = 2  # of the one sample that all runs share


class TwoMoons(VectorData):
    """Two half circles in the plane that reach into each other, with Gaussian noise around them.

    Args:
        n: Training vectors; a tenth of them more is for validation, and as many for the test.
        noise: Standard deviation of the noise; circles have radius 1.
        batch_size: Vectors a training batch, on each process.
        eval_batch_size: Vectors a batch of validation and test.
        standardize: Whether every entry gets mean 0 and deviation 1.
    """

    shape = (2,)

    def __init__(
        self,
        n: int = 20_000,
        noise: float = 0.1,
        batch_size: int = 200,
        eval_batch_size: int = 500,
        standardize: bool = True,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, standardize)
        if n < 10 or noise < 0:
            raise ValueError(f"n is {n} and noise {noise}: n is 10 or more, noise not below 0")
        self.n, self.noise = n, noise

    def read(self) -> dict[str, Tensor]:
        sizes = {"train": self.n, "val": self.n // 10, "test": self.n // 10}
        return {s: two_moons(n, self.noise, generator("two moons", MOONS_SEED, s))
                for s, n in sizes.items()}  # fmt: skip


def two_moons(n: int, noise: float, draws: torch.Generator) -> Tensor:
    """Draws n points of two half circles of radius 1, each with probability 1/2; (n, 2)."""
    angle = torch.pi * torch.rand(n, generator=draws)
    upper = (torch.rand(n, generator=draws) < 0.5).float()
    side = 2 * upper - 1
    points = torch.stack([side * angle.cos() + 1 - upper, side * angle.sin() + (1 - upper) / 2], 1)
    return points + noise * torch.randn(n, 2, generator=draws)
