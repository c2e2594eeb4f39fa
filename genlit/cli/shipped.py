"""Where the configs and sweeps are that genlit brings along, and how a name finds one."""

from pathlib import Path

from genlit.cli.errors import did_you_mean
from genlit.runs import RunError

PACKAGE = Path(__file__).parents[1]


def shipped(kind: str) -> Path:
    """The folder "configs" or "sweeps": inside an installed package, beside it in a checkout."""
    inside = PACKAGE / kind
    return inside if inside.is_dir() else PACKAGE.parent / kind


def names(kind: str) -> list[str]:
    """The names of the shipped experiments or sweeps, as `-c` takes them."""
    folder = shipped(kind)
    files = (p.relative_to(folder).with_suffix("") for p in sorted(folder.rglob("*.yaml")))
    return [f.as_posix() for f in files if f.parts[0] != "data" and f.name != "trainer"]


def find(name: str, kind: str = "configs") -> Path:
    """The file that a name means: a path as it is, or the name of a shipped one without .yaml.

    Raises:
        RunError: If there is none; it names the nearest.
    """
    folder = shipped(kind)
    for candidate in (Path(name), folder / f"{name}.yaml", folder / name):
        if candidate.is_file():
            return candidate
    hint = did_you_mean(Path(name).stem, names(kind)) or f"there are {', '.join(names(kind))}"
    raise RunError(f"there is no {kind[:-1]} {name}: {hint}")
