"""`genlit direction`: moves events along the direction of an attribute in the space of codes."""

import argparse
from pathlib import Path

from genlit.cli.arguments import (
    FILES,
    add_binarize,
    add_out,
    not_negative,
    parser_for,
    positive,
)

EACH = {"encode": 500, "project": 50, "classify": 200}

DESCRIPTION = """\
Move events along the direction of an attribute in the space of a trained model's codes: the mean
code of events that have it less the mean code of events that do not (Autoencoding beyond Pixels
Using a Learned Similarity Metric, Larsen et al., 2016). Each row of the picture begins with an
event that does not have the attribute; then come the events of its code moved by 0 to W times the
direction. The array has these, (n, steps, *shape), and PATH.npz beside it the direction (D,).
Prints how many of the codes that tell the direction are on their own side of the middle between the
means, along the direction.
"""

EXAMPLES = f"""\
Codes of events are those of a model that encodes, or else are found by search as with
`genlit project`, which takes its time. For digits there is a cheaper way: --by classify draws
codes, and takes those of which the classifier lenet-mnist-v1 is sure that the model makes this
digit or that. The rows begin with such digits then.

{FILES}
examples:
  genlit direction runs/vae/20250102-030405 --labels 7 1
  genlit direction runs/gan/20250102-030405 --labels 7 1 --by classify
  genlit direction RUN --files smiling/ serious/ --width 2
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("direction", DESCRIPTION, EXAMPLES)
    attribute = parser.add_mutually_exclusive_group(required=True)
    attribute.add_argument(
        "--labels", type=int, nargs=2, metavar=("A", "B"),
        help="events of the data's class A have the attribute, and those of class B do not",
    )  # fmt: skip
    attribute.add_argument(
        "--files", type=Path, nargs=2, metavar=("A", "B"),
        help="images of your own in A have the attribute, and those in B do not, see below",
    )  # fmt: skip
    parser.add_argument(
        "--split", choices=["test", "val", "train"], default="test",
        help="takes events of the data that the run was trained on (default: test)",
    )  # fmt: skip
    parser.add_argument(
        "--by", choices=list(EACH), help="how codes are found (default: encode if the model has "
        "codes of events, and else project)",
    )  # fmt: skip
    parser.add_argument(
        "--each", type=positive, metavar="M",
        help="how many events of either kind tell the direction, or as many as there are (default: "
        + ", ".join(f"{n} by {way}" for way, n in EACH.items()) + ")",
    )  # fmt: skip
    parser.add_argument(
        "--width", type=not_negative, default=1.5, metavar="W",
        help="how far events are moved; 1 is from the one mean to the other (default: 1.5)",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=positive, default=8, metavar="K",
        help="codes on the way, both ends included (default: 8)",
    )  # fmt: skip
    parser.add_argument(
        "--n", type=positive, default=8, metavar="N", help="how many events are moved (default: 8)"
    )
    add_binarize(parser)
    add_out(parser, "direction")
    run(parser.parse_args(args))


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    import torch

    from genlit.cli.asking import ask_for_events, open_model
    from genlit.cli.attributes import find_groups, own_side
    from genlit.cli.outputs import Output
    from genlit.latent import direction, moved
    from genlit.protocols import Encodes, Generates, require

    place, model = open_model(options.run, options.device)
    require(model, "codes to move", Encodes, Generates)
    output = Output(options.out, place.folder, "direction", named=True)
    options.by = options.by or ("encode" if isinstance(model, Encodes) else "project")
    require(model, f"codes by {options.by}", Encodes if options.by == "encode" else Generates)
    options.each = options.each or EACH[options.by]
    groups = find_groups(options, place, model)
    along = direction(groups.having, groups.lacking)
    z = moved(groups.lacking[: options.n], along, torch.linspace(0, options.width, options.steps))
    codes = z.flatten(0, 1)
    answer = ask_for_events(
        model, lambda p: model.decode(codes[p].to(model.device)), len(codes), "decode", options.seed
    ).unflatten(0, z.shape[:2])
    columns = {"image": groups.events[: options.n], "moved by steps": answer}
    output.save_named(answer, columns, direction=along)
    print(
        f"{own_side(groups, along):.1%} of {len(groups.having)} + {len(groups.lacking)} codes are "
        "on their own side of the middle"
    )
