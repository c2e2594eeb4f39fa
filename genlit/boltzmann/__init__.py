"""Boltzmann machines: p(x) = exp(-F(x)) / Z.

They learn by lowering F on data and raising it on their own samples.

Read in this order: `units` (laws of visible units), `energy` (the mathematics), `gradient` (of the
likelihood, in closed form), `centring` (its coordinates), `samplers` (the chains; those that are
tempered in `rungs`, `tempering`, `trajectory` and `bennett`), `partition` and `path` (Z, exactly
and by annealing), `layer` (all of these together), `learning`, `rbm`. Machines whose units of one
kind are coupled: `couplings`, `sweeps`, `objectives`, `coupled_path`, `coupled_layer`, `machine`,
`lateral`. Deep ones: `stages`; `belief` and `belief_path`, `stack`, `growth`, `dbn`; `deep` and
what begins with its name, `dbm`.
"""

from genlit.boltzmann.centring import Centred, Enhanced, Ordinary
from genlit.boltzmann.dbm import DBM
from genlit.boltzmann.dbn import DBN
from genlit.boltzmann.lateral import LateralBoltzmannMachine
from genlit.boltzmann.machine import BoltzmannMachine
from genlit.boltzmann.objectives import PersistentChains, PseudoLikelihood
from genlit.boltzmann.rbm import RBM
from genlit.boltzmann.samplers import CD, PCD, FastPCD
from genlit.boltzmann.tempering import ParallelTempering
from genlit.boltzmann.trajectory import TrajectoryTempering
from genlit.boltzmann.units import Binary, Categorical, Gaussian

__all__ = [
    "CD",
    "DBM",
    "DBN",
    "PCD",
    "RBM",
    "Binary",
    "BoltzmannMachine",
    "Categorical",
    "Centred",
    "Enhanced",
    "FastPCD",
    "Gaussian",
    "LateralBoltzmannMachine",
    "Ordinary",
    "ParallelTempering",
    "PersistentChains",
    "PseudoLikelihood",
    "TrajectoryTempering",
]
