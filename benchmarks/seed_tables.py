"""Tables of what was trained under several seeds."""

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.record import footer
from genlit.report.numbers import rounded, rounded_error


def adversarial(document: dict[str, Any]) -> str:
    """Games of the same metrics together; over seeds."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in document["rows"]:
        groups.setdefault(tuple(row["metrics"]), []).append(row)
    lines = []
    for rows in groups.values():
        lines += [*(one_game(rows[0]) if len(rows) == 1 else games(rows)), ""]
    return "\n".join([*lines, footer(document)])


def games(rows: list[dict[str, Any]]) -> list[str]:
    """One row a game, one column a metric."""
    heads = " | ".join(f"`{name}`" for name in rows[0]["metrics"])
    columns = "--:|" * len(rows[0]["metrics"])
    lines = [f"| game | {heads} | published | seeds | training |", f"|---|{columns}---|--:|--:|"]
    for row in rows:
        cells = " | ".join(with_error(m["mean"], m["sd"]) for m in row["metrics"].values())
        published, seeds = row["published"] or "-", len(row["seeds"])
        lines.append(f"| {row['title']} | {cells} | {published} | {seeds} | {minutes(row)} |")
    return lines


def one_game(row: dict[str, Any]) -> list[str]:
    """One row a metric."""
    n = len(row["seeds"])
    title = f"{row['title']}: {n} seed{'s' * (n != 1)}, {minutes(row)} each"
    cells = [
        f"| `{name}` | {with_error(m['mean'], m['sd'])} |" for name, m in row["metrics"].items()
    ]
    return [f"| {title} | |", "|---|--:|", *cells]


def minutes(row: dict[str, Any]) -> str:
    """How long one seed trained."""
    return f"{statistics.fmean(s['fit_cpu_seconds'] for s in row['seeds']) / 60:.1f} min"


def semi_supervised(document: dict[str, Any]) -> str:
    """One row a model with a number of labels; over label seeds."""
    lines = [
        "| model | labels | error | published | label seeds | training |",
        "|---|--:|--:|---|--:|--:|",
    ]
    for row in document["rows"]:
        error = row["metrics"]["classification_error"]
        spread = f" ± {100 * error['sd']:.2f}" if error["sd"] else ""
        lines.append(
            f"| {row['title']} | {row['labels']:,} | {100 * error['mean']:.2f}{spread} % "
            f"| {row['published'] or '-'} | {len(row['seeds'])} | {minutes(row)} |"
        )
    commands = [f"- {row['title']}: `{row['command']}`" for row in document["rows"]]
    return "\n".join([*lines, "", *commands, "", footer(document)])


def application(document: dict[str, Any]) -> str:
    """One row a solver of an application's task, one column a score; over seeds."""
    first = document["rows"][0]
    scores = {m["score"]: m for row in first["rows"] for m in row["metrics"]}
    heads = [f"`{name}{m['unit'] and ', ' + m['unit']}`" for name, m in scores.items()]
    lines = [
        f"| solver | {' | '.join(heads)} | training |",
        f"|---|{'--:|' * (len(heads) + 1)}",
    ]
    for k in range(len(first["rows"])):
        lines.append(solver([one["rows"][k] for one in document["rows"]], scores))
    models = [row for row in first["rows"] if row["kind"] == "model"]
    lines += ["", *(f"- {row['name']}: `{row['command']}`" for row in models)]
    for p in first["published"]:
        lines.append(f"- <small>published, with budgets and details of its own: {p['who']}, "
                     f"`{p['score']}` {p['value']:g}; {p['source']}</small>")  # fmt: skip
    seeds = ", ".join(str(one["seed"]) for one in document["rows"])
    facts = f"`{first['task']}`, {first['problems']:,} problems: {first['source']}; seeds {seeds}."
    return "\n".join([*lines, "", facts, "", footer(document)])


def solver(seeds: list[dict[str, Any]], scores: Iterable[str]) -> str:
    """A row of a solver, of what came of it under each seed."""
    row = seeds[0]
    cells = [over_seeds([m for s in seeds for m in s["metrics"] if m["score"] == name])
             for name in scores]  # fmt: skip
    trained = statistics.fmean(s.get("fit_cpu_seconds", 0) for s in seeds) / 60
    cost = f"{trained:.1f} min" if row["kind"] == "model" else "-"
    what = {"model": row.get("model"), "baseline": "", "oracle": "oracle"}[row["kind"]]
    name = f"{row['name']} ({what})" if what else row["name"]
    return f"| {name} | {' | '.join(cells)} | {cost} |"


def over_seeds(found: list[dict[str, Any]]) -> str:
    """The mean over seeds with the deviation of one; of one seed, with its own standard error."""
    values = [m["value"] for m in found if m["n"]]
    if not values:
        return "-"  # a score that this solver has none of
    error = statistics.stdev(values) if len(values) > 1 else found[0]["stderr"]
    return with_error(statistics.fmean(values), error)


def with_error(value: float, error: float | None) -> str:
    """A mean, and the deviation of one seed or a standard error."""
    return rounded(value, error) + (f" ± {rounded_error(error)}" if error else "")
