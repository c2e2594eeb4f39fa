"""`genlit likelihood`: log p(x) of images under a trained model, as CSV."""

import csv
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import FILES, add_binarize, parser_for, positive

if TYPE_CHECKING:
    from torch import Tensor

    from genlit.estimators import Estimator, LogDensity

DESCRIPTION = """\
Compute log p(x) of images under a trained model, in nats, as CSV with a line for each image:

  index      of the image, from 0
  log_prob   log p(x) in nats; of a model of real numbers it is a log-density
  kind       exact, lower bound, estimate, estimate of a lower bound, or conservative estimate
  stderr     standard error of the estimator in nats, such as that of log Z, which all images share;
             0 where exact, empty where it is not known
  method     how it was computed, with its settings

The mean over images goes to standard error.
"""

AUTO = ["exact", "ais", "bound", "csl"]  # in the order in which they are tried
METHODS = [*AUTO, "bdmc", "bennett", "raise"]

EXAMPLES = f"""\
{FILES}
methods
  exact      for models with a normalized density (flows, autoregressive models), and for Boltzmann
             machines whose smaller layer has at most 22 units
  ais        for energy-based models: annealed importance sampling of log Z, and in reverse as a
             check; a warning tells when the two disagree, or when few chains decide. Of models
             whose hidden units cannot be summed out, a lower bound with the same log Z
  bound      for variational models: the importance-weighted bound, too low by less with more
             --samples; for deep Boltzmann machines and belief nets the one that ais gives
  csl        for models that are mixtures of known laws over states of a chain (GSN): the mean of
             p(x | state) over --samples states of --chains chains, a conservative estimate that
             rises with states, and in many dimensions stays far too low
  auto       the first of these that the model can be asked for
  bdmc       for decoders with a known prior (VAE), and only if asked for: annealing from the prior
             to the posterior, with --chains chains for each image; bidirectional Monte Carlo tells
             how far it stays below on images of the model's own
  bennett    for restricted Boltzmann machines that learned with ParallelTempering or
             TrajectoryTempering, and only if asked for: log Z by Bennett's acceptance ratio, up the
             ladder of their chains
  raise      for energy-based models, and only if asked for: a conservative estimate, which errs to
             the other side than ais does. Each image takes --chains chains of its own

examples:
  genlit likelihood runs/vae/20250102-030405 digits.npy --binarize threshold
  genlit likelihood RUN --split test --samples 5000 --out test.csv
  genlit likelihood RUN digits.npy --method ais --steps 20000
  genlit likelihood RUN --method bennett --steps 1000
  genlit likelihood RUN --method raise --n 20
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    options = parsed(args)
    from genlit.cli.asking import find_events, open_model
    from genlit.runs import RunError
    from genlit.tasks.blocks import block_of, in_blocks

    if options.out is not None and options.out.exists():
        raise RunError(f"{options.out} exists and is not overwritten: give another --out")
    place, model = open_model(options.run, options.device)
    candidates = estimators(options, model)
    few = next(filter(None, (getattr(e, "events", None) for e in candidates)), None)
    x = find_events(options, place, model, default=few)
    estimator, density = first_computable(candidates, model, x, options.seed)
    for text in density.warnings:
        print(f"genlit: warning: {text}", file=sys.stderr)
    log_p = in_blocks(
        lambda p: density.log_prob(x[p].to(model.device)).double(),
        len(x), block_of(place.shape), "likelihood", options.seed,
    )  # fmt: skip
    density = density.closed()
    write(log_p, estimator, density, options.out)
    print(summary(log_p, estimator, density), file=sys.stderr)
    if "summary" in density.details:
        print(density.details["summary"], file=sys.stderr)


def parsed(args: list[str]) -> Any:
    """The options of the command."""
    parser = parser_for("likelihood", DESCRIPTION, EXAMPLES)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "file", type=Path, nargs="?", metavar="FILE",
        help="images: .npy, .npz, PNG or a folder of PNGs, see below",
    )  # fmt: skip
    source.add_argument(
        "--split", choices=["test", "val", "train"], default="test",
        help="without FILE, takes the data that the run was trained on (default: test)",
    )  # fmt: skip
    parser.add_argument(
        "--n", type=positive, metavar="N",
        help="how many images: the first of FILE, or so many of a split at random (default: all; "
        "bdmc and raise take 100 of a split)",
    )  # fmt: skip
    add_binarize(parser)
    parser.add_argument(
        "--method", choices=["auto", *METHODS], default="auto",
        help="how log p(x) is computed, see below (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--samples", type=positive, metavar="K",
        help="bound: samples of the latent variables for each image (default: 500); ais: where it "
        "is of a lower bound, samples of the hidden units for each image (default: 100); csl: "
        "states of all chains together (default: 10000)",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=positive, metavar="K",
        help="ais, raise: temperatures between the base and the model (default: 10000); bdmc: "
        "those between prior and posterior (default: 1000); bennett: how often neighbours on the "
        "ladder meet (default: 1000)",
    )  # fmt: skip
    parser.add_argument(
        "--chains", type=positive, metavar="K",
        help="independent chains: of ais and csl 2 or more (default: 100), of bdmc and raise "
        "for each image (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help="a CSV file, which may not exist (default: standard output)",
    )  # fmt: skip
    return parser.parse_args(args)


def estimators(options: Any, model: Any) -> "list[Estimator]":
    """The estimators that --method means and the model can be asked for, the best first.

    Raises:
        Unanswerable: If the model can be asked for none.
    """
    from genlit.estimators import (
        Annealed,
        AnnealedBound,
        AnnealedDecoder,
        Bennett,
        ConservativeSampling,
        Estimator,
        Exact,
        LowerBound,
        Raise,
    )
    from genlit.protocols import require

    every: dict[str, dict[type[Estimator], list[str]]] = {  # what of the options each takes
        "exact": {Exact: []},
        "ais": {Annealed: ["steps", "chains"], AnnealedBound: ["steps", "chains", "samples"]},
        "bound": {LowerBound: ["samples"], AnnealedBound: ["steps", "chains", "samples"]},
        "csl": {ConservativeSampling: ["samples", "chains"]},
        "bdmc": {AnnealedDecoder: ["steps", "chains"]},
        "bennett": {Bennett: ["steps"]},
        "raise": {Raise: ["steps", "chains"]},
    }
    names = AUTO if options.method == "auto" else [options.method]
    meant = {kind: takes for name in names for kind, takes in every[name].items()}
    question = "log p(x)" if options.method == "auto" else f"log p(x) by {options.method}"
    require(model, question, *(kind.protocol for kind in meant))
    given = {name: value for name, value in vars(options).items() if value is not None}
    return [
        kind(**{name: given[name] for name in takes if name in given})
        for kind, takes in meant.items()
        if isinstance(model, kind.protocol)
    ]


def first_computable(
    candidates: "list[Estimator]", model: Any, x: "Tensor", seed: int
) -> "tuple[Estimator, LogDensity]":
    """The first estimator that gives a number for an event: a machine may be too large for exact.

    Raises:
        ValueError: If the last one, too, refuses.
    """
    import torch

    from genlit.randomness import isolated

    for estimator in candidates:
        try:
            with torch.no_grad(), isolated("likelihood", seed):
                density = estimator(model)
                if estimator.kind == "exact":
                    density.log_prob(x[:1].to(model.device))
            return estimator, density
        except ValueError:
            if estimator is candidates[-1]:
                raise
    raise AssertionError


def write(log_p: "Tensor", estimator: "Estimator", density: "LogDensity", out: Path | None) -> None:
    """Writes the CSV to a file that does not exist, or to standard output."""
    stderr = "" if density.stderr is None else f"{density.stderr:.6g}"
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    with nullcontext(sys.stdout) if out is None else out.open("x", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["index", "log_prob", "kind", "stderr", "method"])
        for index, value in enumerate(log_p.tolist()):
            rows.writerow([index, repr(value), estimator.kind, stderr, estimator.method])


def summary(log_p: "Tensor", estimator: "Estimator", density: "LogDensity") -> str:
    """The mean, with the standard error of it and of what all events share."""
    of_data = float(log_p.std()) / len(log_p) ** 0.5 if len(log_p) > 1 else 0.0
    stderr = (of_data**2 + (density.stderr or 0.0) ** 2) ** 0.5
    error = f" ± {stderr:.2g}" if stderr else ""
    return (
        f"mean log p(x) {float(log_p.mean()):.3f}{error} nats, {estimator.kind} by "
        f"{estimator.method}, {len(log_p)} events"
    )
