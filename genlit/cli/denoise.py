"""`genlit denoise`: spoils images and lets a trained model restore them."""

import argparse
import math
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import FILES, add_events, add_out, fraction, parser_for
from genlit.cli.photos import add_tile

if TYPE_CHECKING:
    from torch import Tensor

    from genlit.cli.place import Place
    from genlit.corruptions import Corruption

DESCRIPTION = """\
Spoil images, and let a trained model restore them. --corruption says how:

  gaussian:S          Gaussian noise of standard deviation S
  flips:P             each pixel x becomes 1 - x with probability P
  salt-and-pepper:P   each pixel becomes 0 or 1, by a fair coin, with probability P
  masking:P           each pixel becomes 0 with probability P
  occlusion:A         a black box of A times the height and width, at a place drawn at random
  lines:P             each row and each column becomes black with probability P
  blur:S              a Gaussian blur of standard deviation S pixels

and --noise P is short for flips:P of images of zeros and ones, and for gaussian:P of others.
Without either it is the corruption that the model has learned to undo, as a Restorer, a GSN or a
DenoisingAutoencoder has; for models that have learned from clean images it is --noise 0.1. What
leaves [0, 1] is cut off. The picture has in each row an image, the spoilt one and the restored one;
the array has the restored ones, (n, *shape). Prints the peak signal-to-noise ratio (PSNR) in dB to
the clean images, before and after: that of the mean squared error of all pixels, with its standard
error over the images. With --noise 0 the images are taken to be noisy as they come. The task
genlit.tasks.Denoising compares models with each other and with filters.

A convolutional Restorer takes photos of any size, PNG or JPEG, in --file: where these are not of
the size of the model's images, each becomes a PNG of its own, and so does what was spoilt
(NAME-spoilt); --out is then the PNG, or of a folder the folder, and PSNR is a mean over photos.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit denoise runs/vae/20250102-030405 --noise 0.1
  genlit denoise RUN --corruption salt-and-pepper:0.3 --n 20
  genlit denoise RUN --noise 0 --file scanned/ --binarize threshold
  genlit denoise RUN --noise 0 --file photo.jpg --out photo-restored.png
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("denoise", DESCRIPTION, EXAMPLES)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--noise", type=fraction, metavar="P",
        help="how much noise, from 0 to 1: the probability of a flip, or the standard deviation "
        "(default: what the model has learned, or 0.1)",
    )  # fmt: skip
    how.add_argument("--corruption", metavar="KIND:X", help="what spoils the images, see above")
    add_events(parser, "how many images (default: 10 of a split, all of a file)")
    add_out(parser, "denoise")
    add_tile(parser)
    options = parser.parse_args(args)

    from genlit.cli.asking import find_events, open_model
    from genlit.cli.corruptions import corruption
    from genlit.cli.images import is_binary
    from genlit.cli.restoring import odd_photos
    from genlit.protocols import Denoises, require

    given = None if options.corruption is None else corruption(options.corruption)
    place, model = open_model(options.run, options.device)
    require(model, "denoised events", Denoises)
    if files := odd_photos(options.file, place.shape):
        denoise_photos(files, options, place, model, given)
    else:
        x = find_events(options, place, model, default=10)
        kind, text = damage(options, model, given, is_binary(x))
        denoise_events(x, options, place, model, kind, text)


def damage(
    options: argparse.Namespace, model: Any, given: "Corruption | None", binary: bool
) -> "tuple[Corruption, str]":
    """What spoils images, and how to say so; nothing is said where they are noisy as they come."""
    from genlit.cli.corruptions import corruption, learned

    own = learned(model)
    if given is not None:
        return given, options.corruption
    if options.noise is None and own is not None:
        return own, f"{own.name}, which {type(model).__name__} has learned to undo"
    noise = 0.1 if options.noise is None else options.noise
    text = f"{'flips' if binary else 'gaussian'}:{noise:g}"
    return corruption(text), text if noise else ""


def denoise_events(
    x: "Tensor", options: argparse.Namespace, place: "Place", model: Any,
    kind: "Corruption", text: str,
) -> None:  # fmt: skip
    """Spoils events (n, *shape), has them restored, and writes and says what came of it."""
    from genlit.cli.asking import ask_for_events
    from genlit.cli.corruptions import spoilt
    from genlit.cli.outputs import Output

    output = Output(options.out, place.folder, "denoise")
    noisy = spoilt(x, kind, options.seed)
    answer = ask_for_events(
        model, lambda p: model.denoise(noisy[p].to(model.device)), len(x), "denoise", options.seed
    )
    spoiling = {"spoilt": noisy} if text else {}
    output.save_named(answer, {"image": x, **spoiling, "restored": answer})
    if text:
        print(f"{text}, {len(x)} images")
        print(f"PSNR noisy {psnr(noisy, x)} dB, denoised {psnr(answer, x)} dB")


def denoise_photos(
    files: list[Any], options: argparse.Namespace, place: "Place", model: Any,
    given: "Corruption | None",
) -> None:  # fmt: skip
    """The same with photos of any size, each by itself."""
    from genlit.cli.asking import mean_and_error
    from genlit.cli.restoring import restore_photos

    kind, text = damage(options, model, given, model.binary)
    before, after = restore_photos(files, options, place, model, kind)
    if text:
        print(f"{text}, {len(before)} photo{'s' * (len(before) != 1)}")
        print(f"PSNR noisy {mean_and_error(before)} dB, denoised {mean_and_error(after)} dB")


def psnr(x: "Tensor", clean: "Tensor") -> str:
    """The peak signal-to-noise ratio of all pixels in dB, with its standard error, as text."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    value = float(peak_signal_noise_ratio(x, clean, data_range=1.0))
    errors = (x - clean).double().square().flatten(1).mean(1)
    if len(x) == 1 or not errors.any():
        return f"{value:.2f}"
    relative = float(errors.std() / errors.mean()) / len(x) ** 0.5
    return f"{value:.2f} ± {10 / math.log(10) * relative:.2g}"
