"""Losses that compare an answer with the one truth, number by number."""

import torch
from torch import Tensor
from torch.nn import functional as nnf

from genlit.losses.loss import Loss


class MSE(Loss):
    """Mean squared error: of several right answers its best is their mean.

    Args:
        weight: The coefficient in the sum of losses.
    """

    def forward(self, answer: Tensor, truth: Tensor, condition: Tensor) -> Tensor:
        return nnf.mse_loss(answer, truth)


class L1(Loss):
    """Mean absolute error: of several right answers its best is their median.

    Args:
        weight: The coefficient in the sum of losses.
    """

    def forward(self, answer: Tensor, truth: Tensor, condition: Tensor) -> Tensor:
        return nnf.l1_loss(answer, truth)


class GradientDifference(Loss):
    """Compares how much neighbouring pixels differ, in the answer and in the truth.

    Each image counts the sum over its channels, rows and columns, divided by its pixels.

    References:
        | Deep Multi-Scale Video Prediction Beyond Mean Square Error (Mathieu et al., 2016)
        | https://arxiv.org/abs/1511.05440

    Args:
        weight: The coefficient in the sum of losses.
        power: Of the differences, α in the paper.
    """

    def __init__(self, weight: float = 1.0, power: float = 1.0) -> None:
        super().__init__(weight)
        if power < 1:
            raise ValueError(f"power is {power}: it is 1 or more")
        self.power = power

    @property
    def name(self) -> str:
        return "gradient_difference"

    def forward(self, answer: Tensor, truth: Tensor, condition: Tensor) -> Tensor:
        total = answer.new_zeros(())
        for dim in (-2, -1):
            ours, theirs = torch.diff(answer, dim=dim).abs(), torch.diff(truth, dim=dim).abs()
            total = total + (ours - theirs).abs().pow(self.power).sum()
        return total / torch.Size((len(answer), *answer.shape[-2:])).numel()
