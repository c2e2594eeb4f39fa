"""Filling in the gaps of a table that a model has learned from."""

import argparse
from typing import Any

import torch
from torch import Tensor

from genlit.cli.asking import ask_for_imputations
from genlit.cli.judging import drawn, report
from genlit.cli.outputs import Output
from genlit.cli.place import Place, load_data
from genlit.data.array_files import filled_csv
from genlit.data.incomplete import IncompleteData, IncompleteVectors
from genlit.randomness import permutation


def fill_gaps(options: argparse.Namespace, place: Place, model: Any) -> None:
    """Fills in a table's gaps, writes it in its own units, and says what was done.

    The model sees every entry that there is. Where the run hid some, it is asked once more without
    these, and what it says of them is compared with the truth.

    Raises:
        ValueError: If the run's data have no gaps, and their gaps are asked for.
    """
    data = load_data(place)
    if not isinstance(data, IncompleteData) or options.file is not None:
        raise ValueError(
            "--mask data takes the gaps of the data of a run, and there are none: give another mask"
        )
    source = data.path if isinstance(data, IncompleteVectors) else None
    source = source if source is not None and source.suffix == ".csv" else None
    output = Output(options.out, place.folder, "impute", also=["csv"] if source else [])
    rows = chosen_rows(options, len(data.events(options.split)))
    x, table = data.events(options.split, rows), data.table()[rows]
    there, shown = x.isfinite(), data.observed[options.split][rows]
    own = own_units(data, table, asked(options, model, x, there))
    stem = output.save(own[:, 0] if options.draws == 1 else own, x, 1)
    if source is not None:
        file = stem.with_name(f"{stem.name}.csv")
        file.write_text(filled_csv(source, rows, own))
        print(file)
    gaps, hidden = int((~there).sum()), int((there & ~shown).sum())
    print(f"{len(x)} rows: {gaps} gaps filled in, {drawn(options.draws)}; the "
          f"{int(there.sum())} entries that are known stay as they are")  # fmt: skip
    if hidden:
        judge(options, model, data, x, shown)
    else:
        print("nothing was hidden on purpose (data.missing), so that there is no truth to judge by")


def judge(
    options: argparse.Namespace, model: Any, data: IncompleteData, x: Tensor, shown: Tensor
) -> None:
    """Prints how well a model fills in the entries of x (n, D) that are known and were hidden."""
    hidden = x.isfinite() & ~shown
    print(f"judged by {int(hidden.sum())} entries that the run hid on purpose (data.missing "
          f"{data.missing:g}), without seeing them:")  # fmt: skip
    unit = "columns have deviation 1" if data.standardize else "in the table's own units, squared"
    report(x, hidden, asked(options, model, x, shown), "hidden entry", "rows", f"; {unit}")


def asked(options: argparse.Namespace, model: Any, x: Tensor, known: Tensor) -> Tensor:
    """A model's draws given what is known of x (n, D), (n, draws, D)."""
    draws = [ask_for_imputations(model, x, known, d, options.seed) for d in range(options.draws)]
    return torch.stack(draws, 1)


def own_units(data: IncompleteData, table: Tensor, answers: Tensor) -> Tensor:
    """A table (n, D) with its gaps filled in from answers (n, draws, D) in a model's units."""
    table = table.unsqueeze(1)
    return torch.where(table.isfinite(), table, answers.double() * data.scale + data.offset)


def chosen_rows(options: argparse.Namespace, n: int) -> Tensor:
    """The rows that --n and --seed mean, in their order in the table; all without --n."""
    drawn_rows = permutation(n, "events", options.seed)[: options.n]
    return drawn_rows.sort().values
