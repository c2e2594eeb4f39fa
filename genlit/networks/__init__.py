"""Networks. They turn tensors into tensors and know of no probability.

Every network is built from the shapes at its two ends, `Network`; the config says what is between.
"""

from genlit.networks.batch_normalized import BatchNormMLP
from genlit.networks.conv import ConvDecoder, ConvEncoder
from genlit.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from genlit.networks.dncnn import DnCNN
from genlit.networks.grid import GridDecoder, GridEncoder
from genlit.networks.minibatch import MinibatchDiscrimination, MinibatchStd
from genlit.networks.mlp import MLP, Network
from genlit.networks.noisy import NoisyMLP
from genlit.networks.normalized import SpectralNormalized
from genlit.networks.patchgan import PatchDiscriminator
from genlit.networks.resnet import ResNetDiscriminator, ResNetGenerator
from genlit.networks.srresnet import SRResNet
from genlit.networks.unet import UNet

__all__ = [
    "MLP",
    "BatchNormMLP",
    "ConvDecoder",
    "ConvEncoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DnCNN",
    "GridDecoder",
    "GridEncoder",
    "MinibatchDiscrimination",
    "MinibatchStd",
    "Network",
    "NoisyMLP",
    "PatchDiscriminator",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "SRResNet",
    "SpectralNormalized",
    "UNet",
]
