"""The law of the noise that flows begin with."""

import math

from torch import Tensor


def log_standard_normal(z: Tensor) -> Tensor:
    """Log-density in nats of independent standard normals, (B, D) to (B,)."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
