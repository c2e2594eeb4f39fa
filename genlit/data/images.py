"""Images that fit in memory: split, binarized and cut into batches the same way for all sets."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from genlit.data.loader import Prepare, TrainLoader
from genlit.data.resident import ResidentData
from genlit.randomness import generator

Binarize = Literal["dynamic", "static", "threshold", "levels", "dequantized", "none"]

LEVELS = 256  # of a uint8

STATIC_SEED = 20_000  # of the one binarization that `static` means, whatever the run's own seed


def sampled(images: Tensor, noise: torch.Generator) -> Tensor:
    """Each pixel 1 with probability its intensity; (B, *shape) uint8 to float {0, 1}."""
    uniform = torch.rand(images.shape, generator=noise, device=images.device)
    return (uniform * 255 < images).float()


def thresholded(images: Tensor, noise: torch.Generator) -> Tensor:
    """Each pixel 1 if its intensity is above 1/2."""
    return (images > 127).float()


def levelled(images: Tensor, noise: torch.Generator, levels: int) -> Tensor:
    """Each pixel the nearest of so many grey levels, evenly spaced from 0 to 1."""
    return (images.float() * ((levels - 1) / 255)).round() / (levels - 1)


def dequantized(images: Tensor, noise: torch.Generator) -> Tensor:
    """Each pixel a point drawn from its level's 256th of [0, 1): real numbers with a density.

    References:
        | A Note on the Evaluation of Generative Models (Theis, van den Oord & Bethge, 2016)
    """
    uniform = torch.rand(images.shape, generator=noise, device=images.device)
    return (images + uniform) / LEVELS


def scaled(images: Tensor, noise: torch.Generator) -> Tensor:
    """Intensities as they are, in [0, 1]."""
    return images.float() / 255


class ImageData(ResidentData):
    """Images split into training, validation and test sets, on the device as uint8.

    A set of images writes `read`, which gives uint8. How images become events is the datamodule's
    affair alone, and is named in `protocol`, since a likelihood means nothing without it:

    - `dynamic`: training pixels are sampled afresh at every visit, held-out pixels once;
    - `static`: all are sampled once and for all, with a seed of their own;
    - `threshold`: 1 where the intensity is above 1/2;
    - `levels`: the nearest of a few grey levels that are evenly spaced from 0 to 1;
    - `dequantized`: (level + u) / 256 with u uniform on [0, 1), for densities; training pixels
      afresh at every visit, held-out pixels once;
    - `none`: grey levels in [0, 1].

    Args:
        batch_size: Images a training batch, on each process.
        eval_batch_size: Images a batch of validation and test.
        binarize: How grey levels become events: dynamic, static, threshold, levels, dequantized or
            none.
        levels: How many grey levels binarize: levels leaves.
        invert: Whether black is white.
    """

    def __init__(
        self, batch_size: int = 100, eval_batch_size: int = 500, binarize: Binarize = "dynamic",
        levels: int = 4, invert: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(batch_size, eval_batch_size)
        if not 2 <= levels <= 256:
            raise ValueError(f"levels is {levels}: grey levels are 2 to 256")
        self.binarize: Binarize = binarize
        self.levels = levels
        self.invert = invert

    @property
    def protocol(self) -> str:
        """The name of how images become events, for the names of metrics."""
        names = {"none": "grey", "levels": f"{self.levels}_levels"}
        return names.get(self.binarize, self.binarize) + ("_inverted" if self.invert else "")

    @property
    def bins(self) -> int:
        """The levels whose probabilities a density of the events gives; see `bits_per_dim`."""
        return LEVELS if self.binarize == "dequantized" else 1

    @property
    def mean(self) -> Tensor:
        """Mean training intensity of every pixel in [0, 1], (*shape)."""
        images = self.splits["train"]
        return images.sum(0, dtype=torch.int64).div(255 * len(images)).float()

    @property
    def std(self) -> Tensor:
        """Standard deviation of the training intensity of every pixel, (*shape)."""
        images = self.splits["train"]
        squares = sum(c.to(torch.int64).square().sum(0) for c in images.split(10_000))
        return (
            (squares / (255**2 * len(images)) - self.mean.double() ** 2).clamp(min=0).sqrt().float()
        )

    def setup(self, stage: str) -> None:
        if self.splits:
            return
        if self.seed is None:
            self.seed = torch.initial_seed()
        self.splits, self.conditions = self.read(), self.read_conditions()
        if self.invert:
            self.splits = {name: 255 - images for name, images in self.splits.items()}
        if self.binarize == "static":
            self.splits = {
                name: sampled(images, generator("static", STATIC_SEED, name)).mul(255).byte()
                for name, images in self.splits.items()
            }

    def train_dataloader(self) -> TrainLoader:
        assert self.seed is not None
        images = self.splits["train"].to(self._device)
        conditions = self._conditions("train")
        return TrainLoader(
            images, self.batch_size, self._prepare, self.seed, *self._place, conditions
        )

    def events(self, split: str, chosen: Tensor | None = None) -> Tensor:
        """The events of a split as evaluation sees them, (N, *shape) in [0, 1] or uint8 levels.

        Args:
            split: train, val or test.
            chosen: The places of the images to take, (N,), which if they are sampled are so with
                noise of their own; None takes all.
        """
        images = self.splits[split] if chosen is None else self.splits[split][chosen]
        if self.binarize in ("dynamic", "dequantized"):
            return self._prepare(images, generator("held out", split))
        return images if self._prepare is scaled else self._prepare(images, generator())

    @property
    def _prepare(self) -> Prepare:
        """How stored images become training events; those of `static` are sampled already."""
        prepare: dict[Binarize, Prepare] = {
            "dynamic": sampled,
            "threshold": thresholded,
            "levels": partial(levelled, levels=self.levels),
            "dequantized": dequantized,
        }
        return prepare.get(self.binarize, scaled)
