"""Generative stochastic networks: a Markov chain that is learned, whose stationary law is p(x).

Read in this order: `walk` (the mathematics), `gsn`. What spoils events is in `genlit.corruptions`.
"""

from genlit.gsn.gsn import GSN

__all__ = ["GSN"]
