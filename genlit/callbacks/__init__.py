"""Judging models. A callback asks a model only what `genlit.protocols` names."""

from genlit.callbacks.judge import Judge
from genlit.callbacks.likelihood import Likelihood

__all__ = ["Judge", "Likelihood"]
