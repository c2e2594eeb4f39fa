"""Measures of images that tasks have in common: pure functions of pixels in [0, 1].

They are (..., C, H, W), one number for each image.
"""

import math

import torch
from torch import Tensor

FAITHFUL = 1 / (12 * 255**2)  # the squared error of rounding to 8 bits: less does not count
CEILING = -10 * math.log10(FAITHFUL)  # dB, 58.9: two pictures that are equal have it, too


def decibels(error: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of mean squared errors, at most that of rounding to 8 bits.

    An image that comes back untouched would make any mean infinite, and one that is nearer than
    pictures of 8 bits can say would count in it for more than it is worth.
    """
    return -10 * error.double().clamp(min=FAITHFUL).log10()


def gradients(images: Tensor, power: float = 1.0) -> Tensor:
    """The mean power of the absolute differences of neighbouring pixels, down and across."""
    down = images.double().diff(dim=-2).abs().pow(power).mean((-3, -2, -1))
    across = images.double().diff(dim=-1).abs().pow(power).mean((-3, -2, -1))
    return down + across


def beside(ours: Tensor, theirs: Tensor) -> Tensor:
    """Gradients of answers beside those of truths; NaN where a truth is flat."""
    return ours / theirs.where(theirs > 0, torch.nan)


def gradient_ratio(answers: Tensor, truth: Tensor) -> Tensor:
    """How much neighbouring pixels of answers differ, by how much those of the truth do.

    Below 1, answers are blurred. Noise raises it as detail does, so it says nothing by itself. Each
    image has a number of its own; one whose truth is flat has none, NaN.
    """
    return beside(gradients(answers), gradients(truth))
