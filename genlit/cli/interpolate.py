"""`genlit interpolate`: walks from one image to another through a trained model's codes."""

from typing import TYPE_CHECKING

from genlit.cli.arguments import FILES, add_events, add_out, parser_for, positive

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = """\
Walk from one image to another through a trained model's codes. Each row of the picture begins with
an image and ends with another; between them is what the model decodes on the way, both ends
included. The array has the decoded images, (pairs, steps, *shape).
"""

EXAMPLES = f"""\
{FILES}
Of a file the first and the second image make a pair, the third and the fourth, and so on;
a last one without a partner is left out.

examples:
  genlit interpolate runs/vae/20250102-030405 --steps 12
  genlit interpolate RUN --file two-digits.npy --slerp --binarize threshold
"""


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
    add_events(parser, "how many pairs of images (default: 8 of a split, all of a file)")
    add_out(parser, "interpolate")
    options = parser.parse_args(args)

    from genlit.cli.asking import ask_for_events, block_of, find_events, in_blocks, open_model
    from genlit.cli.outputs import Output, in_rows
    from genlit.protocols import Encodes, require

    place, model = open_model(options.run, options.device)
    require(model, "codes to interpolate between", Encodes)
    output = Output(options.out, place.folder, "interpolate")
    x, seed = find_events(options, place, model, default=8, each=2), options.seed
    codes = in_blocks(
        lambda p: model.encode(x[p].to(model.device)), len(x), block_of(place.shape), "encode", seed
    )
    z = path(codes[::2], codes[1::2], options.steps, options.slerp).flatten(0, 1)
    answer = ask_for_events(
        model, lambda p: model.decode(z[p].to(model.device)), len(z), "decode", seed
    ).unflatten(0, (-1, options.steps))
    output.save(answer, *in_rows(x[::2], *answer.unbind(1), x[1::2]))


def path(a: "Tensor", b: "Tensor", steps: int, arc: bool) -> "Tensor":
    """Codes on the way from a to b, (B, latent) each; (B, steps, latent), both ends included.

    Args:
        a: Where it begins.
        b: Where it ends.
        steps: How many codes.
        arc: Goes along an arc (spherical interpolation) and not along a line; where a and b point
            in one direction or in opposite ones there is no arc, and it is the line.

    References:
        | Animating Rotation with Quaternion Curves (Shoemake, 1985)
    """
    t = a.new_tensor([k / max(steps - 1, 1) for k in range(steps)])[:, None]
    a, b = a[:, None], b[:, None]
    line = (1 - t) * a + t * b
    if not arc:
        return line
    lengths = a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)
    angle = ((a * b).sum(-1, keepdim=True) / lengths.clamp_min(1e-12)).clamp(-1, 1).acos()
    sine = angle.sin()
    curve = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine.clamp_min(1e-4)
    return curve.where(sine > 1e-3, line)
