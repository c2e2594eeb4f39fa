"""Trains models to their published log-likelihoods, and notes what came out.

    python -m benchmarks.reproduce                 what there is to reproduce
    python -m benchmarks.reproduce NAME...         trains and tests each, on one core
    python -m benchmarks.reproduce NAME --run RUN  tests a run of that config trained before

A row goes into results/reproduce.json, or reproduce_likelihood.json, as soon as it is there.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import record
from genlit.runs import new_folder, read_results

NOTE = (
    "MNIST's 10,000 test images; one seed each, on one core of a machine that others used, too, so "
    "that training is given in CPU time"
)


class Row(NamedTuple):
    """Something published."""

    config: str
    overrides: tuple[str, ...]
    published: str


ONE_SAMPLE = "--model.objective=genlit.vae.ELBO"
ORDINARY, INVERTED = "--model.gradient=genlit.boltzmann.Ordinary", "--data.invert=true"
FIRST = "--trainer.max_epochs=60"  # the first of the DBN's stages
LONG = ("--model.epochs=[160,130,10]", "--model.rates=[1,1,0.5]")  # the last one is up-down
BOLTZMANN = {
    "rbm": Row("reproduce/rbm", (), "-86.34 (Salakhutdinov & Murray, 2008)"),
    "rbm16": Row("reproduce/rbm16", (), "-142.56 (PyDeep)"),
    "rbm16-ordinary": Row("reproduce/rbm16", (ORDINARY,), "-149.05 (PyDeep)"),
    "rbm16-inverted": Row("reproduce/rbm16", (INVERTED,), "-142.09 (PyDeep)"),
    "rbm16-ordinary-inverted": Row(
        "reproduce/rbm16", (ORDINARY, INVERTED), "-183.36 (PyDeep)"
    ),
    "dbn-first": Row("reproduce/dbn", (FIRST,), "-86.34, the first layer alone"),
    "dbn": Row("reproduce/dbn", (), "about -84.55, estimate (Salakhutdinov & Murray, 2008)"),
    "dbn-long-first": Row(
        "reproduce/dbn", (*LONG, "--trainer.max_epochs=160"), "-86.34, the first layer alone"
    ),
    "dbn-long": Row(
        "reproduce/dbn", (*LONG, "--trainer.max_epochs=300"),
        "about -84.55, estimate (Salakhutdinov & Murray, 2008)",
    ),
    "dbm": Row("reproduce/dbm", (), "-84.62, bound (Salakhutdinov & Hinton, 2009)"),
    "bm": Row("bm", (), "none"),
    "bm4": Row("reproduce/bm4", (), "none"),
}  # fmt: skip
LIKELIHOOD = {
    "vae": Row("reproduce/vae", (), "-86.76 (Burda et al., 2016)"),
    "iwae": Row("reproduce/iwae", (), "-84.78 (Burda et al., 2016)"),
    "iwae-elbo": Row("reproduce/iwae", (ONE_SAMPLE,), "-86.76 (Burda et al., 2016)"),
    "made": Row("reproduce/made", (), "-88.40, static, from memory (Germain et al., 2015)"),
    "pixelcnn": Row("reproduce/pixelcnn", (), "-81.30, static, from memory (Oord et al., 2016)"),
    "realnvp": Row("reproduce/realnvp", (), "1.06 bits/dim, from memory (Dinh et al., 2017)"),
    "gsn": Row("reproduce/gsn", (), "Parzen 214, grey (Bengio et al., 2014)"),
}  # fmt: skip
SHEETS = {"reproduce": BOLTZMANN, "reproduce_likelihood": LIKELIHOOD}  # files of results
ROWS = BOLTZMANN | LIKELIHOOD


def main() -> None:
    """Reproduces what is named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reproduce", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", choices=[*ROWS, []], metavar="NAME")
    parser.add_argument("--run", type=Path, help="a run of this config that was trained before")
    options = parser.parse_args()
    if options.run is not None and len(options.names) != 1:
        parser.error("--run is of one NAME")
    for name in options.names:
        note_down(name, options.run or train(name))
    if not options.names:
        for name, row in ROWS.items():
            print(f"{name:<26} {row.published:<55} genlit fit -c {command(row)}")


def command(row: Row) -> str:
    """What is to be typed after `genlit fit -c`."""
    return " ".join([row.config, *row.overrides])


def train(name: str) -> Path:
    """Trains a row; returns its run folder."""
    run = new_folder(f"reproduce-{name}") / "run"
    genlit("fit", "-c", ROWS[name].config, *ROWS[name].overrides, "--run_dir", str(run))
    (run / "cpu_seconds").write_text(str(round(spent())))
    return run


def note_down(name: str, run: Path) -> None:
    """Tests a run, and writes its row beside those there are."""
    before = spent()
    genlit("test", str(run))
    document = read_results(run)[-1]
    row = {
        "name": name,
        "command": f"genlit fit -c {command(ROWS[name])}",
        "published": ROWS[name].published,
        "fit_cpu_seconds": int((run / "cpu_seconds").read_text()),
        "test_cpu_seconds": round(spent() - before),
        "curve": curve(run),
        **{key: document[key] for key in ("model", "seed", "metrics")},
    }
    add(row)


def add(row: dict[str, Any]) -> None:
    """Writes a row into its file of results, in place of one of that name."""
    sheet = next(sheet for sheet, rows in SHEETS.items() if row["name"] in rows)
    kept = record.read(sheet)["rows"] if (record.RESULTS / f"{sheet}.json").exists() else []
    rows = {r["name"]: r for r in kept} | {row["name"]: row}
    ordered = [rows[n] for n in SHEETS[sheet] if n in rows]
    seconds = sum(r["fit_cpu_seconds"] + r["test_cpu_seconds"] for r in ordered)
    record.write(sheet, "python -m benchmarks.reproduce NAME", seconds, ordered, NOTE)


def curve(run: Path, points: int = 20) -> dict[str, list[list[float]]]:
    """What validation found, as [epoch, value] of some epochs evenly spaced."""
    found: dict[str, list[list[float]]] = {}
    with (run / "metrics.csv").open() as file:
        for line in csv.DictReader(file):
            if line["name"].startswith("val/"):
                point = [int(line["epoch"]) + 1, round(float(line["value"]), 3)]
                found.setdefault(line["name"], []).append(point)
    return {name: every[:: -(-len(every) // points)] for name, every in found.items()}


def spent() -> float:
    """CPU seconds of the processes that were run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def genlit(*args: str) -> None:
    """Runs a genlit command on one core.

    Raises:
        SystemExit: If it fails.
    """
    print(f"$ genlit {' '.join(args)}", flush=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if subprocess.run([sys.executable, "-m", "genlit", *args], env=environment).returncode:
        raise SystemExit(f"`genlit {' '.join(args)}` failed, {time.strftime('%H:%M')}")


if __name__ == "__main__":
    main()
