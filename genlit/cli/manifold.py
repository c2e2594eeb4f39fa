"""`genlit manifold`: decodes a plane of codes, at the quantiles of a Gaussian."""

import argparse
from typing import TYPE_CHECKING

from genlit.cli.arguments import add_out, parser_for, places, positive

if TYPE_CHECKING:
    from torch import Tensor

    from genlit.cli.codes import Spread

LARGEST = 32  # images a side: a picture has 1024

DESCRIPTION = """\
Decode a plane of a trained model's codes, as in Auto-Encoding Variational Bayes (Kingma & Welling,
2014), figure 4. Codes stand at the quantiles (k + 1/2) / N of a standard normal, so that each image
has the same share of the prior. One latent variable grows to the right and the other upwards.

Where there are more than two, all others are at the mean of the codes of 500 test events, which the
caption says. Where the prior is no standard normal, quantiles are of a normal with its mean and
deviation; where there is none, with those of these events' codes. The array has the decoded images,
(N, N, *shape), the topmost row first.
"""

EXAMPLES = """\
examples:
  genlit manifold runs/vae2d/20250102-030405
  genlit manifold RUN --dims 3,17 --side 12
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("manifold", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--dims", type=pair, metavar="I,J",
        help="the latent variable that grows to the right and the one that grows upwards, of which "
        "the first of all is 0 (default: the two most active, or both if there are no others)",
    )  # fmt: skip
    parser.add_argument(
        "--side", type=side, default=20, metavar="N",
        help=f"images in a row and in a column, at most {LARGEST} (default: 20)",
    )  # fmt: skip
    add_out(parser, "manifold")
    run(parser.parse_args(args))


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    from genlit.cli import codes
    from genlit.cli.asking import ask_for_events, open_model
    from genlit.cli.outputs import Output
    from genlit.protocols import Encodes, require

    place, model = open_model(options.run, options.device)
    require(model, "a plane of codes", Encodes)
    output, seed = Output(options.out, place.folder, "manifold"), options.seed
    spread = prior = codes.prior_spread(model, seed)
    middle, dims = None if prior is None else prior.mean, options.dims or [0, 1]
    if prior is None or len(prior.mean) > 2:
        survey = codes.surveyed(place, model, seed)
        spread, middle = prior or codes.spread_of(survey), survey.mean(0)
        if survey.shape[1] > 2:
            dims = options.dims or codes.most_active(codes.activity(survey, prior), 2)
    assert spread is not None
    assert middle is not None
    if len(middle) == 1:
        raise ValueError(f"{type(model).__name__} has one latent variable, and a plane takes two")
    codes.require_dims(dims, model, len(middle))
    z = plane(middle, dims, quantiles(options.side)[:, None] * spread.std + spread.mean)
    answer = ask_for_events(
        model, lambda p: model.decode(z.flatten(0, 1)[p].to(model.device)), options.side**2,
        "decode", seed,
    ).unflatten(0, z.shape[:2])  # fmt: skip
    output.save(answer, answer.flatten(0, 1), options.side, caption(dims, len(middle), spread))


def caption(dims: list[int], n: int, spread: "Spread") -> str:
    """What a picture shows: two latent variables of n, at quantiles of a normal."""
    standard = bool((spread.std == 1).all())
    law = "the standard normal" if standard else f"a normal like {spread.of}"
    rest = f"; the other {n - 2} at the mean code of the data" if n > 2 else ""
    return f"latent variables {dims[0]} (right) and {dims[1]} (up) at quantiles of {law}{rest}"


def quantiles(n: int) -> "Tensor":
    """The quantiles (k + 1/2) / n of a standard normal, (n,)."""
    import torch

    return torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n).float()


def plane(middle: "Tensor", dims: list[int], values: "Tensor") -> "Tensor":
    """Codes of a plane, (N, N, D), the topmost row first.

    Args:
        middle: What all other latent variables are, (D,).
        dims: The one that grows to the right, and the one that grows upwards.
        values: What each of all would be from place to place, (N, D).
    """
    right, up = dims
    z = middle.repeat(len(values), len(values), 1)
    z[..., right] = values[:, right]
    z[..., up] = values[:, up].flip(0)[:, None]
    return z


def pair(text: str) -> list[int]:
    """Two different whole numbers with a comma between them."""
    dims = places(text)
    if len(dims) != 2 or dims[0] == dims[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is not two different latent variables")
    return dims


def side(text: str) -> int:
    """A whole number of images that a picture has room for."""
    if positive(text) > LARGEST:
        raise argparse.ArgumentTypeError(f"{text} images a side are too many: up to {LARGEST}")
    return int(text)
