"""`genlit sweep`: runs a W&B sweep file on this machine."""

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from genlit.cli.arguments import CommandParser, positive
from genlit.runs import RunError, new_folder

if TYPE_CHECKING:
    from genlit.sweep import Sweep
    from genlit.sweep.search import Search

HOME = Path("runs/sweeps")

DESCRIPTION = """\
Run a W&B sweep file on this machine, without W&B: many trials of one experiment, each its own
process with its own run folder. `wandb sweep FILE` takes the same file.
"""

MANUAL = """\
the file
  method            grid: all combinations, in order (no --count needed); random; bayes:
                    Optuna's Gaussian process, or with early_terminate its TPE
  metric            {name: val/loss, goal: minimize or maximize, target: 90}; a trial's value is the
                    last one in its metrics.csv, or else its results.json has it as split/name;
                    at the target no new trial is started
  parameters        NAME: {value: 3}                                  the same in all trials
                    NAME: {values: [64, 256], probabilities: [...]}   one of these
                    NAME: {min: 1, max: 9} or {min: 0.0, max: 0.5}    uniform, whole or real
                    NAME: {distribution: log_uniform_values, min: 0.001, max: 1.0}
                    distributions: constant, categorical, int_uniform, uniform, log_uniform (bounds
                    are natural logarithms), log_uniform_values, inv_log_uniform,
                    inv_log_uniform_values, normal, log_normal (both by mu and sigma), and with q_
                    before them uniform, log_uniform, log_uniform_values, normal, log_normal:
                    rounded to multiples of q, whole numbers where q is written as one
                    NAME is an option of `genlit fit` without hyphens: model.hidden,
                    model.optimizer.lr; `parameters:` inside a parameter adds a dot
  command           the words that start a trial; ${args} becomes --NAME=VALUE ..., and so do
                    ${args_no_hyphens}, ${args_no_equals} and the other macros of W&B in their ways;
                    python is the Python that runs genlit; `--run_dir FOLDER` is added at the end
  early_terminate   {type: hyperband, min_iter: 3, eta: 3}: when a trial has given 3, 9, 27, ...
                    values of the metric, it goes on only if it is among the best third of those
                    that came so far; or max_iter and s instead of min_iter; strict
                    changes nothing
  run_cap           the most trials there may be

the folder (runs/sweeps/<file>/<time>, or --dir)
  sweep.yaml        a copy of the file
  journal.log       the search, in Optuna's journal format
  trial-0000/       a run as `genlit fit` makes it: config.yaml, metrics.csv, checkpoints ...
  trial-0000.log    what it printed
  heatmap.png       of a grid over two parameters: the metric at every pair of their values, and if
                    there is a third one that is a seed, its mean; pairs without a trial are hatched

A trial that fails counts, and the sweep goes on; if all fail, the exit code is 1. After Ctrl-C or a
crash, --resume goes on: trials that were running are repeated, those that were finished are kept.

  genlit sweep rbm --count 20 --jobs 2     sweeps/rbm.yaml, or the one that genlit brings along
  genlit sweep rbm --resume                go on with the newest sweep of that file
  genlit sweep --resume runs/sweeps/rbm/20250101-120000 --count 40
"""


def main(args: list[str]) -> None:
    """Runs a sweep, and prints its trials."""
    options = parser().parse_args(args)
    from genlit.sweep import read
    from genlit.sweep.runner import Runner, locked
    from genlit.sweep.search import Search
    from genlit.sweep.table import print_trials

    file, folder = places(options.file, options.dir, options.resume)
    sweep = read(file)
    if folder is None or not is_sweep(folder):
        check_count(sweep, options.count, file)
    folder = prepare(file, folder)
    with locked(folder):
        search = Search(sweep, folder / "journal.log", options.count, options.seed)
        try:
            Runner(search, folder, options.jobs).run()
        finally:
            print_trials(search, folder)
            draw_heatmap(search, folder)
    raise_if_all_failed(search, folder)


