"""The laws that a W&B sweep file may give a parameter, each as its quantile function.

A search moves in the unit cube: a parameter's law turns u in [0, 1] into its value. So every law
serves every method, and a logarithmic one is searched on its logarithm. Parameters whose values
have no order are the exception: they are searched by index.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist
from typing import Any

Quantile = Callable[[float], Any]

TAIL = 1e-9  # a normal law is cut here, where its quantiles are still finite


class SweepError(ValueError):
    """A sweep file that cannot be run, or a sweep that cannot go on; the message is one line."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a sweep.

    Args:
        name: Its name on the command line, with dots and without hyphens.
        grid: All its values in order; None where they are infinitely many.
        quantile: Its value at u in [0, 1]; None where its values have no order.
    """

    name: str
    grid: Sequence[Any] | None = None
    quantile: Quantile | None = None


BOUNDED: dict[str, Callable[[float, float], Quantile]] = {
    "uniform": lambda low, high: lambda u: low + u * (high - low),
    "log_uniform": lambda low, high: lambda u: math.exp(low + u * (high - low)),
    "log_uniform_values": lambda low, high: lambda u: low * (high / low) ** u,
    # log(1/x) uniform: the same law of x, its bounds being those of log(1/x) or again of x
    "inv_log_uniform": lambda low, high: lambda u: math.exp(-high + u * (high - low)),
    "inv_log_uniform_values": lambda low, high: lambda u: low * (high / low) ** u,
}

NORMAL: dict[str, Callable[[NormalDist], Quantile]] = {
    "normal": lambda law: lambda u: law.inv_cdf(min(max(u, TAIL), 1 - TAIL)),
    "log_normal": lambda law: lambda u: math.exp(law.inv_cdf(min(max(u, TAIL), 1 - TAIL))),
}

ROUNDED = ("q_uniform", "q_log_uniform", "q_log_uniform_values", "q_normal", "q_log_normal")

LAWS = ("constant", "categorical", "int_uniform", *BOUNDED, *NORMAL, *ROUNDED)


def parameter(name: str, spec: Mapping[str, Any]) -> Parameter:
    """The parameter that an entry of `parameters` describes.

    Raises:
        SweepError: If its law is not known, or what the law needs is missing or wrong.
    """
    law = spec.get("distribution") or implied(name, spec)
    if law in ("constant", "categorical", "categorical_w_probabilities"):
        return listed(name, spec)
    if law not in LAWS:
        raise SweepError(
            f"parameter {name}: the distribution {law} is not supported; "
            f"there are {', '.join(LAWS)}"
        )
    check_keys(name, spec, law)
    if law == "int_uniform":
        low, high = bounds(name, spec)
        if not (isinstance(low, int) and isinstance(high, int)):
            raise SweepError(f"parameter {name}: int_uniform takes a min and a max without a point")
        whole = range(low, high + 1)
        return Parameter(name, whole, lambda u: whole[min(int(u * len(whole)), len(whole) - 1)])
    if law.startswith("q_"):
        return rounded(name, spec, law)
    return Parameter(name, quantile=continuous(name, spec, law))


def implied(name: str, spec: Mapping[str, Any]) -> str:
    """The distribution of an entry that names none, by W&B's rules."""
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    low, high = bounds(name, spec)
    if isinstance(low, int) != isinstance(high, int):
        raise SweepError(
            f"parameter {name}: min {low} and max {high} must both have a decimal point (uniform), "
            "or neither (int_uniform)"
        )
    return "int_uniform" if isinstance(low, int) else "uniform"


