"""What annealing finds for log Z, with all that tells whether to trust it."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from genlit.annealing import Rung, anneal, anneal_back
from genlit.logmath import (
    bootstrap_interval,
    effective_sample_size,
    log_mean_exp,
    log_mean_exp_stderr,
)
from genlit.protocols import Path

GAP = 1.0  # nats between forward and reverse from which on neither is to be trusted
FEW = 20  # effective chains below which the standard error of log Z says little


class Normalizer(NamedTuple):
    """An estimate of log Z."""

    value: float  # nats
    stderr: float  # nats
    details: dict[str, float | str]
    warnings: tuple[str, ...]


def log_partition(
    path: Path, rungs: Sequence[Rung], chains: int, reverse: bool = True
) -> Normalizer:
    """Log Z by annealing along a path, forward and, as a check, in reverse.

    Args:
        path: The distributions on the way.
        rungs: The temperatures in ascending order.
        chains: The number of independent chains, at least 2.
        reverse: Whether to run the reverse estimate too.
    """
    weights = anneal(path, rungs, chains)
    value, stderr = float(log_mean_exp(weights)), float(log_mean_exp_stderr(weights))
    low, high = bootstrap_interval(weights)
    details: dict[str, float | str] = {
        "log_partition": value,
        "log_partition_stderr": stderr,
        "log_partition_low": low,
        "log_partition_high": high,
        **quality(weights),
    }
    summary = f"log Z {value:.2f} ± {stderr:.2g} nats ({low:.2f} to {high:.2f}), {sizes(weights)}"
    warnings = [few(weights, len(rungs))]
    if reverse:
        weights = anneal_back(path, rungs, chains)
        upper, stderr_of_upper = -float(log_mean_exp(weights)), float(log_mean_exp_stderr(weights))
        details |= {
            "log_partition_reverse": upper,
            "log_partition_reverse_stderr": stderr_of_upper,
            **{f"{name}_reverse": number for name, number in quality(weights).items()},
            "origin_reverse": path.origin,
        }
        summary += (
            f"; in reverse {upper:.2f} ± {stderr_of_upper:.2g}, {sizes(weights)}, "
            f"from {path.origin}"
        )
        warnings.append(parted(value, upper, len(rungs), path.origin))
    details["summary"] = summary
    return Normalizer(value, stderr, details, tuple(filter(None, warnings)))


def quality(log_weights: Tensor) -> dict[str, float]:
    """How evenly log-weights (n,) count."""
    return {
        "effective_sample_size": float(effective_sample_size(log_weights)),
        "largest_weight": float((log_weights - log_weights.logsumexp(0)).max().exp()),
    }


def sizes(log_weights: Tensor) -> str:
    """The same in words."""
    size = float(effective_sample_size(log_weights))
    return f"{size:.{0 if size >= FEW else 1}f} effective of {len(log_weights)} chains"


def few(log_weights: Tensor, steps: int) -> str:
    """A warning if few of the log-weights (n,) decide, and not since there are few; or nothing."""
    size = float(effective_sample_size(log_weights))
    if size >= min(FEW, len(log_weights) / 2):
        return ""
    return (
        f"of {len(log_weights)} chains only {size:.1f} effectively count for log Z, so its "
        f"standard error may be far too small: take more steps than {steps}, then more chains"
    )


def parted(lower: float, upper: float, steps: int, origin: str) -> str:
    """A warning if the two estimates of log Z differ by more than a nat; or nothing."""
    if abs(upper - lower) <= GAP:
        return ""
    also = f", or better samples than {origin}" if upper < lower else ""
    return (
        f"forward and reverse AIS differ by {upper - lower:.2f} nats "
        f"(log Z {lower:.2f} and {upper:.2f}): take more steps than {steps}{also}"
    )
