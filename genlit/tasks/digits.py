"""Whether digits can still be read: what a classifier of MNIST makes of images."""

from typing import Any

import torch
from torch import Tensor

from genlit.data import MNIST
from genlit.features.lenet import LeNetMNIST

SHAPE = (1, 28, 28)  # of the images that the classifier was trained on


def labels_of(data: Any, split: str, chosen: Tensor) -> Tensor | None:
    """The digits that chosen images of a split show, (n,); None of other data than MNIST's own."""
    ours = isinstance(data, MNIST) and data.data_dir is None and not data.invert
    if not ours or data.shape != SHAPE:
        return None
    return data.read_classes()[split][chosen].argmax(1)


@torch.no_grad()
def recognized(images: Tensor, labels: Tensor) -> Tensor:
    """1 where genlit's LeNet sees the right digit in images (n, 1, 28, 28) in [0, 1], (n,)."""
    net = LeNetMNIST().net
    seen = [net(part.float()).argmax(1) for part in images.split(1000)]
    return (torch.cat(seen) == labels).double()
