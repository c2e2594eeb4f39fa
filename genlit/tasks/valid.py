"""Questions with several right answers, all known: whether answers are right, and which ones.

Answers are (n, draws, *shape), for n questions of each of which there are some draws; what is valid
is (n, K, *shape), NaN where a question has fewer than K. The mean of all valid answers has the
least squared error to whichever is meant, and is none of them: it is as far from the nearest one as
a model that has learned nothing else.
"""

import torch
from torch import Tensor

HIT = 0.4  # of the distance between valid answers: the mean of two, at 0.5, is to hit neither


def squared_distances(answers: Tensor, valid: Tensor) -> Tensor:
    """Mean squared errors of draws to each valid answer, (n, draws, K) float64."""
    a, v = answers.double().flatten(2), valid.double().flatten(2)
    return torch.stack([(a - one[:, None]).square().mean(-1) for one in v.unbind(1)], -1)


def nearest_valid(answers: Tensor, valid: Tensor) -> Tensor:
    """The mean squared error of each draw to the valid answer that it is nearest to, (n, draws).

    It is NaN where none is valid.
    """
    nearest = squared_distances(answers, valid).nan_to_num(torch.inf).amin(-1)
    return nearest.masked_fill(nearest.isinf(), torch.nan)


def coverage(answers: Tensor, valid: Tensor) -> Tensor:
    """The share of valid answers that some draw hits, (n,); NaN where there are fewer than two.

    A draw hits a valid answer within 0.4 of its distance to the nearest other one, so that no draw
    hits two, and the mean of two hits neither.
    """
    between = squared_distances(valid, valid).nan_to_num(torch.inf)
    between.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    reach = HIT**2 * between.amin(-1)
    hits = squared_distances(answers, valid) < reach[:, None]
    n = valid.flatten(2).isfinite().all(-1).sum(1).double()
    return (hits.any(1).double().sum(1) / n).masked_fill(n < 2, torch.nan)


def distance_from_mean(answers: Tensor, valid: Tensor) -> Tensor:
    """How far draws are from the mean of the valid answers, beside how far these are; (n, draws).

    It is a ratio of squared distances: 0 at the mean, 1 as far as valid answers are; NaN where
    there are fewer than two of these.
    """
    mean = valid.nanmean(1, keepdim=True)
    own = squared_distances(valid, mean).squeeze(-1).nanmean(1, keepdim=True)
    n = valid.flatten(2).isfinite().all(-1).sum(1, keepdim=True)
    ratio = squared_distances(answers, mean).squeeze(-1) / own
    return ratio.masked_fill(n < 2, torch.nan)
