"""`genlit constrain`: finds what a trained model can make that agrees with painted pixels."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genlit.cli.arguments import add_out, add_search, parser_for, positive

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = """\
Find what a trained model can make that agrees with the pixels of an image, of which some are
painted and all others are free: several candidates, ordered by their squared error (Generative
Visual Manipulation on the Natural Image Manifold, Zhu et al., 2016). The picture has the image,
grey where it is free, and then the candidates, the nearest first. The array has these, (n, *shape),
and PATH.npz beside it their codes (n, D) and sums of squared errors (n,). Prints the mean squared
error of a painted pixel of each candidate.

Searches begin at codes that the model draws, and stay near them, so that candidates differ where
what is painted leaves them room; each is the best of R.
"""

EXAMPLES = """\
The image is a PNG of the size of the model's events. Where it is transparent it is free, unless
there is a mask: a PNG that is white where pixels are painted and black where they are free, or a
.npy that is 1 and 0 there. With a mask the image may be a .npy, too, with numbers in [0, 1].

examples:
  genlit constrain runs/gan/20250102-030405 --image strokes.png
  genlit constrain RUN --image digit.png --mask half --n 16 --seed 1
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("constrain", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--image", type=Path, required=True, metavar="FILE", help="the image, see below"
    )
    parser.add_argument(
        "--mask", metavar="MASK",
        help="which pixels are painted: PATH of a mask, see below, or half (not the lower half), "
        "box (not a box in the middle), random:0.5 (default: those that are not transparent)",
    )  # fmt: skip
    parser.add_argument(
        "--n", type=positive, default=8, metavar="N", help="how many candidates (default: 8)"
    )
    add_search(
        parser,
        "searches for each candidate, of which the best counts",
        "where its search began",
    )
    add_out(parser, "constrain")
    run(parser.parse_args(args))


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    import torch

    from genlit.cli.asking import ask_for_events, open_model
    from genlit.cli.outputs import Output
    from genlit.cli.projecting import agreeing_events
    from genlit.latent import Search
    from genlit.protocols import Generates, require

    place, model = open_model(options.run, options.device)
    require(model, "images that agree with yours", Generates)
    output, seed = Output(options.out, place.folder, "constrain", named=True), options.seed
    x, painted = painting(options.image, options.mask, place.shape, seed)
    n, search = options.n, Search(options.weight, options.steps)
    every = x.expand(n, *place.shape), painted.expand(n, *place.shape)
    codes, errors = agreeing_events(model, *every, options.restarts, search, seed)
    order = errors.argsort(stable=True)
    codes, errors = codes[order], errors[order]
    answer = ask_for_events(
        model, lambda p: model.decode(codes[p].to(model.device)), n, "decode", seed
    )
    shown = torch.cat([torch.where(painted, x, 0.5), answer])
    output.save(answer, shown, n + 1, codes=codes, errors=errors)
    pixels = int(painted.sum())
    for k, error in enumerate((errors / pixels).tolist()):
        print(f"candidate {k}: mean squared error {error:.4g}")
    print(f"{pixels} of {painted.numel()} numbers are painted")


def painting(
    path: Path, mask: str | None, shape: Sequence[int], seed: int
) -> "tuple[Tensor, Tensor]":
    """An image and where it is painted, (1, *shape) each, the second bool.

    Raises:
        DataError: If there is no such file, or it holds more than an image.
        ValueError: If it is not said what is painted, or that is nothing.
    """
    from genlit.cli.images import read_images
    from genlit.data.idx import DataError
    from genlit.data.masks import observed

    x = read_images(path, shape)
    if len(x) != 1:
        raise DataError(f"{path} holds {len(x)} images: give one")
    painted = opaque(path, shape) if mask is None else observed(mask, shape, 1, seed)
    if not painted.any():
        raise ValueError(f"nothing is painted in {path}: give pixels that are not transparent")
    return x, painted


def opaque(path: Path, shape: Sequence[int]) -> "Tensor":
    """Where a picture is not transparent, (1, *shape) bool.

    Raises:
        ValueError: If it is so everywhere, or is no picture.
    """
    import numpy as np
    import torch
    from PIL import Image

    way_out = "give a --mask, or find the image's code with genlit project"
    if path.is_dir() or path.suffix.lower() != ".png":
        raise ValueError(f"{path} does not say which pixels are painted: {way_out}")
    with Image.open(path) as picture:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    if (alpha > 127).all():
        raise ValueError(f"{path} has no transparent pixels, so that none is free: {way_out}")
    return torch.from_numpy(alpha > 127).expand(1, *shape)
