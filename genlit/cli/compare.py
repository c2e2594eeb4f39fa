"""`genlit compare`: one task set to several runs, beside baselines."""

import argparse
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import CommandParser, own_options

if TYPE_CHECKING:  # imported where there is something to compare
    from rich.table import Table
    from rich.text import Text

    from genlit.cli.place import Place
    from genlit.tasks.comparison import Comparison, Entrant, Row
    from genlit.tasks.task import Task

HEADING = 12  # characters a line in the head of a column

DESCRIPTION = """\
Set one task to the models of several runs, of whatever family, and to baselines that have learned
nothing but the data: the least that a model should beat. All of them get the same problems, which
are of the data that the runs were trained on; runs of other data cannot be compared. Prints a table
of the scores with their standard errors over the problems and the CPU seconds that answering took,
with the best of each column in bold (oracles, which know the truth, do not count), and one of how
all differ from the first run, problem by problem, which tells more than two errors do. Writes a
folder with comparison.json, comparison.html, and picture.png with some problems and the answers of
all.
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
    for entrant in entrants:
        task.require(entrant.model)
    data = load_data(places[0])
    refuse_other_problems(task, places, data, options)
    conclude(task, entrants, data, options)


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = CommandParser("compare", DESCRIPTION, EXAMPLES)
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
    print_tables(task, found, options.seed, getattr(data, "protocol", ""))
    folder = options.out or new_folder(f"compare-{task.name}")
    picture = task.picture(found.problems, found.answers)
    write_once(folder, told, page(told, picture), picture)
    print(folder)


def print_tables(task: "Task", found: "Comparison", seed: int, protocol: str) -> None:
    """Prints a line for each solver, and published numbers apart from them."""
    from rich.console import Console
    from rich.text import Text

    from genlit.report.numbers import difference, with_error

    console = Console(width=200, soft_wrap=True, highlight=False)
    source = found.problems.source
    of = f", {protocol}" if protocol and protocol not in source else ""
    facts = f"  {len(found.problems)} problems: {source}{of}; seed {seed}"
    console.print(Text.assemble((task.name, "bold"), facts))
    scores = table_of(found)
    scores.add_column("CPU s", justify="right")
    for row in found.rows:
        mine = {score.name: score for score in row.scores if score.n}
        cells = [
            Text(with_error(mine[c.name].mean, mine[c.name].stderr),
                 "bold" if row.name in found.best[c.name] else "")
            if c.name in mine else Text("–") for c in found.columns
        ]  # fmt: skip
        scores.add_row(called(row), *cells, f"{row.cpu_seconds:.2g}")
    console.print(scores)
    if [row.kind for row in found.rows].count("model") > 1:
        console.print(f"differences to {found.rows[0].name}, problem by problem", style="bold")
        gaps = table_of(found)
        for row in found.rows[1:]:
            theirs = found.differences(row)
            gaps.add_row(called(row), *(
                difference(gap.mean, gap.stderr) if gap and gap.n else "–"
                for gap in (theirs.get(c.name) for c in found.columns)
            ))  # fmt: skip
        console.print(gaps)
    for number in task.published:
        line = f"published: {number.who} {number.score} {number.value:g}, {number.source}"
        console.print(line, style="bright_black", markup=False)


def table_of(found: "Comparison") -> "Table":
    """A table with a column for each score, its name over several lines where it is long."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("")
    for score in found.columns:
        words = wrap(score.name.replace("_", "_ ") + (score.unit and f", {score.unit}"), HEADING)
        table.add_column("\n".join(words).replace("_ ", "_"), justify="right", vertical="bottom")
    return table


def called(row: "Row") -> "Text":
    """What a row is called: which state of which run, or that it is no model."""
    from rich.text import Text

    facts = row.facts
    state = f"{facts['checkpoint']} of epoch {facts['epoch']}" if facts else row.kind
    return Text.assemble(row.name, (f"  {state}", "bright_black"))
