"""Corruptions as the command line writes them: gaussian:0.1."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlit.corruptions import (
    Blur,
    Corruption,
    Flips,
    GaussianNoise,
    Masking,
    Occlusion,
    SaltAndPepper,
)
from genlit.randomness import isolated

KINDS: dict[str, Callable[[float], Corruption]] = {
    "gaussian": GaussianNoise,
    "flips": Flips,
    "salt-and-pepper": SaltAndPepper,
    "masking": Masking,
    "occlusion": Occlusion,
    "lines": lambda size: Occlusion(size, "lines"),
    "blur": Blur,
}


def corruption(text: str) -> Corruption:
    """The corruption that a text such as salt-and-pepper:0.3 means.

    Raises:
        ValueError: If there is none.
    """
    kind, _, number = text.partition(":")
    try:
        strength = float(number)
    except ValueError:
        strength = None
    if kind not in KINDS or strength is None:
        raise ValueError(
            f"there is no corruption {text}: it is one of {', '.join(KINDS)}, with its strength, "
            "as in gaussian:0.1"
        )
    return KINDS[kind](strength)


def learned(model: object) -> Corruption | None:
    """The corruption that a model has learned to undo, if it has learned from any."""
    found = getattr(model, "corruption", None)
    return found if isinstance(found, Corruption) else None


def spoilt(x: Tensor, kind: Corruption, seed: int, *more: int) -> Tensor:
    """Events spoilt under a seed, and further ones; of images, what leaves [0, 1] is cut off."""
    with torch.no_grad(), isolated("noise", seed, *more):
        noisy = kind(x)
    return noisy.clamp(0, 1) if x.dim() == 4 else noisy
