"""Predicting a film frame by frame: what was predicted is what the next prediction is made of."""

from collections.abc import Callable

import torch
from torch import Tensor


def rolled_out(
    predict: Callable[[Tensor], Tensor], past: Tensor, channels: int, steps: int
) -> Tensor:
    """Frames that follow, (B, steps * channels, H, W).

    Args:
        predict: Makes the next frames (B, f * channels, H, W), of any number f, from earlier ones.
        past: As many earlier frames as it takes, (B, p * channels, H, W), the earliest first.
        channels: Of one frame.
        steps: How many frames are wanted; of more, the last ones are dropped.
    """
    film, given = past, past.shape[1]
    while film.shape[1] < given + steps * channels:
        film = torch.cat([film, predict(film[:, -given:]).to(film)], 1)
    return film[:, given : given + steps * channels]
