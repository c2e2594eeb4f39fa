"""Couplings: some entries of an event are transformed by what a network makes of the others.

So the Jacobian is triangular, whatever the network is. A mask says which entries are only looked
at: those where it is 1.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genlit.flow.transformations import Transformation

# From the shapes at its two ends to a network, as in `genlit.networks`.
Conditioner = Callable[[Sequence[int], Sequence[int]], nn.Module]


def checkerboard(shape: Sequence[int]) -> Tensor:
    """1 where the place of an entry, channel aside, has an even sum; (*shape)."""
    places = shape[1:] if len(shape) > 1 else shape
    sums = torch.stack(torch.meshgrid(*map(torch.arange, places), indexing="ij")).sum(0)
    return (1 - sums % 2).float().expand(*shape).contiguous()


def first_half(shape: Sequence[int]) -> Tensor:
    """1 in the first half of the channels; (*shape)."""
    mask = torch.zeros(*shape)
    mask[: shape[0] // 2] = 1
    return mask


class Coupling(Transformation):
    """What couplings have in common. The network's last layer starts at zero: the identity.

    Args:
        mask: 1 where an entry is looked at, 0 where it is transformed, (*shape).
        network: Builds the network.
        context: Channels of what else the network sees, of the same height and width.
    """

    mask: Tensor
    numbers: int  # that the network puts out for each entry

    def __init__(self, mask: Tensor, network: Conditioner, context: int = 0) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)
        first, *rest = mask.shape
        self.network = network((first + context, *rest), (self.numbers * first, *rest))
        silence_last_layer(self.network)

    @abstractmethod
    def terms(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Log-scale and shift of every entry, 0 where the mask is 1."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.terms(x, context)
        return x * log_scale.exp() + shift, log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        log_scale, shift = self.terms(z, context)
        return (z - shift) * (-log_scale).exp()

    def output(self, x: Tensor, context: Tensor | None) -> Tensor:
        """What the network makes of the entries it sees, in the precision of x."""
        seen = x * self.mask
        return self.network(seen if context is None else torch.cat([seen, context], 1)).to(x)


class AdditiveCoupling(Coupling):
    """A coupling that shifts, and keeps volumes.

    References:
        | NICE: Non-linear Independent Components Estimation (Dinh, Krueger & Bengio, 2015)
        | https://arxiv.org/abs/1410.8516
    """

    numbers = 1

    def terms(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x), self.output(x, context) * (1 - self.mask)


class AffineCoupling(Coupling):
    """A coupling that shifts and scales, by no more than a limit at once.

    References:
        | Density Estimation Using Real NVP (Dinh, Sohl-Dickstein & Bengio, 2017)
        | https://arxiv.org/abs/1605.08803

    Args:
        mask: 1 where an entry is looked at, 0 where it is transformed, (*shape).
        network: Builds the network.
        context: Channels of what else the network sees.
        limit: The largest logarithm of a scale.
    """

    numbers = 2

    def __init__(
        self, mask: Tensor, network: Conditioner, context: int = 0, limit: float = 3.0
    ) -> None:
        super().__init__(mask, network, context)
        self.limit = limit

    def terms(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        raw, shift = (self.output(x, context)).chunk(2, 1)
        free = 1 - self.mask
        return self.limit * (raw / self.limit).tanh() * free, shift * free


def silence_last_layer(network: nn.Module) -> None:
    """Sets the weights of the last layer that has any to zero."""
    layers = [part for part in network.modules() if list(part.parameters(recurse=False))]
    for parameter in layers[-1].parameters(recurse=False):
        nn.init.zeros_(parameter)
