"""Training curves of several runs, one figure a metric, as SVG in the colours of the page.

Matplotlib draws with colours that stand for others; in the SVG they become CSS variables, so that
the figures follow the page into the dark and onto paper.
"""

import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from genlit.report.read import Points, Run

COLOURS = 8  # that the page defines; further runs are dashed
DASHES = ["solid", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1))]
INK, FAINT = "#0a0b0c", "#0d0e0f"  # stand for the page's colours of text and of rules
MOST_POINTS = 400  # of a curve; longer ones are drawn as means of neighbours
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "genlit",
    "text.parse_math": False,
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True)
class Curve:
    """The figure of a metric.

    Args:
        title: The metric's name, without its split.
        svg: The drawing.
        description: What is seen, for those who cannot see it.
        notes: What the drawing leaves out.
    """

    title: str
    svg: Markup
    description: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One curve of one run: finite values only."""

    run: int
    name: str
    points: Points
    stderr: Points
    lost: int  # values that are not finite

    @property
    def split(self) -> str:
        """The split that the name begins with, or nothing."""
        return self.name.split("/")[0] if self.name.startswith(("train/", "val/")) else ""

    @property
    def width(self) -> int:
        """Values that one drawn point is the mean of."""
        return max(math.ceil(len(self.points) / MOST_POINTS), 1)


def draw(runs: Sequence[Run]) -> list[Curve]:
    """The figures of all metrics of training and validation, the loss first.

    What a loss is differs between models, so each class of models has a figure of its own for it.
    """
    names = {name: None for run in runs for name in run.metrics.curves}
    titles = {title_of(name): None for name in names if not is_part(name, names)}
    found: list[Curve] = []
    for title in sorted(titles, key=lambda title: title != "loss"):
        groups: dict[str, dict[int, Run]] = {}
        for k, run in enumerate(runs):
            if any(title_of(name) == title for name in run.metrics.curves):
                groups.setdefault(run.model if title == "loss" else "", {})[k] = run
        for model, group in groups.items():
            of = f" of {model}" if len(groups) > 1 else ""
            found.append(draw_one(title, of, group, f"f{len(found)}"))
    return found


def is_part(name: str, names: Iterable[str]) -> bool:
    """Whether a name is of a test, or the standard error of another."""
    return name.startswith("test/") or name.removesuffix("_stderr") in set(names) - {name}


def title_of(name: str) -> str:
    """A name without its split."""
    return name.removeprefix("train/").removeprefix("val/")


def draw_one(name: str, of: str, runs: Mapping[int, Run], prefix: str) -> Curve:
    """The figure of one metric of some runs: training thin and validation thick."""
    lines = [line for k, run in runs.items() for line in lines_of(k, run, name)]
    with mpl.rc_context(STYLE):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(5.4, 3.1), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        notes = plot(axes, lines)
        axes.set_xlabel("training step")
        axes.set_ylabel(name)
        svg = drawn(figure, prefix)
    notes += [
        f"{runs[line.run].name}: {line.lost} values of {line.name} are not finite numbers."
        for line in lines
        if line.lost
    ]
    return Curve(name + of, svg, describe(name + of, lines, runs), tuple(notes))


def lines_of(k: int, run: Run, title: str) -> Iterator[Line]:
    """The curves of a run under one title: of training, of validation, or both."""
    curves = run.metrics.curves
    for name, points in curves.items():
        if title_of(name) == title and not is_part(name, curves):
            finite = {step: value for step, value in points.items() if math.isfinite(value)}
            stderr = curves.get(f"{name}_stderr", {})
            yield Line(k, name, finite, stderr, len(points) - len(finite))


def describe(title: str, lines: Sequence[Line], runs: Mapping[int, Run]) -> str:
    """Where every curve ends, in words."""
    ends = [
        f"{line.name} of {runs[line.run].name} ends at {[*line.points.values()][-1]:.4g}"
        for line in lines
        if line.points
    ]
    return f"{title} by training step: {'; '.join(ends) or 'no finite values'}"


def plot(axes: Axes, lines: Sequence[Line]) -> list[str]:
    """Draws curves, and returns what there is to say about how."""
    both = {line.split for line in lines} >= {"train", "val"}
    for line in lines:
        plot_line(axes, line, thin=both and line.split == "train")
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    averaged = max((line.width for line in lines), default=1)
    notes = [f"Each point of a long curve is the mean of {averaged} values."]
    return (notes if averaged > 1 else []) + frame(axes, lines)


def plot_line(axes: Axes, line: Line, thin: bool) -> None:
    """Draws one curve, with a band of one standard error where there is one."""
    steps, values = thinned(line.points, line.width)
    few = len(steps) <= (1 if thin else 40)
    axes.plot(
        steps, values, color=colour(line.run), linestyle=DASHES[line.run // COLOURS % len(DASHES)],
        linewidth=0.9 if thin else 1.7 if few else 1.2, alpha=0.55 if thin else 1.0,
        marker="o" if few else None, markersize=2.8,
    )  # fmt: skip
    if line.stderr and line.width == 1:
        errors = [line.stderr.get(step, 0.0) for step in line.points]
        low = [v - e for v, e in zip(values, errors, strict=True)]
        high = [v + e for v, e in zip(values, errors, strict=True)]
        axes.fill_between(steps, low, high, color=colour(line.run), alpha=0.15, linewidth=0)


def frame(axes: Axes, lines: Sequence[Line]) -> list[str]:
    """Leaves a steep beginning outside the frame, where it would flatten all that follows."""
    every = [v for line in lines for v in line.points.values()]
    late = [v for line in lines for s, v in line.points.items() if s >= 0.1 * max(line.points)]
    if not late:
        return []
    span = max(late) - min(late)
    if not 0 < 2.5 * span < max(every) - min(every):
        return []
    axes.set_ylim(min(late) - 0.06 * span, max(late) + 0.06 * span)
    return ["The beginning lies outside the frame."]


def thinned(points: Points, width: int) -> tuple[list[float], list[float]]:
    """Steps and values of a curve, or the means of `width` of them at a time."""
    pairs = list(points.items())
    groups = [pairs[i : i + width] for i in range(0, len(pairs), width)]
    steps = [sum(s for s, _ in group) / len(group) for group in groups]
    return steps, [sum(v for _, v in group) / len(group) for group in groups]


def colour(run: int) -> str:
    """What stands for a run's colour in the drawing."""
    return f"#0f00{run % COLOURS + 0xA0:02x}"


def drawn(figure: Figure, prefix: str) -> Markup:
    """The drawing as an element of the page, in its colours and letters; its ids are its own."""
    buffer = io.StringIO()
    with warnings.catch_warnings():  # letters that matplotlib's font lacks, the reader's may have
        warnings.filterwarnings("ignore", message="Glyph")
        FigureCanvasSVG(figure).print_svg(
            buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = re.sub(r"<style.*?</style>|font-family: [^;]*; ", "", buffer.getvalue(), flags=re.DOTALL)
    view = re.search(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', text)
    assert view is not None
    text = f'<svg viewBox="{view[1]}" aria-hidden="true">' + text[view.end() :]
    text = re.sub(r'(id="|href="#|url\(#)', rf"\1{prefix}-", text)
    variables = {INK: "currentColor", FAINT: "var(--rule)"}
    variables |= {colour(k): f"var(--run-{k})" for k in range(COLOURS)}
    for stand_in, variable in variables.items():
        text = text.replace(stand_in, variable)
    return Markup(text)
