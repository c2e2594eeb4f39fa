"""Noise that makes levels real numbers, with a law that depends on the levels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from genlit.flow.couplings import AffineCoupling, Conditioner, checkerboard


class Noise(nn.Module):
    """q(u | x) of u in [0, 1]: logistic noise, through couplings that see x, through a sigmoid.

    Couplings start as the identity, and then u is uniform.

    References:
        | Flow++: Improving Flow-Based Generative Models with Variational Dequantization and
        | Architecture Design (Ho, Chen, Srinivas, Duan & Abbeel, 2019)
        | https://arxiv.org/abs/1902.00275

    Args:
        shape: The shape of one event.
        couplings: The number of couplings; with 0 the noise is uniform for ever.
        network: Builds their networks.
    """

    def __init__(self, shape: Sequence[int], couplings: int, network: Conditioner) -> None:
        super().__init__()
        even = checkerboard(shape)
        self.couplings = nn.ModuleList(
            AffineCoupling(1 - even if k % 2 else even, network, shape[0]) for k in range(couplings)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Draws u (B, *shape) given events in [0, 1], and returns log q(u | x), too: (B,) nats."""
        return self.transformed(torch.rand_like(x).logit(1e-6), x)

    def transformed(self, noise: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same of given logistic noise (B, *shape)."""
        log_q = log_slope(noise)
        for coupling in self.couplings:
            noise, log_det = coupling(noise, 2 * x - 1)
            log_q = log_q - log_det
        return noise.sigmoid(), log_q - log_slope(noise)


def log_slope(v: Tensor) -> Tensor:
    """Log of the sigmoid's derivative, which is the logistic density; (B, *shape) to (B,)."""
    return (nnf.logsigmoid(v) + nnf.logsigmoid(-v)).flatten(1).sum(1)
