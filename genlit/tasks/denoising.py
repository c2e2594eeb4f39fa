"""Removing damage from images: clean ones are spoilt, and restored."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from genlit.corruptions import Corruption, GaussianNoise
from genlit.protocols import Denoises
from genlit.randomness import isolated
from genlit.tasks.blocks import block_of, in_blocks
from genlit.tasks.chosen import chosen_events, require_images
from genlit.tasks.likeness import likeness, pictured
from genlit.tasks.task import Many, Problems, Score, Solver, Task


class Denoising(Task):
    """Restoring images that a corruption has spoilt.

    Scores are the mean squared error of pixels, the peak signal-to-noise ratio of each image in dB
    (errors below those of rounding to 8 bits count as these, 58.9 dB), the structural similarity
    with a Gaussian window of 11 pixels where images are as large, and of MNIST the share of
    restored digits that a classifier recognizes. Beside models, answers are the spoilt image as it
    is, a median filter and non-local means; all are cut off at 0 and 1.

    References:
        | Image Quality Assessment: From Error Visibility to Structural Similarity (Wang et al.,
          2004)
        | A Non-Local Algorithm for Image Denoising (Buades, Coll & Morel, 2005)

    Args:
        corruption: What spoils images: GaussianNoise, Flips, SaltAndPepper, Masking, Occlusion or
            Blur; null takes GaussianNoise(0.1).
        n: How many images; fewer where there are fewer.
    """

    verb = "denoise"
    question = "denoised events"
    protocols = (Denoises,)

    def __init__(self, corruption: Corruption | None = None, n: int = 500) -> None:
        if n < 1:
            raise ValueError(f"n is {n}: a task has 1 problem or more")
        self.corruption, self.n = corruption or GaussianNoise(0.1), n

    @property
    def name(self) -> str:
        return f"denoise_{self.corruption.name}"

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Spoils images of a split, as evaluation sees them.

        Raises:
            ValueError: If the data are no images.
        """
        require_images(data, "Denoising")
        clean, _ = chosen_events(data, split, self.n, "denoising", seed)
        with isolated(self.name, split, seed):
            spoilt = self.corruption(torch.as_tensor(clean.truth))
        return Problems(spoilt, clean.truth, clean.source, clean.more)

    def solve(self, model: Any, problems: Problems) -> Tensor:
        spoilt = problems.given
        assert isinstance(spoilt, Tensor)
        seed = int(torch.randint(2**31, ()))

        def restore(part: slice) -> Tensor:
            return model.denoise(spoilt[part].to(model.device)).float()

        answers = in_blocks(restore, len(spoilt), block_of(spoilt.shape[1:]), "denoise", seed)
        return answers.clamp(0, 1)

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        return {
            "as it is": partial(filtered, clip),
            "median filter": partial(filtered, median),
            "non-local means": partial(filtered, non_local_means),
        }

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        return likeness(answers, problems)

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """Rows of one image each: clean, spoilt, and as each solver restored it."""
        columns = {"clean": problems.truth, "spoilt": problems.given, **answers}
        return pictured(columns)


def filtered(restore: Callable[[Any], Any], problems: Problems) -> Tensor:
    """What a filter of one image (channels, height, width) makes of each."""
    spoilt = torch.as_tensor(problems.given).cpu().double()
    return torch.stack([torch.as_tensor(restore(x.numpy())) for x in spoilt]).clamp(0, 1).float()


def clip(x: Any) -> Any:
    """An image as it is."""
    return x


def median(x: Any) -> Any:
    """The median of each pixel and its eight neighbours, in every channel."""
    from scipy.ndimage import median_filter

    return median_filter(x, size=(1, 3, 3), mode="nearest")


def non_local_means(x: Any) -> Any:
    """Means of pixels whose surroundings are alike, as far as the estimated noise tells."""
    from skimage.restoration import denoise_nl_means

    sigma = noise_of(x)
    grey = len(x) == 1
    means = denoise_nl_means(
        x[0] if grey else x, patch_size=5, patch_distance=6, h=0.8 * max(sigma, 1e-6), sigma=sigma,
        channel_axis=None if grey else 0,
    )  # fmt: skip
    return means[None] if grey else means


def noise_of(x: Any) -> float:
    """The standard deviation of the noise in an image, by a filter that smooth images do not pass.

    References:
        | Fast Noise Variance Estimation (Immerkaer, 1996)
    """
    image = torch.as_tensor(x)[:, None]
    second = torch.tensor([1.0, -2.0, 1.0], dtype=image.dtype)
    passed = conv2d(image, torch.outer(second, second)[None, None])
    return float(passed.abs().mean()) * math.sqrt(math.pi / 2) / 6
