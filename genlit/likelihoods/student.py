"""A law of real numbers with heavy tails, as tables have."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor
from torch.distributions import Chi2

from genlit.likelihoods.observation import Observation

LEAST_FREEDOM = 3.0  # degrees: fewer, and there is no variance


class StudentT(Observation):
    """Real numbers of any size with a Student t density each, whose numbers the network puts out.

    Its tails forgive outliers, on which a Gaussian with a width of its own breaks. Expected values
    are not held in [0, 1], so it is for tables.

    References:
        | MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets
        | (Mattei & Frellsen, 2019)
        | https://arxiv.org/abs/1812.02633

    Args:
        shape: The shape of one event.
        least_scale: The least scale, in the units of entries.
    """

    numbers = 3

    def __init__(self, shape: Sequence[int], least_scale: float = 1e-3) -> None:
        super().__init__(shape)
        if least_scale <= 0:
            raise ValueError(f"least_scale is {least_scale}: it must be above 0")
        self.least = least_scale

    def terms(self, output: Tensor, x: Tensor) -> Tensor:
        centre, scale, freedom = self._law(output)
        return student_terms(centre, scale, freedom, x)

    def mean(self, output: Tensor) -> Tensor:
        """Expected events, of any size."""
        return self._law(output)[0]

    def sample(self, output: Tensor) -> Tensor:
        centre, scale, freedom = self._law(output)
        spread = (freedom / Chi2(freedom, validate_args=False).sample()).sqrt()
        return centre + scale * torch.randn_like(centre) * spread

    def _law(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Centres, scales and degrees of freedom of entries."""
        centre, scale, freedom = self.parts(output)
        return centre, self.least + nnf.softplus(scale), LEAST_FREEDOM + nnf.softplus(freedom)


def student_terms(centre: Tensor, scale: Tensor, freedom: Tensor, x: Tensor) -> Tensor:
    """Log-density of each entry under a Student t distribution; arguments broadcast."""
    tail = 0.5 * (freedom + 1)
    norm = torch.lgamma(tail) - torch.lgamma(0.5 * freedom) - 0.5 * (math.pi * freedom).log()
    return norm - scale.log() - tail * torch.log1p(((x - centre) / scale).square() / freedom)
