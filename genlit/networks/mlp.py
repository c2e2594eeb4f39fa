"""Fully connected networks."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

# A model knows the shapes at both ends of its networks; the config chooses which they are.
Network = Callable[[Sequence[int], Sequence[int]], nn.Module]


class MLP(nn.Sequential):
    """A multilayer perceptron, (B, *inputs) to (B, *outputs).

    Args:
        inputs: Shape of the input.
        outputs: Shape of the output.
        hidden: Widths of the hidden layers.
        activation: Builds what follows each of them.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        hidden: Sequence[int] = (200, 200),
        activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        widths = [torch.Size(inputs).numel(), *hidden]
        layers: list[nn.Module] = [] if len(inputs) == 1 else [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), activation()]
        layers.append(nn.Linear(widths[-1], torch.Size(outputs).numel()))
        if len(outputs) > 1:
            layers.append(nn.Unflatten(1, tuple(outputs)))
        super().__init__(*layers)
