"""Telling what class an event is of, however few labels there were to learn from."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as nnf

from genlit.callbacks.pictures import as_grid, captioned, enlarged, is_image
from genlit.data.loader import in_unit_interval
from genlit.data.mnist import MNIST
from genlit.features import quantized
from genlit.protocols import Classifies
from genlit.randomness import permutation
from genlit.tasks.blocks import block_of, in_blocks
from genlit.tasks.task import Many, Problems, Published, Score, Solver, Task

FEW = 3000  # labels from which baselines learn at most
COLUMNS, ROWS = 16, 2  # of a picture: images that each solver gets wrong
KINGMA = "Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014)"
SALIMANS = "Improved Techniques for Training GANs (Salimans et al., 2016)"
PROTOCOL = "MNIST with 100 labels, from memory"
HUNDRED = (
    Published("M1 + M2", "error", 0.0333, f"{KINGMA}; {PROTOCOL}"),
    Published("M2", "error", 0.1197, f"{KINGMA}; {PROTOCOL}"),
    Published("improved GAN", "error", 0.0093, f"{SALIMANS}; {PROTOCOL}"),
)

# From images (n, D) and labels (n,) to whatever tells log-probabilities (m, K) of images (m, D).
Learn = Callable[[Any, Any], Callable[[Any], Any]]


class Classification(Task):
    """Telling the class of each image; an answer is a log-probability for each class.

    Scores are the share of errors; the log-probability of the true class in nats, 0 at best; the
    Brier score, the squared distance of probabilities from certainty of the truth; and
    overconfidence, by how much the probability of the class that was chosen exceeds the share of
    right answers: a classifier that knows how much it knows has 0.

    Beside models, answers are the class that is most frequent among the labels, that of the nearest
    labelled image, and logistic regression on labelled images. These learn from the same labels as
    a model does, the first 3,000 of them.

    Args:
        n: How many images; None takes all of them.
    """

    verb = "classify"
    question = "classes"
    protocols = (Classifies,)

    def __init__(self, n: int | None = None) -> None:
        if n is not None and n < 1:
            raise ValueError(f"n is {n}: a task has 1 problem or more")
        self.n = n

    @property
    def name(self) -> str:
        return "classification"

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Images of a split as evaluation sees them, without the labels that they have.

        Raises:
            ValueError: If they have none.
        """
        labels = labels_of(data, split)
        self.published = published(data, split)  # pyright: ignore[reportAttributeAccessIssue]
        chosen = permutation(len(labels), "classification", split, seed)[: self.n]
        images = in_unit_interval(data.events(split, chosen)).cpu()
        inner = getattr(data, "images", data)
        return Problems(images, labels.argmax(1)[chosen], f"{type(inner).__name__}, {split}")

    def solve(self, model: Any, problems: Problems) -> Tensor:
        images = problems.given
        assert isinstance(images, Tensor)

        def tell(part: slice) -> Tensor:
            return model.classify(images[part].to(model.device)).double()

        return in_blocks(tell, len(images), block_of(images.shape[1:]), self.name)

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        ways: dict[str, Learn] = {
            "most frequent class": most_frequent,
            "nearest neighbour": nearest,
            "logistic regression": logistic,
        }
        n = len(labelled_places(data))
        return {f"{name}, {n} labels": partial(learned, way, data) for name, way in ways.items()}

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        answers, truth = torch.as_tensor(answers).double(), torch.as_tensor(problems.truth)
        probability = answers.exp()
        right = (answers.argmax(1) == truth).double()
        certain = nnf.one_hot(truth, answers.shape[1])
        brier = (probability - certain).square().sum(1)
        log_likelihood = answers.gather(1, truth[:, None])[:, 0]
        gives_chances = torch.isfinite(answers).all(1)  # and does not just name a class
        return [
            Score("error", 1 - right, "", 0.0),
            Score("log_likelihood", log_likelihood.where(gives_chances, torch.nan), "nats", 0.0),
            Score("brier", brier, "", 0.0),
            Score("overconfidence", probability.amax(1) - right, "", 0.0),
        ]

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """What each solver gets wrong, the surest first, with the digit that it takes it for."""
        images = torch.as_tensor(problems.given)
        if not is_image(images.shape[1:]):
            return None
        truth = torch.as_tensor(problems.truth)
        rows = [
            mistakes(images, truth, torch.as_tensor(answer), name)
            for name, answer in answers.items()
        ]
        width = max(row.shape[2] for row in rows)
        return torch.cat([nnf.pad(row, (0, width - row.shape[2]), value=255) for row in rows], 1)


