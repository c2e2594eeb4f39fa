"""MNIST, which genlit brings along, and the sets that are kept in files of the same form."""

from pathlib import Path

from torch import Tensor

from genlit.data.idx import IMAGES, DataError, parse, read_bytes
from genlit.data.images import Binarize, ImageData
from genlit.randomness import permutation

BUNDLED = Path(__file__).parent / "bundled"
SPLIT_SEED = 10_000  # of the one split into training and validation images that all runs share


class MNIST(ImageData):
    """The 70,000 handwritten digits of MNIST, or a set in files of the same form.

    Of the training images a sixth, chosen with a fixed seed, is for validation: MNIST's split is
    50,000 / 10,000 / 10,000.

    References:
        | Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998)

    Args:
        data_dir: A folder with IDX files of your own (Fashion-MNIST, KMNIST, EMNIST), plain, .gz
            or .xz; None takes the MNIST that genlit brings along.
        batch_size: Images a training batch, on each process.
        eval_batch_size: Images a batch of validation and test.
        binarize: How grey levels become events: dynamic (training pixels sampled at every visit),
            static (sampled once), threshold (above 1/2) or none (grey levels).
    """

    shape = (1, 28, 28)

    def __init__(
        self,
        data_dir: Path | None = None,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        binarize: Binarize = "dynamic",
    ) -> None:
        super().__init__(batch_size, eval_batch_size, binarize)
        self.data_dir = data_dir

    def read(self) -> dict[str, Tensor]:
        folder = BUNDLED if self.data_dir is None else Path(self.data_dir)
        train = read_images(find(folder, "train"))
        test = read_images(find(folder, "t10k", "test"))
        order, held_out = permutation(len(train), "split", SPLIT_SEED), len(train) // 6
        return {"train": train[order[held_out:]], "val": train[order[:held_out]], "test": test}


def read_images(path: Path) -> Tensor:
    """Returns the images of an IDX file, (N, 1, 28, 28) uint8.

    Raises:
        DataError: If the file cannot be read, or its images are not of 28 x 28 pixels.
    """
    images = parse(read_bytes(path), IMAGES, path)
    if tuple(images.shape[1:]) != (28, 28):
        size = " x ".join(map(str, images.shape[1:]))
        raise DataError(f"{path} holds images of {size} pixels; MNIST's form is 28 x 28")
    if path.name.startswith("emnist"):  # EMNIST alone keeps its images column by column
        images = images.mT.contiguous()
    return images.unsqueeze(1)


def find(folder: Path, *splits: str) -> Path:
    """Returns the one file of images of a split.

    Raises:
        DataError: If the folder has none, or several.
    """
    found = sorted(
        {p for split in splits for p in folder.glob(f"*{split}-images*idx3-ubyte*")}
        if folder.is_dir()
        else ()
    )
    if len(found) == 1:
        return found[0]
    wanted = f"{splits[0]}-images-idx3-ubyte (plain, .gz or .xz)"
    if not found:
        raise DataError(f"{folder} has no file {wanted}")
    names = ", ".join(p.name for p in found)
    raise DataError(f"{folder} has several files of {splits[0]} images ({names}): keep one of them")
