"""What a user sees when something goes wrong: one line that names the thing and the way out."""

import difflib
import errno
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn


def fail(message: str, code: int = 1) -> NoReturn:
    """Prints a message on standard error and ends the program."""
    print(f"genlit: error: {message}", file=sys.stderr)
    raise SystemExit(code)


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The question whether x or y was meant, or nothing where no known word is near.

    Args:
        word: What was written.
        known: What could have been.
        prefix: What all of these begin with, which is not compared.
    """
    near = [prefix + name for name in difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)]
    return f"did you mean {' or '.join(near)}?" if near else ""


def one_of(names: Iterable[str]) -> str:
    """That it may be x, y or z."""
    *others, last = names
    return f"it may be {', '.join(others)} or {last}" if others else f"it may be {last}"


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turns exceptions into one line; GENLIT_TRACEBACK=1 shows the whole traceback as well."""
    try:
        yield
    except KeyboardInterrupt:
        fail("interrupted", code=130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        if os.environ.get("GENLIT_TRACEBACK"):
            traceback.print_exc()
        fail(explain(error))


def explain(error: BaseException) -> str:
    """One line for an exception, the plainest of the chain that led to it."""
    error = root(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = f" for {error.filename}" if error.filename else ""
        return f"the disk is full: no space left{where}; what was written before is whole"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no file {error.filename}"
    message = re.sub(r"\s+", " ", str(error)).strip()
    module = type(error).__module__
    if misfit := re.search(r"loading state_dict for (\w+): (.+?)(\. |$)", message):
        return (
            f"the weights do not fit this {misfit[1]}: {misfit[2]}; leave its options as they were"
        )
    if abstract := re.search(r"Can't instantiate abstract class (\w+)", message):
        from genlit.cli.choices import kinds_of

        if kinds := kinds_of(abstract[1]):
            return f"{abstract[1]} is a base class of others: {one_of(kinds)}"
    if not message:
        return f"{type(error).__name__} (GENLIT_TRACEBACK=1 shows where)"
    if module.startswith("genlit") or isinstance(error, ValueError):
        return message
    return f"{type(error).__name__}: {message} (GENLIT_TRACEBACK=1 shows where)"


def root(error: BaseException) -> BaseException:
    """The exception in the chain that was raised by genlit itself, or else the error as it came."""
    link: BaseException | None = error
    while link is not None:
        if raised_in(link) or (isinstance(link, OSError) and link.errno == errno.ENOSPC):
            return link
        link = link.__cause__ or link.__context__
    return error


def raised_in(error: BaseException) -> bool:
    """Whether the line that raised an exception is one of genlit's."""
    frames = traceback.extract_tb(error.__traceback__)
    package = str(Path(__file__).parents[1])
    return bool(frames) and frames[-1].filename.startswith(package)
