"""`genlit list`: models, what each can be asked, data, configs.

It reads the package's source instead of importing it: a model's class header says what one may ask
of it. So the list is never out of date, and needs no torch.
"""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genlit.cli.shipped import PACKAGE, names

BASE = "GenerativeModel"


class Entry(NamedTuple):
    """A class that a config can name."""

    path: str  # as in class_path
    bases: list[str]
    summary: str


def main(args: list[str]) -> None:
    """Prints the list."""
    argparse.ArgumentParser(
        prog="genlit list", description="Models, what each can be asked, data, configs."
    ).parse_args(args)
    print("models (class_path, and what each can be asked)")
    for entry in models():
        print(f"  {entry.path:<28} {', '.join(asked(entry))}\n{'':<31}{entry.summary}")
    print("\ndata")
    for entry in classes(PACKAGE / "data", "ImageData"):
        print(f"  {entry.path:<28} {entry.summary}")
    for kind, use in (("configs", "genlit fit -c NAME"), ("sweeps", "genlit sweep NAME")):
        print(f"\n{kind} ({use})\n  {'  '.join(names(kind))}")


def models() -> list[Entry]:
    """Every model of every room."""
    rooms = [p.parent for p in sorted(PACKAGE.glob("*/__init__.py"))]
    return [entry for room in rooms for entry in classes(room, BASE)]


def asked(entry: Entry) -> list[str]:
    """The protocols in a model's header."""
    return [b for b in entry.bases if b != BASE]


def classes(folder: Path, base: str) -> Iterator[Entry]:
    """The classes of a package whose header names a base."""
    for path in sorted(folder.glob("*.py")):
        text = path.read_text()
        if f"{base}" not in text:
            continue
        for node in ast.parse(text).body:
            bases = [ast.unparse(b) for b in node.bases] if isinstance(node, ast.ClassDef) else []
            if isinstance(node, ast.ClassDef) and base in bases and "ABC" not in bases:
                summary = (ast.get_docstring(node) or "").split("\n")[0]
                yield Entry(f"genlit.{folder.name}.{node.name}", bases, summary)


def vocabulary() -> set[str]:
    """Every class that genlit defines, and every argument of their constructors."""
    words: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                words.add(node.name)
            elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
                words |= {argument.arg for argument in node.args.args} - {"self"}
    return words
