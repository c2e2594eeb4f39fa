"""The network of the gated PixelCNN: two stacks of masked convolutions, without a blind spot.

The vertical stack sees all rows above a pixel; the horizontal stack what is left of it in its row,
and what the vertical one hands over. Within a pixel channels are ordered: each feature belongs to
one of them, and sees of its own pixel only features of channels up to that (the first layer: pixel
values of channels before it). There is no batch normalization, whose statistics know later pixels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn


def channels_of(features: int, channels: int, halves: int = 1) -> Tensor:
    """The channel that each feature belongs to, alike in all halves that meet in a gate."""
    return (torch.arange(features) * channels // features).repeat(halves)


class MaskedConv(nn.Conv2d):
    """A convolution over the pixels left of one and itself, where features see some others only.

    Args:
        mask: True where a feature sees one of its own pixel, (outputs, inputs).
        reach: How many pixels to the left are seen, of which all features are.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, reach: int = 0) -> None:
        outputs, inputs = mask.shape
        super().__init__(inputs, outputs, (1, reach + 1))
        left = torch.ones(outputs, inputs, 1, reach, dtype=torch.bool)
        self.register_buffer("mask", torch.cat([left, mask[..., None, None]], -1), persistent=False)
        self.reach = reach

    @property
    def seen(self) -> Tensor:
        """The weights, 0 where a feature may not see."""
        return self.weight * self.mask

    @property
    def shift(self) -> Tensor:
        """The biases, (outputs,)."""
        assert self.bias is not None
        return self.bias

    def forward(self, input: Tensor) -> Tensor:
        return nnf.conv2d(nnf.pad(input, (self.reach, 0)), self.seen, self.bias)


def gate(x: Tensor, dim: int = 1) -> Tensor:
    """Tanh of one half of the features times the sigmoid of the other."""
    a, b = x.chunk(2, dim)
    return a.tanh() * b.sigmoid()


class GatedLayer(nn.Module):
    """One layer of both stacks.

    Args:
        inputs: Features that come in; of the first layer the channels of events.
        width: Features that go out.
        channels: The channels of events.
        kernel: The side of the vertical stack's window, of which the part above is seen.
        first: Whether it is the first layer, which does not see a pixel itself, and has no residual
            connection, which would show it.
    """

    def __init__(self, inputs: int, width: int, channels: int, kernel: int, first: bool) -> None:
        super().__init__()
        self.reach, self.first = kernel // 2, first
        self.rows = self.reach + (not first)  # that the vertical convolution sees
        self.vertical = nn.Conv2d(inputs, 2 * width, (self.rows, kernel))
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        low, high = channels_of(inputs, channels), channels_of(width, channels)
        gated = channels_of(width, channels, 2)[:, None]
        self.horizontal = MaskedConv(gated > low if first else gated >= low, self.reach)
        self.mix = MaskedConv(high[:, None] >= high)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Features of both stacks, each (B, inputs, H, W) to (B, width, H, W)."""
        above = nnf.pad(v, (self.reach, self.reach, self.reach, 0))
        v = self.vertical(above[..., : above.shape[-2] - self.first, :])
        new = self.mix(gate(self.horizontal(h) + self.link(v)))
        return gate(v), new if self.first else h + new


class GatedPixelCNN(nn.Module):
    """Both stacks, and two layers on the horizontal one that see single pixels.

    Args:
        shape: The shape of an event, (channels, height, width).
        numbers: How many numbers to put out for each entry of an event.
        width: Features of each stack.
        layers: The number of gated layers.
        first_kernel: The side of the first layer's window.
        kernel: The side of all other layers' windows.
        head: Features between the stacks and the output.
    """

    def __init__(
        self, shape: Sequence[int], numbers: int, width: int, layers: int, first_kernel: int,
        kernel: int, head: int,
    ) -> None:  # fmt: skip
        super().__init__()
        channels = shape[0]
        self.layers = nn.ModuleList(
            GatedLayer(channels if k == 0 else width, width, channels,
                       kernel if k else first_kernel, k == 0)
            for k in range(layers)
        )  # fmt: skip
        stack, inner = channels_of(width, channels), channels_of(head, channels)
        out = torch.arange(channels).repeat(numbers)
        self.inner = MaskedConv(inner[:, None] >= stack)
        self.out = MaskedConv(out[:, None] >= inner)
        # Convolutions of few features are faster so: a tenth on a CPU, a sixth in bfloat16.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, numbers * channels, H, W)."""
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.out(self.inner(h.relu()).relu()).contiguous()
