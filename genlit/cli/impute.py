"""`genlit impute`: lets a trained model fill in what is missing in images and tables."""

import argparse
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import FILES, add_events, add_out, parser_for, positive

if TYPE_CHECKING:
    from genlit.cli.place import Place

DESCRIPTION = """\
Let a trained model fill in what is missing in images, by sampling it given what is observed.
Observed pixels stay exactly as they are. The picture has in each row an image, the image with red
where pixels are missing (which the model does not see), and the imputations. The array has the
imputations, (n, *shape), or with several draws (n, draws, *shape). Prints the mean squared error of
a missing pixel of a single draw, with its standard error over the images. With 19 draws or more
each missing pixel has an interval from the 5 % to the 95 % quantile of its draws, and the share of
true values in these is printed: of a model that knows what it does not know, it is 0.9 (or more,
where pixels are zeros and ones).

--mask data fills in the gaps of the table that a run has learned from, in the table's own units,
and keeps every entry that is in the file. A table that came as .csv is written as PATH.csv, too,
with its names; several draws are below one another, told apart by a first column `draw`. Of gaps
no truth is known, so nothing is said of how good that is, unless the run hid entries on purpose
(data.missing): by these imputations are judged, made without seeing them.
The task genlit.tasks.Imputation compares models with each other and with nearest neighbours.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit impute runs/rbm/20250102-030405 --mask box --draws 5
  genlit impute RUN --mask random:0.8 --file digits.npy --out filled
  genlit impute RUN --mask known.npy --file damaged.npy
  genlit fit -c miwae --data IncompleteVectors --data.path table.csv --run_dir runs/table
  genlit impute runs/table --mask data --draws 20 --out full     full.csv, full.npy
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("impute", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--mask", default="half", metavar="MASK",
        help="half: the lower half is missing (default); box: a box in the middle, of half the "
        "height and width; random:0.5: each pixel with probability 0.5; PATH: a mask of your "
        "own, a PNG that is white where observed and black where missing, or a .npy that is 1 and "
        "0 there, of the shape of one event or (n, *shape) for a mask of every image (then with "
        "--file, whose order is kept); data: the gaps of the table that the run has learned from",
    )  # fmt: skip
    parser.add_argument(
        "--draws", type=positive, default=1, metavar="K",
        help="how many imputations of each image (default: 1)",
    )  # fmt: skip
    add_events(parser, "how many images (default: 10 of a split, all of a file or a table)")
    add_out(parser, "impute")
    options = parser.parse_args(args)

    from genlit.cli.asking import open_model
    from genlit.protocols import Imputes, require

    place, model = open_model(options.run, options.device)
    require(model, "imputations", Imputes)
    if options.mask == "data":
        from genlit.cli.gaps import fill_gaps

        fill_gaps(options, place, model)
    else:
        fill_masked(options, place, model)


def fill_masked(options: argparse.Namespace, place: "Place", model: Any) -> None:
    """Fills in what a mask hides of events, and says how well that went."""
    import torch

    from genlit.callbacks.pictures import gaps_marked
    from genlit.cli.asking import ask_for_imputations, find_events
    from genlit.cli.judging import drawn, report
    from genlit.cli.outputs import Output
    from genlit.data.masks import observed

    output = Output(options.out, place.folder, "impute")
    x = find_events(options, place, model, default=10)
    known = observed(options.mask, place.shape, len(x), options.seed) & x.isfinite()
    draws = [ask_for_imputations(model, x, known, d, options.seed) for d in range(options.draws)]
    answers = torch.stack(draws, 1)
    columns = {"image": x, "given": gaps_marked(x, known), "imputed": answers}
    output.save_named(answers[:, 0] if len(draws) == 1 else answers, columns)
    thing, things = ("pixel", "images") if x.dim() == 4 else ("entry", "events")
    missing = float((~known).double().mean())
    print(f"mask {options.mask}: {missing:.1%} missing of {len(x)} {things}, {drawn(len(draws))}")
    units = "" if x.dim() == 4 else "; in the units of the array, squared"
    report(x, ~known & x.isfinite(), answers, f"missing {thing}", things, units)
