"""`genlit denoise`: adds noise to images and lets a trained model remove it."""

import math
from typing import TYPE_CHECKING

from genlit.cli.arguments import FILES, add_events, add_out, fraction, parser_for

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = """\
Add noise to images, and let a trained model remove it. Images of zeros and ones get flips: each
pixel is turned into the other with probability P. Grey images get Gaussian noise of standard
deviation P, and what leaves [0, 1] is cut off. The picture has in each row an image, the noisy one
and the denoised one; the array has the denoised ones, (n, *shape). Prints the peak signal-to-noise
ratio (PSNR) in dB to the clean images, before and after: that of the mean squared error of all
pixels, with its standard error over the images. With --noise 0 the images are
taken to be noisy as they come.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit denoise runs/vae/20250102-030405 --noise 0.1
  genlit denoise RUN --noise 0 --file scanned/ --binarize threshold
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("denoise", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--noise", type=fraction, default=0.1, metavar="P",
        help="how much noise, from 0 to 1: the probability of a flip, or the standard deviation "
        "(default: 0.1)",
    )  # fmt: skip
    add_events(parser, "how many images (default: 10 of a split, all of a file)")
    add_out(parser, "denoise")
    options = parser.parse_args(args)

    from genlit.cli.asking import ask_for_events, find_events, open_model
    from genlit.cli.corruptions import flipped, with_gaussian_noise
    from genlit.cli.images import is_binary
    from genlit.cli.outputs import Output, in_rows
    from genlit.protocols import Denoises, require

    place, model = open_model(options.run, options.device)
    require(model, "denoised events", Denoises)
    output = Output(options.out, place.folder, "denoise")
    x = find_events(options, place, model, default=10)
    flips = is_binary(x)
    noisy = (flipped if flips else with_gaussian_noise)(x, options.noise, options.seed)
    answer = ask_for_events(
        model, lambda p: model.denoise(noisy[p].to(model.device)), len(x), "denoise", options.seed
    )
    output.save(answer, *in_rows(x, noisy, answer))
    if options.noise:
        what = "flips with probability" if flips else "Gaussian noise of standard deviation"
        print(f"{what} {options.noise:g}, {len(x)} images")
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
