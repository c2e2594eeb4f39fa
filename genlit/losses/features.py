"""Losses that compare what a network sees in an answer and in the truth.

A difference that it does not see costs nothing, so textures need not lie where they truly do.
"""

import pickle
from abc import abstractmethod
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from genlit.features.lenet import LeNetMNIST
from genlit.losses.loss import Loss

# Channels of VGG19's convolutions, 3 x 3 each; the sides are halved between the groups.
GROUPS = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)
# Of the channels of ImageNet, in whose terms the weights are learned.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Seen(Loss):
    """Mean squared error of features. A base class: a loss says what network sees, and loads it.

    The network is loaded at the first use, and is no part of the model: it is not trained and not
    in checkpoints, and a trained model can be used without it.

    Args:
        weight: The coefficient in the sum of losses.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight)
        self._network: list[nn.Module] = []  # in a list, so that it is not a part of the model

    @abstractmethod
    def load(self) -> nn.Module:
        """Makes the network, from images (B, channels, H, W) in [0, 1] to features."""

    def forward(self, answer: Tensor, truth: Tensor, condition: Tensor) -> Tensor:
        if not self._network:
            self._network = [self.load().requires_grad_(False).eval()]
        network = self._network[0].to(answer.device)
        with torch.no_grad():
            wanted = network(truth)
        return nnf.mse_loss(network(answer), wanted)


class FeatureLoss(Seen):
    """Compares the features of VGG19 at one of its convolutions: the content loss of SRGAN.

    Weights are never downloaded: give the file of torchvision's vgg19, such as
    vgg19-dcbb9e9d.pth from https://download.pytorch.org/models. Images are in colour.

    References:
        | Perceptual Losses for Real-Time Style Transfer (Johnson, Alahi & Fei-Fei, 2016)
        | Photo-Realistic Single Image Super-Resolution Using a GAN (Ledig et al., 2017)

    Args:
        weights_path: The file.
        weight: The coefficient in the sum of losses. With pixels in [0, 1] and features before the
            ReLU, about 1 beside an adversarial loss of 5e-3 is usual.
        group: Which group of convolutions, 1 to 5.
        convolution: Which of that group; 5 and 4 are conv5_4.
        activated: Whether features are taken after the ReLU.

    Raises:
        ValueError: If there is no such convolution.
    """

    def __init__(
        self,
        weights_path: Path,
        weight: float = 1.0,
        group: int = 5,
        convolution: int = 4,
        activated: bool = False,
    ) -> None:
        super().__init__(weight)
        if not 1 <= group <= len(GROUPS) or not 1 <= convolution <= len(GROUPS[group - 1]):
            raise ValueError(f"VGG19 has no conv{group}_{convolution}: groups 1 to 5 have 2, 2, 4, "
                             "4 and 4 convolutions")  # fmt: skip
        self.weights_path = Path(weights_path)
        self.group, self.convolution, self.activated = group, convolution, activated

    @property
    def name(self) -> str:
        return f"vgg19_{self.group}_{self.convolution}"

    def load(self) -> nn.Module:
        """Builds VGG19 up to the convolution, with the weights in the file.

        Raises:
            ValueError: If there is no such file, or it holds something else.
        """
        layers = Standardized(vgg19(self.group, self.convolution, self.activated))
        try:
            found = torch.load(self.weights_path, map_location="cpu", weights_only=True)
            wanted = layers.network.state_dict()
            layers.network.load_state_dict({k: found[f"features.{k}"] for k in wanted})
        except FileNotFoundError:
            raise ValueError(
                f"FeatureLoss found no file {self.weights_path}: set weights_path to torchvision's "
                "vgg19-dcbb9e9d.pth, which is not downloaded for you"
            ) from None
        except (OSError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError):
            raise ValueError(f"{self.weights_path} does not hold the weights of torchvision's "
                             "vgg19, features.0.weight and so on") from None  # fmt: skip
        return layers


class DigitLoss(Seen):
    """Compares what a small classifier of MNIST sees, whose weights genlit carries.

    For grey images of 28 x 28 pixels, such as digits made from their edges.

    Args:
        weight: The coefficient in the sum of losses.
    """

    def load(self) -> nn.Module:
        """The classifier up to the 128 units below its output."""
        return LeNetMNIST().net.body


class Standardized(nn.Module):
    """A network of images in colour in [0, 1], which it is shown as ImageNet's are to VGG.

    Args:
        network: The network.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


def vgg19(group: int, convolution: int, activated: bool) -> nn.Sequential:
    """The layers of VGG19 up to a convolution, numbered as torchvision numbers them."""
    layers: list[nn.Module] = []
    chosen = [*GROUPS[: group - 1], GROUPS[group - 1][:convolution]]
    before = 3
    for k, widths in enumerate(chosen):
        layers += [nn.MaxPool2d(2)] if k else []
        for inner, outer in pairwise((before, *widths)):
            layers += [nn.Conv2d(inner, outer, 3, 1, 1), nn.ReLU()]
        before = widths[-1]
    return nn.Sequential(*(layers if activated else layers[:-1]))
