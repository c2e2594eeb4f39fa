"""`genlit chains`: runs a trained model's Markov chain and looks at it on its way."""

from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import FILES, add_events, add_out, parser_for, positive

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = """\
Run a trained model's Markov chain and look at it on its way. Each row of the picture is a chain,
seen after 0, 1, 2, 4, 8, ... steps; the array has the same images, (chains, times, *shape). Rows
whose images never become others are of a chain that does not mix.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit chains runs/rbm/20250102-030405 --steps 1000
  genlit chains RUN --from-samples --n 8
  genlit chains RUN --file digits.npy --binarize threshold
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("chains", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--steps", type=positive, default=256, metavar="K",
        help="steps to the last image of a row (default: 256)",
    )  # fmt: skip
    parser.add_argument(
        "--from-samples", action="store_true",
        help="begins at samples of the model, and not at events; deep machines and belief nets, "
        "whose chains move hidden layers, too, can begin there only",
    )  # fmt: skip
    add_events(parser, "how many chains (default: 10; with --file all that it holds)")
    add_out(parser, "chain")
    options = parser.parse_args(args)
    if options.from_samples and options.file is not None:
        parser.error("--from-samples and --file say both where chains begin: leave one out")

    from genlit.callbacks.chain_picture import at_steps
    from genlit.chains import chain_of, doubling, require_chain, snapshots
    from genlit.cli.asking import find_events, open_model
    from genlit.cli.outputs import Output
    from genlit.tasks.blocks import block_of, in_blocks

    place, model = open_model(options.run, options.device)
    require_chain(model, "chains", not options.from_samples, "add --from-samples")
    output = Output(options.out, place.folder, "chain")
    x = None if options.from_samples else find_events(options, place, model, default=10)
    n, times = len(x) if x is not None else options.n or 10, doubling(options.steps)
    chain = chain_of(model)

    def answer(part: slice) -> Any:
        here = chain.samples(part.stop - part.start) if x is None else x[part].to(model.device)
        return snapshots(chain.step, here, times, chain.look)

    block = max(1, block_of(place.shape) // len(times))
    seen = in_blocks(answer, n, block, "chains", options.seed)
    output.save(*checked(seen, type(model).__name__), len(times), at_steps(times))


def checked(seen: "Tensor", model: str) -> tuple["Tensor", "Tensor"]:
    """States in [0, 1], (chains, times, *shape), and the same in one row.

    Raises:
        ValueError: If there are others than finite numbers among them.
    """
    if not seen.isfinite().all():
        raise ValueError(f"the chains of {model} came to numbers that are not finite")
    seen = seen.float().clamp(0, 1)
    return seen, seen.flatten(0, 1)
