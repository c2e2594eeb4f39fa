"""Images of which a few are labelled: batches of both kinds, side by side."""

from collections.abc import Iterator

import torch
from torch import Tensor

from genlit.data.images import ImageData
from genlit.data.loader import Prepare, TrainLoader, in_unit_interval
from genlit.protocols import Batch
from genlit.randomness import generator, permutation


class SemiSupervised(ImageData):
    """Images of which a few are labelled, the same number of each class.

    A training batch has images without labels, `x`, which are shuffled as ever, and beside them
    labelled pairs, `labelled_x` and `labelled_condition`. Labelled images go round on their own:
    all of them are seen before one is seen again.

    The unlabelled images are all training images, those included whose labels are given elsewhere,
    as in the improved GAN; the N in the weights of Kingma et al. (2014) is the number of all
    training images. With one `label_seed` fewer labels are some of the more. Batches of validation
    and test have all labels, as their `condition`: to measure by, not to learn from.

    Args:
        images: The images, with labels: genlit.data.MNIST with labels: true, for example. Batch
            sizes, too, are its arguments; those of training count images without labels.
        labels: How many training images are labelled, a multiple of the number of classes.
        label_seed: Chooses which.
        labelled_batch_size: Labelled pairs a training batch, on each process.
    """

    def __init__(
        self,
        images: ImageData,
        labels: int = 100,
        label_seed: int = 0,
        labelled_batch_size: int = 100,
    ) -> None:
        super().__init__(
            images.batch_size, images.eval_batch_size, images.binarize, images.levels, images.invert
        )
        if min(labels, labelled_batch_size) < 1:
            raise ValueError(
                f"labels is {labels} and labelled_batch_size {labelled_batch_size}: both are 1 or "
                "more"
            )
        self.images, self.labels, self.label_seed = images, labels, label_seed
        self.labelled_batch_size = labelled_batch_size
        self.shape, self.condition_shape = images.shape, images.condition_shape
        self.labelled = torch.empty(0, dtype=torch.int64)  # places among the training images

    @property
    def protocol(self) -> str:
        return self.images.protocol

    def read(self) -> dict[str, Tensor]:
        return self.images.read()

    def read_conditions(self) -> dict[str, Tensor]:
        return self.images.read_conditions()

    def setup(self, stage: str) -> None:
        """Reads the images, and chooses those that are labelled.

        Raises:
            ValueError: If the images have no labels, or not as many of each class.
        """
        super().setup(stage)
        classes = self.conditions.get("train")
        if classes is None or classes.dim() != 2:
            raise ValueError(
                f"{type(self.images).__name__} has no labels of which some could be given: set "
                "data.images.init_args.labels to true"
            )
        self.labelled = balanced(classes.argmax(1), classes.shape[1], self.labels, self.label_seed)

    def train_dataloader(self) -> "SemiSupervisedLoader":
        assert self.seed is not None
        images, conditions = self.splits["train"], self.conditions["train"]
        pairs = images[self.labelled].to(self._device), conditions[self.labelled].to(self._device)
        return SemiSupervisedLoader(
            images.to(self._device), self.batch_size, self._prepare, self.seed, *self._place,
            pairs=pairs, labelled_batch_size=self.labelled_batch_size,
        )  # fmt: skip


class SemiSupervisedLoader(TrainLoader):
    """Batches of images without labels, and of labelled pairs beside them.

    These, too, depend on seed, epoch and position alone, and those of W processes, joined, are
    those of one with W times the size.

    Args:
        images: All images, (N, *shape) uint8, on the device.
        batch_size: Images a batch and process.
        prepare: Turns stored images into events.
        seed: Seeds the order and the noise.
        rank: Which process this is.
        world_size: How many there are.
        pairs: Labelled images (n, *shape) uint8 and their conditions (n, *condition_shape).
        labelled_batch_size: Pairs a batch and process.
    """

    def __init__(
        self,
        images: Tensor,
        batch_size: int,
        prepare: Prepare,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        *,
        pairs: tuple[Tensor, Tensor],
        labelled_batch_size: int,
    ) -> None:
        super().__init__(images, batch_size, prepare, seed, rank, world_size)
        self.pairs, self.labelled_batch_size = pairs, labelled_batch_size

    def __iter__(self) -> Iterator[Batch]:
        for batch in super().__iter__():
            x, condition = self._labelled(self.position - 1)
            yield {"x": batch["x"], "labelled_x": x, "labelled_condition": condition}

    def _labelled(self, k: int) -> tuple[Tensor, Tensor]:
        """The labelled pairs of the k-th batch of this epoch."""
        images, conditions = self.pairs
        joined = self.labelled_batch_size * self.world_size
        chosen = self._turn((self.epoch * len(self) + k) * joined, joined).to(images.device)
        noise = generator("labelled", self.seed, self.epoch, k, device=images.device)
        x = self.prepare(images[chosen], noise)
        first = self.rank * self.labelled_batch_size
        mine = slice(first, first + self.labelled_batch_size)
        return x[mine], in_unit_interval(conditions[chosen[mine]])

    def _turn(self, first: int, n: int) -> Tensor:
        """Whose turn it is: n places from the first-th on, where all come once in every round."""
        pairs = len(self.pairs[0])
        rounds = range(first // pairs, (first + n - 1) // pairs + 1)
        orders = [permutation(pairs, "labelled order", self.seed, r) for r in rounds]
        return torch.cat(orders)[first % pairs :][:n]


def balanced(classes: Tensor, k: int, n: int, seed: int) -> Tensor:
    """The places of n things, as many of each class; those of fewer are among those of more.

    Args:
        classes: The class of each thing, (N,) int64.
        k: The number of classes.
        n: How many to choose.
        seed: Chooses them.

    Raises:
        ValueError: If that cannot be.
    """
    if n % k:
        raise ValueError(
            f"{n} labels cannot be as many of each of {k} classes: set data.labels to a multiple "
            f"of {k}, such as {-(-n // k) * k}"
        )
    order = permutation(len(classes), "labels", seed)
    shuffled = classes[order]
    chosen = [order[shuffled == c][: n // k] for c in range(k)]
    if (fewest := min(len(places) for places in chosen)) < n // k:
        raise ValueError(
            f"{n} labels are {n // k} of each class, and one class has {fewest} training images: "
            f"set data.labels to {fewest * k} or less"
        )
    return torch.cat(chosen)
