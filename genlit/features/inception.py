"""The Inception network of 2015, in whose features published FIDs are measured.

genlit never downloads its weights by itself: `genlit fetch-inception` makes them, once.
"""

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from genlit.features.cache import cache_folder
from genlit.features.extractor import FeatureExtractor, Features

VARIABLE = "GENLIT_INCEPTION_WEIGHTS"
FILE = "inception-2015-12-05-nofc.pth"


def default_weights() -> Path:
    """Where the weights are looked for: at GENLIT_INCEPTION_WEIGHTS, or else in the cache."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else cache_folder() / FILE


class Inception2015(FeatureExtractor):
    """The 2,048 pooled features of Inception v3 as of 2015-12-05, resized as TensorFlow 1 did.

    Grey images are repeated to three channels. A CPU takes some 4 images a second: a matter for
    `genlit test`, not for every epoch. Inception Scores need the network's last layer, which the
    weights of `genlit fetch-inception` lack; with a complete file of torch-fidelity's they work.

    References:
        | Rethinking the Inception Architecture for Computer Vision (Szegedy et al., 2016)
        | GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)

    Args:
        weights_path: A file in torch-fidelity's format; None takes the one that
            GENLIT_INCEPTION_WEIGHTS names, or else the one that `genlit fetch-inception` wrote.
    """

    name: ClassVar[str] = "inception-2015"
    dim: ClassVar[int] = 2048
    score: ClassVar[str] = "is"

    def __init__(self, weights_path: Path | None = None) -> None:
        super().__init__()
        path = Path(weights_path) if weights_path else default_weights()
        last_layer = _weights(path)["fc.weight"]
        self.classes = len(last_layer) if torch.isfinite(last_layer).all() else 0
        layers = ["2048", "logits_unbiased"] if self.classes else ["2048"]
        self.net = FeatureExtractorInceptionV3(
            "inception-v3-compat", layers, feature_extractor_weights_path=str(path)
        )
        self.requires_grad_(False).eval()

    def accept(self, shape: Sequence[int]) -> None:
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise ValueError(
                f"{self.name} sees images of shape (1 or 3, height, width), not events of shape "
                f"{tuple(shape)}"
            )

    def forward(self, images: Tensor) -> Features:
        found = self.net(images.expand(-1, 3, -1, -1))
        return Features(found[0], found[1] if self.classes else None)


def _weights(path: Path) -> dict[str, Any]:
    """Reads a file of weights, and no more than weights: a pickle that runs code is refused."""
    if not path.is_file():
        raise ValueError(
            f"there are no Inception weights at {path}: run `genlit fetch-inception`, "
            f"or name a file by weights_path or {VARIABLE}"
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        weights["fc.weight"]
    except (RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError):
        raise ValueError(
            f"{path} holds no Inception weights in torch-fidelity's format: "
            "write them anew with `genlit fetch-inception`"
        ) from None
    return weights
