"""Sending images through a code and back: how much of them it keeps."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlit.data.loader import in_unit_interval
from genlit.protocols import Reconstructs
from genlit.tasks.blocks import block_of, in_blocks
from genlit.tasks.chosen import chosen_events, require_images
from genlit.tasks.likeness import likeness, pictured
from genlit.tasks.task import Many, Problems, Score, Solver, Task


class Reconstruction(Task):
    """Sending images through a model's code and back.

    Scores are the peak signal-to-noise ratio of each image in dB (errors below those of rounding to
    8 bits count as these, 58.9 dB), the mean squared error of pixels, the structural similarity
    with a Gaussian window of 11 pixels where images are as large, and of MNIST the share of
    reconstructed digits that a classifier recognizes. They say what a code keeps, not whether it is
    a good one: a larger code keeps more. Beside models, answers are the mean of training images and
    principal components, the best linear code of as many numbers in squared error.

    References:
        | Reducing the Dimensionality of Data with Neural Networks (Hinton & Salakhutdinov, 2006)

    Args:
        n: How many images; fewer where there are fewer.
        components: How many principal components; as many as the code of a model has numbers.
    """

    verb = "reconstruct"
    question = "reconstructions"
    protocols = (Reconstructs,)

    def __init__(self, n: int = 1000, components: int = 32) -> None:
        if min(n, components) < 1:
            raise ValueError(f"n is {n} and components {components}: each is 1 or more")
        self.n, self.components = n, components

    @property
    def name(self) -> str:
        return "reconstruct"

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Chooses images of a split, as evaluation sees them.

        Raises:
            ValueError: If the data are no images.
        """
        require_images(data, "Reconstruction")
        return chosen_events(data, split, self.n, "reconstruction", seed)[0]

    def solve(self, model: Any, problems: Problems) -> Tensor:
        x, seed = torch.as_tensor(problems.given), int(torch.randint(2**31, ()))

        def there_and_back(part: slice) -> Tensor:
            return model.reconstruct(x[part].to(model.device)).float()

        answers = in_blocks(there_and_back, len(x), block_of(x.shape[1:]), "reconstruct", seed)
        return answers.clamp(0, 1)

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        train = in_unit_interval(data.events("train")).cpu()
        mean, axes = principal_axes(train.flatten(1), self.components)
        return {
            "mean of training images": partial(projected, mean, axes[:, :0]),
            f"{axes.shape[1]} principal components": partial(projected, mean, axes),
        }

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        return likeness(answers, problems)

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """Rows of one image each: as it is, and as it comes back from each solver."""
        return pictured({"given": problems.given, **answers})


def principal_axes(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The mean (D,) of vectors (N, D), and the k axes along which they vary most, (D, k); float64.

    Fewer where D is smaller.
    """
    mean = x.mean(0, dtype=torch.float64)
    second = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for block in x.split(10_000):
        centred = block.double() - mean
        second += centred.T @ centred
    return mean, torch.linalg.eigh(second).eigenvectors.flip(1)[:, :k]


def projected(mean: Tensor, axes: Tensor, problems: Problems) -> Tensor:
    """Images as far as they lie in the plane of some axes through the mean, cut off at 0 and 1."""
    x = torch.as_tensor(problems.given)
    centred = x.flatten(1).double() - mean
    return (mean + centred @ axes @ axes.T).view(x.shape).clamp(0, 1).float()
