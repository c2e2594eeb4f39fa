"""What annealing and tempering find for log Z, with all that tells whether to trust it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from genlit.annealing import Rung, anneal, anneal_back, gathered, several
from genlit.logmath import (
    bootstrap_interval,
    effective_sample_size,
    log_mean_exp,
    log_mean_exp_stderr,
)
from genlit.protocols import Laddered, Tempered
from genlit.ways import Path

GAP = 1.0  # nats between forward and reverse from which on neither is to be trusted
RARE = 0.01  # rate of exchange between neighbours of a ladder below which it is as good as cut
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


def ladder_partition(model: Laddered, steps: int) -> Normalizer:
    """Log Z from chains on a ladder of distributions up to a model, as the first process has them.

    Args:
        model: The model.
        steps: How often each pair of neighbouring rungs meets.
    """
    # Each process has chains of its own, and all are to take the same log Z from log p(x).
    mine = {0: torch.stack(model.ladder_log_partition(steps)).cpu()} if first_process() else {}
    values, errors = gathered(mine)[0]
    value, stderr, rungs = float(values[-1]), float(errors[-1]), len(values)
    details: dict[str, float | str] = {
        "log_partition": value,
        "log_partition_stderr": stderr,
        "rungs": rungs,
        "summary": f"log Z {value:.2f} ± {stderr:.2g} nats, up a ladder of {rungs} rungs",
    }
    warnings = [cut(model.swap_rates())] if isinstance(model, Tempered) else []
    return Normalizer(value, stderr, details, tuple(filter(None, warnings)))


def first_process() -> bool:
    """Whether this is the first process, or the only one."""
    return not several() or dist.get_rank() == 0


def cut(rates: Tensor) -> str:
    """A warning if the rate of exchange is tiny for some neighbours of a ladder; or nothing."""
    if not len(rates) or float(rates.min()) >= RARE:
        return ""
    low = int(rates.argmin())
    return (
        f"rungs {low} and {low + 1} of the ladder exchange states at {float(rates.min()):.2%} of "
        "their meetings, so log Z and its standard error may be far off: take more temperatures"
    )


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
