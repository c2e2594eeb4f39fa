"""Datamodules. Each has a `shape` and yields batches as `genlit.protocols.Batch` describes."""

from genlit.data.aerial_maps import AerialMaps
from genlit.data.arrays import Arrays
from genlit.data.bouncing_balls import BouncingBalls
from genlit.data.camvid import CamVid
from genlit.data.cifar import CIFAR10
from genlit.data.edges_to_digits import EdgesToDigits
from genlit.data.films import Films
from genlit.data.folder import ImageFolder
from genlit.data.futures import Futures, InverseSinusoid
from genlit.data.images import ImageData
from genlit.data.incomplete import BreastCancer, IncompleteVectors
from genlit.data.mixtures import Grid, Ring
from genlit.data.mnist import MNIST
from genlit.data.moving_mnist import ForkingDigits, MovingMNIST
from genlit.data.paired_folder import PairedFolder
from genlit.data.pairs import Pairs
from genlit.data.rollouts import Rollouts
from genlit.data.semi_supervised import SemiSupervised
from genlit.data.solids import RotatingSolids
from genlit.data.stacked import StackedMNIST
from genlit.data.superres import SuperResolution
from genlit.data.toy import BarsAndStripes
from genlit.data.two_moons import TwoMoons
from genlit.data.unpaired import Unpaired
from genlit.data.vectors import Vectors
from genlit.data.video import VideoData

__all__ = [
    "CIFAR10",
    "MNIST",
    "AerialMaps",
    "Arrays",
    "BarsAndStripes",
    "BouncingBalls",
    "BreastCancer",
    "CamVid",
    "EdgesToDigits",
    "Films",
    "ForkingDigits",
    "Futures",
    "Grid",
    "ImageData",
    "ImageFolder",
    "IncompleteVectors",
    "InverseSinusoid",
    "MovingMNIST",
    "PairedFolder",
    "Pairs",
    "Ring",
    "Rollouts",
    "RotatingSolids",
    "SemiSupervised",
    "StackedMNIST",
    "SuperResolution",
    "TwoMoons",
    "Unpaired",
    "Vectors",
    "VideoData",
]
