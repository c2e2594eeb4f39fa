"""A sweep's trials as a table, and how to run the best again."""

import shlex
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from genlit.sweep.command import text
from genlit.sweep.laws import Parameter
from genlit.sweep.search import Search, interruptions

STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "interrupted",  # no trial runs when this is printed
    TrialState.WAITING: "waiting",
}


WIDTH = 1000  # nothing is cut; a narrower terminal wraps the lines


def print_trials(search: Search, folder: Path) -> None:
    """Prints one row a trial, and the best one's folder and command."""
    trials, best, metric = search.trials(), search.best(), search.sweep.metric
    again = interruptions(trials)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("trial", justify="right")
    for parameter in varying(search):
        table.add_column(parameter.name, justify="right")
    if metric:
        table.add_column(metric.name, justify="right")
    for heading in ("state", "seconds", "folder"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for trial in trials:
        marked = best is not None and trial.number == best.number
        state = "interrupted" if trial.number in again else STATES[trial.state]
        table.add_row(*row(search, trial, state), style="bold green" if marked else None)
    Console(width=WIDTH).print(f"\n{folder}", table, sep="\n", highlight=False)
    if best is not None and metric:
        place = folder / f"trial-{best.number:04d}"
        config = place / "config.yaml"
        print(f"\nbest: trial {best.number}, {metric.name} {best.value:.6g}, in {place}")
        print(f"its configuration: {config}" if config.is_file() else "it wrote no config.yaml")
        print(f"to run it again:   {shlex.join(best.user_attrs['command'])}")


def varying(search: Search) -> list[Parameter]:
    """The parameters that are not the same in all trials."""
    return [p for p in search.sweep.parameters if p.grid is None or len(p.grid) > 1]


def row(search: Search, trial: FrozenTrial, state: str) -> list[str]:
    """One trial's cells."""
    values = trial.user_attrs.get("values", {})
    cells = [str(trial.number)]
    for parameter in varying(search):
        value = values.get(parameter.name, "")
        cells.append(f"{value:.4g}" if isinstance(value, float) else text(value))
    if search.sweep.metric:
        cells.append(f"{trial.value:.6g}" if trial.value is not None else "")
    seconds = trial.user_attrs.get("seconds")
    return [*cells, state, "" if seconds is None else f"{seconds:.1f}", f"trial-{trial.number:04d}"]
