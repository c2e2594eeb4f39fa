"""`genlit compare`: one task set to several runs, beside baselines."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import own_options

if TYPE_CHECKING:  # imported where there is something to compare
    from genlit.cli.place import Place
    from genlit.tasks.comparison import Comparison, Entrant
    from genlit.tasks.task import Task

DESCRIPTION = """\
Set one task to the models of several runs, of whatever family, and to baselines that have learned
nothing but the data: the least that a model should beat. All of them get the same problems, which
are of the data that the runs were trained on; runs of other data cannot be compared. Prints a table
of the scores with their standard errors over the problems, best first in each column in bold, and
the CPU seconds that answering took. Writes a folder with comparison.json, comparison.html, and
picture.png with some problems and the answers of all.
"""

EXAMPLES = """\
examples:
  genlit compare --task Imputation runs/rbm/20250102-030405 runs/vae/20250102-040506
  genlit compare --task Imputation --task.mask box --task.n 200 RUN RUN
  genlit compare RUN RUN                 the task of `genlit test`, beside baselines
  genlit compare --task help             the tasks there are, and their options
"""


def main(args: list[str]) -> None:
    """Compares runs."""
    options, settings = own_options(parser(), args, "--task.")
    from genlit.cli.comparing import entrants_of, task_in, task_manual, task_of
    from genlit.cli.place import load_data

    if options.task == "help":
        print(task_manual())
        return
    if not options.runs:
        raise ValueError("no run is named: genlit compare --task TASK RUN RUN")
    task = task_of(options.task, settings) if options.task else None
    places, entrants = entrants_of(options.runs, options.device)
    task = task or task_in(places[0], settings)
    data = load_data(places[0])
    refuse_other_problems(task, places, data, options)
    conclude(task, entrants, data, options)


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="genlit compare",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="a run, or a checkpoint")
    parser.add_argument(
        "--task", metavar="TASK",
        help="what is set; its options follow as --task.OPTION VALUE; help lists them all "
        "(default: what the first run's config has it examined in)",
    )  # fmt: skip
    parser.add_argument(
        "--split", choices=["test", "val", "train"], default="test",
        help="the data that problems are made of (default: test)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0,
        help="chooses problems, and draws what is random in them and in answers (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER",
        help="the folder to make (default: runs/compare-TASK/<time>)",
    )  # fmt: skip
    parser.add_argument(
        "--device", default="cpu", help="where to compute: cpu, cuda, cuda:1, mps (default: cpu)"
    )
    return parser


def refuse_other_problems(
    task: "Task", places: "list[Place]", data: Any, options: argparse.Namespace
) -> None:
    """Makes sure that all runs would be given the same problems by the data of their own.

    Raises:
        RunError: If not.
    """
    from genlit.cli.place import load_data
    from genlit.runs import RunError
    from genlit.tasks.comparison import same

    first, *others = places
    problems = task.pose(data, options.split, options.seed)
    for place in others:
        if place.config["data"] == first.config["data"]:
            continue
        theirs = load_data(place)
        alike = theirs.protocol == data.protocol and theirs.shape == data.shape
        if not alike or not same(problems, task.pose(theirs, options.split, options.seed)):
            raise RunError(
                f"{first.folder} and {place.folder} are of other data, {data.protocol} of "
                f"{tuple(data.shape)} and {theirs.protocol} of {tuple(theirs.shape)}, which pose "
                "other problems: compare runs that were trained with the same data options"
            )


def conclude(
    task: "Task", entrants: "list[Entrant]", data: Any, options: argparse.Namespace
) -> None:
    """Compares, prints the table, and writes the folder."""
    from genlit.report.task_page import document, page, write_once
    from genlit.runs import new_folder
    from genlit.tasks.comparison import compare

    found = compare(task, entrants, data, options.split, options.seed)
    told = document(task, found, data, options.split, options.seed)
    print_table(task, found)
    folder = options.out or new_folder(f"compare-{task.name}")
    picture = task.picture(found.problems, found.answers)
    write_once(folder, told, page(told, picture), picture)
    print(folder)


def print_table(task: "Task", found: "Comparison") -> None:
    """Prints a line for each solver, and published numbers apart from them."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from genlit.report.numbers import with_error

    console = Console(width=200, soft_wrap=True, highlight=False)
    console.print(Text.assemble((task.name, "bold"), f"  {len(found.problems)} problems: "
                                f"{found.problems.source}"))  # fmt: skip
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("")
    for score in found.rows[0].scores:
        table.add_column(f"{score.name}{score.unit and ', ' + score.unit}", justify="right")
    table.add_column("CPU s", justify="right")
    for row in found.rows:
        style = "" if row.facts else "italic"
        cells = [
            Text(with_error(s.mean, s.stderr), "bold" if found.best[s.name] == row.name else "")
            for s in row.scores
        ]
        table.add_row(Text(row.name, style), *cells, f"{row.cpu_seconds:.1f}")
    console.print(table)
    for number in task.published:
        line = f"published: {number.who} {number.score} {number.value:g}, {number.source}"
        console.print(line, style="bright_black", markup=False)
