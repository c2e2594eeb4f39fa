"""Putting questions to a trained model: open it, get the events, ask in blocks of bounded size."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlit.callbacks.likelihood import refuse_grey
from genlit.cli.images import binarized, is_binary, read_images
from genlit.cli.place import Place, load_data, load_model, open_place, other_state
from genlit.randomness import isolated, permutation
from genlit.tasks.blocks import block_of, in_blocks


def open_model(run: Path, device: str) -> tuple[Place, Any]:
    """The model of a run, ready to be asked on a device, and where it lies.

    Raises:
        RunError: If there is no such run.
        ValueError: If there is no such device.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ValueError(f"there is no device {device} here: take --device cpu") from None
    place = open_place(run)
    if (other := other_state(place)) is not None:
        print(
            f"{place.checkpoint.name} of epoch {place.epoch}; {other.checkpoint} is of epoch "
            f"{other.epoch}", file=sys.stderr,
        )  # fmt: skip
    with isolated("model"):
        model = load_model(place)
    return place, model.to(device)


def find_events(
    options: argparse.Namespace, place: Place, model: Any, default: int | None, each: int = 1
) -> Tensor:
    """The events that --split, --file, --n and --binarize mean, (n, *shape) float32 in [0, 1].

    Those of a split are chosen at random under the seed; of a file they are the first, or all.

    Args:
        options: What the user asked for.
        place: The run, whose data are taken where there is no file.
        model: The model that is to be asked about them.
        default: How many things of a split to ask about without --n; None means all, in order.
        each: How many events a thing takes.

    Raises:
        ValueError: If there are fewer, or they are not what the model takes.
    """
    if options.file is not None:
        source, x = str(options.file), read_images(options.file, place.shape)
        refuse_levels(x, options, place)
    else:
        source, x = f"the {options.split} set", load_data(place).events(options.split)
    if options.n is not None:
        n = options.n * each
    elif default is None or options.file is not None:
        n = max(len(x) // each, 1) * each
    else:
        n = max(min(default, len(x) // each), 1) * each
    if n > len(x):
        raise ValueError(f"{source} has {len(x)} of the {n} events that this takes: lower --n")
    if options.file is None and (options.n or default):
        x = x[permutation(len(x), "events", options.seed)[:n]]
    return prepared(x[:n], options, model)


def refuse_levels(x: Tensor, options: argparse.Namespace, place: Place) -> None:
    """Makes sure that a density of real numbers is not asked about levels of 8 bits as they are.

    Raises:
        ValueError: If it would be.
    """
    binarize = place.config["data"].get("init_args", {}).get("binarize")
    if binarize == "dequantized" and options.binarize is None:
        levels = x if x.dtype == torch.uint8 else x * 255
        if torch.allclose(levels.float(), levels.float().round(), atol=1e-3):
            raise ValueError(
                f"{options.file} holds levels of 8 bits, and {place.folder} learned a density of "
                "dequantized images: add --binarize dequantize"
            )


def prepared(x: Tensor, options: argparse.Namespace, model: Any) -> Tensor:
    """Events as a model takes them: float32 in [0, 1], and binarized if --binarize says so.

    Raises:
        ValueError: If the model knows zeros and ones only and these are grey.
    """
    x = x / 255 if x.dtype == torch.uint8 else x
    if options.binarize is not None:
        x = binarized(x, options.binarize, options.seed)
    if model.binary and not is_binary(x):
        refuse_grey(x, type(model).__name__, "add --binarize threshold or --binarize sample")
    return x


def ask_for_events(
    model: Any, answer: Callable[[slice], Tensor], n: int, *purpose: int | str
) -> Tensor:
    """The n events that a model answers with, (n, *shape) float32 on the CPU; images in [0, 1].

    Raises:
        ValueError: If the model answers with something else.
    """
    events = in_blocks(answer, n, block_of(model.shape), *purpose).float()
    name, shape = type(model).__name__, (n, *model.shape)
    if tuple(events.shape) != shape:
        raise ValueError(f"{name} answered with shape {tuple(events.shape)} in place of {shape}")
    if not torch.isfinite(events).all():
        raise ValueError(f"{name} answered with numbers that are not finite: it has diverged")
    return events.clamp(0, 1) if len(model.shape) == 3 else events


def ask_for_imputations(model: Any, x: Tensor, known: Tensor, draw: int, seed: int) -> Tensor:
    """Events with what is not known sampled by a model, which does not see it; (n, *shape).

    Raises:
        ValueError: If the model changes what is known.
    """
    hidden = torch.where(known, x, 0.0)

    def answer(part: slice) -> Tensor:
        return model.impute(hidden[part].to(model.device), known[part].to(model.device))

    filled = ask_for_events(model, answer, len(x), "impute", seed, draw)
    if not torch.equal(filled[known], x[known]):
        raise ValueError(f"{type(model).__name__} changed pixels that are observed")
    return filled


def mean_and_error(values: Tensor) -> str:
    """The mean of (n,) values with its standard error, as text."""
    error = f" ± {float(values.std()) / len(values) ** 0.5:.2g}" if len(values) > 1 else ""
    return f"{float(values.mean()):.4g}{error}"
