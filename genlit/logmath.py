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


def bits_per_dim(nats: Tensor | float, dims: int) -> Tensor | float:
    """Turns a log-likelihood in nats per event into a code length in bits per dimension."""
    return -nats / (dims * math.log(2))
