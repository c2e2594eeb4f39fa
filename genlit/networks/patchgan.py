"""Discriminators that judge an image patch by patch."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from genlit.networks.conv import halvings
from genlit.networks.norms import Norm, normalization

WIDEST = 8  # times the first layer's channels: deeper layers have no more than that


class PatchDiscriminator(nn.Sequential):
    """A logit for each of an image's overlapping patches, (B, channels, H, W) to (B, logits, h, w).

    Convolutions that halve the sides are followed by two that do not. Patches are squares of 16,
    34, 70 or 142 pixels with a depth of 1, 2, 3 or 4: 70 is the paper's choice for images of
    256 x 256. It takes images of any size that is large enough for one patch with its border.

    References:
        | Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017)
        | https://arxiv.org/abs/1611.07004

    Args:
        inputs: Shape of the images.
        outputs: How many logits there are of each patch, as a shape.
        width: Channels after the first convolution; each one above it doubles them, up to 8 times.
        depth: How many convolutions halve the sides.
        norm: What normalizes between convolutions: none (as penalties of gradients and
            SpectralNormalized want it), instance, batch or group.

    Raises:
        ValueError: If images have too few pixels for this depth.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int] = (1,),
        width: int = 64,
        depth: int = 3,
        norm: Norm = "none",
    ) -> None:
        halvings(inputs, depth, "PatchDiscriminator")
        deepest = (min(inputs[1:]) // 3).bit_length() - 1
        if depth > deepest:
            raise ValueError(
                f"PatchDiscriminator of depth {depth} needs images with sides of {3 * 2**depth} "
                f"pixels or more, not {inputs[1]} x {inputs[2]}: "
                + (f"set depth to {deepest} at most" if deepest > 0 else "take DCGANDiscriminator")
            )
        channels = [inputs[0], *(width * min(2**k, WIDEST) for k in range(depth + 1))]
        layers: list[nn.Module] = []
        for k, (before, after) in enumerate(pairwise(channels)):
            layers.append(nn.Conv2d(before, after, 4, 2 if k < depth else 1, 1))
            layers += normalization(norm, after) if k else []
            layers.append(nn.LeakyReLU(0.2))
        super().__init__(*layers, nn.Conv2d(channels[-1], outputs[0], 4, 1, 1))
