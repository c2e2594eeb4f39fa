"""Fully connected networks that normalize batches."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn


class BatchNormMLP(nn.Sequential):
    """A multilayer perceptron with batch normalization, (B, *inputs) to (B, *outputs).

    With two hidden layers of 500 softplus units it is the generator of MNIST in Improved Techniques
    for Training GANs (Salimans et al., 2016).

    Args:
        inputs: Shape of the input.
        outputs: Shape of the output.
        hidden: Widths of the hidden layers.
        activation: Builds what follows each of them, after normalization.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        hidden: Sequence[int] = (500, 500),
        activation: Callable[[], nn.Module] = nn.Softplus,
    ) -> None:
        widths = [torch.Size(inputs).numel(), *hidden]
        layers: list[nn.Module] = [] if len(inputs) == 1 else [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), activation()]
        layers.append(nn.Linear(widths[-1], torch.Size(outputs).numel()))
        if len(outputs) > 1:
            layers.append(nn.Unflatten(1, tuple(outputs)))
        super().__init__(*layers)
