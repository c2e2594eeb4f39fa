"""Distances between sets of images, from their features; torch-fidelity does the work, here alone.

Notation: d features an image, n samples against m reference images.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric


class Moments(NamedTuple):
    """Mean and covariance of features, float64."""

    mean: Tensor  # (d,)
    covariance: Tensor  # (d, d)


def moments(features: Tensor) -> Moments:
    """Returns the moments of features (n, d)."""
    statistics = fid_features_to_statistics(features.double().cpu())
    return Moments(torch.from_numpy(statistics["mu"]), torch.from_numpy(statistics["sigma"]))


def frechet_distance(a: Moments, b: Moments) -> float:
    """The squared 2-Wasserstein distance of two Gaussians with these moments.

    References:
        | GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)
    """
    first, second = ({"mu": s.mean.numpy(), "sigma": s.covariance.numpy()} for s in (a, b))
    return fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID]


def frechet_floor(covariance: Tensor, n: int, m: int) -> float:
    """The distance expected between n and m samples of one Gaussian: what chance alone gives.

    To second order in the deviations, with λ the eigenvalues of the covariance (d, d),

        E[FID] = (1/n + 1/m) [Σ_i λ_i + 1/2 Σ_ij λ_i λ_j (1 + δ_ij) / (λ_i + λ_j)].

    An underestimate unless n and m are well above d.
    """
    eigenvalues = torch.linalg.eigvalsh(covariance).double()
    kept = eigenvalues[eigenvalues > 1e-10 * eigenvalues.max()]
    pairs = kept[:, None] * kept / (kept[:, None] + kept)
    bracket = kept.sum() + (pairs.sum() + pairs.diagonal().sum()) / 2
    return float((1 / n + 1 / m) * bracket)


class Frechet(NamedTuple):
    """The Fréchet distance at n samples and its limit."""

    value: float
    limit: float  # extrapolated to n -> infinity
    stderr: float  # of both


def frechet(features: Tensor, reference: Moments, blocks: int = 5) -> Frechet:
    """The Fréchet distance of features (n, d), with its limit for many samples.

    The features are cut into 1, 2, ... `blocks` disjoint parts; the mean distances of the parts are
    a straight line in one over their size, whose intercept is the limit. The standard error is that
    of the mean over the finest cut, which is on the safe side for the whole.

    References:
        | Effectively Unbiased FID and Inception Score (Chong & Forsyth, 2020)
    """
    n = len(features)
    means, inverse_sizes, finest = [], [], torch.zeros(0)
    for cuts in range(1, blocks + 1):
        size = n // cuts
        parts = features[: cuts * size].split(size)
        finest = torch.tensor([frechet_distance(moments(p), reference) for p in parts]).double()
        means.append(finest.mean())
        inverse_sizes.append(1 / size)
    x, y = torch.tensor(inverse_sizes, dtype=torch.float64), torch.stack(means)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    stderr = finest.std() / blocks**0.5
    return Frechet(float(y[0]), float(y.mean() - slope * x.mean()), float(stderr))


class Mean(NamedTuple):
    """A mean over blocks."""

    value: float
    stderr: float | None  # from disjoint blocks; None where there is but one


def kernel_distance(
    features: Tensor, reference: Tensor, subsets: int, subset_size: int, seed: int = 0
) -> Mean:
    """The unbiased squared maximum mean discrepancy under the kernel (x·y/d + 1)³.

    The value is the mean over random subsets; since these overlap, their spread is no standard
    error, which comes from disjoint blocks of features (n, d) and reference (m, d) instead.

    References:
        | Demystifying MMD GANs (Bińkowski et al., 2018)
    """
    size = min(subset_size, len(features), len(reference))

    def distance(a: Tensor, b: Tensor, subsets: int) -> float:
        return kid_features_to_metric(
            a.double(), b.double(), kid_subsets=subsets, kid_subset_size=size, kid_kernel="poly",
            rng_seed=seed, verbose=False,
        )[KEY_METRIC_KID_MEAN]  # fmt: skip

    pairs = zip(features.split(size), reference.split(size), strict=False)
    blocks = torch.tensor([distance(a, b, 1) for a, b in pairs if len(a) == len(b) == size])
    return Mean(distance(features, reference, subsets), _stderr(blocks))


def classifier_score(logits: Tensor, splits: int = 10) -> Mean:
    """The exponential of the mean KL(p(y | x) || p(y)) of logits (n, classes); 1 to `classes`.

    With the classifier of 2015 it is the Inception Score; with another it is not.

    References:
        | Improved Techniques for Training GANs (Salimans et al., 2016)
    """
    parts = logits[: len(logits) // splits * splits].split(len(logits) // splits)
    scores = [isc_features_to_metric(p, splits=1)[KEY_METRIC_ISC_MEAN] for p in parts]
    blocks = torch.tensor(scores, dtype=torch.float64)
    return Mean(float(blocks.mean()), _stderr(blocks))


def _stderr(blocks: Tensor) -> float | None:
    return float(blocks.std() / len(blocks) ** 0.5) if len(blocks) > 1 else None
