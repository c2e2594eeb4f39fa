"""`genlit impute`: lets a trained model fill in what is missing in images and tables."""

import argparse
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import FILES, add_events, add_out, parser_for, positive

if TYPE_CHECKING:
    from torch import Tensor

    from genlit.cli.place import Place

DESCRIPTION = """\
Let a trained model fill in what is missing in images, by sampling it given what is observed.
Observed pixels stay exactly as they are. The picture has in each row an image, the image with grey
where pixels are missing (which the model does not see), and the imputations. The array has the
imputations, (n, *shape), or with several draws (n, draws, *shape). Prints the mean squared error of
a missing pixel, with its standard error over the images. With 19 draws or more each missing pixel
has an interval from the 5 % to the 95 % quantile of its draws, and the share of true values in
these is printed: of a model that knows what it does not know, it is 0.9 (or more, where pixels are
zeros and ones).

--mask data fills in the gaps of the table that a run has learned from, in the table's own units.
The task genlit.tasks.Imputation compares models with each other and with nearest neighbours.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit impute runs/rbm/20250102-030405 --mask box --draws 5
  genlit impute RUN --mask random:0.8 --file digits.npy --out filled
  genlit impute RUN --mask known.npy --file damaged.npy
  genlit fit -c miwae --data IncompleteVectors --data.path table.csv --run_dir runs/table
  genlit impute runs/table --mask data --draws 20
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

    import torch

    from genlit.cli.asking import ask_for_imputations, open_model
    from genlit.cli.outputs import Output, in_rows
    from genlit.protocols import Imputes, require

    place, model = open_model(options.run, options.device)
    require(model, "imputations", Imputes)
    output = Output(options.out, place.folder, "impute")
    x, known, scale, offset = posed(options, place, model)
    draws = [ask_for_imputations(model, x, known, d, options.seed) for d in range(options.draws)]
    answers = torch.stack(draws, 1)
    own = (answers.double() * scale + offset).float() if options.mask == "data" else answers
    shown = in_rows(x, torch.where(known, x, 0.5), *draws)
    output.save(own[:, 0] if len(draws) == 1 else own, *shown)
    report(x, ~known & x.isfinite(), answers)


def posed(options: argparse.Namespace, place: "Place", model: Any) -> "tuple[Tensor, ...]":
    """The events, where they are observed, and the scale and offset of the data's own units.

    Raises:
        ValueError: If the run's data have no gaps, and their gaps are asked for.
    """
    import torch

    from genlit.cli.asking import find_events
    from genlit.cli.place import load_data
    from genlit.data.masks import observed
    from genlit.randomness import permutation

    if options.mask != "data":
        x = find_events(options, place, model, default=10)
        known = observed(options.mask, place.shape, len(x), options.seed)
        return x, known, torch.ones(()), torch.zeros(())
    data = load_data(place)
    gaps: dict[str, Tensor] = getattr(data, "observed", {})
    if not gaps or options.file is not None:
        raise ValueError(
            "--mask data takes the gaps of the data of a run, and there are none: give another mask"
        )
    every = torch.arange(len(gaps[options.split]))
    drawn = permutation(len(every), "events", options.seed)[: options.n]
    chosen = every if options.n is None else drawn
    return data.events(options.split, chosen), gaps[options.split][chosen], data.scale, data.offset


def report(x: "Tensor", missing: "Tensor", answers: "Tensor") -> None:
    """Prints how good imputations (n, draws, *shape) are where the truth is known."""
    from genlit.cli.asking import mean_and_error
    from genlit.tasks.imputation import DRAWS, LEVEL, interval

    def of_missing(entries: "Tensor") -> "Tensor":
        counted = missing.flatten(1).sum(1)
        return (entries.where(missing, 0.0).flatten(1).sum(1) / counted)[counted > 0]

    errors = of_missing((answers - x.unsqueeze(1)).square().mean(1))
    if len(errors) == 0:
        return
    thing, things = ("pixel", "images") if x.dim() == 4 else ("entry", "rows")
    text = mean_and_error(errors)
    print(f"mean squared error {text} per missing {thing}, {len(errors)} {things}")
    if answers.shape[1] >= DRAWS:
        low, high = interval(answers, LEVEL)
        inside = mean_and_error(of_missing(((low <= x) & (x <= high)).float()))
        width = mean_and_error(of_missing(high - low))
        print(f"intervals of {LEVEL:.0%}: {inside} of the true values are inside, width {width}")
