"""Says on standard error how far a long computation has come."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 3.0  # seconds after which a computation is long


def track(items: Iterable[T], label: str) -> Iterator[T]:
    """Yields the items, and from time to time a line "label: done/total" if it takes long.

    On a terminal the line is rewritten in place, elsewhere it is a new line every few seconds; only
    the first of several processes speaks.
    """
    total = f"/{len(items)}" if isinstance(items, Sized) else ""
    speaks = os.environ.get("LOCAL_RANK", "0") == "0"
    terminal = sys.stderr.isatty()
    start = said = time.monotonic()
    spoken = False
    for done, item in enumerate(items):
        now = time.monotonic()
        if speaks and now - said > (0.5 if terminal and spoken else PATIENCE):
            print(f"{label}: {done}{total}, {now - start:.0f} s", end="\r" if terminal else "\n",
                  file=sys.stderr, flush=True)  # fmt: skip
            said, spoken = now, True
        yield item
    if spoken and terminal:
        print("\033[K", end="", file=sys.stderr, flush=True)
