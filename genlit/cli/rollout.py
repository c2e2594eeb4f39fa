"""`genlit rollout`: lets a trained model go on with a film."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from genlit.cli.arguments import add_out, parser_for, positive

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

SECONDS = 0.25  # a frame is shown
BEYOND = 0.5  # the grey of true frames after the end of a clip

DESCRIPTION = """\
Let a trained model go on with films: it is given the first frames of clips, and what it predicts is
what it is given for the next prediction. The picture has for each clip a row with the true frames
and one below with the given frames and the predicted ones; the film, PATH.gif, shows all clips side
by side, the true ones above. The array has the predicted frames, (n, steps, channels, height,
width). Prints the squared error of each step, summed over the pixels of a frame, and that of the
last given frame beside it. With more steps than clips have frames left, predictions go on beyond
their end: there the true row is grey, and no error is known.
"""

EXAMPLES = """\
examples:
  genlit rollout runs/moving_mnist/20250102-030405
  genlit rollout RUN --steps 50 --n 8        beyond the end of the clips, too
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("rollout", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--steps", type=positive, metavar="K",
        help="how many frames are predicted (default: as many as clips have after the given ones)",
    )  # fmt: skip
    parser.add_argument(
        "--split", choices=["test", "val", "train"], default="test",
        help="takes clips of the data that the run was trained on (default: test)",
    )  # fmt: skip
    parser.add_argument(
        "--n", type=positive, default=4, metavar="N",
        help="how many clips, chosen at random under the seed (default: 4)",
    )  # fmt: skip
    add_out(parser, "rollout")
    run(parser.parse_args(args))


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    import torch

    from genlit.cli.asking import open_model
    from genlit.cli.outputs import Output
    from genlit.cli.place import load_data
    from genlit.protocols import Conditional, require
    from genlit.randomness import isolated
    from genlit.tasks.next_frame import NextFrame, require_films

    place, model = open_model(options.run, options.device)
    require(model, "the next frames", Conditional)
    output = Output(options.out, place.folder, "rollout", also=["gif"])
    data = load_data(place)
    require_films(data, 0)
    steps = options.steps or data.frames - data.past
    known = min(steps, data.frames - data.past)  # of which there is a truth
    problems = NextFrame(known, draws=1, n=options.n).pose(data, options.split, options.seed)
    with torch.no_grad(), isolated("rollout", options.seed):
        answers = NextFrame(steps, draws=1).solve(model, problems)[:, 0]
    truth, given = torch.as_tensor(problems.truth), torch.as_tensor(problems.given)
    given = given.unflatten(1, (data.past, -1))
    beyond = torch.full_like(answers[:, known:], BEYOND)
    true, made = torch.cat([given, truth, beyond], 1), torch.cat([given, answers], 1)
    rows = torch.stack([true, made], 1).flatten(0, 2)
    caption = f"rows: true and predicted; the first {data.past} frames are given"
    caption += f", the truth ends after {data.past + known}" if known < steps else ""
    stem = output.save(answers, rows, data.past + steps, caption)
    film = stem.with_name(f"{stem.name}.gif")
    write_film(true, made, data.past, data.past + known, film)
    print(film)
    print_errors(answers[:, :known], truth, given[:, -1:])
    if known < steps:
        print(f"steps {known + 1} to {steps}: beyond the end of the clips, which have no truth")


def write_film(true: "Tensor", made: "Tensor", past: int, end: int, path: Path) -> None:
    """Writes films (n, T, C, H, W) side by side, the true ones above.

    Args:
        true: What happened.
        made: The given frames, and what was predicted.
        past: How many frames are given.
        end: After how many frames there is no truth.
        path: Where to write.
    """
    from torchvision.transforms.functional import to_pil_image

    from genlit.callbacks.pictures import as_grid, captioned, enlarged
    from genlit.cli.film import write
    from genlit.features import quantized

    def frames() -> Iterator["Image"]:
        for k in range(true.shape[1]):
            both = quantized(enlarged(as_pictures(true[:, k], made[:, k])))
            told = f"frame {k + 1}, {'given' if k < past else 'predicted'}"
            told += "" if k < end else ", no truth"
            yield to_pil_image(captioned(as_grid(both, len(true)), told)).quantize()

    write(frames(), path, SECONDS)


def as_pictures(above: "Tensor", below: "Tensor") -> "Tensor":
    """Two rows of images (n, C, H, W) in [0, 1], one after the other; clipped."""
    import torch

    return torch.cat([above, below]).clamp(0, 1)


def print_errors(answers: "Tensor", truth: "Tensor", last: "Tensor") -> None:
    """Prints the mean squared error of each step, beside that of the last given frame."""
    from genlit.cli.asking import mean_and_error
    from genlit.tasks.frames import squared_error

    of_model = squared_error(answers[:, None], truth)[:, 0]
    of_last = squared_error(last.expand_as(truth)[:, None], truth)[:, 0]
    print("squared error of a frame, predicted | last given frame")
    for k in range(truth.shape[1]):
        print(f"step {k + 1}: {mean_and_error(of_model[:, k])} | {mean_and_error(of_last[:, k])}")
