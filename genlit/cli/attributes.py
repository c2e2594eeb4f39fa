"""Codes of events that have an attribute, and of events that do not."""

import argparse
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genlit.cli.asking import ask_for_events, prepared
from genlit.cli.codes import ask_for_codes
from genlit.cli.images import read_images
from genlit.cli.place import Place, load_data
from genlit.cli.projecting import project_events
from genlit.features import LeNetMNIST, quantized
from genlit.latent import USUAL
from genlit.randomness import permutation
from genlit.tasks.blocks import in_blocks

DRAWN = 200  # codes are drawn for every one of a class that is looked for, at most
CERTAIN = 0.9  # how probable a classifier must hold a digit


class Groups(NamedTuple):
    """Codes with and without an attribute."""

    having: Tensor  # (n, D)
    lacking: Tensor  # (m, D)
    events: Tensor  # (m, *shape): those of the codes without


def find_groups(options: argparse.Namespace, place: Place, model: Any) -> Groups:
    """The codes that --labels or --files, --by and --each mean."""
    if options.by == "classify":
        return classified(options, model)
    if options.files is not None:
        found = [read_images(path, place.shape)[: options.each] for path in options.files]
    else:
        found = events_of_classes(options, place)
    having, lacking = (prepared(x, options, model) for x in found)
    return Groups(codes_of(options, model, having), codes_of(options, model, lacking), lacking)


def own_side(groups: Groups, along: Tensor) -> float:
    """The share of codes that are nearer to their own mean, along the direction between means."""
    middle = (groups.having.mean(0) + groups.lacking.mean(0)) / 2
    right = int(((groups.having - middle) @ along > 0).sum())
    right += int(((groups.lacking - middle) @ along < 0).sum())
    return right / (len(groups.having) + len(groups.lacking))


def codes_of(options: argparse.Namespace, model: Any, x: Tensor) -> Tensor:
    """The codes of events, encoded or found by search."""
    if options.by == "encode":
        return ask_for_codes(model, x, options.seed)
    known = torch.ones_like(x, dtype=torch.bool)
    return project_events(model, x, known, 1, USUAL, options.seed).codes


def events_of_classes(options: argparse.Namespace, place: Place) -> list[Tensor]:
    """Events of two classes of the data, chosen at random under the seed.

    Raises:
        ValueError: If the data have no classes, or no such ones.
    """
    data = load_data(place)
    conditions = getattr(data, "conditions", {})
    if not conditions and hasattr(data, "labels"):
        data.labels = True
        conditions = data.read_conditions()
    classes = conditions.get(options.split)
    if classes is None or classes.dim() != 2:
        raise ValueError(f"{type(data).__name__} has no classes: give your own images by --files")
    check_labels(options.labels, classes.shape[1])
    chosen = []
    for label in options.labels:
        places = classes.argmax(1).eq(label).nonzero()[:, 0]
        if not len(places):
            raise ValueError(f"the {options.split} set has no event of class {label}")
        order = permutation(len(places), "direction", options.seed, label)[: options.each]
        chosen.append(data.events(options.split, places[order]))
    return chosen


def classified(options: argparse.Namespace, model: Any) -> Groups:
    """Codes drawn, of which a classifier says that the model makes this digit or that of them.

    Raises:
        ValueError: If there are no labels, or the model hardly ever makes one of these digits.
    """
    if options.labels is None:
        raise ValueError("--by classify tells digits: give --labels A B in place of --files")
    judge = LeNetMNIST()
    judge.accept(model.shape)
    check_labels(options.labels, judge.classes)
    n, having, lacking = 5 * options.each, [], []
    for tried in range(0, DRAWN * options.each, n):
        z, x, digits = drawn(model, judge, n, options.seed, tried)
        having.append(z[digits == options.labels[0]])
        lacking.append((z[digits == options.labels[1]], x[digits == options.labels[1]]))
        if min(sum(map(len, having)), sum(len(z) for z, _ in lacking)) >= options.each:
            codes, events = (torch.cat(v)[: options.each] for v in zip(*lacking, strict=True))
            return Groups(torch.cat(having)[: options.each], codes, events)
    a, b = options.labels
    raise ValueError(
        f"of {DRAWN * options.each} events that {type(model).__name__} makes too few are a {a} or "
        f"a {b}: lower --each, or give other --labels"
    )


def drawn(
    model: Any, judge: LeNetMNIST, n: int, seed: int, part: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes (n, D), events (n, *shape) and the digits (n,) that they surely are, or -1."""
    z = in_blocks(lambda p: model.draw_codes(p.stop - p.start), n, n, "codes", seed, part).float()
    x = ask_for_events(model, lambda p: model.decode(z[p].to(model.device)), n, "decode", seed)
    with torch.no_grad():
        probability, digit = judge.net(quantized(x).float() / 255).softmax(1).max(1)
    return z, x, torch.where(probability > CERTAIN, digit, -1)


def check_labels(labels: list[int], n: int) -> None:
    """Makes sure that there are classes with these numbers.

    Raises:
        ValueError: If there are not, or they are one.
    """
    if labels[0] == labels[1] or not all(0 <= label < n for label in labels):
        raise ValueError(f"--labels {labels[0]} {labels[1]}: give two classes of 0 to {n - 1}")
