"""Three families on MNIST, from the bundled images to a report, in minutes.

python -m benchmarks.demo            what `make demo` does
python -m benchmarks.demo --record   also writes benchmarks/results/demo.json and docs/samples.png
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import record
from genlit.report import write
from genlit.runs import new_folder, read_results

FAMILIES = ("rbm", "vae", "gan")
COMMAND = "make demo"


def main() -> None:
    """Trains and tests the three, and reports."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--record", action="store_true", help="commit the numbers to the tables")
    recording = parser.parse_args().record
    begun, folder = time.monotonic(), new_folder("demo")
    seconds = {name: train_and_test(name, folder / name) for name in FAMILIES}
    genlit("report", *(str(folder / name) for name in FAMILIES), "-o", str(folder / "report.html"))
    latest = folder.parent / "report.html"
    write([folder / name for name in FAMILIES], latest)
    if recording:
        rows = [row(name, folder / name, seconds[name]) for name in FAMILIES]
        note = "MNIST's test set; default configs, seed 0; FID of 10,000 samples to 50,000 images"
        record.write("demo", COMMAND, time.monotonic() - begun, rows, note)
        contact_sheet(folder, record.RESULTS.parents[1] / "docs" / "samples.png")
    print(f"\n{latest}  ({time.monotonic() - begun:.0f} s)")


def train_and_test(name: str, run: Path) -> dict[str, float]:
    """Runs one family, and returns the seconds of training and of testing."""
    begun = time.monotonic()
    print(f"\n== {name}: genlit fit -c {name}", flush=True)
    genlit("fit", "-c", name, "--run_dir", str(run))
    trained = time.monotonic()
    print(f"== {name}: genlit test {run}", flush=True)
    genlit("test", str(run))
    return {"fit": trained - begun, "test": time.monotonic() - trained}


def genlit(*args: str) -> None:
    """Runs a genlit command as a user would; ends the demo if it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "GENLIT_RUN_DIR"}
    code = subprocess.run([sys.executable, "-m", "genlit", *args], env=environment).returncode
    if code:
        raise SystemExit(code)


def row(name: str, run: Path, seconds: dict[str, float]) -> dict[str, Any]:
    """The measurements of one family, for the tables."""
    document = read_results(run)[-1]
    return {
        "config": name,
        "model": document["model"],
        "seed": document["seed"],
        "fit_seconds": round(seconds["fit"]),
        "test_seconds": round(seconds["test"]),
        "metrics": document["metrics"],
    }


def contact_sheet(folder: Path, path: Path, gap: int = 24) -> None:
    """The last samples of the three families beside one another, as one picture."""
    from PIL import Image

    last = [sorted((folder / name / "samples").glob("*.png"))[-1] for name in FAMILIES]
    grids = [Image.open(p).convert("L") for p in last]
    width, height = grids[0].size
    sheet = Image.new("L", (len(grids) * width + (len(grids) - 1) * gap, height), 255)
    for k, grid in enumerate(grids):
        sheet.paste(grid, (k * (width + gap), 0))
    path.parent.mkdir(exist_ok=True)
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    main()
