"""`genlit report`: finished runs on one HTML page, and their numbers on the terminal."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genlit.cli.arguments import CommandParser

if TYPE_CHECKING:  # reading and drawing are imported when there is something to read
    from genlit.report.comparison import Metric
    from genlit.report.differences import Differences
    from genlit.report.read import Run

DESCRIPTION = """Compares finished runs on one HTML page.

The page has the measurements of all runs side by side, their differences, training curves, samples,
and where the configurations differ. It is one file that loads nothing, so it can be mailed, printed
and kept. Numbers stand in one column only where their metric, unit, kind and data protocol agree.
Log-likelihoods of runs that were tested on the same events are subtracted event by event, which
tells them apart far better than their means do.
"""

EXAMPLES = """examples:
  genlit report runs/rbm/20250102-030405
  genlit report runs/demo                      every run below runs/demo
  genlit report runs/rbm/* runs/vae/* --out rbm-or-vae.html
"""


def main(args: list[str]) -> None:
    """Writes a report and prints the measurements of its runs."""
    options = parser().parse_args(args)
    from genlit.report.comparison import comparisons, metrics
    from genlit.report.differences import differences
    from genlit.report.folders import common_parent, find_runs
    from genlit.report.page import render, save
    from genlit.report.read import read_runs

    runs = read_runs(find_runs(options.runs))
    out = options.out or common_parent(options.runs) / "report.html"
    save(render(runs), out)
    console = Console(width=200, soft_wrap=True, highlight=False)
    print_metrics(console, runs, [m for c in comparisons(metrics(runs)) for m in c.metrics])
    print_differences(console, runs, differences(runs))
    console.print(f"report of {len(runs)} run{'s' * (len(runs) != 1)}: {shown(out)}", markup=False)


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = CommandParser("report", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="a run folder, or a folder above some"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help="the HTML file; by default report.html in the folder given, or of several in the one "
        "they have in common; an older report there is replaced",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, dest="out", help=argparse.SUPPRESS)
    return parser


def print_metrics(console: Console, runs: "Sequence[Run]", every: "Sequence[Metric]") -> None:
    """Prints a table for each metric, so that only what compares shares a column."""
    width = max(len(run.name) for run in runs)
    for metric in every:
        facts = ", ".join(filter(None, [metric.unit, metric.kind, metric.protocol]))
        console.print(Text.assemble((f"{metric.split}/{metric.name}", "bold"), f"  {facts}"))
        console.print(table(metric, runs, width))
    for run in runs:
        if not run.tested:
            console.print(f"{run.name} is not tested: run `genlit test {run.folder}`", markup=False)


def table(metric: "Metric", runs: "Sequence[Run]", width: int) -> Table:
    """One metric of all runs that have it."""
    from genlit.report.numbers import with_error

    rows = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    rows.add_column(min_width=width + 2)
    rows.add_column(justify="right", min_width=17)
    rows.add_column(min_width=11)
    rows.add_column()
    rows.add_column()
    for entry in metric.entries:
        m = entry.result.measurement
        rows.add_row(
            Text(f"  {runs[entry.run].name}"), with_error(m.value, m.stderr), Text(m.kind),
            f"n = {m.n:,}", Text(runs[entry.run].state(entry.result)),
        )  # fmt: skip
    return rows


def print_differences(
    console: Console, runs: "Sequence[Run]", every: "Sequence[Differences]"
) -> None:
    """Prints a table for each set of events that several runs were tested on."""
    from genlit.report.numbers import with_error

    for group in every:
        with_whom = "" if group.all_pairs else f", with the best of {group.runs} runs"
        facts = f"{group.unit}, {group.protocol}, the same events of {group.split}{with_whom}"
        console.print(Text.assemble(("differences", "bold"), f"  {facts}"))
        rows = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
        for justify in ("left", "right", "left", "left", "left"):
            rows.add_column(justify=justify, no_wrap=True)
        for row in group.rows:
            pair = Text(f"  {runs[row.more.run].name} − {runs[row.less.run].name}")
            number = with_error(row.value, row.stderr)
            rows.add_row(pair, number, row.kind, f"n = {row.n:,}", row.remark)
        console.print(rows)


def shown(path: Path) -> Path:
    """A path relative to where the user is, if it lies below."""
    here = Path.cwd()
    return path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path
