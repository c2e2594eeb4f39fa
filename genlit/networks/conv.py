"""Convolutional networks that halve an image twice, or double it twice."""

from collections.abc import Sequence

import torch
from torch import nn


def quarter(shape: Sequence[int], name: str) -> tuple[int, int]:
    """Height and width of an image halved twice.

    Raises:
        ValueError: If the shape is no image, or cannot be halved twice.
    """
    if len(shape) != 3 or shape[1] % 4 or shape[2] % 4:
        raise ValueError(
            f"{name} needs images (channels, height, width) with sides that are multiples of 4, "
            f"not {tuple(shape)}: take MLP, or images of another size"
        )
    return shape[1] // 4, shape[2] // 4


def halvings(shape: Sequence[int], depth: int, name: str) -> list[tuple[int, int]]:
    """Heights and widths of an image that is halved so many times, rounded up; its own first.

    Raises:
        ValueError: If the shape is no image, or no side is left to halve.
    """
    if len(shape) != 3:
        raise ValueError(
            f"{name} needs images (channels, height, width), not events of shape {tuple(shape)}: "
            "take MLP"
        )
    deepest = (max(shape[1:]) - 1).bit_length()
    if not 1 <= depth <= deepest:
        raise ValueError(
            f"{name} cannot halve images of {shape[1]} x {shape[2]} pixels {depth} times: set "
            f"depth from 1 to {deepest}"
        )
    return [(-(-shape[1] // 2**k), -(-shape[2] // 2**k)) for k in range(depth + 1)]


class ConvEncoder(nn.Sequential):
    """Two strided convolutions and a linear layer, (B, channels, H, W) to (B, *outputs).

    Args:
        inputs: Shape of the image; its sides must be multiples of 4.
        outputs: Shape of the output.
        width: Channels after the first convolution; the second doubles them.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], width: int = 32) -> None:
        height, breadth = quarter(inputs, "ConvEncoder")
        super().__init__(
            nn.Conv2d(inputs[0], width, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(2 * width * height * breadth, torch.Size(outputs).numel()),
            nn.Unflatten(1, tuple(outputs)),
        )


class ConvDecoder(nn.Sequential):
    """A linear layer and two transposed convolutions, (B, *inputs) to (B, channels, H, W).

    Args:
        inputs: Shape of the input.
        outputs: Shape of the image; its sides must be multiples of 4.
        width: Channels before the last convolution; twice as many before the first.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], width: int = 32) -> None:
        height, breadth = quarter(outputs, "ConvDecoder")
        super().__init__(
            nn.Flatten(),
            nn.Linear(torch.Size(inputs).numel(), 2 * width * height * breadth),
            nn.SiLU(),
            nn.Unflatten(1, (2 * width, height, breadth)),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
            nn.SiLU(),
            nn.ConvTranspose2d(width, outputs[0], 4, 2, 1),
        )
