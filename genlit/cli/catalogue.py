"""`genlit list`: models, what each can be asked, data, configs.

It reads the package's source instead of importing it: a model's class header says what one may ask
of it. So the list is never out of date, and needs no torch.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from genlit.cli.arguments import CommandParser
from genlit.cli.shipped import PACKAGE, names

BASE, DATA = "GenerativeModel", "L.LightningDataModule"

# The name of a class, its bases, and the first line of what it says of itself.
HEADER = re.compile(r'^class (\w+)(?:\(([^)]*)\))?:\n+(?: +"""(.*?)(?:"""|$))?', re.MULTILINE)


class Entry(NamedTuple):
    """A class that a config can name."""

    path: str  # as in class_path
    bases: list[str]
    summary: str


def main(args: list[str]) -> None:
    """Prints the list."""
    CommandParser("list", "Models, what each can be asked, data, configs.").parse_args(args)
    print("models (class_path, and what each can be asked)")
    for entry in models():
        print(f"  {entry.path:<40} {', '.join(asked(entry))}\n{'':<43}{entry.summary}")
    print("\ndata")
    for entry in datasets():
        print(f"  {entry.path:<40} {entry.summary}")
    print("\ntasks (genlit compare --task NAME RUN...)")
    for entry in classes(PACKAGE / "tasks", "Task"):
        print(f"  {entry.path.rpartition('.')[2]:<40} {entry.summary}")
    for kind, use in (("configs", "genlit fit -c NAME"), ("sweeps", "genlit sweep NAME")):
        print(f"\n{kind} ({use})\n  {'  '.join(names(kind))}")


def models() -> list[Entry]:
    """Every model of every room."""
    rooms = [p.parent for p in sorted(PACKAGE.glob("*/__init__.py"))]
    return [entry for room in rooms for entry in classes(room, BASE)]


def asked(entry: Entry) -> list[str]:
    """The protocols in a model's header, and in those of its bases."""
    return [b for b in entry.bases if b in protocols()]


@cache
def protocols() -> set[str]:
    """Every protocol."""
    return {found[1] for found in HEADER.finditer((PACKAGE / "protocols.py").read_text())}


def datasets() -> list[Entry]:
    """Every datamodule."""
    return [*classes(PACKAGE / "data", DATA)]


def classes(folder: Path, base: str) -> Iterator[Entry]:
    """The classes that a package offers and that derive from a base, which it may not define."""
    corridor = sorted(PACKAGE.glob("*.py"))  # where bases may be
    text = "\n".join(path.read_text() for path in [*corridor, *sorted(folder.glob("*.py"))])
    headers = {found[1]: found for found in HEADER.finditer(text)}
    direct = {name: re.findall(r"[\w.]+", found[2] or "") for name, found in headers.items()}
    for name, found in headers.items():
        bases = ancestors(name, direct)
        if base in bases and name in offered(folder) and "ABC" not in direct[name]:
            yield Entry(f"genlit.{folder.name}.{name}", bases, found[3] or "")


def ancestors(name: str, direct: dict[str, list[str]]) -> list[str]:
    """The bases of a class and theirs, as far as they are known."""
    found = [b for base in direct.get(name, []) for b in (base, *ancestors(base, direct))]
    return list(dict.fromkeys(found))


def offered(folder: Path) -> list[str]:
    """What a package says that it offers."""
    _, _, names = (folder / "__init__.py").read_text().partition("__all__ = ")
    return ast.literal_eval(names) if names else []


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
