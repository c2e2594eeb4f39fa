"""A grid sweep over two parameters as a picture: its metric at every pair of their values."""

import contextlib
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from optuna.trial import FrozenTrial, TrialState

from genlit.sweep.command import text
from genlit.sweep.laws import Parameter
from genlit.sweep.schema import Metric
from genlit.sweep.search import Search, interruptions

LEGIBLE = 40  # characters of a label
WIDE = 30.0  # the ratio of values beyond which their colours are on a logarithm
WHITE = (1.0, 1.0, 1.0, 1.0)
MARKS = {TrialState.FAIL: "failed", TrialState.PRUNED: "stopped\nearly"}


@dataclass(frozen=True)
class Cell:
    """One pair of values of the two parameters.

    Args:
        values: The metric of the trials that ran to their end, one for each repeat.
        mark: Why there is none: "failed" or "stopped early"; empty where nothing was tried yet.
    """

    values: tuple[float, ...] = ()
    mark: str = ""

    @property
    def mean(self) -> float:
        """Their mean; NaN where there are none."""
        return statistics.fmean(self.values) if self.values else math.nan

    def label(self, repeats: int) -> str:
        """What is written in the cell: mean ± sample deviation of several, or the mark."""
        n = len(self.values)
        if n == 0:
            return self.mark
        spread = f"\n± {statistics.stdev(self.values):.2g}" if n > 1 else ""
        return f"{self.mean:.3g}{spread}" + (f"\n{n} of {repeats}" if n < repeats else "")


@dataclass(frozen=True)
class Heatmap:
    """The metric of a grid sweep, a row for each value of one parameter, a column of the other.

    Args:
        rows: The first parameter.
        columns: The second.
        repeats: How many seeds each pair of values has.
        metric: What trials are judged by.
        cells: Row by row.
    """

    rows: Parameter
    columns: Parameter
    repeats: int
    metric: Metric
    cells: tuple[tuple[Cell, ...], ...]

    @property
    def best(self) -> tuple[int, int] | None:
        """The row and the column of the best mean; None where there is none."""
        sign = 1 if self.metric.goal == "minimize" else -1
        means = {
            (i, j): sign * cell.mean
            for i, row in enumerate(self.cells) for j, cell in enumerate(row) if cell.values
        }  # fmt: skip
        return min(means, key=lambda place: means[place]) if means else None


def is_seed(parameter: Parameter) -> bool:
    """Whether a parameter only repeats trials: seed_everything, data.seed and so on."""
    return parameter.name.rpartition(".")[2] in ("seed", "seed_everything")


def heatmap(search: Search) -> Heatmap | None:
    """The heat map of a grid over two parameters besides seeds; None of any other sweep."""
    sweep = search.sweep
    varying = [p for p in sweep.parameters if p.grid is not None and len(p.grid) > 1]
    axes = [p for p in varying if not is_seed(p)]
    if sweep.method != "grid" or sweep.metric is None or len(axes) != 2:
        return None
    rows, columns = axes
    trials = finished(search)
    cells = tuple(
        tuple(cell([t for t in trials if at(t, rows, i) and at(t, columns, j)])
              for j in range(len(columns.grid or ())))
        for i in range(len(rows.grid or ()))
    )  # fmt: skip
    repeats = math.prod(len(p.grid or ()) for p in varying if is_seed(p))
    return Heatmap(rows, columns, repeats, sweep.metric, cells)


def finished(search: Search) -> list[FrozenTrial]:
    """The trials that are over, without those that were interrupted and are done again."""
    trials = search.trials()
    again = interruptions(trials)
    return [t for t in trials if t.state.is_finished() and t.number not in again]


def at(trial: FrozenTrial, parameter: Parameter, place: int) -> bool:
    """Whether a trial has a parameter's value with that place in its grid."""
    return trial.params.get(parameter.name) == place


def cell(trials: Sequence[FrozenTrial]) -> Cell:
    """What the trials of a pair of values came to."""
    done = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    marks = [MARKS[t.state] for t in trials if t.state in MARKS]
    return Cell(tuple(t.value for t in done if t.value is not None), "".join(marks[:1]))


