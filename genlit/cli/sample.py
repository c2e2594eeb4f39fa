"""`genlit sample`: draws samples of a trained model."""

from typing import Any

from genlit.cli.arguments import add_out, parser_for, positive

DESCRIPTION = """\
Draw samples of a trained model. They are what the model calls its samples: most give expected
pixels, grey levels in [0, 1], where they know zeros and ones only.
"""

EXAMPLES = """\
examples:
  genlit sample runs/rbm/20250102-030405
  genlit sample RUN --n 10000 --seed 1 --out ten-thousand
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("sample", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--n", type=positive, default=64, metavar="N", help="how many samples (default: 64)"
    )
    add_out(parser, "sample")
    options = parser.parse_args(args)

    from genlit.cli.asking import ask_for_events, open_model
    from genlit.cli.outputs import Output
    from genlit.protocols import Samples, require

    place, model = open_model(options.run, options.device)
    require(model, "samples", Samples)
    output = Output(options.out, place.folder, "sample")

    def answer(part: slice) -> Any:
        return model.sample(part.stop - part.start)

    samples = ask_for_events(model, answer, options.n, "sample", options.seed)
    output.save(samples, samples, max(1, round(min(options.n, 1024) ** 0.5)))
