"""`genlit translate`: makes images from images of the user's own, of any size."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import parser_for, positive

if TYPE_CHECKING:  # imported where there is something to translate
    from torch import Tensor

DESCRIPTION = """\
Let a run's model make an image from each of your own: a photo from labels, a map from an aerial
view, whatever it was trained for. Images keep their size, which for convolutional networks may be
any; others take only the size that they were trained on. Writes a picture of the same name for
each, and of images that are no pictures a .npy in their place.
"""

EXAMPLES = """\
INPUT is a PNG or JPEG, a .npy with a uint8 array (channels, height, width), or a folder of those.
Where the model takes a map of classes, that is a picture of class numbers from 0, grey or with a
palette, as data.classes of PairedFolder reads it.

examples:
  genlit translate RUN aerial.png
  genlit translate RUN labels/ --out photos
  genlit translate RUN map.png --back     of a CycleGAN: from events to conditions
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("translate", DESCRIPTION, EXAMPLES)
    parser.add_argument("input", type=Path, metavar="INPUT", help="an image, or a folder of images")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER",
        help="where to write; nothing in it is overwritten (default: RUN/samples/translate-1, or "
        "the next number that is free)",
    )  # fmt: skip
    parser.add_argument(
        "--back", action="store_true", help="goes the other way, which a CycleGAN has learned too"
    )
    parser.add_argument(
        "--draws", type=positive, default=1, metavar="N",
        help="how many answers of each, for models that have several (default: 1)",
    )  # fmt: skip
    options = parser.parse_args(args)

    from genlit.cli.asking import open_model
    from genlit.data.idx import DataError

    if not options.input.exists():
        raise DataError(f"there is no file {options.input}")
    files = images_in(options.input)
    if not files:
        raise DataError(f"{options.input} is no PNG, JPEG or .npy file, nor a folder with any")
    place, model = open_model(options.run, options.device)
    ask, shape = way(model, options.back)
    folder = options.out or unused(place.folder / "samples")
    names = [name for path in files for name in names_of(path, options.draws)]
    refuse_existing(folder, names)
    alike = True
    for k, path in enumerate(files):
        given, first = condition_in(path, shape), None
        for draw, name in enumerate(names_of(path, options.draws)):
            answer = answered(ask, given, path, options.seed, k, draw)
            first = answer if first is None else first
            alike = alike and answer.equal(first)
            print(written(answer, folder / name))
    if alike and options.draws > 1:
        print(f"{type(model).__name__} gives one answer only: all {options.draws} draws are equal, "
              "as it was trained without noise (model.latent)")  # fmt: skip


def images_in(path: Path) -> list[Path]:
    """The images in a folder by their names, or the one that a path is."""
    from genlit.data.dealing import is_image_file

    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    return [p for p in inside if p.is_file() and is_image_file(p)]


def names_of(path: Path, draws: int) -> list[str]:
    """The names of the answers to a file, without endings."""
    return [path.stem] if draws == 1 else [f"{path.stem}-{k}" for k in range(1, draws + 1)]


def way(model: Any, back: bool) -> tuple[Any, tuple[int, ...]]:
    """What to ask a model, and the shape of what it takes.

    Raises:
        Unanswerable: If it cannot be asked.
        ValueError: If it does not make images from images.
    """
    from genlit.protocols import Conditional, Unanswerable, require

    require(model, "translations", Conditional)
    given = tuple(getattr(model, "condition_shape", ()))
    if len(given) != 3 or len(model.shape) != 3:
        raise ValueError(
            f"{type(model).__name__} of this run makes events of shape {tuple(model.shape)} from "
            f"{given}: translate takes models that make images from images"
        )
    if not back:
        return model.sample_given, given
    if not hasattr(model, "sample_condition"):
        raise Unanswerable(
            f"{type(model).__name__} knows one way only: leave out --back, or train a CycleGAN"
        )
    return model.sample_condition, tuple(model.shape)


def condition_in(path: Path, shape: tuple[int, ...]) -> "Tensor":
    """The image in a file as a model takes it, (1, channels, height, width) in [0, 1].

    Raises:
        DataError: If it has other channels.
    """
    from torch import Tensor

    from genlit.data.fitting import fitted, fitted_classes, opened

    found = opened(path)
    height, width = found.shape[1:] if isinstance(found, Tensor) else found.size[::-1]
    is_map = shape[0] not in (1, 3) and (not isinstance(found, Tensor) or len(found) == 1)
    fit = fitted_classes if is_map else fitted
    return fit(found, (shape[0], height, width), path).float().div(255).unsqueeze(0)


def answered(ask: Any, given: "Tensor", path: Path, seed: int, k: int, draw: int) -> "Tensor":
    """What a model makes of an image, (channels, height, width) in [0, 1].

    Raises:
        ValueError: If its network takes another size.
    """
    import torch

    from genlit.randomness import isolated

    height, width = given.shape[2:]
    try:
        with torch.no_grad(), isolated("translate", seed, k, draw):
            return ask(given)[0].float().cpu().clamp(0, 1)
    except RuntimeError as error:
        raise ValueError(
            f"{path} has {height} x {width} pixels, which this model's network does not take "
            f"({str(error).splitlines()[0]}): scale it to the size of training, or train a "
            "convolutional network, such as UNet"
        ) from None


def unused(samples: Path) -> Path:
    """The first folder translate-1, translate-2 and so on that does not exist."""
    return next(p for k in range(1, 10**6) if not (p := samples / f"translate-{k}").exists())


def refuse_existing(folder: Path, names: list[str]) -> None:
    """Makes sure that no two answers have one name, and that none is there already.

    Raises:
        RunError: If there is.
    """
    from genlit.runs import RunError

    for name in names:
        if names.count(name) > 1:
            raise RunError(f"several images are called {name}: give them names of their own")
        for path in (folder / f"{name}.png", folder / f"{name}.npy"):
            if path.exists():
                raise RunError(f"{path} exists and is not overwritten: give another --out")


def written(image: "Tensor", stem: Path) -> Path:
    """Writes an image (channels, height, width) in [0, 1], a picture if it is one; its path."""
    import numpy as np
    from torchvision.transforms.functional import to_pil_image

    from genlit.features import quantized

    stem.parent.mkdir(parents=True, exist_ok=True)
    if len(image) in (1, 3):
        path = stem.with_name(f"{stem.name}.png")
        with path.open("xb") as file:
            to_pil_image(quantized(image)).save(file, format="PNG")
        return path
    path = stem.with_name(f"{stem.name}.npy")
    with path.open("xb") as file:
        np.save(file, image.numpy())
    return path