def parser() -> argparse.ArgumentParser:
    """The options, and the manual."""
    made = CommandParser("sweep", DESCRIPTION, MANUAL)
    made.add_argument("file", nargs="?", metavar="FILE", help="a W&B sweep file, or its name")
    made.add_argument(
        "--count", type=positive, metavar="N",
        help="how many trials in all; those of an earlier part of the same sweep count",
    )  # fmt: skip
    made.add_argument(
        "--jobs", type=positive, default=1, metavar="J",
        help="how many trials run at once, each with its share of the cores (default: 1)",
    )  # fmt: skip
    made.add_argument(
        "--dir", type=Path, metavar="DIR",
        help="the sweep's folder; if it holds this sweep already, go on with it",
    )  # fmt: skip
    made.add_argument(
        "--resume", nargs="?", type=Path, const=True, metavar="DIR",
        help="go on with the sweep in DIR, or with the newest one of FILE",
    )  # fmt: skip
    made.add_argument("--seed", type=int, help="seed of the search (default: 0)")
    return made


def places(
    file: str | None, folder: Path | None, resume: Path | Literal[True] | None
) -> tuple[Path, Path | None]:
    """The sweep file that is meant, and its folder; None where a new one is to be made.

    Raises:
        RunError: If one of them is not there, or not named.
    """
    if isinstance(resume, Path):
        folder = resume
        if not is_sweep(folder):
            raise RunError(f"{folder} is no sweep's folder: it has no journal.log")
    if file is None:
        if folder is None or not is_sweep(folder):
            raise RunError("name a sweep file, or the folder of a sweep with --resume DIR")
        return folder / "sweep.yaml", folder
    from genlit.cli.shipped import find

    path = find(file, "sweeps")
    if folder is None and resume:
        old = [p for p in (HOME / path.stem).glob("*") if is_sweep(p)]
        if not old:
            raise RunError(f"there is no sweep of {file} in {HOME / path.stem} to go on with")
        folder = max(old, key=os.path.getmtime)
    return path, folder


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep that was begun."""
    return (folder / "sweep.yaml").is_file() and (folder / "journal.log").is_file()


def check_count(sweep: "Sweep", count: int | None, file: Path) -> None:
    """Refuses a search without an end."""
    if sweep.method != "grid" and count is None and sweep.run_cap is None:
        raise RunError(
            f"{sweep.method} search goes on for ever: say how many trials with --count N, or with "
            f"run_cap in {file}"
        )


def prepare(file: Path, folder: Path | None) -> Path:
    """Makes the sweep's folder with a copy of its file; one that exists must hold the same sweep.

    Raises:
        RunError: If the folder holds something else.
    """
    if folder is None:
        folder = new_folder(file.stem, HOME)
    copy = folder / "sweep.yaml"
    if not is_sweep(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{folder} is not empty and no sweep's folder: take another --dir")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        (folder / "journal.log").touch()
    elif yaml.safe_load(file.read_text()) != yaml.safe_load(copy.read_text()):
        raise RunError(
            f"{folder} holds the sweep of another file than {file}: go on with it by "
            f"`genlit sweep --resume {folder}`, or take another --dir"
        )
    return folder


def draw_heatmap(search: "Search", folder: Path) -> None:
    """Draws a grid over two parameters; what an earlier part of the sweep drew is replaced."""
    if search.sweep.method != "grid":
        return
    from genlit.sweep.heatmap import heatmap, save

    if (chart := heatmap(search)) is not None:
        save(chart, folder / "heatmap.png")
        print(f"heat map: {folder / 'heatmap.png'}")


def raise_if_all_failed(search: "Search", folder: Path) -> None:
    """Ends with an error if there were trials, and no trial gave anything."""
    trials = search.trials()
    errors = [t.user_attrs["error"] for t in trials if "error" in t.user_attrs]
    if errors and not any(t.state.name in ("COMPLETE", "PRUNED") for t in trials):
        raise RunError(f"all {len(errors)} trials of {folder} failed, the last with {errors[-1]}")
