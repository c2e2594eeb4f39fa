"""Results of measurements, with what it takes to repeat them."""

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def processor() -> str:
    """The model of this machine's processor, and how many cores of it there are."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = (line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        name = next((v.strip() for k, v in lines if k.strip() == "model name"), name)
    return f"{name}, {os.cpu_count()} cores"


def write(
    name: str,
    command: str,
    seconds: float,
    rows: list[dict[str, Any]],
    note: str,
    curves: dict[str, Any] | None = None,
) -> Path:
    """Writes benchmarks/results/NAME.json and returns its path.

    Args:
        name: Which measurement it is.
        command: What to type to repeat it.
        seconds: How long it took.
        rows: What came out.
        note: The protocol, in a sentence.
        curves: What is drawn rather than put into a table.
    """
    import lightning
    import torch

    document = {
        "command": command,
        "date": time.strftime("%Y-%m-%d"),
        "machine": processor(),
        "versions": {"torch": torch.__version__, "lightning": lightning.__version__},
        "seconds": round(seconds),
        "note": note,
        "rows": rows,
        **({"curves": curves} if curves else {}),
    }
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def read(name: str) -> dict[str, Any]:
    """What `write` wrote."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def footer(document: dict[str, Any]) -> str:
    """How the numbers came about."""
    versions = ", ".join(f"{k} {v}" for k, v in document["versions"].items())
    return (
        f"`{document['command']}`, {document['date']}, {document['machine']}, {versions}, "
        f"{document['seconds']} s. {document['note']}."
    )
