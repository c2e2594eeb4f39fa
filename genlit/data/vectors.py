"""Vectors of real numbers, and those of a file of your own."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlit.data.array_files import dealt, read_table
from genlit.data.idx import DataError
from genlit.data.loader import TrainLoader
from genlit.data.resident import ResidentData


class VectorData(ResidentData):
    """Vectors split into training, validation and test sets, on the device as float32.

    A set of vectors writes `read`, in units of the data. Events are real numbers, not in [0, 1],
    and `protocol` says in which units their log-density is:

    - `real`: those of the data;
    - `standardized`: every entry less its training mean, divided by its training deviation. The
      log-density of the data itself is lower by the sum of `scale`'s logarithms.

    Args:
        batch_size: Vectors a training batch, on each process.
        eval_batch_size: Vectors a batch of validation and test.
        standardize: Whether every entry gets mean 0 and deviation 1.
    """

    bins = 1  # a density of real numbers is of no levels

    def __init__(
        self, batch_size: int = 100, eval_batch_size: int = 500, standardize: bool = True
    ) -> None:
        super().__init__(batch_size, eval_batch_size)
        self.standardize = standardize

    @property
    def protocol(self) -> str:
        """In which units events are, for the names of metrics."""
        return "standardized" if self.standardize else "real"

    @property
    def mean(self) -> Tensor:
        """Mean of every entry of the training events, (D,)."""
        return self.splits["train"].double().mean(0).float()

    @property
    def std(self) -> Tensor:
        """Standard deviation of every entry of the training events, (D,)."""
        return self.splits["train"].double().std(0, correction=0).float()

    def setup(self, stage: str) -> None:
        """Reads the data, and standardizes it.

        Raises:
            DataError: If an entry never changes, and is to have deviation 1.
        """
        if self.splits:
            return
        if self.seed is None:
            self.seed = torch.initial_seed()
        splits = {name: x.double() for name, x in self.read().items()}
        self.offset = torch.zeros(*self.shape, dtype=torch.float64)
        self.scale = torch.ones(*self.shape, dtype=torch.float64)
        if self.standardize:
            self.offset = splits["train"].mean(0)
            self.scale = splits["train"].std(0, correction=0)
            if not (self.scale > 0).all():
                constant = int((self.scale == 0).nonzero()[0])
                raise DataError(
                    f"column {constant} of the vectors never changes and cannot be standardized: "
                    "leave it out, or set data.standardize to false"
                )
        self.splits = {n: ((x - self.offset) / self.scale).float() for n, x in splits.items()}
        self.conditions = self.read_conditions()

    def train_dataloader(self) -> TrainLoader:
        assert self.seed is not None
        vectors, told = self.splits["train"].to(self._device), self._conditions("train")
        return TrainLoader(vectors, self.batch_size, lambda x, _: x, self.seed, *self._place, told)

    def events(self, split: str, chosen: Tensor | None = None) -> Tensor:
        """The events of a split, (N, D).

        Args:
            split: train, val or test.
            chosen: The places of those to take, (N,); None takes all.
        """
        return self.splits[split] if chosen is None else self.splits[split][chosen]


class Vectors(VectorData):
    """Vectors in a file: .npy, .npz or .csv, numbers of shape (N, D).

    They are dealt into training, validation and test sets by a fixed seed. A first line of a .csv
    that is no numbers is taken for names.

    Args:
        path: The file.
        key: Which array of a .npz; None takes the only one.
        held_out: How many vectors are for validation, and as many again for the test; None takes
            a tenth.
        batch_size: Vectors a training batch, on each process.
        eval_batch_size: Vectors a batch of validation and test.
        standardize: Whether every entry gets mean 0 and deviation 1; log-densities are then in
            these units.
    """

    def __init__(
        self,
        path: Path,
        key: str | None = None,
        held_out: int | None = None,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        standardize: bool = True,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, standardize)
        self.path, self.key = Path(path), key
        self.held_out = held_out

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(self.vectors.shape[1:])

    @cached_property
    def vectors(self) -> Tensor:
        """All vectors, (N, D) float64.

        Raises:
            DataError: If the file has no such vectors.
        """
        array = read_table(self.path, self.key)
        if array.dtype.kind not in "iuf" or array.ndim != 2 or array.shape[1] == 0:
            raise DataError(
                f"{self.path} holds {array.dtype} of shape {array.shape}: vectors are numbers of "
                "shape (N, D)"
            )
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DataError(f"{self.path} has a missing or infinite number in row {row}: drop it")
        return torch.from_numpy(array.astype(np.float64))

    def read(self) -> dict[str, Tensor]:
        return dealt(self.vectors, self.held_out, self.path, "vectors")
