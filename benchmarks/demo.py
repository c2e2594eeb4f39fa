"""Three families on MNIST, from the bundled images to a report, in minutes.

    python -m benchmarks.demo            what `make demo` does
    python -m benchmarks.demo --record   also writes results/demo.json and docs/samples.png

Every run is a process of its own on one core, as many at once as there are cores: networks of this
size gain little from a second thread.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import record
from genlit.report import write
from genlit.runs import new_folder, read_results

FAMILIES = ("vae", "gan", "rbm")  # the longest first, so that no core waits


def main() -> None:
    """Trains and tests the three, and reports."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--record", action="store_true", help="commit the numbers to the tables")
    recording = parser.parse_args().record
    begun, folder = time.monotonic(), new_folder("demo")
    runs = [folder / name for name in FAMILIES]
    with ThreadPoolExecutor(min(len(FAMILIES), os.cpu_count() or 1)) as pool:
        seconds = list(pool.map(train_and_test, runs))
    subprocess.run([*command("report", *map(str, runs)), "-o", str(folder / "report.html")])
    latest = write(runs, folder.parent / "report.html")
    if recording:
        rows = [row(*pair) for pair in zip(runs, seconds, strict=True)]
        note = "MNIST's test set; the default configs with seed 0, each on one core"
        record.write("demo", "make demo", time.monotonic() - begun, rows, note)
        contact_sheet(runs, record.RESULTS.parents[1] / "docs" / "samples.png")
    print(f"\n{latest}  ({time.monotonic() - begun:.0f} s)")


def train_and_test(run: Path) -> dict[str, int]:
    """Runs one family, and returns the seconds of training and of testing."""
    begun = time.monotonic()
    follow(run.name, command("fit", "-c", run.name, "--run_dir", str(run)))
    trained = time.monotonic()
    follow(run.name, command("test", str(run)))
    return {
        "fit_seconds": round(trained - begun),
        "test_seconds": round(time.monotonic() - trained),
    }


def command(*args: str) -> list[str]:
    """A genlit command, as the arguments of a process."""
    return [sys.executable, "-m", "genlit", *args]


def follow(name: str, args: list[str]) -> None:
    """Runs a process and passes on its lines with a name before each.

    Raises:
        SystemExit: If it fails.
    """
    print(f"{name} | $ genlit {' '.join(args[3:])}", flush=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GENLIT_RUN_DIR": ""}
    process = subprocess.Popen(
        args, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{name} | {line}", end="", flush=True)
    if process.wait():
        raise SystemExit(f"{name}: `genlit {' '.join(args[3:])}` failed")


def row(run: Path, seconds: dict[str, int]) -> dict[str, Any]:
    """The measurements of one family, for the tables."""
    document = read_results(run)[-1]
    kept = {key: document[key] for key in ("model", "seed", "metrics")}
    return {"config": run.name, **kept, **seconds}


def contact_sheet(runs: list[Path], path: Path, gap: int = 24) -> None:
    """The last samples of the families beside one another, as one picture."""
    from PIL import Image

    last = [sorted((run / "samples").glob("*.png"))[-1] for run in sorted(runs)]
    grids = [Image.open(p).convert("L") for p in last]
    width, height = grids[0].size
    sheet = Image.new("L", (len(grids) * width + (len(grids) - 1) * gap, height), 255)
    for k, grid in enumerate(grids):
        sheet.paste(grid, (k * (width + gap), 0))
    path.parent.mkdir(exist_ok=True)
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    main()
