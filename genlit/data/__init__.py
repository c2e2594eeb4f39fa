"""Datamodules. Each has a `shape` and yields batches as `genlit.protocols.Batch` describes."""

from genlit.data.arrays import Arrays
from genlit.data.images import ImageData
from genlit.data.mnist import MNIST
from genlit.data.toy import BarsAndStripes
from genlit.data.vectors import TwoMoons, Vectors

__all__ = ["MNIST", "Arrays", "BarsAndStripes", "ImageData", "TwoMoons", "Vectors"]
