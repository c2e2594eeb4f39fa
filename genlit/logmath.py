"""Arithmetic on logarithms, with the errors of the means it takes."""

import math

import torch
from torch import Tensor


def log_mean_exp(x: Tensor, dim: int = 0) -> Tensor:
    """Log of the mean of exp(x) along a dimension, without overflow."""
    return torch.logsumexp(x, dim) - math.log(x.shape[dim])


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """(Σw)² / Σw² of weights given by their logarithms (n,): n when all are equal, 1 at worst."""
    log_weights = log_weights.double()
    return (2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0)).exp()


def log_mean_exp_stderr(log_weights: Tensor) -> Tensor:
    """Standard error in nats of `log_mean_exp` of n independent log-weights (n,).

    By the delta method it is the relative standard error of the mean weight, which is
    √((n / ESS - 1) / (n - 1)). It knows nothing of modes that no weight has visited.
    """
    n = len(log_weights)
    ratio = n / effective_sample_size(log_weights)
    return ((ratio - 1).clamp(min=0) / (n - 1)).sqrt()


def bootstrap_interval(
    log_weights: Tensor, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Between which values `log_mean_exp` of n independent log-weights (n,) varies, in nats.

    The ends are percentiles over draws of n of these weights with replacement, so the interval is
    as skewed as the weights are. As all that is made of them, it knows nothing of unvisited modes.

    Args:
        log_weights: The log-weights.
        level: The share of draws inside.
        resamples: How many times to draw.
        seed: Seeds the draws.

    References:
        | An Introduction to the Bootstrap (Efron & Tibshirani, 1993)
    """
    largest = log_weights.double().max().cpu()
    weights = (log_weights.double().cpu() - largest).exp()
    n, draws = len(weights), torch.Generator().manual_seed(seed)
    means = [weights[torch.randint(n, (n,), generator=draws)].mean() for _ in range(resamples)]
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = (torch.stack(means).quantile(tails).log() + largest).tolist()
    return low, high


def bits_per_dim(nats: Tensor | float, dims: int, bins: int = 1) -> Tensor | float:
    """Turns a log-likelihood in nats per event into a code length in bits per dimension.

    Args:
        nats: Log-probability, or log-density of real numbers.
        dims: Entries of an event.
        bins: Of a density on [0, 1] that was learned from dequantized levels, how many levels there
            were: each has 1 / bins of the interval, so that its probability is the mean density
            over that, divided by bins. 1 where `nats` is of a probability.
    """
    return -nats / (dims * math.log(2)) + math.log2(bins)
