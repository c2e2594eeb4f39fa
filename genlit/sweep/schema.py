"""A W&B sweep file, read and checked: what runs, what it varies, what it is judged by."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from genlit.sweep.command import DEFAULT_COMMAND, check_command
from genlit.sweep.laws import Parameter, SweepError, parameter

METHODS = ("grid", "random", "bayes")

KEYS = {
    "method", "parameters", "metric", "command", "program", "early_terminate", "run_cap",
    "name", "description", "project", "entity", "apiVersion", "kind", "controller",
}  # fmt: skip

STOPPING = {"type", "min_iter", "max_iter", "s", "eta", "strict"}


@dataclass(frozen=True)
class Metric:
    """What trials are judged by.

    Args:
        name: Its name in metrics.csv, or split/name of results.json.
        goal: minimize or maximize.
        target: Where it is good enough for the sweep to end; None for never.
    """

    name: str
    goal: Literal["minimize", "maximize"] = "minimize"
    target: float | None = None

    def better(self, a: float, b: float) -> bool:
        """Whether value a is at least as good as value b."""
        return a <= b if self.goal == "minimize" else a >= b


@dataclass(frozen=True)
class Halving:
    """Early stopping: at times first, first * keep, ... only the best 1/keep of trials go on.

    Args:
        first: How many values of the metric a trial must have given to be judged first.
        keep: The eta of hyperband.
    """

    first: int
    keep: int


@dataclass(frozen=True)
class Sweep:
    """Everything that a sweep file says.

    Args:
        method: grid, random or bayes.
        parameters: What varies, in the file's order.
        command: The command with its macros.
        program: What ${program} stands for.
        metric: What trials are judged by; None where nothing is.
        halving: How trials are stopped early; None for never.
        run_cap: The most trials there may be; None for no bound.
    """

    method: str
    parameters: tuple[Parameter, ...]
    command: tuple[str, ...]
    program: str | None
    metric: Metric | None
    halving: Halving | None
    run_cap: int | None


def read(path: Path) -> Sweep:
    """Reads a sweep file.

    Raises:
        SweepError: If it is not one, or asks for what is not supported; it names the key.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SweepError(f"the sweep file {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SweepError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise SweepError(f"{path} is no sweep file: it has no `method:` and `parameters:`")
    try:
        return sweep(document)
    except SweepError as error:
        raise SweepError(f"{path}: {error}") from None


def sweep(document: Mapping[str, Any]) -> Sweep:
    """The sweep that a W&B configuration describes."""
    for key in map(str, document):
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            raise SweepError(
                f"the key {key} is not supported" + (f": did you mean {near[0]}?" if near else "")
            )
    method = document.get("method")
    if method not in METHODS:
        raise SweepError(f"unknown method {method!r}: there are {', '.join(METHODS)}")
    metric = read_metric(document.get("metric"))
    if metric is None and (method == "bayes" or "early_terminate" in document):
        who = "the method bayes" if method == "bayes" else "early_terminate"
        raise SweepError(f"{who} needs a metric: give `metric: {{name: val/loss, goal: minimize}}`")
    entries = document.get("parameters")
    if not isinstance(entries, dict) or not entries:
        raise SweepError(
            "there are no parameters: give `parameters: {model.hidden: {values: ...}}`"
        )
    parameters = tuple(flatten(entries))
    if method == "grid" and (endless := [p.name for p in parameters if p.grid is None]):
        raise SweepError(f"a grid needs values written out: {', '.join(endless)} is continuous")
    command = document.get("command", list(DEFAULT_COMMAND))
    check_command(command, document.get("program"))
    return Sweep(
        method=method,
        parameters=parameters,
        command=tuple(map(str, command)),
        program=document.get("program"),
        metric=metric,
        halving=read_halving(document.get("early_terminate")),
        run_cap=None if "run_cap" not in document else whole("run_cap", document["run_cap"]),
    )


def flatten(entries: Mapping[str, Any], prefix: str = "") -> Iterator[Parameter]:
    """All parameters, those nested in `parameters` named with dots."""
    for key, spec in entries.items():
        name = f"{prefix}{key}"
        if not isinstance(spec, dict):
            raise SweepError(f"parameter {name} is {spec!r}: write {{value: {spec!r}}}")
        if "parameters" not in spec:
            yield parameter(name, spec)
        elif len(spec) == 1 and isinstance(spec["parameters"], dict) and spec["parameters"]:
            yield from flatten(spec["parameters"], f"{name}.")
        else:
            raise SweepError(f"parameter {name} holds parameters: it takes them and nothing else")


def read_metric(spec: object) -> Metric | None:
    """The entry `metric`."""
    if spec is None:
        return None
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise SweepError("metric needs a name, as in `metric: {name: val/loss, goal: minimize}`")
    if unknown := sorted(set(spec) - {"name", "goal", "target"}):
        raise SweepError(
            f"metric: {', '.join(unknown)} is not supported; there are name, goal, target"
        )
    goal, target = spec.get("goal", "minimize"), spec.get("target")
    if goal not in ("minimize", "maximize"):
        raise SweepError(f"the metric's goal is {goal!r}: it must be minimize or maximize")
    if target is not None and not isinstance(target, int | float):
        raise SweepError(f"the metric's target is {target!r} and no number")
    return Metric(spec["name"], goal, target)


def read_halving(spec: object) -> Halving | None:
    """The entry `early_terminate`: from min_iter on, or s times before max_iter."""
    if spec is None:
        return None
    if not isinstance(spec, dict) or spec.get("type") != "hyperband":
        raise SweepError("early_terminate needs `type: hyperband`; there is no other")
    if unknown := sorted(set(spec) - STOPPING):
        raise SweepError(f"early_terminate does not take {', '.join(unknown)}")
    keep = whole("early_terminate's eta", spec.get("eta", 3), least=2)
    if "min_iter" in spec:
        return Halving(whole("early_terminate's min_iter", spec["min_iter"]), keep)
    if "max_iter" not in spec or "s" not in spec:
        raise SweepError("early_terminate needs min_iter, or max_iter and s")
    longest = whole("early_terminate's max_iter", spec["max_iter"])
    times = whole("early_terminate's s", spec["s"])
    while times > 1 and longest < keep**times:
        times -= 1
    return Halving(max(1, longest // keep**times), keep)


def whole(name: str, value: object, least: int = 1) -> int:
    """A whole number that is large enough."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SweepError(f"{name} is {value!r}: it must be a whole number, {least} or more")
    return value
