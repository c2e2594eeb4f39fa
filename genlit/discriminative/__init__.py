"""Models of p(class | x) alone: what generative models with few labels are measured against."""

from genlit.discriminative.classifier import Classifier

__all__ = ["Classifier"]