def save(chart: Heatmap, path: Path) -> None:
    """Draws a heat map into a PNG, in place of the one that was drawn when less was known."""
    labels = [[label(v) for v in p.grid or ()] for p in (chart.rows, chart.columns)]
    long = max(len(name) for name in labels[0]), max(len(name) for name in labels[1])
    size = 2.6 + 0.95 * len(labels[1]) + 0.07 * long[0], 1.6 + 0.7 * len(labels[0])
    turned = long[1] > 12
    figure = Figure((max(size[0], 4.5), max(size[1], 3) + 0.05 * turned * long[1]), 150,
                    layout="constrained")  # fmt: skip
    axes = figure.add_subplot()
    colours = coloured(axes, chart)
    axes.set_yticks(range(len(labels[0])), labels[0])
    axes.set_xticks(range(len(labels[1])), labels[1], rotation=30 if turned else 0,
                    ha="right" if turned else "center")  # fmt: skip
    axes.set_ylabel(chart.rows.name)
    axes.set_xlabel(chart.columns.name)
    axes.set_title(title(chart), fontsize="medium")
    if colours is not None:
        figure.colorbar(colours, ax=axes, label=chart.metric.name)
    FigureCanvasAgg(figure).print_png(str(path))


def coloured(axes: Axes, chart: Heatmap) -> ScalarMappable | None:
    """Draws the cells; returns what their colours mean, or None where there is no number."""
    means = [cell.mean for row in chart.cells for cell in row if cell.values]
    better = "viridis" if chart.metric.goal == "maximize" else "viridis_r"
    colours = ScalarMappable(scale(means), better) if means else None
    for i, row in enumerate(chart.cells):
        for j, one in enumerate(row):
            found = colours is not None and one.values
            face = colours.to_rgba(one.mean) if found else WHITE  # pyright: ignore
            draw_cell(axes, (j, i), one, one.label(chart.repeats), face)
    if chart.best is not None:
        corner = (chart.best[1] - 0.48, chart.best[0] - 0.48)
        axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, edgecolor="red", linewidth=2))
    axes.set_xlim(-0.5, len(chart.cells[0]) - 0.5)
    axes.set_ylim(len(chart.cells) - 0.5, -0.5)
    axes.tick_params(length=0)
    return colours


def draw_cell(axes: Axes, at: tuple[int, int], one: Cell, label: str, face: Any) -> None:
    """Draws one cell in its colour, and hatched where nothing was tried.

    Args:
        axes: Where.
        at: Its column and row.
        one: The cell.
        label: What is written in it.
        face: Its colour, (red, green, blue, opacity).
    """
    hatch = "" if one.values or one.mark else "///"
    corner = (at[0] - 0.5, at[1] - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, edgecolor="0.75", hatch=hatch))
    dark = 0.3 * face[0] + 0.59 * face[1] + 0.11 * face[2] < 0.5
    ink = "tab:red" if not one.values else "white" if dark else "black"
    axes.text(*at, label, ha="center", va="center", color=ink, fontsize="small")


def scale(means: Sequence[float]) -> Normalize:
    """How means become colours: by their logarithm where they are above 0 and far apart."""
    low, high = min(means), max(means)
    if low > 0 and high > WIDE * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1)


def title(chart: Heatmap) -> str:
    """What is seen."""
    of = f", mean of {chart.repeats} seeds ± deviation" if chart.repeats > 1 else ""
    better = "lower" if chart.metric.goal == "minimize" else "higher"
    return f"{chart.metric.name}{of}\n{better} is better; framed: the best"


def label(value: Any) -> str:
    """A value as people would write it: a class with its arguments, a list without quotes."""
    words = written(value)
    return words if len(words) <= LEGIBLE else f"{words[: LEGIBLE - 1]}…"


def written(value: Any) -> str:
    """A value in words; a text that is a list or a class in YAML is taken for that."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        with contextlib.suppress(yaml.YAMLError):
            value = yaml.safe_load(value)
    if isinstance(value, dict) and "class_path" in value:
        arguments = value.get("init_args") or {}
        inside = ", ".join(f"{name}={written(v)}" for name, v in arguments.items())
        return f"{str(value['class_path']).rpartition('.')[2]}({inside})"
    if isinstance(value, list):
        return ", ".join(map(written, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else text(value)
