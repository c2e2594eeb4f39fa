"""Measurements as a table on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from genlit.runs import Measurement


def print_measurements(measured: Sequence[Measurement]) -> None:
    """Prints one row a measurement, and below what some of them have to say of themselves."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading, justify in (
        ("metric", "left"), ("value", "right"), ("± stderr", "right"), ("unit", "left"),
        ("kind", "left"), ("n", "right"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify, no_wrap=True)  # pyright: ignore[reportArgumentType]
    for m in measured:
        stderr = "" if m.stderr is None else f"{m.stderr:.2g}"
        table.add_row(m.key, f"{m.value:.4f}", stderr, m.unit, m.kind, f"{m.n:,}")
    Console(width=200, soft_wrap=True).print(table)
    for m in measured:
        if "summary" in m.details:
            print(f"{m.key}: {m.details['summary']}")
