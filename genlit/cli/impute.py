"""`genlit impute`: lets a trained model fill in what is missing in images."""

from genlit.cli.arguments import FILES, add_events, add_out, parser_for, positive

DESCRIPTION = """\
Let a trained model fill in what is missing in images, by sampling it given what is observed.
Observed pixels stay exactly as they are. The picture has in each row an image, the image with grey
where pixels are missing (which the model does not see), and the imputations. The array has the
imputations, (n, *shape), or with several draws (n, draws, *shape). Prints the mean squared error of
a missing pixel, with its standard error over the images.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit impute runs/rbm/20250102-030405 --mask box --draws 5
  genlit impute RUN --mask random:0.8 --file digits.npy --out filled
  genlit impute RUN --mask known.npy --file damaged.npy
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
        "--file, whose order is kept)",
    )  # fmt: skip
    parser.add_argument(
        "--draws", type=positive, default=1, metavar="K",
        help="how many imputations of each image (default: 1)",
    )  # fmt: skip
    add_events(parser, "how many images (default: 10 of a split, all of a file)")
    add_out(parser, "impute")
    options = parser.parse_args(args)

    import torch

    from genlit.cli.asking import ask_for_imputations, find_events, mean_and_error, open_model
    from genlit.cli.corruptions import observed
    from genlit.cli.outputs import Output, in_rows
    from genlit.protocols import Imputes, require

    place, model = open_model(options.run, options.device)
    require(model, "imputations", Imputes)
    output = Output(options.out, place.folder, "impute")
    x = find_events(options, place, model, default=10)
    known = observed(options.mask, place.shape, len(x), options.seed)
    draws = [ask_for_imputations(model, x, known, d, options.seed) for d in range(options.draws)]
    masked = torch.where(known, x, 0.5)
    output.save(draws[0] if len(draws) == 1 else torch.stack(draws, 1), *in_rows(x, masked, *draws))
    missing = (~known).flatten(1).sum(1)
    errors = torch.stack([(d - x).square().flatten(1).sum(1) for d in draws]).mean(0)
    if (some := missing > 0).any():
        text = mean_and_error(errors[some] / missing[some])
        print(f"mean squared error {text} per missing pixel, {int(some.sum())} images")
