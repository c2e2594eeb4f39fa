"""What nearest neighbours tell of samples: quality, coverage, and copying.

Notation: d features an image, n samples against m real images. Sets are compared in blocks, so that
no (n, m) matrix is ever held.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 4_000_000  # distances held at a time
SLACK = 1 + 1e-9  # lets a k-th neighbour be within its own distance, however that was rounded


class Neighbours(NamedTuple):
    """Precision and recall, density and coverage; each the mean of a number an image."""

    precision: Tensor  # of each sample, (n,) in {0, 1}
    recall: Tensor  # of each real image, (m,) in {0, 1}
    density: Tensor  # of each sample, (n,), 1 on average for perfect ones
    coverage: Tensor  # of each real image, (m,) in {0, 1}


def neighbours(real: Tensor, samples: Tensor, k: int = 3, k_density: int = 5) -> Neighbours:
    """Compares samples (n, d) with real images (m, d), whose balls reach to a k-th neighbour.

    With B_k(a) the closed ball around a whose radius is the distance to its k-th neighbour in its
    own set:

    - precision of a sample: whether it is in some B_k of a real image;
    - recall of a real image: whether it is in some B_k of a sample;
    - density of a sample: of how many B_k of real images it is in, over k;
    - coverage of a real image: whether some sample is in its B_k.

    All but density depend on n and m; where these are equal, coverage of perfect samples is close
    to 1 - 2^-k.

    References:
        | Improved Precision and Recall Metric for Assessing Generative Models
        | (Kynkäänniemi et al., 2019)
        | https://arxiv.org/abs/1904.06991
        | Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020)
        | https://arxiv.org/abs/2002.09797

    Args:
        real: Features of real images.
        samples: Features of samples.
        k: The neighbour of precision and recall.
        k_density: The neighbour of density and coverage.

    Raises:
        ValueError: If a set is not larger than both.
    """
    if min(len(real), len(samples)) <= max(k, k_density):
        raise ValueError(f"{len(samples)} samples and {len(real)} images have no neighbour number "
                         f"{max(k, k_density)}: take more")  # fmt: skip
    offset = real.double().mean(0)
    real, samples = real.double() - offset, samples.double() - offset
    of_real, of_dense = radii(real, k, k_density)
    (of_samples,) = radii(samples, k)
    precision, density = [], []
    recall, coverage = torch.zeros(2, len(real), dtype=torch.bool, device=real.device)
    for rows, squares in blocks(samples, real):
        within = squares <= of_dense
        precision.append((squares <= of_real).any(1))
        density.append(within.sum(1) / k_density)
        recall |= (squares <= of_samples[rows, None]).any(0)
        coverage |= within.any(0)
    numbers = torch.cat(precision), recall, torch.cat(density), coverage
    return Neighbours(*(number.double() for number in numbers))


def radii(x: Tensor, *ks: int) -> Tensor:
    """The squared distance of each of n points (n, d) to its k-th neighbour; (len(ks), n)."""
    found = []
    for rows, squares in blocks(x, x):
        squares[torch.arange(len(squares)), torch.arange(len(x))[rows]] = -1  # first, come what may
        nearest = squares.topk(max(ks) + 1, largest=False).values
        found.append(nearest[:, list(ks)])
    return SLACK * torch.cat(found).T


def blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of a (n, d), and their squared distances from all rows of b (m, d); (rows, m)."""
    size = max(1, BLOCK // len(b))
    norms = b.square().sum(1)
    for start in range(0, len(a), size):
        rows = slice(start, min(start + size, len(a)))
        squares = torch.addmm(norms, a[rows], b.T, alpha=-2)
        yield rows, squares.add_(a[rows].square().sum(1, keepdim=True)).clamp_(min=0)


class Copying(NamedTuple):
    """How much nearer samples are to training images than to held-out ones."""

    fraction: float  # nearer to a training image, as if both sets were of one size; 1/2 if fair
    stderr: float  # if no training image were known
    z: float  # (fraction - 1/2) / stderr
    ratio: float  # median distance to training images over that to as many held-out ones; 1 if fair


def copying(samples: Tensor, train: Tensor, held_out: Tensor) -> Copying:
    """Whether samples (n, d) know training images (a, d) from held-out ones (b, d).

    A sampler that saw neither, or learned nothing but the law of both, is as near to either: which
    images are training images is then chance, a choice of a among a + b. Let c_j of the samples
    have image j for their nearest, and T of them a training image. Under that choice, T has the
    mean n a / (a + b) and the variance

        ab / ((a + b)(a + b - 1)) Σ_j (c_j - n / (a + b))².

    That is more than independent samples would have, as some images are the nearest of many. The
    fraction is T/a over T/a + (n - T)/b: of sets of one size, it is T/n. A sampler that copies
    training images has 1.

    Args:
        samples: Features of samples.
        train: Features of training images in random order.
        held_out: Features of held-out images, not more than those.

    Raises:
        ValueError: If there are more held-out images.
    """
    n, a, b = len(samples), len(train), len(held_out)
    if b > a:
        raise ValueError(f"{b} held-out images are more than the {a} training images: take fewer")
    offset = train.mean(0)
    samples, train, held_out = samples - offset, train - offset, held_out - offset
    to_fair, of_fair = nearest(samples, train[:b])
    to_held_out, of_held_out = nearest(samples, held_out)
    to_train, of_train = to_fair, of_fair
    if a > b:
        to_rest, of_rest = nearest(samples, train[b:])
        of_train = of_fair.where(to_fair <= to_rest, of_rest + b)
        to_train = to_fair.minimum(to_rest)
    known = (to_train < to_held_out).double() + (to_train == to_held_out).double() / 2
    owner = of_train.where(to_train <= to_held_out, of_held_out + a)
    crowd = torch.bincount(owner, minlength=a + b).double()
    deviation = (a * b / ((a + b) * (a + b - 1)) * (crowd - n / (a + b)).square().sum()).sqrt() / n
    share = known.mean()
    fraction = (share / a) / (share / a + (1 - share) / b)
    stderr = deviation * (a + b) ** 2 / (4 * a * b)  # by the slope of that at a / (a + b)
    ratio = (to_fair / to_held_out).nan_to_num(1.0, float("inf")).median()
    z = (share - a / (a + b)) / deviation
    return Copying(float(fraction), float(stderr), float(z), float(ratio))


def nearest(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each of n points (n, d) to the nearest of m others (m, d), and its place."""
    places = torch.cat([squares.argmin(1) for _, squares in blocks(a, b)])
    return (a.double() - b[places].double()).norm(dim=1), places
