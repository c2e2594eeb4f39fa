"""Networks. They turn tensors into tensors and know of no probability.

Every network is built from the shapes at its two ends, `Network`; the config says what is between.
"""

from genlit.networks.conv import ConvDecoder, ConvEncoder
from genlit.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from genlit.networks.grid import GridDecoder, GridEncoder
from genlit.networks.minibatch import MinibatchDiscrimination, MinibatchStd
from genlit.networks.mlp import MLP, Network
from genlit.networks.normalized import SpectralNormalized
from genlit.networks.resnet import ResNetDiscriminator, ResNetGenerator

__all__ = [
    "MLP",
    "ConvDecoder",
    "ConvEncoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "GridDecoder",
    "GridEncoder",
    "MinibatchDiscrimination",
    "MinibatchStd",
    "Network",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "SpectralNormalized",
]
