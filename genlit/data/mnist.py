"""MNIST, which genlit brings along, and the sets that are kept in files of the same form."""

from pathlib import Path

from torch import Tensor
from torch.nn.functional import one_hot

from genlit.data.idx import IMAGES, LABELS, DataError, parse, read_bytes
from genlit.data.images import Binarize, ImageData
from genlit.randomness import permutation

BUNDLED = Path(__file__).parent / "bundled"
SIDE = 28  # pixels
CLASSES = 10
RANKS = {"images": 3, "labels": 1}  # dimensions, which the names of files tell
SPLIT_SEED = 10_000  # of the one split into training and validation images that all runs share


class MNIST(ImageData):
    """The 70,000 handwritten digits of MNIST, or a set in files of the same form.

    Of the training images a sixth, chosen with a fixed seed, is for validation, unless told
    otherwise: MNIST's split is 50,000 / 10,000 / 10,000.

    References:
        | Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998)

    Args:
        data_dir: A folder with IDX files of your own (Fashion-MNIST, KMNIST, EMNIST), plain, .gz
            or .xz; None takes the MNIST that genlit brings along.
        batch_size: Images a training batch, on each process.
        eval_batch_size: Images a batch of validation and test.
        binarize: How grey levels become events: dynamic (training pixels sampled at every visit),
            static (sampled once), threshold (above 1/2), levels (the nearest of a few),
            dequantized (with noise within a level, for densities), or none (grey levels).
        levels: How many grey levels binarize: levels leaves.
        invert: Whether black is white.
        crop: Keeps so many pixels a side in the middle of each image; None keeps all.
        validation: How many training images are held out for validation; None takes a sixth.
        labels: Whether batches have a condition, the class of each image among ten, one-hot.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        binarize: Binarize = "dynamic",
        levels: int = 4,
        invert: bool = False,
        crop: int | None = None,
        validation: int | None = None,
        labels: bool = False,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, binarize, levels, invert)
        if validation is not None and validation < 1:
            raise ValueError(f"validation is {validation}: at least 1 image must be held out")
        self.data_dir = data_dir
        if crop is not None and not 1 <= crop <= SIDE:
            raise ValueError(f"crop is {crop}: images have {SIDE} pixels a side")
        self.validation = validation
        self.labels = labels
        self.shape = (1, crop or SIDE, crop or SIDE)

    @property
    def protocol(self) -> str:
        side = self.shape[-1]
        return super().protocol + ("" if side == SIDE else f"_crop{side}")

    def read(self) -> dict[str, Tensor]:
        train = read_images(find(self._folder, "train"))
        parts = self._split(train, read_images(find(self._folder, "t10k", "test")))
        side = self.shape[-1]
        if side == SIDE:
            return parts
        first = (SIDE - side) // 2
        kept = slice(first, first + side)
        return {name: images[..., kept, kept] for name, images in parts.items()}

    def read_conditions(self) -> dict[str, Tensor]:
        """The class of each image, one-hot, (N, 10); none unless `labels`."""
        return self.read_classes() if self.labels else {}

    def read_classes(self) -> dict[str, Tensor]:
        """The class of each image of each split, one-hot, (N, 10), whether batches have it or not.

        Raises:
            DataError: If there are other labels than 0 to 9.
        """
        train = read_labels(find(self._folder, "train", kind="labels"))
        return self._split(train, read_labels(find(self._folder, "t10k", "test", kind="labels")))

    @property
    def _folder(self) -> Path:
        return BUNDLED if self.data_dir is None else Path(self.data_dir)

    def _split(self, train: Tensor, test: Tensor) -> dict[str, Tensor]:
        """The parts of what there is of each training image, and of each test image."""
        order = permutation(len(train), "split", SPLIT_SEED)
        held_out = len(train) // 6 if self.validation is None else self.validation
        return {"train": train[order[held_out:]], "val": train[order[:held_out]], "test": test}


def read_images(path: Path) -> Tensor:
    """Returns the images of an IDX file, (N, 1, 28, 28) uint8.

    Raises:
        DataError: If the file cannot be read, or its images are not of 28 x 28 pixels.
    """
    images = parse(read_bytes(path), IMAGES, path)
    if tuple(images.shape[1:]) != (SIDE, SIDE):
        size = " x ".join(map(str, images.shape[1:]))
        raise DataError(f"{path} holds images of {size} pixels; MNIST's form is 28 x 28")
    if path.name.startswith("emnist"):  # EMNIST alone keeps its images column by column
        images = images.mT.contiguous()
    return images.unsqueeze(1)


def read_labels(path: Path) -> Tensor:
    """Returns the labels of an IDX file, one-hot among ten classes: (N, 10) float32.

    Raises:
        DataError: If the file cannot be read, or has labels above 9.
    """
    labels = parse(read_bytes(path), LABELS, path)
    if labels.numel() and labels.max() >= CLASSES:
        raise DataError(f"{path} has a label {int(labels.max())}; MNIST's are 0 to {CLASSES - 1}")
    return one_hot(labels.long(), CLASSES).float()


def find(folder: Path, *splits: str, kind: str = "images") -> Path:
    """Returns the one file of images, or labels, of a split.

    Raises:
        DataError: If the folder has none, or several.
    """
    found = sorted(
        {p for split in splits for p in folder.glob(f"*{split}-{kind}*idx{RANKS[kind]}-ubyte*")}
        if folder.is_dir()
        else ()
    )
    if len(found) == 1:
        return found[0]
    wanted = f"{splits[0]}-{kind}-idx{RANKS[kind]}-ubyte (plain, .gz or .xz)"
    if not found:
        raise DataError(f"{folder} has no file {wanted}")
    names = ", ".join(p.name for p in found)
    raise DataError(f"{folder} has several files of {splits[0]} {kind} ({names}): keep one of them")
