"""`genlit filters`: draws what a trained model's units have learned to look for."""

from genlit.cli.arguments import add_out, parser_for, positive

DESCRIPTION = """\
Draw a trained model's weights as images: what each of its hidden units has learned to look for.
Positive weights are red, negative ones blue, and 0 is white, all on one scale, which the picture
says. The array has the weights themselves, (n, *shape).
"""

EXAMPLES = """\
examples:
  genlit filters runs/rbm/20250102-030405
  genlit filters RUN --n 400 --first
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("filters", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--n", type=positive, default=100, metavar="N",
        help="the most filters to draw (default: 100)",
    )  # fmt: skip
    parser.add_argument(
        "--first", action="store_true",
        help="takes the first ones in the model's order, and not those of the largest norm",
    )  # fmt: skip
    add_out(parser, "filter", "float32, the weights as they are")
    options = parser.parse_args(args)

    from genlit.callbacks.filters import chosen_filters, legend, scale_of
    from genlit.callbacks.pictures import is_image, signed
    from genlit.cli.asking import open_model
    from genlit.cli.outputs import Output
    from genlit.protocols import HasFilters, require

    place, model = open_model(options.run, options.device)
    require(model, "filters", HasFilters)
    output = Output(options.out, place.folder, "filter")
    weights = chosen_filters(model, options.n, largest=not options.first)
    scale = scale_of(weights)
    picture = signed(weights, scale) if is_image(weights.shape[1:]) else weights
    columns = max(1, round(min(len(weights), 1024) ** 0.5))
    output.save(weights, picture, columns, legend(weights, scale))
