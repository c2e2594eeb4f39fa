"""p(x | network output): the log-probability of events under what a decoder puts out."""

import torch
import torch.nn.functional as nnf
from torch import Tensor


def bernoulli_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """Log p(x) in nats of independent zeros and ones, given the log-odds of ones.

    Written as Σ x·l - softplus(l), which is exact for every finite l and costs one pass less than
    the two logarithms of probabilities. Logits of half precision are summed in that of x.

    Args:
        logits: Log-odds, (*S, B, *shape).
        x: Events of zeros and ones, (B, *shape).

    Returns:
        The sum over all entries of an event, (*S, B).
    """
    logits = logits.to(torch.promote_types(logits.dtype, x.dtype))
    terms = x * logits - nnf.softplus(logits)
    return terms.flatten(terms.dim() - (x.dim() - 1)).sum(-1)
