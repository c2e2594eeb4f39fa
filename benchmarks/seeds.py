"""What one training comes to under several seeds: a row of a sheet of results."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks import record
from benchmarks.reproduce import curve, genlit, spent
from genlit.runs import new_folder, read_results


class Sheet(NamedTuple):
    """A file of results whose rows are means over seeds."""

    name: str  # results/NAME.json
    command: str
    note: str
    order: Sequence[str]  # the names of its rows

    def rows(self) -> dict[str, dict[str, Any]]:
        """What there is, by name."""
        exists = (record.RESULTS / f"{self.name}.json").exists()
        return {row["name"]: row for row in record.read(self.name)["rows"]} if exists else {}

    def done(self, name: str) -> set[int]:
        """The seeds that a row has."""
        return {s["seed"] for s in self.rows().get(name, {}).get("seeds", [])}

    def add(self, name: str, about: dict[str, Any], came: dict[str, Any]) -> None:
        """Writes what one seed came to, in place of what that seed had.

        Args:
            name: The row.
            about: What else is to be said of it.
            came: What `trained` returned.
        """
        rows = self.rows()
        seeds = {s["seed"]: s for s in rows.get(name, {}).get("seeds", [])} | {came["seed"]: came}
        every = [seeds[seed] for seed in sorted(seeds)]
        rows[name] = {"name": name, **about, "metrics": summary(every), "seeds": every}
        ordered = [rows[name] for name in self.order if name in rows]
        seconds = sum(
            s["fit_cpu_seconds"] + s["test_cpu_seconds"] for row in ordered for s in row["seeds"]
        )
        record.write(self.name, self.command, seconds, ordered, self.note)


def trained(words: Sequence[str], folder: str, seed: int) -> dict[str, Any]:
    """Trains and tests a model; returns what came out.

    Args:
        words: The options of `genlit fit`, but for the seed of the run.
        folder: What its folder is called.
        seed: The seed of the run.
    """
    run, before = new_folder(folder) / "run", spent()
    genlit("fit", *words, f"--seed_everything={seed}", "--run_dir", str(run))
    fitted = spent()
    genlit("test", str(run))
    metrics = read_results(run)[-1]["metrics"]
    return {
        "seed": seed,
        "fit_cpu_seconds": round(fitted - before),
        "test_cpu_seconds": round(spent() - fitted),
        "curve": curve(run),
        "metrics": {m["name"]: m["value"] for m in metrics},
        "stderr": {m["name"]: m["stderr"] for m in metrics},
        "details": {m["name"]: m["details"] for m in metrics},
    }


def summary(seeds: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation over seeds of every metric."""
    found = {}
    for name in seeds[0]["metrics"]:
        values = [s["metrics"][name] for s in seeds]
        spread = statistics.stdev(values) if len(values) > 1 else None
        found[name] = {"mean": statistics.fmean(values), "sd": spread}
    return found
