"""Boltzmann machines: p(x) = exp(-F(x)) / Z.

They learn by lowering F on data and raising it on their own samples.

Read in this order: `energy` (the mathematics), `gradient` (of the likelihood, in closed form),
`partition` (Z, exactly and by annealing), `rbm`.
"""

from genlit.boltzmann.rbm import RBM

__all__ = ["RBM"]
