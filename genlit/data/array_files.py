"""Files that hold one array: .npy and .npz, and tables as .csv."""

import math
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from torch import Tensor

from genlit.data.idx import DataError
from genlit.randomness import permutation

SPLIT_SEED = 1998


def read_array(path: Path, key: str | None, kinds: str = ".npy or .npz") -> np.ndarray:
    """The array in a .npy or .npz file.

    Args:
        path: The file.
        key: Which array of a .npz; None takes the only one.
        kinds: Of files that could have been given, for the message.

    Raises:
        DataError: If it cannot be read, or holds several and none is chosen.
    """
    try:
        loaded = np.load(path)
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read as {kinds}: {error}") from error
    if isinstance(loaded, np.ndarray):
        return loaded
    names = list(loaded)
    key = names[0] if key is None and len(names) == 1 else key
    if key not in names:
        raise DataError(f"{path} holds {', '.join(names)}: say which by data.key")
    return loaded[key]


def read_table(path: Path, key: str | None) -> np.ndarray:
    """The array in a .npy, .npz or .csv file; gaps in a .csv are NaN.

    Raises:
        DataError: If it cannot be read.
    """
    return read_csv(path) if path.suffix == ".csv" else read_array(path, key, ".npy, .npz or .csv")


def read_csv(path: Path) -> np.ndarray:
    """The numbers in a .csv file, (N, D), NaN where a field is empty, nan or NA.

    A first line with something else in it is taken for names.

    Raises:
        DataError: If it cannot be read, or other fields are no numbers.
    """
    rows = [[number(field) for field in fields] for fields in csv_lines(path)[1]]
    for k, row in enumerate(rows):
        if None in row or len(row) != len(rows[0]):
            raise DataError(f"row {k + 1} of {path} is not {len(rows[0])} numbers and gaps")
    return np.array(rows, dtype=np.float64)


def csv_lines(path: Path) -> tuple[str | None, list[list[str]]]:
    """The line of names in a .csv file, if it has one, and the fields of all rows, as text.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    lines = [line for line in text.splitlines() if line.strip()]
    rows = [line.split(",") for line in lines]
    named = bool(rows) and any(number(field) is None for field in rows[0])
    return (lines[0], rows[1:]) if named else (None, rows)


def number(field: str) -> float | None:
    """A field as a number, NaN if it is a gap; None if it is neither."""
    text = field.strip()
    if text in ("", "NA"):
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return None


def filled_csv(path: Path, rows: Tensor, draws: Tensor) -> str:
    """The text of a .csv file with its gaps filled in, and every other field as it was.

    Args:
        path: The file, as it was given.
        rows: Which of its rows to take, (n,).
        draws: The filled tables, (n, K, D). Several go below one another, and are told apart by a
            first column that counts them from 1.
    """
    names, fields = csv_lines(path)
    several = draws.shape[1] > 1
    lines = [] if names is None else ["draw," * several + names]
    for k, table in enumerate(draws.double().unbind(1), 1):
        for row, values in zip(rows.tolist(), table.tolist(), strict=True):
            pairs = zip(fields[row], values, strict=True)
            texts = [text.strip() if is_number(text) else f"{x:.7g}" for text, x in pairs]
            lines.append(",".join([str(k)] * several + texts))
    return "\n".join([*lines, ""])


def is_number(field: str) -> bool:
    """Whether a field is a finite number, and no gap."""
    value = number(field)
    return value is not None and math.isfinite(value)


def dealt(events: Tensor, held_out: int | None, path: Path, kind: str) -> dict[str, Tensor]:
    """The events of a file, (N, ...), as "train", "val" and "test", always the same ones.

    Args:
        events: All of them.
        held_out: How many are for validation, and as many again for the test; None takes a tenth.
        path: The file, for the message.
        kind: What they are, for the message.

    Raises:
        DataError: If that leaves none to train on.
    """
    n = len(events) // 10 if held_out is None else held_out
    if not 0 < 2 * n < len(events):
        raise DataError(f"held_out {n} of the {len(events)} {kind} of {path}, twice, must leave "
                        "some to train on")  # fmt: skip
    order = permutation(len(events), "split", SPLIT_SEED)
    parts = {"val": order[:n], "test": order[n : 2 * n], "train": order[2 * n :]}
    return {name: events[at] for name, at in parts.items()}
