"""Pixels themselves as features."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genlit.features.extractor import FeatureExtractor, Features


class Pixels(FeatureExtractor):
    """The intensities of all pixels in [0, 1], for neighbours that look alike pixel by pixel."""

    name = "pixels"
    dim = 0  # as many as the images have

    def accept(self, shape: Sequence[int]) -> None:
        self.dim = math.prod(shape)  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, images: Tensor) -> Features:
        return Features(images.flatten(1).to(torch.float32) / 255, None)