def listed(name: str, spec: Mapping[str, Any]) -> Parameter:
    """A parameter whose values are written out: one, some, or some with their probabilities."""
    check_keys(name, spec, "categorical")
    values = [spec["value"]] if "value" in spec else spec.get("values")
    if not isinstance(values, list) or not values:
        raise SweepError(f"parameter {name} needs a value, or values as a list that is not empty")
    if (weights := spec.get("probabilities")) is None:
        return Parameter(name, values)
    numeric = isinstance(weights, list) and all(isinstance(w, int | float) for w in weights)
    if not numeric or len(weights) != len(values) or min(weights) < 0 or sum(weights) <= 0:
        raise SweepError(f"parameter {name}: probabilities must be one number for each of values")
    ends = [end / sum(weights) for end in accumulate(weights)]
    last = max(i for i, w in enumerate(weights) if w > 0)
    return Parameter(
        name, values, lambda u: values[next((i for i, e in enumerate(ends) if u < e), last)]
    )


def continuous(name: str, spec: Mapping[str, Any], law: str) -> Quantile:
    """The quantile function of a law of real numbers."""
    if law in NORMAL:
        mu, sigma = number(name, spec, "mu", 0.0), number(name, spec, "sigma", 1.0)
        if sigma <= 0:
            raise SweepError(f"parameter {name}: sigma is {sigma}, it must be above 0")
        return NORMAL[law](NormalDist(mu, sigma))
    low, high = bounds(name, spec)
    if law.endswith("_values") and low <= 0:
        raise SweepError(f"parameter {name}: {law} takes a min above 0, not {low}")
    return BOUNDED[law](low, high)


def rounded(name: str, spec: Mapping[str, Any], law: str) -> Parameter:
    """A law rounded to multiples of q: whole numbers if q is whole, and never beyond its bounds."""
    exact = continuous(name, spec, law.removeprefix("q_"))
    whole_bounds = isinstance(spec.get("min"), int) and isinstance(spec.get("max"), int)
    q = number(name, spec, "q", 1 if whole_bounds else 1.0)
    if q <= 0:
        raise SweepError(f"parameter {name}: q is {q}, it must be above 0")

    def multiple(k: int) -> int | float:
        return k * q if isinstance(q, int) else float(f"{k * q:.12g}")  # 3 * 0.1 is 0.3 here

    if "min" not in spec:
        return Parameter(name, quantile=lambda u: multiple(round(exact(u) / q)))
    first, last = math.ceil(exact(0.0) / q - 1e-9), math.floor(exact(1.0) / q + 1e-9)
    if first > last:
        raise SweepError(f"parameter {name}: no multiple of {q} lies between its min and max")
    grid = [multiple(k) for k in range(first, last + 1)] if law == "q_uniform" else None
    return Parameter(name, grid, lambda u: multiple(min(max(round(exact(u) / q), first), last)))


def bounds(name: str, spec: Mapping[str, Any]) -> tuple[float, float]:
    """The min and max of an entry, in order."""
    low, high = number(name, spec, "min"), number(name, spec, "max")
    if low > high:
        raise SweepError(f"parameter {name}: min {low} is above max {high}")
    return low, high


def number(
    name: str, spec: Mapping[str, Any], key: str, default: float | None = None
) -> int | float:
    """A number of an entry."""
    value = spec.get(key, default)
    if value is None:
        raise SweepError(f"parameter {name} needs value, values, or min and max; it has no {key}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; YAML wants a point in it, as in 1.0e-3" if "e" in str(value).lower() else ""
        raise SweepError(f"parameter {name}: {key} is {value!r} and no number{hint}")
    return value


def check_keys(name: str, spec: Mapping[str, Any], law: str) -> None:
    """Refuses an entry with a key that its law does not read, for W&B would refuse it too."""
    if law == "categorical":
        known = {"value"} if "value" in spec else {"values", "probabilities"}
    else:
        known = {"mu", "sigma"} if law.removeprefix("q_") in NORMAL else {"min", "max"}
        known |= {"q"} if law.startswith("q_") else set()
    if unknown := sorted(map(str, set(spec) - known - {"distribution"})):
        raise SweepError(f"parameter {name}: {law} does not take {', '.join(unknown)}")
