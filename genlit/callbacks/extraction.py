"""Features of samples and of real images, computed by all processes together."""

from typing import NamedTuple

import lightning as L
import torch
from torch import Tensor

from genlit.callbacks.sampling import draw
from genlit.features import FeatureExtractor, Features
from genlit.features.blocks import Block, extract, joined
from genlit.randomness import permutation


class Extraction(NamedTuple):
    """How images become features in a run.

    Args:
        trainer: The run.
        extractor: Turns images into features.
        batch_size: Images at a time.
    """

    trainer: L.Trainer
    extractor: FeatureExtractor
    batch_size: int

    def of_blocks(self, block: Block, n: int, label: str) -> Features:
        """Features of n images that come in blocks, in their order; the same on each process."""
        trainer, extractor = self.trainer, self.extractor
        device = trainer.strategy.root_device
        place = (trainer.global_rank, trainer.world_size, device)
        mine = extract(block, n, self.batch_size, extractor.to(device), *place, label)
        everyone = (
            trainer.strategy.all_gather(mine) if trainer.world_size > 1 else mine.unsqueeze(0)
        )
        return joined(everyone, n, extractor.dim)

    def of_samples(self, model: L.LightningModule, n: int, seed: int) -> Features:
        """Features of n samples, which for one seed are the same whoever asks."""

        def block(k: int, count: int) -> Tensor:
            return draw(model, count, "quality", seed, k)

        return self.of_blocks(block, n, "samples to be judged, blocks")

    def of_images(self, images: Tensor, label: str) -> Features:
        """Features of uint8 images (N, channels, height, width)."""

        def block(k: int, count: int) -> Tensor:
            return images[k * self.batch_size :][:count]

        return self.of_blocks(block, len(images), f"features of {label} images, blocks")


class RealFeatures:
    """Features of a run's real images, in random order, and kept from one epoch to the next."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Tensor, Features]] = {}

    def __call__(self, extraction: Extraction, split: str, n: int, asker: str) -> Features:
        """Features of n images of a split, or of all there are if these are fewer.

        Raises:
            ValueError: If the run holds no images.
        """
        images = real_images(extraction.trainer, split, asker)
        n = min(n, len(images))
        of_images, known = self._known.get(split, (None, None))
        if known is None or of_images is not images or len(known.values) < n:
            chosen = images[permutation(len(images), "reference")[:n]]
            known = extraction.of_images(chosen, split)
            self._known[split] = (images, known)
        return Features(known.values[:n], None if known.logits is None else known.logits[:n])


def real_images(trainer: L.Trainer, split: str, asker: str) -> Tensor:
    """The images of a split as they are kept, (N, *shape) uint8.

    Raises:
        ValueError: If there are none.
    """
    data = getattr(trainer, "datamodule", None)
    images = getattr(data, "splits", {}).get(split)
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        raise ValueError(
            f"{asker} compares with {split} images, and "
            f"{type(data).__name__ if data else 'a run without a datamodule'} holds none as "
            "uint8 in `splits`"
        )
    return images


def protocol_of_images(trainer: L.Trainer) -> str:
    """What was done to the images that are kept: "grey", or "static" where they are binary."""
    protocol = getattr(getattr(trainer, "datamodule", None), "protocol", "grey")
    return "static" if protocol == "static" else "grey"
