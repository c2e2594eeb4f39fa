"""Which modes of the data a model covers, where the data has modes that can be told apart.

Notation: K modes, n samples, and a share p_k of them in mode k.
"""

import math
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from genlit.features.extractor import FeatureExtractor, quantized

REACH = 3.0  # standard deviations within which a sample belongs to a Gaussian


@runtime_checkable
class Modes(Protocol):
    """Says which mode an event belongs to. Datamodules have one as `modes`."""

    name: str  # becomes part of the names of measurements
    rule: str  # how modes are told, for people
    count: int  # how many modes there are, K
    customary: int  # samples from which the published numbers are computed
    ceiling: float  # the share of perfect samples that belong to a mode

    def assign(self, events: Tensor) -> Tensor:
        """Returns the mode of each event (B, *shape), -1 where it has none; (B,) int64."""
        ...


class GaussianModes:
    """Gaussians, to the nearest of which an event belongs if it is within 3 standard deviations.

    References:
        | PacGAN: The Power of Two Samples in Generative Adversarial Networks (Lin et al., 2018)
        | https://arxiv.org/abs/1712.04086

    Args:
        name: What the mixture is called.
        centers: The means, (K, D).
        deviation: The standard deviation of every coordinate, the same for all Gaussians, (D,).
    """

    customary = 2_500

    def __init__(self, name: str, centers: Tensor, deviation: Tensor) -> None:
        self.name, self.count = name, len(centers)
        self.rule = f"nearest of {len(centers)} Gaussians within {REACH:.0f} standard deviations"
        self.centers, self.deviation = centers.double(), deviation.double()
        dims = torch.tensor(centers.shape[1] / 2, dtype=torch.float64)
        # The χ² law of D degrees of freedom; in the plane 1 - exp(-9/2), 98.9 %.
        self.ceiling = float(torch.special.gammainc(dims, dims.new_tensor(REACH**2 / 2)))

    def assign(self, events: Tensor) -> Tensor:
        offsets = (events.double().cpu()[:, None] - self.centers) / self.deviation
        distance, nearest = offsets.square().sum(2).min(1)
        return nearest.where(distance < REACH**2, -1)


class DigitModes:
    """All combinations of the classes of an image's channels, as a classifier sees them.

    Every image belongs to a mode, be it a poor one.

    Args:
        classifier: Tells the class of a channel.
        classes: How many classes there are.
        channels: How many channels an image has.
    """

    customary = 26_000
    ceiling = 1.0

    def __init__(self, classifier: FeatureExtractor, classes: int, channels: int) -> None:
        self.name = f"stacked-{channels}_{classifier.name}"
        self.rule = f"classes of channels by {classifier.name} {classifier.fingerprint()}"
        self.classifier, self.classes, self.channels = classifier, classes, channels
        self.count = classes**channels

    @torch.no_grad()
    def assign(self, events: Tensor) -> Tensor:
        digits = quantized(events).flatten(0, 1).unsqueeze(1)
        logits = self.classifier.to(events.device)(digits).logits
        places = self.classes ** torch.arange(self.channels, device=events.device)
        return (logits.argmax(1).view(-1, self.channels) * places).sum(1)


class Coverage(NamedTuple):
    """How samples cover modes."""

    modes: int  # how many have a sample
    high_quality: float  # the share of samples that belong to a mode
    high_quality_stderr: float
    reverse_kl: float  # nats
    reverse_kl_stderr: float


def coverage(modes: Tensor, count: int) -> Coverage:
    """How samples, given by their modes (n,) with -1 for none, cover so many modes.

    The reverse KL divergence is that of the samples' shares from equal ones,

        KL(p || 1/K) = log K + Σ_k p_k log p_k,

    among the samples that belong to a mode, so that what lies between modes does not count; if none
    does, it is log K, the worst. Chance alone makes it about (K - 1) / 2n. Its standard error joins
    the two first terms of its expansion in the p_k: the second is all there is if they are equal.
    """
    n, inside = len(modes), modes[modes >= 0]
    share = len(inside) / n
    p = frequencies(inside, count)
    hit, counted = int((p > 0).sum()), max(len(inside), 1)
    second = max(hit - 1, 0) / (2 * counted**2)
    first = float(log_variance(p)) / counted - 2 * second  # less what chance alone makes of it
    return Coverage(
        modes=hit,
        high_quality=share,
        high_quality_stderr=math.sqrt(share * (1 - share) / n),
        reverse_kl=math.log(count) - float(entropy(p)),
        reverse_kl_stderr=math.sqrt(max(first, 0) + second),
    )


def expected_modes(count: int, n: int) -> float:
    """How many of K equally probable modes n perfect samples hit, on average."""
    return count * (1 - (1 - 1 / count) ** n)


def frequencies(labels: Tensor, classes: int) -> Tensor:
    """The share of each class among labels (n,); zeros if there are none; (classes,) float64."""
    return torch.bincount(labels, minlength=classes).double() / max(len(labels), 1)


def entropy(p: Tensor) -> Tensor:
    """The entropy of shares (K,) in nats."""
    return -torch.special.xlogy(p, p).sum()


def log_variance(p: Tensor) -> Tensor:
    """The variance of log p under p, of shares (K,); over n it is that of their entropy."""
    return ((p * torch.special.xlogy(p > 0, p).square()).sum() - entropy(p).square()).clamp(min=0)


class Balance(NamedTuple):
    """How the classes of samples compare with those of real images."""

    entropy: float  # of the classes of samples, nats
    entropy_stderr: float
    distance: float  # total variation, 1/2 Σ |p_k - q_k|, in [0, 1]
    distance_stderr: float
    floor: float  # the distance that chance alone gives


def balance(samples: Tensor, real: Tensor, classes: int) -> Balance:
    """Compares the classes of n samples (n,) with those of m real images (m,)."""
    n, m = len(samples), len(real)
    p, q = frequencies(samples, classes), frequencies(real, classes)
    sign = (p - q).sign()
    spread = [(f * sign.square()).sum() - (f * sign).sum().square() for f in (p, q)]
    joined = (n * p + m * q) / (n + m)
    scale = (joined * (1 - joined) * (1 / n + 1 / m)).sqrt()
    return Balance(
        entropy=float(entropy(p)),
        entropy_stderr=float((log_variance(p) / n).sqrt()),
        distance=float((p - q).abs().sum() / 2),
        distance_stderr=float((spread[0] / n + spread[1] / m).clamp(min=0).sqrt() / 2),
        floor=float(scale.sum() / math.sqrt(2 * math.pi)),
    )
