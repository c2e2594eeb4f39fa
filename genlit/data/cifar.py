"""CIFAR-10, from the files in which it is handed out."""

import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genlit.data.idx import DataError
from genlit.data.images import Binarize, ImageData
from genlit.randomness import permutation

FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html"
TRAIN, TEST = [f"data_batch_{k}" for k in range(1, 6)], ["test_batch"]
SHAPE, CLASSES = (3, 32, 32), 10
SPLIT_SEED = 50_000  # of the one split into training and validation images that all runs share


class CIFAR10(ImageData):
    """The 60,000 colour images of CIFAR-10, in ten classes.

    They are read from the files that CIFAR-10 comes in and that torchvision keeps, and are never
    downloaded: get cifar-10-python.tar.gz, the Python version, from
    https://www.cs.toronto.edu/~kriz/cifar.html. Of the training images a tenth, chosen with a fixed
    seed, is for validation, unless told otherwise: 45,000 / 5,000 / 10,000.

    References:
        | Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009)

    Args:
        data_dir: A folder that holds cifar-10-batches-py or cifar-10-python.tar.gz.
        batch_size: Images a training batch, on each process.
        eval_batch_size: Images a batch of validation and test.
        binarize: How levels become events: none (levels in [0, 1]), dequantized (with noise within
            a level, for densities), dynamic, static, threshold or levels.
        levels: How many levels binarize: levels leaves.
        invert: Whether every level is subtracted from 255.
        validation: How many training images are held out for validation; None takes a tenth.
        labels: Whether batches have a condition, the class of each image among ten, one-hot.
    """

    shape = SHAPE

    def __init__(
        self,
        data_dir: Path,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        binarize: Binarize = "none",
        levels: int = 4,
        invert: bool = False,
        validation: int | None = None,
        labels: bool = False,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, binarize, levels, invert)
        if validation is not None and validation < 1:
            raise ValueError(f"validation is {validation}: at least 1 image must be held out")
        self.data_dir = Path(data_dir)
        self.validation = validation
        self.labels = labels

    def read(self) -> dict[str, Tensor]:
        return self._parts(0)

    def read_conditions(self) -> dict[str, Tensor]:
        """The class of each image, one-hot, (N, 10); none unless `labels`."""
        return self._parts(1) if self.labels else {}

    def _parts(self, which: int) -> dict[str, Tensor]:
        """The images (0) or the classes (1) of each split."""
        files = read_files(self.data_dir, [*TRAIN, *TEST])
        batches = {name: parse(raw, self.data_dir / name)[which] for name, raw in files.items()}
        train, test = (torch.cat([batches[name] for name in names]) for names in (TRAIN, TEST))
        order = permutation(len(train), "split", SPLIT_SEED)
        held_out = len(train) // 10 if self.validation is None else self.validation
        if held_out >= len(train):
            raise DataError(f"validation {held_out} leaves none of the {len(train)} images of "
                            f"{self.data_dir} to train on")  # fmt: skip
        return {"train": train[order[held_out:]], "val": train[order[:held_out]], "test": test}


class PlainUnpickler(pickle.Unpickler):
    """Reads pickles of arrays, lists and strings; one that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns what an array is made with; older files know it by other modules' names."""
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding: text.encode(encoding)
        if module.split(".")[0] == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module.split(".")[0] == "numpy" and name == "_reconstruct":
            return np.ndarray(0).__reduce__()[0]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_files(folder: Path, names: list[str]) -> dict[str, bytes]:
    """The content of CIFAR-10's files, from its folder or from the archive.

    Raises:
        DataError: If there is neither, or one of the files is missing.
    """
    places = [p for p in (folder / FOLDER, folder) if (p / names[0]).is_file()]
    archive = folder if folder.name.endswith(".tar.gz") else folder / ARCHIVE
    if not places and not archive.is_file():
        raise DataError(
            f"there is no CIFAR-10 in {folder}: get {ARCHIVE} from {SOURCE} and put it there, "
            f"packed or unpacked to {FOLDER}"
        )
    try:
        if places:
            return {name: (places[0] / name).read_bytes() for name in names}
        with tarfile.open(archive) as packed:
            return {name: _member(packed, name) for name in names}
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        where = places[0] if places else archive
        raise DataError(f"cannot read CIFAR-10 from {where}: {error}; get it anew") from None


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    file = packed.extractfile(f"{FOLDER}/{name}")
    if file is None:
        raise KeyError(f"{name} is no file")
    return file.read()


def parse(raw: bytes, path: Path) -> tuple[Tensor, Tensor]:
    """The images of a file, (N, 3, 32, 32) uint8, and their classes, one-hot (N, 10).

    Raises:
        DataError: If it is no file of CIFAR-10's.
    """
    try:
        batch = PlainUnpickler(io.BytesIO(raw), encoding="bytes").load()
        images, labels = batch[b"data"], torch.tensor(batch[b"labels"])
        if images.dtype != np.uint8 or images.shape != (len(labels), int(np.prod(SHAPE))):
            raise ValueError(f"it holds {images.dtype} of shape {images.shape}")
        if not 0 <= int(labels.min()) <= int(labels.max()) < CLASSES:
            raise ValueError(f"its classes are not 0 to {CLASSES - 1}")
    except Exception as error:  # a broken pickle can fail in any way
        raise DataError(f"{path} is not a file of CIFAR-10: {error}") from None
    return torch.from_numpy(images.reshape(-1, *SHAPE)), one_hot(labels, CLASSES).float()
