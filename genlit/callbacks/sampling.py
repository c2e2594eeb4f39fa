"""Asking a model for samples without leaving a trace in it or in the run."""

from typing import Any

import torch
from torch import Tensor

from genlit.features.extractor import quantized
from genlit.model import evaluating
from genlit.protocols import Samples, require
from genlit.randomness import isolated


def sampled_shape(model: Any) -> tuple[int, ...]:
    """The shape of one sample of a model.

    Raises:
        Unanswerable: If it cannot be sampled.
    """
    require(model, "samples", Samples)
    return tuple(model.shape)


def draw(model: Any, n: int, *purpose: int | str) -> Tensor:
    """Draws n samples as images (n, *shape) uint8, the same for the same weights and purpose.

    Raises:
        Unanswerable: If the model cannot be sampled.
        ValueError: If its samples are not n finite events.
    """
    return quantized(draw_events(model, n, *purpose))


@torch.no_grad()
def draw_events(model: Any, n: int, *purpose: int | str) -> Tensor:
    """Draws n samples (n, *shape) as they are, the same for the same weights and purpose.

    Raises:
        Unanswerable: If the model cannot be sampled.
        ValueError: If its samples are not n finite events.
    """
    name, shape = type(model).__name__, (n, *sampled_shape(model))
    with isolated(*purpose), evaluating(model):
        samples: Tensor = model.sample(n)
    if tuple(samples.shape) != shape:
        raise ValueError(
            f"{name} drew samples of shape {tuple(samples.shape)} where {shape} was asked for"
        )
    if not torch.isfinite(samples).all():
        raise ValueError(f"{name} drew samples that are not finite numbers: it has diverged")
    return samples
