"""The folder in which genlit keeps what it would be long to compute or fetch again."""

import os
from pathlib import Path
from typing import Any

import torch


def cache_folder() -> Path:
    """~/.cache/genlit, or genlit below XDG_CACHE_HOME where that is set."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "genlit"


def save_atomically(content: Any, path: Path) -> None:
    """Saves tensors so that whoever opens the path finds all of them or no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        torch.save(content, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
