"""Images as feature vectors, and the distances between sets of them.

An extractor is chosen by the config; it is named in everything that is measured with it.
"""

from genlit.features.extractor import FeatureExtractor, Features, quantized
from genlit.features.inception import Inception2015
from genlit.features.lenet import LeNetMNIST
from genlit.features.pixels import Pixels

__all__ = ["FeatureExtractor", "Features", "Inception2015", "LeNetMNIST", "Pixels", "quantized"]
