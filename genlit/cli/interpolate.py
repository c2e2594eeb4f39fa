"""`genlit interpolate`: walks from one event to another through a trained model's codes."""

import argparse
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import FILES, add_events, add_out, parser_for, positive

if TYPE_CHECKING:
    from torch import Tensor

    from genlit.cli.place import Place

DESCRIPTION = """\
Walk from one image to another through a trained model's codes. Each row of the picture begins with
an image and ends with another; between them is what the model decodes on the way, both ends
included. The array has the decoded images, (pairs, steps, *shape).

A model that makes images of codes and has no codes of images, as a GAN, walks between codes that it
draws; `genlit project` finds codes of images.
"""

EXAMPLES = f"""\
{FILES}
Of a file the first and the second image make a pair, the third and the fourth, and so on;
a last one without a partner is left out.

examples:
  genlit interpolate runs/vae/20250102-030405 --steps 12
  genlit interpolate runs/gan/20250102-030405 --slerp --n 5
  genlit interpolate RUN --file two-digits.npy --slerp --binarize threshold
"""

PAIRS = 8


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("interpolate", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--steps", type=positive, default=10, metavar="K",
        help="codes on the way, both ends included (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--slerp", action="store_true",
        help="goes along an arc, on which codes keep their distance from the origin as those of a "
        "Gaussian do, and not along a straight line",
    )  # fmt: skip
    add_events(parser, f"how many pairs of images (default: {PAIRS} of a split, all of a file)")
    add_out(parser, "interpolate")
    run(parser.parse_args(args))


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    from genlit.cli.asking import ask_for_events, open_model
    from genlit.cli.outputs import Output
    from genlit.latent import lerp, slerp
    from genlit.protocols import Encodes, Generates, require

    place, model = open_model(options.run, options.device)
    require(model, "codes to interpolate between", Encodes, Generates)
    output = Output(options.out, place.folder, "interpolate")
    x, codes = ends(options, place, model)
    z = (slerp if options.slerp else lerp)(codes[::2], codes[1::2], options.steps).flatten(0, 1)
    answer = ask_for_events(
        model, lambda p: model.decode(z[p].to(model.device)), len(z), "decode", options.seed
    ).unflatten(0, (-1, options.steps))
    if x is None:
        output.save(answer, answer.flatten(0, 1), options.steps)
    else:
        output.save_named(answer, {"from": x[::2], "between": answer, "to": x[1::2]})


def ends(options: argparse.Namespace, place: "Place", model: Any) -> "tuple[Tensor | None, Tensor]":
    """Events (2 pairs, *shape), or None where a model has no codes of events; and codes.

    Raises:
        ValueError: If there are events of the user's own, and the model has no codes of events.
    """
    from genlit.cli.asking import find_events
    from genlit.protocols import Encodes
    from genlit.tasks.blocks import block_of, in_blocks

    seed = options.seed
    if isinstance(model, Encodes):
        x = find_events(options, place, model, default=PAIRS, each=2)
        codes = in_blocks(
            lambda p: model.encode(x[p].to(model.device)), len(x), block_of(place.shape), "encode",
            seed,
        )  # fmt: skip
        return x, codes
    if options.file is not None:
        raise ValueError(
            f"{type(model).__name__} has no codes of images: leave out --file, or find codes with "
            "genlit project"
        )
    n = 2 * (options.n or PAIRS)
    return None, in_blocks(lambda p: model.draw_codes(p.stop - p.start), n, n, "codes", seed)
