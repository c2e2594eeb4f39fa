"""Fully connected networks with noise in every layer, and lengths of weights learned apart."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf


class NoisyLinear(nn.Linear):
    """A linear layer that adds noise to its input in training, with weight normalization.

    Each row of weights is a direction, times a length that is learned apart from it.

    References:
        | Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural
        | Networks (Salimans & Kingma, 2016)
        | https://arxiv.org/abs/1602.07868

    Args:
        inputs: The number of inputs.
        outputs: The number of outputs.
        noise: Standard deviation of the noise.
        length: Of each row of weights in the beginning; √2 keeps the size of what ReLUs put out.
        std: Standard deviation of directions in the beginning, which turn the faster the smaller
            they are, whatever their length.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        noise: float = 0.0,
        length: float = math.sqrt(2),
        std: float = 0.1,
    ) -> None:
        super().__init__(inputs, outputs)
        self.noise = noise
        nn.init.normal_(self.weight, std=std)
        nn.init.zeros_(self.bias)
        self.length = nn.Parameter(torch.full((outputs,), length))

    def forward(self, input: Tensor) -> Tensor:
        x = input
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        return nnf.linear(x, self.weight) * (self.length / self.weight.norm(dim=1)) + self.bias


class NoisyMLP(nn.Sequential):
    """A multilayer perceptron with Gaussian noise in training, (B, *inputs) to (B, *outputs).

    The discriminator of MNIST in Improved Techniques for Training GANs (Salimans et al., 2016); as
    a classifier it does well with few labels, too, since noise never shows an event twice.

    Args:
        inputs: Shape of the input.
        outputs: Shape of the output.
        hidden: Widths of the hidden layers.
        input_noise: Standard deviation of the noise that is added to the input.
        noise: The same of what every hidden layer puts out.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        hidden: Sequence[int] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.3,
        noise: float = 0.5,
    ) -> None:
        if min(input_noise, noise) < 0:
            raise ValueError(f"input_noise is {input_noise} and noise {noise}: they are 0 or more")
        widths = [torch.Size(inputs).numel(), *hidden]
        layers: list[nn.Module] = [] if len(inputs) == 1 else [nn.Flatten()]
        for k, (before, after) in enumerate(pairwise(widths)):
            layer = NoisyLinear(before, after, noise) if k else first(before, after, input_noise)
            layers += [layer, nn.ReLU()]
        last = NoisyLinear(widths[-1], torch.Size(outputs).numel(), noise, length=1.0)
        layers.append(last)
        if len(outputs) > 1:
            layers.append(nn.Unflatten(1, tuple(outputs)))
        super().__init__(*layers)


def first(inputs: int, outputs: int, noise: float) -> NoisyLinear:
    """A layer of pixels, most of which are black: longer, so that noise does not drown them."""
    return NoisyLinear(inputs, outputs, noise, length=2.5)
