"""A run's configuration as lines: a value for each dotted name."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from genlit.runs import RunError


def read_config(path: Path) -> dict[str, str]:
    """The leaves of a configuration under their dotted names.

    Raises:
        RunError: If the file is no YAML, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise RunError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict | None):
        raise RunError(f"{path} is no configuration: it has no keys")
    return dict(_leaves(content or {}, ""))


def _leaves(node: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list) and any(isinstance(item, dict) for item in node):
        for name, item in zip(_item_names(node), node, strict=True):
            yield from _leaves(item, f"{key}[{name}]")
    else:
        yield key, _written(node)


def _item_names(items: list[Any]) -> list[str]:
    """Names items by their class, so that those of two runs meet whatever their order."""
    names: list[str] = []
    for position, item in enumerate(items):
        path = item.get("class_path") if isinstance(item, dict) else None
        name = str(path).rsplit(".", 1)[-1] if path else str(position)
        again = sum(n.split(" ")[0] == name for n in names)
        names.append(f"{name} {again + 1}" if again else name)
    return names


def _written(value: Any) -> str:
    """A value as YAML writes it on one line."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).split("\n...")[0].strip()
