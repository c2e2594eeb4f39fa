"""Tables with missing entries, from which a model learns though no row may be complete."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlit.data.array_files import read_table
from genlit.data.idx import DataError
from genlit.data.loader import EvaluationLoader, TrainLoader
from genlit.data.masks import observed
from genlit.data.vectors import VectorData
from genlit.protocols import Batch


class IncompleteData(VectorData, ABC):
    """A table of numbers with gaps; each batch tells by `observed` where they are.

    Further entries may be hidden on purpose, completely at random. Of these the truth is known, so
    that imputations can be judged by them; no batch shows it. What is missing is what there is to
    be found: training, validation and test sets are all the whole table. `events` has all that is
    known of it, hidden or not, and else NaN; `observed` tells what is not hidden.

    Args:
        missing: The probability that an entry is hidden.
        mask_seed: Chooses which are.
        batch_size: Rows a training batch, on each process.
        eval_batch_size: Rows a batch of validation and test.
        standardize: Whether observed entries of each column get mean 0 and deviation 1.
    """

    def __init__(
        self,
        missing: float = 0.0,
        mask_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        standardize: bool = True,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, standardize)
        if not 0 <= missing < 1:
            raise ValueError(f"missing is {missing}: give a share from 0 to below 1")
        self.missing, self.mask_seed = missing, mask_seed
        self.observed: dict[str, Tensor] = {}

    @abstractmethod
    def table(self) -> Tensor:
        """Returns the table in its own units, (N, D) float64, NaN where nobody knows."""

    def read(self) -> dict[str, Tensor]:
        return dict.fromkeys(("train", "val", "test"), self.table())

    @property
    def protocol(self) -> str:
        return super().protocol + (f"_mcar_{self.missing:g}" if self.missing else "")

    @property
    def mean(self) -> Tensor:
        """Mean of the observed entries of every column, (D,)."""
        return self._moments(self.splits["train"])[0].float()

    @property
    def std(self) -> Tensor:
        """Standard deviation of the observed entries of every column, (D,)."""
        return self._moments(self.splits["train"])[1].float()

    def setup(self, stage: str) -> None:
        """Reads the table, hides entries, and standardizes all by those that are left.

        Raises:
            DataError: If a column has no two different entries left.
        """
        if self.splits:
            return
        if self.seed is None:
            self.seed = torch.initial_seed()
        splits = {name: x.double() for name, x in self.read().items()}
        table = splits["train"]
        left = observed(f"random:{self.missing}", table.shape[1:], len(table), self.mask_seed)
        self.observed = dict.fromkeys(splits, left & table.isfinite())
        mean, std = self._moments(table)
        if not (std > 0).all():
            constant = int((~(std > 0)).nonzero()[0])
            raise DataError(
                f"column {constant} of the table has no two different entries left: leave it out, "
                "or lower data.missing"
            )
        self.offset = mean if self.standardize else torch.zeros_like(mean)
        self.scale = std if self.standardize else torch.ones_like(std)
        self.splits = {n: ((x - self.offset) / self.scale).float() for n, x in splits.items()}

    def train_dataloader(self) -> TrainLoader:
        assert self.seed is not None
        rows = self._shown("train").to(self._device)
        return GappyTrainLoader(rows, self.batch_size, lambda x, _: x, self.seed, *self._place)

    def _evaluation(self, split: str) -> EvaluationLoader:
        rows = self._shown(split).to(self._device)
        return GappyEvaluationLoader(rows, self.eval_batch_size, *self._place)

    def _shown(self, split: str) -> Tensor:
        return self.splits[split].where(self.observed[split], torch.nan)

    def _moments(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """Means and deviations of the observed entries of columns, (D,) float64 each."""
        x = table.double().where(self.observed["train"], torch.nan)
        mean = x.nanmean(0)
        return mean, (x - mean).square().nanmean(0).sqrt()


class BreastCancer(IncompleteData):
    """Measurements of 569 breast tumours, 30 numbers each, as scikit-learn brings them along.

    References:
        | Nuclear Feature Extraction for Breast Tumor Diagnosis (Street, Wolberg & Mangasarian,
          1993)

    Args:
        missing: The probability that an entry is hidden.
        mask_seed: Chooses which are.
        batch_size: Rows a training batch, on each process.
        eval_batch_size: Rows a batch of validation and test.
        standardize: Whether observed entries of each column get mean 0 and deviation 1.
    """

    shape = (30,)

    def __init__(
        self,
        missing: float = 0.5,
        mask_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        standardize: bool = True,
    ) -> None:
        super().__init__(missing, mask_seed, batch_size, eval_batch_size, standardize)

    def table(self) -> Tensor:
        from sklearn.datasets import load_breast_cancer

        return torch.from_numpy(np.asarray(load_breast_cancer(return_X_y=True)[0]))


class IncompleteVectors(IncompleteData):
    """A table in a file with gaps: .csv with empty fields, .npy or .npz with NaN; (N, D).

    A first line of a .csv that is no numbers is taken for names; nan and NA are gaps, too.

    Args:
        path: The file.
        key: Which array of a .npz; None takes the only one.
        missing: The probability that an entry is hidden besides, to judge imputations by.
        mask_seed: Chooses which are.
        batch_size: Rows a training batch, on each process.
        eval_batch_size: Rows a batch of validation and test.
        standardize: Whether observed entries of each column get mean 0 and deviation 1.
    """

    def __init__(
        self,
        path: Path,
        key: str | None = None,
        missing: float = 0.0,
        mask_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        standardize: bool = True,
    ) -> None:
        super().__init__(missing, mask_seed, batch_size, eval_batch_size, standardize)
        self.path, self.key = Path(path), key

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(self.rows.shape[1:])

    @cached_property
    def rows(self) -> Tensor:
        """The table in its own units, (N, D) float64, NaN in gaps.

        Raises:
            DataError: If the file holds none.
        """
        array = read_table(self.path, self.key)
        if array.dtype.kind not in "iuf" or array.ndim != 2 or array.size == 0:
            raise DataError(
                f"{self.path} holds {array.dtype} of shape {array.shape}: a table is numbers of "
                "shape (N, D)"
            )
        table = torch.from_numpy(array.astype(np.float64))
        return table.where(table.isfinite(), torch.nan)

    def table(self) -> Tensor:
        return self.rows


class GappyTrainLoader(TrainLoader):
    """Batches of rows with NaN in gaps, which they tell apart."""

    def __iter__(self) -> Iterator[Batch]:
        for batch in super().__iter__():
            yield told_apart(batch)


class GappyEvaluationLoader(EvaluationLoader):
    """Batches of rows with NaN in gaps, which they tell apart."""

    def __iter__(self) -> Iterator[Batch]:
        for batch in super().__iter__():
            yield told_apart(batch)


def told_apart(batch: Batch) -> Batch:
    """A batch with 0 in gaps, and `observed`."""
    x = batch["x"]
    return {**batch, "x": x.nan_to_num(0.0), "observed": ~x.isnan()}
