"""Turning images into the feature vectors in which sets of images are compared."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

QUANTIZER = "uint8-v1"  # names the rounding of `quantized` in fingerprints


class Features(NamedTuple):
    """What an extractor sees in B images."""

    values: Tensor  # (B, dim) float32
    logits: Tensor | None  # (B, classes) float32 before the softmax; None where there is none


class FeatureExtractor(nn.Module, ABC):
    """A fixed network from uint8 images to features. A base class, since the config chooses."""

    name: ClassVar[str]  # becomes part of the names of measurements
    dim: ClassVar[int]
    score: ClassVar[str] = "classifier_score"  # what a score of its logits may be called
    classes: int = 0  # how many logits it gives; 0 where it gives none

    @property
    def has_logits(self) -> bool:
        """Whether a score of the classifier can be measured."""
        return self.classes > 0

    @abstractmethod
    def accept(self, shape: Sequence[int]) -> None:
        """Makes sure that events of a shape are images which this network was made for.

        Raises:
            ValueError: If they are not.
        """

    @abstractmethod
    def forward(self, images: Tensor) -> Features:
        """Returns the features of uint8 images (B, channels, height, width)."""

    def fingerprint(self) -> str:
        """A short hash of the name and of all weights: other weights, another fingerprint."""
        digest = hashlib.sha256(self.name.encode())
        for name, weight in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]


def quantized(images: Tensor) -> Tensor:
    """Images in [0, 1], rounded to the nearest of 256 levels, as uint8; uint8 stays as it is.

    Rounding, not truncation: what went to [-1, 1] and back keeps its level.
    """
    if images.dtype == torch.uint8:
        return images
    return images.mul(255).round().clamp(0, 255).to(torch.uint8)
