"""How like images are to the true ones: the scores that restored and reconstructed ones have."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from genlit.callbacks.pictures import is_image, side_by_side
from genlit.tasks.digits import recognized
from genlit.tasks.pixels import decibels
from genlit.tasks.task import Many, Problems, Score

WINDOW = 11  # pixels a side of the window of the structural similarity
PICTURED = 8  # problems in a picture


def likeness(answers: Many, problems: Problems) -> list[Score]:
    """Scores of images (n, *shape) in [0, 1] beside the truth of problems.

    psnr in dB, at most that of rounding to 8 bits, and mse; ssim where images are as large as its
    window; and recognized where problems have labels of digits.
    """
    made, truth = torch.as_tensor(answers), torch.as_tensor(problems.truth)
    error = (made - truth).double().square().flatten(1).mean(1)
    scores = [Score("psnr", decibels(error), "dB", float("inf")), Score("mse", error, "", 0.0)]
    if min(truth.shape[-2:]) >= WINDOW:
        scores.append(Score("ssim", similarity(made, truth), "", 1.0))
    if "labels" in problems.more:
        right = recognized(made, torch.as_tensor(problems.more["labels"]))
        scores.append(Score("recognized", right, "", 1.0))
    return scores


def similarity(images: Tensor, truth: Tensor) -> Tensor:
    """The structural similarity of images in [0, 1] to others, of each; (n,)."""
    values: Any = structural_similarity_index_measure(
        images.double(), truth.double(), data_range=1.0, kernel_size=WINDOW, reduction="none"
    )
    return values.flatten()


def pictured(columns: Mapping[str, Many], rows: int = PICTURED) -> Tensor | None:
    """The first images of several kinds in columns below their names; None of no images.

    Args:
        columns: Images (n, *shape) in [0, 1] of each kind, by its name.
        rows: How many of each, at most.

    Returns:
        The picture, (3, height, width) uint8.
    """
    images = {name: torch.as_tensor(x)[:rows].cpu() for name, x in columns.items()}
    if not all(is_image(x.shape[1:]) for x in images.values()):
        return None
    return side_by_side(images)
