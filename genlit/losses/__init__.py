"""Losses of models that translate one thing into another, as a weighted list in the config."""

from genlit.losses.content import L1, MSE, GradientDifference
from genlit.losses.features import DigitLoss, FeatureLoss
from genlit.losses.loss import Loss, Opponent

__all__ = ["L1", "MSE", "DigitLoss", "FeatureLoss", "GradientDifference", "Loss", "Opponent"]
