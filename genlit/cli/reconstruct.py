"""`genlit reconstruct`: sends images through a trained model's code and back."""

from genlit.cli.arguments import FILES, add_events, add_out, parser_for

DESCRIPTION = """\
Send images through a trained model's code and back. The picture has an image and its reconstruction
in each row; the array has the reconstructions, (n, *shape). Prints the mean squared error of a
pixel, with its standard error over the images.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit reconstruct runs/vae/20250102-030405
  genlit reconstruct RUN --file digits.npy --binarize threshold
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("reconstruct", DESCRIPTION, EXAMPLES)
    add_events(parser, "how many images (default: 10 of a split, all of a file)")
    add_out(parser, "reconstruct")
    options = parser.parse_args(args)

    from genlit.cli.asking import ask_for_events, find_events, mean_and_error, open_model
    from genlit.cli.outputs import Output
    from genlit.protocols import Reconstructs, require

    place, model = open_model(options.run, options.device)
    require(model, "reconstructions", Reconstructs)
    output = Output(options.out, place.folder, "reconstruct")
    x = find_events(options, place, model, default=10)
    answer = ask_for_events(
        model, lambda p: model.reconstruct(x[p].to(model.device)), len(x), "reconstruct",
        options.seed,
    )  # fmt: skip
    output.save_named(answer, {"image": x, "reconstruction": answer})
    errors = (answer - x).square().flatten(1).mean(1)
    print(f"mean squared error {mean_and_error(errors)} per pixel, {len(x)} images")
