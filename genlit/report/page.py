"""Puts everything on one HTML page without a reference to anything outside it."""

import os
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from genlit import __version__
from genlit.report import comparison, curves, numbers, pictures
from genlit.report.configs import settings
from genlit.report.differences import differences
from genlit.report.folders import common_parent
from genlit.report.read import Run, read_runs
from genlit.runs import RunError

MARK = '<meta name="generator" content="genlit'  # by which a report is known that may be replaced
LONG = 90  # characters of a text that is shown unfolded


def write(runs: Sequence[Path], out: Path) -> Path:
    """Writes the report of runs, in place of an older one, and returns its path.

    Args:
        runs: Run folders.
        out: The HTML file.

    Raises:
        RunError: If a run cannot be read, or the file is there and is no report.
    """
    return save(render(read_runs(runs)), out)


def save(page: str, out: Path) -> Path:
    """Writes a page whole or not at all, and over nothing but an older report.

    Raises:
        RunError: If it cannot be written there.
    """
    if out.is_dir():
        raise RunError(f"{out} is a folder: --out takes the name of an HTML file")
    if out.exists() and MARK not in out.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise RunError(f"{out} exists and is no report: name another file with --out")
    partial = out.with_name(f"{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(page, encoding="utf-8")
        os.replace(partial, out)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"{out} cannot be written ({reason}): name another with --out") from None
    return out


def render(runs: Sequence[Run]) -> str:
    """The page as text."""
    every = comparison.metrics(runs)
    kinds = {metric.kind for metric in every}
    return environment().get_template("report.html.j2").render(
        title=title(runs),
        date=time.strftime("%Y-%m-%d %H:%M"),
        version=__version__,
        runs=runs,
        facts=[facts(run) for run in runs],
        comparisons=comparison.comparisons(every),
        kinds={kind: text for kind, text in comparison.KINDS.items() if kind in kinds},
        differences=differences(runs),
        superseded=any(entry.result.older for metric in every for entry in metric.entries),
        curves=curves.draw(runs),
        albums=pictures.albums(runs),
        settings=settings(runs),
        colours=curves.COLOURS,
        long=LONG,
    )  # fmt: skip


def title(runs: Sequence[Run]) -> str:
    """The name of a run, or of the folder that several have in common."""
    if len(runs) == 1:
        return runs[0].name
    return common_parent([run.folder.resolve().parent for run in runs]).name or "runs"


def environment() -> Environment:
    """Templates that escape whatever is put into them."""
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        breakable=breakable, count=count, value=value,
        rounded=lambda *args: typeset(numbers.rounded(*args)),
        with_error=lambda *args: typeset(numbers.with_error(*args)),
        difference=lambda *args: typeset(numbers.difference(*args)),
        error=numbers.rounded_error,
    )  # fmt: skip
    return env


def facts(run: Run) -> dict[str, Any]:
    """What is known of a run besides its numbers, as text; empty where unknown."""
    test: dict[str, Any] = run.tests[-1] if run.tests else {}
    seconds = test.get("seconds")
    epochs = run.metrics.epochs
    return {
        "model": run.model,
        "data": run.data,
        "seed": text(test.get("seed", run.config.get("seed_everything"))),
        "epochs": "" if epochs is None else f"{epochs:,}",
        "fit": numbers.duration(run.metrics.seconds),
        "test": numbers.duration(seconds if isinstance(seconds, int | float) else None),
        "checkpoint": "; ".join(run.states),
        "machine": text(test.get("machine")),
        "genlit": text(test.get("genlit")),
        "todo": "" if run.tested else f"genlit test {shlex.quote(str(run.folder))}",
        "unreadable": run.metrics.unreadable,
    }


def text(thing: object) -> str:
    """A thing as text, None as nothing."""
    return "" if thing is None else str(thing)


def typeset(number: str) -> str:
    """A number with a minus sign in place of the hyphen."""
    return number.replace("-", "−")


def count(n: object) -> str:
    """A whole number with separators."""
    return f"{n:,}" if isinstance(n, int) else text(n)


def value(thing: object) -> str:
    """A detail: numbers rounded, texts as they are."""
    return typeset(numbers.rounded(thing)) if isinstance(thing, int | float) else text(thing)


def breakable(name: object, marks: str = "_./") -> Markup:
    """A name that may be broken after any of the marks, unless a digit follows."""
    return Markup(re.sub(rf"([{marks}])(?=[^\W\d])", r"\1<wbr>", str(escape(name))))
