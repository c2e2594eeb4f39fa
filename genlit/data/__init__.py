"""Datamodules. Each has a `shape` and yields batches as `genlit.protocols.Batch` describes."""

from genlit.data.arrays import Arrays
from genlit.data.cifar import CIFAR10
from genlit.data.folder import ImageFolder
from genlit.data.images import ImageData
from genlit.data.mixtures import Grid, Ring
from genlit.data.mnist import MNIST
from genlit.data.stacked import StackedMNIST
from genlit.data.toy import BarsAndStripes
from genlit.data.vectors import TwoMoons, Vectors

__all__ = [
    "CIFAR10",
    "MNIST",
    "Arrays",
    "BarsAndStripes",
    "Grid",
    "ImageData",
    "ImageFolder",
    "Ring",
    "StackedMNIST",
    "TwoMoons",
    "Vectors",
]
