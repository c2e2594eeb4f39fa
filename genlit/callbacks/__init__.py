"""Judging models. A callback asks a model only what `genlit.protocols` names."""

from genlit.callbacks.checkpoints import Checkpoints
from genlit.callbacks.judge import Judge
from genlit.callbacks.likelihood import Likelihood
from genlit.callbacks.progress import Progress
from genlit.callbacks.sample_grid import SampleGrid
from genlit.callbacks.sample_quality import SampleQuality

__all__ = ["Checkpoints", "Judge", "Likelihood", "Progress", "SampleGrid", "SampleQuality"]
