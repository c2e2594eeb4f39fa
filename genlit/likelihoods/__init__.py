"""p(x | network output): the laws of events under what a decoder puts out.

A law is made for the shape of an event, says which shape the network must put out for it, and then
gives log-probabilities in nats, expectations and samples. Entries of events lie in [0, 1]; discrete
ones stand on the grid 0, 1/(levels - 1), ..., 1.
"""

from genlit.likelihoods.levels import Categorical, LogisticMixture
from genlit.likelihoods.normal import Normal, SharedNormal
from genlit.likelihoods.observation import Bernoulli, Law, Observation, bernoulli_log_prob
from genlit.likelihoods.student import StudentT

__all__ = [
    "Bernoulli",
    "Categorical",
    "Law",
    "LogisticMixture",
    "Normal",
    "Observation",
    "SharedNormal",
    "StudentT",
    "bernoulli_log_prob",
]
