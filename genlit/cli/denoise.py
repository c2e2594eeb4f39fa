"""`genlit denoise`: spoils images and lets a trained model restore them."""

import math
from typing import TYPE_CHECKING

from genlit.cli.arguments import FILES, add_events, add_out, fraction, parser_for

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = """\
Spoil images, and let a trained model restore them. --corruption says how:

  gaussian:S          Gaussian noise of standard deviation S
  flips:P             each pixel x becomes 1 - x with probability P
  salt-and-pepper:P   each pixel becomes 0 or 1, by a fair coin, with probability P
  masking:P           each pixel becomes 0 with probability P
  occlusion:A         a black box of A times the height and width, at a place drawn at random
  lines:P             each row and each column becomes black with probability P
  blur:S              a Gaussian blur of standard deviation S pixels

and --noise P is short for flips:P of images of zeros and ones, and for gaussian:P of others. What
leaves [0, 1] is cut off. The picture has in each row an image, the spoilt one and the restored one;
the array has the restored ones, (n, *shape). Prints the peak signal-to-noise ratio (PSNR) in dB to
the clean images, before and after: that of the mean squared error of all pixels, with its standard
error over the images. With --noise 0 the images are taken to be noisy as they come. The task
genlit.tasks.Denoising compares models with each other and with filters.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit denoise runs/vae/20250102-030405 --noise 0.1
  genlit denoise RUN --corruption salt-and-pepper:0.3 --n 20
  genlit denoise RUN --noise 0 --file scanned/ --binarize threshold
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("denoise", DESCRIPTION, EXAMPLES)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--noise", type=fraction, default=0.1, metavar="P",
        help="how much noise, from 0 to 1: the probability of a flip, or the standard deviation "
        "(default: 0.1)",
    )  # fmt: skip
    how.add_argument("--corruption", metavar="KIND:X", help="what spoils the images, see above")
    add_events(parser, "how many images (default: 10 of a split, all of a file)")
    add_out(parser, "denoise")
    options = parser.parse_args(args)

    from genlit.cli.asking import ask_for_events, find_events, open_model
    from genlit.cli.corruptions import corruption, spoilt
    from genlit.cli.images import is_binary
    from genlit.cli.outputs import Output, in_rows
    from genlit.protocols import Denoises, require

    given = None if options.corruption is None else corruption(options.corruption)
    place, model = open_model(options.run, options.device)
    require(model, "denoised events", Denoises)
    output = Output(options.out, place.folder, "denoise")
    x = find_events(options, place, model, default=10)
    text = options.corruption or f"{'flips' if is_binary(x) else 'gaussian'}:{options.noise:g}"
    noisy = spoilt(x, given or corruption(text), options.seed)
    answer = ask_for_events(
        model, lambda p: model.denoise(noisy[p].to(model.device)), len(x), "denoise", options.seed
    )
    output.save(answer, *in_rows(x, noisy, answer))
    if given or options.noise:
        print(f"{text}, {len(x)} images")
        print(f"PSNR noisy {psnr(noisy, x)} dB, denoised {psnr(answer, x)} dB")


def psnr(x: "Tensor", clean: "Tensor") -> str:
    """The peak signal-to-noise ratio of all pixels in dB, with its standard error, as text."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    value = float(peak_signal_noise_ratio(x, clean, data_range=1.0))
    errors = (x - clean).double().square().flatten(1).mean(1)
    if len(x) == 1 or not errors.any():
        return f"{value:.2f}"
    relative = float(errors.std() / errors.mean()) / len(x) ** 0.5
    return f"{value:.2f} ± {10 / math.log(10) * relative:.2g}"
