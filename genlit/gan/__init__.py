"""Generative adversarial networks: samples of an implicit density, learned as a game.

Read in this order: `costs` and `relativistic` (what players lower), `penalties`, `views` and
`augmentation`, `packing`, `clipping` and `matching` (what keeps the game in hand), `conditions` and
`heads` (classes and codes), `discriminator`, `turns` (what each player lowers in its turn), `gan`,
`conditional`, `ema` (averaged weights), `optimizer`, and `adversarial` (an opponent for models of
other kinds). How turns follow each other, in Lightning, is in `genlit.rounds`.
"""

from genlit.gan.adversarial import Adversarial
from genlit.gan.clipping import WeightClipping
from genlit.gan.conditional import ConditionalGAN
from genlit.gan.conditions import Classes, Code, Condition, Nothing
from genlit.gan.costs import (
    Cost,
    HingeCost,
    LeastSquaresCost,
    MinimaxCost,
    NonSaturatingCost,
    WassersteinCost,
)
from genlit.gan.gan import GAN
from genlit.gan.heads import AuxiliaryClassifier, Concatenation, Projection
from genlit.gan.matching import FeatureMatching
from genlit.gan.optimizer import GANAdam
from genlit.gan.penalties import DRAGAN, R1, R2, GradientPenalty, Penalty
from genlit.gan.relativistic import RelativisticAverageCost, RelativisticCost
from genlit.gan.semi_supervised import SemiSupervisedGAN
from genlit.gan.views import AdaptiveAugmentation, DiffAugment, InstanceNoise, View

__all__ = [
    "DRAGAN",
    "GAN",
    "R1",
    "R2",
    "AdaptiveAugmentation",
    "Adversarial",
    "AuxiliaryClassifier",
    "Classes",
    "Code",
    "Concatenation",
    "Condition",
    "ConditionalGAN",
    "Cost",
    "DiffAugment",
    "FeatureMatching",
    "GANAdam",
    "GradientPenalty",
    "HingeCost",
    "InstanceNoise",
    "LeastSquaresCost",
    "MinimaxCost",
    "NonSaturatingCost",
    "Nothing",
    "Penalty",
    "Projection",
    "RelativisticAverageCost",
    "RelativisticCost",
    "SemiSupervisedGAN",
    "View",
    "WassersteinCost",
    "WeightClipping",
]
