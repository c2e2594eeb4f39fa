"""`genlit traverse`: changes one latent variable at a time, and decodes what comes of it."""

import argparse
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from genlit.cli.arguments import FILES, add_events, add_out, parser_for, places, positive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from genlit.cli.place import Place
    from genlit.latent import Spread

DESCRIPTION = """\
Change one latent variable of an event's code at a time, hold all others, and look at what a trained
model decodes. Each row of the picture begins with the event, and is of one latent variable; from
left to right the variable goes from W standard deviations of its prior below the event's code to W
above it. The array has the decoded images, (events, variables, steps, *shape).

Prints which variables the rows are of, and how many of all are active: those whose mean, given an
event, has a variance above 0.01 over 500 test events (Burda et al., 2016). Where a model has no
prior of codes, as an autoencoder or a flow, deviations are those of these events' codes.

A model that makes events of codes and has no codes of events, as a GAN, begins at events that it
draws, and its most active variables are those that change what it makes the most; those that were
learned to mean something, as an InfoGAN's, come first. Entries that tell a category make one row,
in which one category comes after the other.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit traverse runs/vae/20250102-030405
  genlit traverse RUN --dims 0,3,7 --width 2 --steps 9
  genlit traverse RUN --file digit.png --binarize threshold --rows 5
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("traverse", DESCRIPTION, EXAMPLES)
    variables = parser.add_mutually_exclusive_group()
    variables.add_argument(
        "--dims", type=places, metavar="I,J,...",
        help="the latent variables, of which the first is 0 (default: the most active)",
    )  # fmt: skip
    variables.add_argument(
        "--rows", type=positive, default=10, metavar="R",
        help="how many of the most active latent variables (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--width", type=width, default=3.0, metavar="W",
        help="standard deviations that a variable goes to either side (default: 3)",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=two_or_more, default=11, metavar="K",
        help="values of a variable, both ends included; of an odd number the one in the middle is "
        "the event's own (default: 11)",
    )  # fmt: skip
    add_events(parser, "how many events (default: 1 of a split, all of a file)")
    add_out(parser, "traverse")
    run(parser.parse_args(args))


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    import torch

    from genlit.cli import codes
    from genlit.cli.asking import ask_for_events, open_model
    from genlit.cli.outputs import Output
    from genlit.protocols import Encodes, Generates, require

    place, model = open_model(options.run, options.device)
    require(model, "codes to traverse", Encodes, Generates)
    output, seed = Output(options.out, place.folder, "traverse"), options.seed
    start = (
        of_events(options, place, model) if isinstance(model, Encodes) else drawn(options, model)
    )
    dims = options.dims or codes.looked_at_first(model, start.activities, options.rows)
    codes.require_dims(dims, model, len(start.activities))
    categories = model.categories() if isinstance(model, Generates) else []
    dims = codes.one_of_each(dims, categories)
    offsets = torch.linspace(-options.width, options.width, options.steps)
    z = traversal(start.codes, dims, offsets[:, None] * start.spread.std[dims], categories)
    answer = ask_for_events(
        model, lambda p: model.decode(z.flatten(0, 2)[p].to(model.device)), z[..., 0].numel(),
        "decode", seed,
    ).unflatten(0, z.shape[:3])  # fmt: skip
    rows = torch.cat(
        [start.events[:, None, None].expand(-1, len(dims), 1, *place.shape), answer], 2
    )
    names = ", ".join(map(str, dims))
    caption = (
        f"latent variables {names} (rows) changed by -{options.width:g} to {options.width:g} "
        f"standard deviations of {start.spread.of}"
    )
    output.save(answer, rows.flatten(0, 2), options.steps + 1, caption)
    print(f"rows: latent variables {names}")
    if start.said:
        print(start.said)


class Start(NamedTuple):
    """Where a traversal begins, and what is known of its latent variables."""

    events: "Tensor"  # (B, *shape)
    codes: "Tensor"  # (B, D)
    spread: "Spread"
    activities: "Tensor"  # (D,)
    said: str


def of_events(options: argparse.Namespace, place: "Place", model: Any) -> Start:
    """Events of the user's choice, with their codes."""
    from genlit.cli import codes
    from genlit.cli.asking import find_events

    x = find_events(options, place, model, default=1)
    survey = codes.surveyed(place, model, options.seed)
    prior = codes.prior_spread(model, options.seed)
    spread, activities = prior or codes.spread_of(survey), codes.activity(survey, prior)
    z = codes.ask_for_codes(model, x, options.seed)
    return Start(x, z, spread, activities, codes.active_ones(activities, len(survey)))


def drawn(options: argparse.Namespace, model: Any) -> Start:
    """Events that a model without codes of events draws.

    Raises:
        ValueError: If there are events of the user's own.
    """
    from genlit.cli import codes
    from genlit.cli.asking import ask_for_events
    from genlit.tasks.blocks import in_blocks

    if options.file is not None:
        raise ValueError(
            f"{type(model).__name__} has no codes of images: leave out --file, or find codes with "
            "genlit project"
        )
    n, seed = options.n or 1, options.seed
    z = in_blocks(lambda p: model.draw_codes(p.stop - p.start), n, n, "codes", seed).float()
    x = ask_for_events(model, lambda p: model.decode(z[p].to(model.device)), n, "decode", seed)
    spread = codes.drawn_spread(model, seed)
    return Start(x, z, spread, codes.influence(model, spread, seed), "")


def traversal(
    z: "Tensor", dims: list[int], offsets: "Tensor", categories: "Sequence[range]" = ()
) -> "Tensor":
    """Codes with one latent variable changed in each row, (B, rows, steps, D).

    Args:
        z: Codes, (B, D).
        dims: Which variable each row changes.
        offsets: What is added to it, (steps, rows).
        categories: Entries of codes that are all 0 but for a single 1; a row of one of them goes
            from the first category to the last.
    """
    steps = len(offsets)
    changed = z[:, None, None].repeat(1, len(dims), steps, 1)
    for row, dim in enumerate(dims):
        group = next((group for group in categories if dim in group), None)
        if group is None:
            changed[:, row, :, dim] += offsets[:, row]
            continue
        changed[:, row, :, group.start : group.stop] = 0
        for k in range(steps):
            changed[:, row, k, group[round(k * (len(group) - 1) / (steps - 1))]] = 1
    return changed


def two_or_more(text: str) -> int:
    """A whole number above 1."""
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 1")
    return int(text)


def width(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number
