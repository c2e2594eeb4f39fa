"""Mixtures of Gaussians in the plane, on which one can count the modes that a model covers."""

import math
from abc import ABC
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genlit.data.vectors import VectorData
from genlit.randomness import generator

if TYPE_CHECKING:
    from genlit.features.modes import GaussianModes

MIXTURE_SEED = 8  # of the one sample of a mixture that all runs share


class Mixture(VectorData, ABC):
    """Round Gaussians of equal weight and width around centres in the plane.

    All runs share one sample, drawn with a fixed seed. `modes` says which of the Gaussians an event
    belongs to.

    Args:
        label: What it is called in the names of metrics.
        centers: The means of the Gaussians in the units of the data, (K, 2).
        deviation: The standard deviation of each, in every direction.
        n: Training points; a tenth of them more is for validation, and as many for the test.
        batch_size: Points a training batch, on each process.
        eval_batch_size: Points a batch of validation and test.
        standardize: Whether either coordinate gets mean 0 and deviation 1.
    """

    shape = (2,)

    def __init__(
        self,
        label: str,
        centers: Tensor,
        deviation: float,
        n: int,
        batch_size: int,
        eval_batch_size: int,
        standardize: bool,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, standardize)
        if n < 10 or deviation <= 0:
            raise ValueError(f"n is {n} and std {deviation}: n is 10 or more, std above 0")
        self.label = label
        self.centers, self.deviation = centers, deviation
        self.n = n

    @property
    def modes(self) -> "GaussianModes":
        """The Gaussians in the units of events, which `setup` settles."""
        from genlit.features.modes import GaussianModes  # where asked for: it loads networks

        centers = (self.centers.double() - self.offset) / self.scale
        return GaussianModes(self.label, centers, self.deviation / self.scale)

    def read(self) -> dict[str, Tensor]:
        sizes = {"train": self.n, "val": self.n // 10, "test": self.n // 10}
        return {
            split: mixture(
                n, self.centers, self.deviation, generator("mixture", MIXTURE_SEED, split)
            )
            for split, n in sizes.items()
        }


class Ring(Mixture):
    """Gaussians in the plane whose centres are evenly spaced on a circle.

    The hard setting of the literature is radius 1 and std 0.01.

    References:
        | PacGAN: The Power of Two Samples in Generative Adversarial Networks (Lin et al., 2018)
        | https://arxiv.org/abs/1712.04086

    Args:
        modes: How many Gaussians there are.
        radius: The radius of the circle.
        std: The standard deviation of each Gaussian.
        n: Training points; a tenth of them more is for validation, and as many for the test.
        batch_size: Points a training batch, on each process.
        eval_batch_size: Points a batch of validation and test.
        standardize: Whether either coordinate gets mean 0 and deviation 1.
    """

    def __init__(
        self,
        modes: int = 8,
        radius: float = 2.0,
        std: float = 0.1,
        n: int = 100_000,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        standardize: bool = False,
    ) -> None:
        if modes < 1 or radius <= 0:
            raise ValueError(f"modes is {modes} and radius {radius}: a ring has 1 or more, above 0")
        super().__init__(f"ring-{modes}", ring(modes, radius), std, n, batch_size, eval_batch_size,
                         standardize)  # fmt: skip


class Grid(Mixture):
    """Gaussians in the plane whose centres are a square grid around the origin.

    As it is here, it is the grid of the literature: 25 centres from -4 to 4, std 0.05.

    References:
        | PacGAN: The Power of Two Samples in Generative Adversarial Networks (Lin et al., 2018)
        | https://arxiv.org/abs/1712.04086

    Args:
        side: How many Gaussians there are a side.
        spacing: The distance of neighbouring centres.
        std: The standard deviation of each Gaussian.
        n: Training points; a tenth of them more is for validation, and as many for the test.
        batch_size: Points a training batch, on each process.
        eval_batch_size: Points a batch of validation and test.
        standardize: Whether either coordinate gets mean 0 and deviation 1.
    """

    def __init__(
        self,
        side: int = 5,
        spacing: float = 2.0,
        std: float = 0.05,
        n: int = 100_000,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        standardize: bool = False,
    ) -> None:
        if side < 1 or spacing <= 0:
            raise ValueError(f"side is {side} and spacing {spacing}: a grid has 1 or more, above 0")
        super().__init__(f"grid-{side**2}", grid(side, spacing), std, n, batch_size,
                         eval_batch_size, standardize)  # fmt: skip


def ring(modes: int, radius: float) -> Tensor:
    """Points evenly spaced on a circle around the origin, all different; (modes, 2)."""
    angle = torch.arange(modes) * (2 * math.pi / modes)  # the full turn is the first point again
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def grid(side: int, spacing: float) -> Tensor:
    """Points of a square grid around the origin, (side², 2)."""
    line = (torch.arange(side) - (side - 1) / 2) * spacing
    return torch.cartesian_prod(line, line).view(-1, 2)


def mixture(n: int, centers: Tensor, deviation: float, draws: torch.Generator) -> Tensor:
    """Draws n points of round Gaussians, each Gaussian equally probable; (n, 2)."""
    which = torch.randint(len(centers), (n,), generator=draws)
    return centers[which] + deviation * torch.randn(n, 2, generator=draws)
