"""Normalizing flows: events as an invertible transformation of Gaussian noise, log p(x) exact.

Read in this order: `transformations` and `couplings` (the mathematics), `multiscale` (how RealNVP
composes them), `flow` (what all flows answer), `coupling_flows`, `vector_flows`; then `noise` and
`dequantized`, which learn the noise that makes grey levels real numbers.
"""

from genlit.flow.coupling_flows import NICE, RealNVP
from genlit.flow.dequantized import DequantizedFlow
from genlit.flow.residual import ResidualConv
from genlit.flow.vector_flows import MaskedAutoregressiveFlow, NeuralSplineFlow

__all__ = [
    "NICE",
    "DequantizedFlow",
    "MaskedAutoregressiveFlow",
    "NeuralSplineFlow",
    "RealNVP",
    "ResidualConv",
]
