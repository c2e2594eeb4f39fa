"""Trains the models of an application under several seeds, and compares them on its task.

    python -m benchmarks.applications                       what there is
    python -m benchmarks.applications NAME...               each under the seeds 0, 1 and 2
    python -m benchmarks.applications NAME --seeds 3 4      under other seeds, too

Runs lie in runs/applications/NAME/SEED; what is trained there already is not trained again, and
what was interrupted goes on. What came out goes into results/application_NAME.json as soon as it is
there, and the picture of the first seed into docs/pictures.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import record
from benchmarks.reproduce import genlit, spent

ROOT = Path("runs") / "applications"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
NOTE = (
    "means over seeds of training, with the standard deviation of one seed; of a single seed with "
    "the standard error over its problems; on one core of a machine that others used, too, so that "
    "training is given in CPU time"
)


class Study(NamedTuple):
    """Models that are compared on one task."""

    task: str
    settings: tuple[str, ...]  # of the task, as mask=half
    runs: dict[str, tuple[str, ...]]  # config and overrides by name; {NAME} is that run's folder


STUDIES: dict[str, Study] = {}


def main() -> None:
    """Does the studies that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.applications", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", choices=[*STUDIES, []], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    options = parser.parse_args()
    for name in options.names:
        for seed in options.seeds:
            add(name, study(name, seed))
    if not options.names:
        for name, found in STUDIES.items():
            print(f"{name:<20} {found.task} of {', '.join(found.runs)}")


def study(name: str, seed: int) -> dict[str, Any]:
    """Trains all models under a seed, and compares them."""
    root, wanted = ROOT / name / str(seed), STUDIES[name]
    folders = {run: root / run for run in wanted.runs}
    seconds = {
        run: trained(folders[run], [word.format(**folders) for word in words], seed)
        for run, words in wanted.runs.items()
    }
    out = next(p for k in range(1, 1000) if not (p := root / f"comparison-{k}").exists())
    settings = [f"--task.{setting}" for setting in wanted.settings]
    genlit("compare", "--task", wanted.task, *settings, *map(str, folders.values()),
           "--seed", str(seed), "--out", str(out))  # fmt: skip
    found = json.loads((out / "comparison.json").read_text())
    for row, run in zip(found["rows"], folders, strict=False):  # models come first, in this order
        row["name"] = run
        row["command"] = " ".join(["genlit fit -c", *wanted.runs[run]])
        row["fit_cpu_seconds"] = seconds[run]
        del row["run"]
    keep_picture(name, out / "picture.png", seed)
    return found


def trained(folder: Path, words: list[str], seed: int) -> int:
    """Trains a run, or goes on with it; returns the CPU seconds that it took altogether."""
    clock, done, began = folder / "cpu_seconds", folder / "trained", spent()
    before = int(clock.read_text()) if clock.exists() else 0
    if done.exists():
        return before
    config, *overrides = words
    new = ["-c", config, *overrides, f"--seed_everything={seed}", "--run_dir", str(folder)]
    try:
        genlit("fit", *([str(folder)] if folder.exists() else new))
        done.touch()
    finally:
        if folder.exists():
            clock.write_text(str(before + round(spent() - began)))
    return int(clock.read_text())


def keep_picture(name: str, picture: Path, seed: int) -> None:
    """Puts the picture of the first seed where the docs show it."""
    if seed == 0 and picture.exists():
        PICTURES.mkdir(exist_ok=True)
        shutil.copy(picture, PICTURES / f"{name}.png")


def add(name: str, found: dict[str, Any]) -> None:
    """Writes what one seed came to into the results, in place of what that seed had."""
    sheet = f"application_{name}"
    exists = (record.RESULTS / f"{sheet}.json").exists()
    seeds = {row["seed"]: row for row in (record.read(sheet)["rows"] if exists else [])}
    if other := {row["task"] for row in seeds.values()} - {found["task"]}:
        raise SystemExit(
            f"{sheet}.json has numbers of {other.pop()}, not {found['task']}: remove it"
        )
    seeds[found["seed"]] = found
    every = [seeds[seed] for seed in sorted(seeds)]
    seconds = sum(
        row["cpu_seconds"] + row.get("fit_cpu_seconds", 0) for one in every for row in one["rows"]
    )
    record.write(sheet, f"python -m benchmarks.applications {name}", seconds, every, NOTE)


if __name__ == "__main__":
    main()
