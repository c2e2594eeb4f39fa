"""Edges in images: how much of those that are wished is missing."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad


def edge_error(events: Tensor, edges: Tensor) -> Tensor:
    """The sum of squares by which images lack contrast where edges are wished, (B,).

    Contrast is the difference of the two neighbours of a pixel, by the kernels of Sobel, in the
    direction across the edge; of either sign, and the root of the mean square of channels. So what
    is wished is a line that parts bright and dark, and not which side is bright; as a histogram of
    oriented gradients compares sketches (Zhu et al., 2016, section 4.2), but at each pixel.

    Args:
        events: Images, (B, C, H, W).
        edges: At each pixel a vector (x, y) across the edge, whose length is the contrast that is
            wished at least, as a share of that of black and white; 0 where there need be none;
            (B, 2, H, W).
    """
    wished = edges.norm(dim=1)
    across = edges / wished.clamp_min(1e-12)[:, None]
    along_them = (slopes(events) * across[:, None]).sum(2)
    contrast = along_them.square().mean(1).clamp_min(1e-12).sqrt()
    return (wished - contrast).clamp_min(0).square().flatten(1).sum(1)


def slopes(events: Tensor) -> Tensor:
    """The differences of neighbours in x and in y of images (B, C, H, W); (B, C, 2, H, W)."""
    x = torch.outer(events.new_tensor([0.25, 0.5, 0.25]), events.new_tensor([-1.0, 0.0, 1.0]))
    bordered = pad(events, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None]
    return conv2d(bordered, torch.stack([x, x.T])[:, None]).unflatten(0, events.shape[:2])
