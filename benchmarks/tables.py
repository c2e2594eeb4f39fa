"""Puts the measured numbers into README and docs, between the marks that name their file.

python -m benchmarks.tables          rewrites the tables
python -m benchmarks.tables --check  fails if one is stale
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.record import footer
from benchmarks.seed_tables import adversarial, application, semi_supervised

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"(<!-- table: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def number(value: float, stderr: float | None) -> str:
    """A value with as many digits as its standard error has meaning for."""
    if not stderr:
        return f"{value:.2f}"
    digits = 1 if stderr >= 1 else 2
    return f"{value:.{digits}f} ± {stderr:.{digits}f}"


def demo(document: dict[str, Any]) -> str:
    """One row a measurement of the demo."""
    lines = [
        "| model | metric | value | unit | kind | n | training |",
        "|---|---|--:|---|---|--:|--:|",
    ]
    for row in document["rows"]:
        for m in row["metrics"]:
            lines.append(
                f"| {row['model'].rpartition('.')[2]} | `{m['name']}` "
                f"| {number(m['value'], m['stderr'])} | {m['unit']} | {m['kind']} | {m['n']:,} "
                f"| {row['fit_seconds']} s |"
            )
    return "\n".join([*lines, "", *partitions(document), footer(document)])


def partitions(document: dict[str, Any]) -> list[str]:
    """What annealing found for log Z, from below and from above."""
    found = []
    for row in document["rows"]:
        for details in (m["details"] for m in row["metrics"] if "log_partition" in m["details"]):
            forward, reverse = (
                number(details[name], details[f"{name}_stderr"])
                for name in ("log_partition", "log_partition_reverse")
            )
            size = f"{details['effective_sample_size']:.0f}"
            found.append(
                f"log Z of {row['config']}: {forward} forward (effective sample size {size}), "
                f"{reverse} in reverse."
            )
    return [*found, ""]


def step(document: dict[str, Any]) -> str:
    """One row a comparison of training steps."""
    lines = ["| step | against | genlit / peer | middle half |", "|---|---|--:|--:|"]
    for row in document["rows"]:
        low, high = row["middle_half"]
        lines.append(
            f"| {row['step']} | {row['peer']} | {row['ratio']:.2f} | {low:.2f} to {high:.2f} |"
        )
    return "\n".join([*lines, "", footer(document)])


def reproduce(document: dict[str, Any]) -> str:
    """One row a measurement of a model that was trained to a published number."""
    lines = [
        "| `genlit fit -c` | metric | value, nats | published | training | test |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in document["rows"]:
        what = row["command"].removeprefix("genlit fit -c ")
        cost = [f"{row[f'{part}_cpu_seconds'] / 60:.0f} min" for part in ("fit", "test")]
        for m in row["metrics"]:
            value = number(m["value"], m["stderr"])
            if m["name"].endswith("dequantized"):  # real numbers, whose nats depend on their unit
                value += f"; {m['details']['bits_per_dim']:.3f} bits/dim"
            lines.append(
                f"| `{what}` | `{m['name']}` ({m['kind']}) | {value} "
                f"| {row['published']} | {' | '.join(cost)} |"
            )
    trusted = [
        f"- `{row['name']}`: {summary}."
        for row in document["rows"]
        for summary in {m["details"].get("summary") for m in row["metrics"]} - {None}
    ]
    return "\n".join([*lines, "", *trusted, "", footer(document)])


def boltzmann(document: dict[str, Any]) -> str:
    """One row a comparison with a peer."""
    lines = [
        "| what | against | genlit | peer | ratio | middle half |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in document["rows"]:
        low, high = row["middle_half"]
        mine, other = (f"{row[f'{side}_seconds']:.2g} s" for side in ("genlit", "peer"))
        lines.append(
            f"| {row['step']} | {row['peer']} | {mine} | {other} | {row['ratio']:.2f} "
            f"| {low:.2f} to {high:.2f} |"
        )
    for what, points in document["curves"].items():
        for kind, name in (("cd", "a step of CD-1"), ("ais", "a temperature of annealing")):
            grown = ", ".join(f"{p[kind]:.1f} at {n}" for n, p in points.items())
            lines += ["", f"Milliseconds of {name} by {AXES[what]}: {grown}."]
    return "\n".join([*lines, "", footer(document)])


def likelihood(document: dict[str, Any]) -> str:
    """One row a comparison of likelihood models; how each was made stands below."""
    lines = [
        "| what | against | genlit | peer | peer / genlit | middle half |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in document["rows"]:
        low, high = row["middle_half"]
        mine, other = (f"{row[f'{side}_seconds']:.3g} s" for side in ("genlit", "peer"))
        lines.append(
            f"| {row['step']} | {row['peer']} | {mine} | {other} | {row['ratio']:.3g} "
            f"| {low:.3g} to {high:.3g} |"
        )
    said = dict.fromkeys(row["said"] for row in document["rows"])
    return "\n".join([*lines, "", *(f"- {text}." for text in said), "", footer(document)])


def gan(document: dict[str, Any]) -> str:
    """One row a comparison of rounds, and one a part of FID."""
    lines = ["| round | genlit / bare loop | middle half |", "|---|--:|--:|"]
    parts = ["| part of FID | CPU seconds | share |", "|---|--:|--:|"]
    for row in document["rows"]:
        if "round" in row:
            low, high = row["middle_half"]
            lines.append(f"| {row['round']} | {row['ratio']:.3f} | {low:.3f} to {high:.3f} |")
        else:
            parts.append(f"| {row['fid_part']} | {row['seconds']:.1f} | {row['share']:.0%} |")
    return "\n".join([*lines, "", *parts, "", footer(document)])


AXES = {"hidden": "hidden units", "batch": "images or chains"}
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "demo": demo, "step": step, "boltzmann": boltzmann,
    "reproduce": reproduce, "reproduce_likelihood": reproduce, "likelihood": likelihood,
    "adversarial": adversarial, "gan": gan, "semi_supervised": semi_supervised,
}  # fmt: skip


def renewed(text: str) -> str:
    """A page with all of its tables made anew."""

    def table(match: re.Match[str]) -> str:
        make = application if match["name"].startswith("application_") else TABLES[match["name"]]
        made = make(record.read(match["name"]))
        return f"{match[1]}{made}\n{match[3]}"

    return MARK.sub(table, text)


def main() -> None:
    """Rewrites the tables, or says which are stale."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    stale = [page for page in pages if renewed(page.read_text()) != page.read_text()]
    if "--check" in sys.argv[1:]:
        if stale:
            raise SystemExit(f"stale: {', '.join(map(str, stale))}: python -m benchmarks.tables")
        return
    for page in stale:
        page.write_text(renewed(page.read_text()))
        print(page)


if __name__ == "__main__":
    main()
