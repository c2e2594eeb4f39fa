"""Autoregressive models: p(x) = Π_i p(x_i | entries before i), whose likelihood is exact.

Read in this order: `ancestral` (sampling, and filling in), `autoregressive` (what all share),
`fvsbn`; `hidden` (the mathematics), `nade`; `masks`, `made`; `gated` (the network), `pixel_walk`
(its sampling), `pixelcnn`.
"""

from genlit.autoregressive.fvsbn import FVSBN
from genlit.autoregressive.made import MADE
from genlit.autoregressive.nade import NADE
from genlit.autoregressive.pixelcnn import PixelCNN

__all__ = ["FVSBN", "MADE", "NADE", "PixelCNN"]
