"""Judging models. A callback asks a model only what `genlit.protocols` names."""

from genlit.callbacks.chain_health import ChainHealth
from genlit.callbacks.chain_picture import ChainPicture
from genlit.callbacks.checkpoints import Checkpoints
from genlit.callbacks.filters import Filters
from genlit.callbacks.game_health import GameHealth
from genlit.callbacks.judge import Judge
from genlit.callbacks.likelihood import Likelihood
from genlit.callbacks.logit_histogram import LogitHistogram
from genlit.callbacks.memorization import Memorization
from genlit.callbacks.mode_coverage import ModeCoverage
from genlit.callbacks.parzen import LegacyParzen
from genlit.callbacks.progress import Progress
from genlit.callbacks.sample_coverage import SampleCoverage
from genlit.callbacks.sample_grid import SampleGrid
from genlit.callbacks.sample_quality import SampleQuality
from genlit.callbacks.scatter import ScatterPlot

__all__ = [
    "ChainHealth",
    "ChainPicture",
    "Checkpoints",
    "Filters",
    "GameHealth",
    "Judge",
    "LegacyParzen",
    "Likelihood",
    "LogitHistogram",
    "Memorization",
    "ModeCoverage",
    "Progress",
    "SampleCoverage",
    "SampleGrid",
    "SampleQuality",
    "ScatterPlot",
]
