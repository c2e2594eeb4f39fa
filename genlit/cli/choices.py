"""Which classes of genlit may be given where a class is asked for: those derived from it.

It knows what has been imported, which on a command line that builds models is every room.
"""

import inspect
import sys
import traceback
import typing


def choices(error: BaseException | None) -> list[str]:
    """The names of classes that may be given for the argument whose check raised an error.

    There are none if it takes no class of genlit, nor makes one.
    """
    if error is None:
        return []
    frames = (frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__))
    hints = [
        getattr(at["self"], "_typehint", None) for at in frames if "self" in at
    ]  # jsonargparse
    wanted = [hint for hint in hints if hint is not None]
    return derived(mentioned(wanted[-1])) if wanted else []


def kinds_of(base: str) -> list[str]:
    """The names of classes derived from one of that name."""
    return derived({kind for kind in classes() if kind.__name__ == base})


def derived(bases: set[type]) -> list[str]:
    """The names of public classes that derive from one of some; a config may give no more."""
    return sorted(
        kind.__name__
        for kind in classes()
        if issubclass(kind, tuple(bases))
        and not inspect.isabstract(kind)
        and not kind.__name__.startswith("_")
    )


def classes() -> set[type]:
    """Every class of genlit that has been imported."""
    modules = [module for name, module in [*sys.modules.items()] if name.startswith("genlit.")]
    every = (kind for module in modules for kind in vars(module).values() if isinstance(kind, type))
    return {kind for kind in every if kind.__module__.startswith("genlit.")}


def mentioned(hint: object) -> set[type]:
    """The classes of genlit in an annotation, or in what a callable of it returns."""
    if isinstance(hint, type) and hint.__module__.startswith("genlit."):
        return {hint}
    parts = typing.get_args(hint)
    if parts and isinstance(parts[0], list):  # a callable: its arguments, and what it returns
        parts = parts[1:]
    return {kind for part in parts for kind in mentioned(part)}
