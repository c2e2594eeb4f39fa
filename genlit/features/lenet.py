"""The classifier of handwritten digits that genlit brings along, as an extractor of features."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from genlit.features.extractor import FeatureExtractor, Features

WEIGHTS = Path(__file__).parent / "lenet-mnist-v1.pt"  # written by benchmarks/train_extractor.py


class LeNet(nn.Module):
    """Two convolutions and two linear layers, from images (B, 1, 28, 28) in [0, 1] to ten digits.

    References:
        | Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998)
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits of the ten digits, (B, 10)."""
        return self.head(self.body(x))


class LeNetMNIST(FeatureExtractor):
    """The 128 units below the output of a small classifier of MNIST, whose weights genlit carries.

    Made for MNIST and its relatives only. Distances between its features say nothing beside those
    of another network, so its name is part of the name of every number.
    """

    name: ClassVar[str] = "lenet-mnist-v1"
    dim: ClassVar[int] = 128
    classes = 10

    def __init__(self) -> None:
        super().__init__()
        self.net = LeNet()
        weights = torch.load(WEIGHTS, map_location="cpu", weights_only=True)
        self.net.load_state_dict({name: w.float() for name, w in weights.items()})
        self.requires_grad_(False).eval()

    def accept(self, shape: Sequence[int]) -> None:
        if tuple(shape) != (1, 28, 28):
            raise ValueError(
                f"{self.name} was trained on grey images of 28 x 28 pixels, not on events of shape "
                f"{tuple(shape)}: take genlit.features.Inception2015"
            )

    def forward(self, images: Tensor) -> Features:
        values = self.net.body(images.float() / 255)
        return Features(values, self.net.head(values))
