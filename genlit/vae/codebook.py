"""Vector quantization: the nearest of a number of vectors, which follow what they stand for."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

SMOOTHING = 1e-5  # of counts, so that a vector nobody uses is no division by zero


class Codebook(nn.Module):
    """Vectors that are moving averages of the points nearest to them.

    A vector that hardly any point is nearest to begins anew at a point of the batch.

    References:
        | Neural Discrete Representation Learning (van den Oord et al., 2017), appendix A
        | https://arxiv.org/abs/1711.00937

    Args:
        size: The number of vectors, K.
        width: Their number of entries, D.
        decay: The weight of what was, at each step.
        least: Points of a batch, as a moving average, below which a vector begins anew.
    """

    vectors: Tensor  # (K, D)
    counts: Tensor  # (K,) points nearest to each, averaged over steps
    sums: Tensor  # (K, D) of these points

    def __init__(self, size: int, width: int, decay: float = 0.99, least: float = 0.01) -> None:
        super().__init__()
        self.decay, self.least = decay, least
        self.register_buffer("vectors", torch.randn(size, width))
        self.register_buffer("counts", torch.zeros(size))
        self.register_buffer("sums", torch.zeros(size, width))

    def forward(self, points: Tensor) -> Tensor:
        """The place of the vector nearest to each point (N, D); (N,)."""
        products = points @ self.vectors.mT
        return (self.vectors.square().sum(1) - 2 * products).argmin(1)

    @torch.no_grad()
    def follow(self, points: Tensor) -> None:
        """Moves towards the points (N, D) of a training batch; call it on every process."""
        points = joined(points)
        if not self.counts.any():
            self._begin_at(points, torch.ones_like(self.counts, dtype=torch.bool))
        share = nn.functional.one_hot(self(points), len(self.vectors)).to(points)
        self.counts.lerp_(share.sum(0), 1 - self.decay)
        self.sums.lerp_(share.mT @ points, 1 - self.decay)
        self.vectors.copy_(self.sums / (self.counts[:, None] + SMOOTHING))
        if (unused := self.counts < self.least).any():
            self._begin_at(points, unused)

    def _begin_at(self, points: Tensor, chosen: Tensor) -> None:
        """Puts some vectors, (K,) bool, at points drawn from a batch, each for one point a step."""
        at = torch.randint(len(points), (len(self.vectors),), device=points.device)
        if dist.is_available() and dist.is_initialized():
            dist.broadcast(at, 0)
        self.vectors[chosen] = points[at][chosen]
        self.sums[chosen] = self.vectors[chosen]
        self.counts[chosen] = 1.0


def joined(points: Tensor) -> Tensor:
    """The points (N, D) of all processes, which have as many each."""
    if not (dist.is_available() and dist.is_initialized()):
        return points
    every = [torch.empty_like(points) for _ in range(dist.get_world_size())]
    dist.all_gather(every, points.contiguous())
    return torch.cat(every)


def perplexity(chosen: Tensor, size: int) -> Tensor:
    """How many of `size` vectors are in use: exp of the entropy of their shares of (N,) choices."""
    share = torch.bincount(chosen, minlength=size) / len(chosen)
    return torch.special.entr(share).sum().exp()
