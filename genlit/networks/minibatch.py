"""Networks that see how the events of a batch differ, so that a lack of variety can be told."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from genlit.networks.mlp import Network

TINY = 1e-8  # added to a variance, whose root has no gradient at 0


class MinibatchStd(nn.Module):
    """A network that is told the standard deviation of its features over the batch.

    The deviations of all features have one mean, which is one more feature of every event before
    the last, linear layer.

    References:
        | Progressive Growing of GANs (Karras, Aila, Laine & Lehtinen, 2018), section 3
        | https://arxiv.org/abs/1710.10196

    Args:
        inputs: Shape of the input.
        outputs: Shape of the output.
        network: Builds the network from the input to the features.
        features: The number of features.
        group: Deviations are over groups of the batch of at least so many events, each as they
            come; None takes the whole batch, so that their order does not matter.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        network: Network,
        features: int = 128,
        group: int | None = None,
    ) -> None:
        super().__init__()
        if group is not None and group < 2:
            raise ValueError(f"group is {group}: a deviation takes 2 events or more")
        self.group = group
        self.network = network(inputs, (features,))
        self.head = linear(features + 1, outputs)

    def forward(self, x: Tensor) -> Tensor:
        features = leaky_relu(self.network(x), 0.2)
        groups = 1 if self.group is None else max(1, len(x) // self.group)
        spread = [g.new_ones(len(g), 1) * mean_std(g) for g in features.tensor_split(groups)]
        return self.head(torch.cat([features, torch.cat(spread)], 1))


class MinibatchDiscrimination(nn.Module):
    """A network that is told how near the features of the batch's other events are.

    Features are sent through several linear maps ("kernels"); the sum over the other events of
    exp(-distance) there is one more feature of an event for each map, before the last, linear
    layer. Memory grows as the square of the batch.

    References:
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 3.2
        | https://arxiv.org/abs/1606.03498

    Args:
        inputs: Shape of the input.
        outputs: Shape of the output.
        network: Builds the network from the input to the features.
        features: The number of features.
        kernels: The number of maps.
        dimensions: The dimensions of each map's space.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        network: Network,
        features: int = 128,
        kernels: int = 50,
        dimensions: int = 5,
    ) -> None:
        super().__init__()
        self.network = network(inputs, (features,))
        self.maps = nn.Linear(features, kernels * dimensions, bias=False)
        self.kernels = kernels
        self.head = linear(features + kernels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        features = leaky_relu(self.network(x), 0.2)
        mapped = self.maps(features).unflatten(1, (self.kernels, -1))
        return self.head(torch.cat([features, closeness(mapped)], 1))


def mean_std(x: Tensor) -> Tensor:
    """The mean over features of their standard deviations over events (B, features); ()."""
    return (x.var(0, correction=0) + TINY).sqrt().mean()


def closeness(x: Tensor) -> Tensor:
    """The sum over other events of exp(-|x - x'|₁), (B, kernels, dimensions) to (B, kernels)."""
    distances = (x[:, None] - x).abs().sum(-1)
    return (-distances).exp().sum(1) - 1  # less the event itself


def linear(features: int, outputs: Sequence[int]) -> nn.Sequential:
    """A linear layer from features to a shape."""
    layer = nn.Linear(features, torch.Size(outputs).numel())
    return nn.Sequential(layer, nn.Unflatten(1, tuple(outputs)))
