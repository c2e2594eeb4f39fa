"""How good predicted frames are: pure functions of answers and truths, both in [0, 1].

Answers are (n, draws, T, C, H, W), for n problems of each of which there are some draws of T
frames; truths are (n, T, C, H, W). Most pixels of a film do not change from frame to frame, so that
an answer is as good as the last frame wherever one looks at all pixels: hence the errors of those
that move. And the mean of all that may happen has the least squared error though it never happens:
hence gradients, which tell blur; what answers are near to tells the rest, see `genlit.tasks.valid`.
"""

import torch
from torch import Tensor

from genlit.tasks.pixels import beside, gradients

CHANGE = 0.1  # of a pixel that moves, in some channel


def squared_error(answers: Tensor, truth: Tensor) -> Tensor:
    """The sum over the pixels of each frame of its squared error, (n, draws, T)."""
    return (answers - truth[:, None]).double().square().sum((-3, -2, -1))


def moving(truth: Tensor, last: Tensor) -> Tensor:
    """Pixels that differ from the frame before, (n, T, 1, H, W) bool.

    Args:
        truth: Frames, (n, T, C, H, W).
        last: The frame before them, (n, C, H, W).
    """
    before = torch.cat([last[:, None], truth[:, :-1]], 1)
    return ((truth - before).abs() > CHANGE).any(2, keepdim=True)


def moving_error(answers: Tensor, truth: Tensor, last: Tensor) -> Tensor:
    """The mean squared error of pixels that move, over all frames; NaN where none does.

    References:
        | Deep Multi-Scale Video Prediction Beyond Mean Square Error (Mathieu et al., 2016), where
        | optical flow tells what moves

    Args:
        answers: (n, draws, T, C, H, W).
        truth: (n, T, C, H, W).
        last: The frame before them, (n, C, H, W).

    Returns:
        (n, draws).
    """
    mask = moving(truth, last).expand_as(truth)[:, None]
    errors = (answers - truth[:, None]).double().square() * mask
    return errors.sum((2, 3, 4, 5)) / mask.sum((2, 3, 4, 5))


def gradient_ratio(answers: Tensor, truth: Tensor, power: float = 1.0) -> Tensor:
    """Gradients of answers beside those of the truth, (n, draws); NaN where the truth has none.

    Both are means over the frames of a problem. With power 1 an edge that is smeared out from 0 to
    1 counts as much as a sharp one, and two copies at half brightness count as one at full: it is
    lost contrast that lowers the ratio. With power 2 smearing lowers it too, and two copies at half
    brightness have 1/2.

    Args:
        answers: (n, draws, T, C, H, W).
        truth: (n, T, C, H, W).
        power: Of the differences.
    """
    return beside(gradients(answers, power).mean(-1), gradients(truth, power).mean(-1)[:, None])
