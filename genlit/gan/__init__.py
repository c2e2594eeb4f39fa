"""Generative adversarial networks: samples of an implicit density, learned as a game.

Read in this order: `costs` (the mathematics), `gan` (the rounds of the game), `ema` (averaged
weights), `trainer_options` (what Lightning cannot do for two players), `optimizer`.
"""

from genlit.gan.costs import Cost, MinimaxCost, NonSaturatingCost
from genlit.gan.gan import GAN
from genlit.gan.optimizer import GANAdam

__all__ = ["GAN", "Cost", "GANAdam", "MinimaxCost", "NonSaturatingCost"]
