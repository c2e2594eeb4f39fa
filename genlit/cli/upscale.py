"""`genlit upscale`: makes photos of the user's own larger, in finer detail."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import parser_for
from genlit.cli.photos import OVERLAP, add_tile, photos_in, targets_of

if TYPE_CHECKING:  # imported where there is something to enlarge
    from PIL import Image
    from torch import Tensor

DESCRIPTION = """\
Make photos of your own larger, so many times as long and wide as the model of a run has learned,
which was trained on SuperResolution: PNG or JPEG, in colour or grey, with transparency or without,
of any size. Transparency is enlarged by bicubic interpolation. Writes PNG, and never over a file.
"""

EXAMPLES = """\
examples:
  genlit upscale runs/srresnet/20250102-030405 photo.jpg
  genlit upscale RUN small.png --out large.png
  genlit upscale RUN photos/ --tile 128
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("upscale", DESCRIPTION, EXAMPLES)
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a picture, or a folder of them")
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help="the PNG to write, or of a folder the folder (default: PHOTO's name in "
        "RUN/samples/upscale-1, or the next number that is free)",
    )  # fmt: skip
    add_tile(parser)
    options = parser.parse_args(args)

    from genlit.cli.asking import open_model

    files = photos_in(options.photo)
    targets = targets_of(files, options.photo, options.out, "upscale")
    place, model = open_model(options.run, options.device)
    scale = scale_of(model)
    for k, (file, target) in enumerate(zip(files, targets(place.folder), strict=True)):
        large = upscaled(model, file, scale, options.tile, options.seed, k)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as written:
            large.save(written, format="PNG", icc_profile=large.info.get("icc_profile"))
        print(f"{target}  {large.width} x {large.height}")


def scale_of(model: Any) -> int:
    """How many times as long and wide a model makes images.

    Raises:
        Unanswerable: If it cannot be asked.
        ValueError: If it enlarges no images in colour.
    """
    from genlit.protocols import Conditional, require

    require(model, "larger photos", Conditional)
    of, given = list(model.shape), list(getattr(model, "condition_shape", ()))
    scale = of[1] // given[1] if len(of) == len(given) == 3 else 0
    if scale < 2 or given[0] != 3 or of != [3, given[1] * scale, given[2] * scale]:
        raise ValueError(
            f"{type(model).__name__} of this run makes events of shape {tuple(of)} from "
            f"{tuple(given)}: upscale takes models of larger images in colour, trained on "
            "SuperResolution"
        )
    return scale


def upscaled(model: Any, file: Path, scale: int, tile: int, seed: int, k: int) -> "Image.Image":
    """A photo so many times as long and wide, in the mode of the file.

    Args:
        model: The model.
        file: The photo.
        scale: How many times.
        tile: Sides of the tiles that the model is asked about; 0 asks about the whole photo.
        seed: Draws what is random in the answer.
        k: Which photo it is.
    """
    import torch
    from PIL import Image, ImageOps
    from torchvision.transforms.functional import pil_to_tensor, to_pil_image

    from genlit.data.pictures import open_picture
    from genlit.data.resizing import enlarged
    from genlit.features import quantized
    from genlit.randomness import isolated
    from genlit.tasks.tiling import tiled

    photo = ImageOps.exif_transpose(open_picture(file, None))
    transparent = photo.has_transparency_data
    colours = pil_to_tensor(photo.convert("RGBA" if transparent else "RGB"))

    def ask(x: "Tensor") -> "Tensor":
        return model.sample_given(x.to(model.device)).float()

    with torch.no_grad(), isolated("upscale", seed, k):
        answer = tiled(ask, colours[:3] / 255, scale, tile, tile // OVERLAP)
    levels = quantized(answer.clamp(0, 1))
    if transparent:
        levels = torch.cat([levels, enlarged(colours[3:], scale)])
    large = to_pil_image(levels)
    grey = {"1": "L", "L": "L", "LA": "LA"}.get(photo.mode)
    large = large.convert(grey) if grey else large
    assert isinstance(large, Image.Image)
    if not grey and "icc_profile" in photo.info:
        large.info["icc_profile"] = photo.info["icc_profile"]
    return large