def mistakes(images: Tensor, truth: Tensor, answers: Tensor, name: str) -> Tensor:
    """Images that one solver is most surely wrong about, (3, height, width) uint8."""
    told, sure = answers.argmax(1), answers.exp().amax(1)
    wrong = (told != truth).nonzero()[:, 0]
    shown = wrong[sure[wrong].argsort(descending=True, stable=True)][: COLUMNS * ROWS]
    title = f"{name}: {len(wrong)} of {len(truth)} wrong; the surest, as truth > answer"
    if not len(shown):
        return captioned(torch.full((3, 1, 1), 255, dtype=torch.uint8), title)
    tiles = [
        captioned(as_grid(enlarged(quantized(images[k : k + 1])), 1), f"{truth[k]} > {told[k]}")
        for k in shown
    ]
    return captioned(as_grid(torch.stack(tiles), COLUMNS), title)


def labels_of(data: Any, split: str) -> Tensor:
    """The label of each image of a split, one-hot, (N, K).

    Raises:
        ValueError: If there are none.
    """
    found = getattr(data, "conditions", {}).get(split)
    if found is None or found.dim() != 2:
        raise ValueError(
            f"Classification takes images with labels, and {type(data).__name__} has none: set "
            "data.labels to true"
        )
    return found


def published(data: Any, split: str) -> tuple[Published, ...]:
    """Numbers of others on these data, where images and labels are as many as theirs."""
    images = getattr(data, "images", None)
    whole = isinstance(images, MNIST) and images.data_dir is None and images.shape == (1, 28, 28)
    return HUNDRED if whole and len(data.labelled) == 100 and split == "test" else ()


def labelled_places(data: Any) -> Tensor:
    """The training images whose labels a baseline learns from, (n,)."""
    given = getattr(data, "labelled", None)
    places = torch.arange(len(labels_of(data, "train"))) if given is None else given
    return places[permutation(len(places), "baselines")[:FEW]]


def learned(way: Learn, data: Any, problems: Problems) -> Tensor:
    """Log-probabilities (n, K) by what a way learns from the labelled images."""
    places = labelled_places(data)
    images = in_unit_interval(data.events("train", places)).flatten(1)
    one_hot = labels_of(data, "train")[places]
    tell = way(images.numpy(), one_hot.argmax(1).numpy())
    told = torch.as_tensor(tell(torch.as_tensor(problems.given).flatten(1).numpy())).double()
    present = one_hot.sum(0) > 0
    answers = torch.full((len(told), one_hot.shape[1]), -torch.inf, dtype=torch.float64)
    answers[:, present] = told
    return answers


def most_frequent(images: Any, labels: Any) -> Callable[[Any], Any]:
    """The shares of classes among the labels, whatever the image."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior").fit(images, labels).predict_log_proba


def nearest(images: Any, labels: Any) -> Callable[[Any], Any]:
    """The class of the labelled image that is nearest in pixels, with certainty."""
    from sklearn.neighbors import KNeighborsClassifier

    neighbour = KNeighborsClassifier(1).fit(images, labels)
    return lambda x: torch.from_numpy(neighbour.predict_proba(x)).log()


def logistic(images: Any, labels: Any) -> Callable[[Any], Any]:
    """Logistic regression on pixels, with the weight decay that scikit-learn begins with."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000).fit(images, labels).predict_log_proba
