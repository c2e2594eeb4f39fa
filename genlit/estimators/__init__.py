"""Ways to get log p(x) out of a model: each turns a model into a function x -> (B,) nats.

Which one was used belongs to the number it gives, so the config names it and the log shows it.
"""

from genlit.estimators.annealed import Annealed, AnnealedBound, Bennett, Raise
from genlit.estimators.decoder import AnnealedDecoder
from genlit.estimators.estimator import Estimator, Exact, Known, LogDensity, LowerBound
from genlit.estimators.sampling import ConservativeSampling

__all__ = [
    "Annealed",
    "AnnealedBound",
    "AnnealedDecoder",
    "Bennett",
    "ConservativeSampling",
    "Estimator",
    "Exact",
    "Known",
    "LogDensity",
    "LowerBound",
    "Raise",
]
