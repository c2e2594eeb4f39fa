"""Translation: one network that makes an event from another one, and losses that a config adds up.

Low resolution to high, labels to a street, earlier frames to the next one, noisy to clean: all are
a `Translator`; whether they are told one answer (MSE, L1) or judged by an opponent is a line of the
config. `CycleGAN` learns where there are no pairs.
"""

from genlit.translation.cyclegan import CycleGAN
from genlit.translation.mixture_density import MixtureDensity
from genlit.translation.restorer import Restorer
from genlit.translation.translator import Translator

__all__ = ["CycleGAN", "MixtureDensity", "Restorer", "Translator"]
