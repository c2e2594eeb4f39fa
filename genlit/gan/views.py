"""What the discriminator is shown in place of events, real and generated ones alike.

Each is differentiable, so that the generator learns through it, and the generator's law has no
share in it: where the views of two laws are alike, the laws are.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from genlit.gan import augmentation


class View(nn.Module, ABC):
    """A random view of events. A base class, since the config chooses."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Returns a view of each event, (B, *shape)."""

    def adapt(self, accuracy: Tensor, n: int) -> None:
        """Looks at what comes of a step of the discriminator.

        Args:
            accuracy: The share of real events that it called real, a scalar.
            n: Of so many.
        """


class InstanceNoise(View):
    """Gaussian noise that fades, so that the laws of real and generated events overlap.

    References:
        | Amortised MAP Inference for Image Super-resolution (Sønderby et al., 2017)
        | Towards Principled Methods for Training GANs (Arjovsky & Bottou, 2017)

    Args:
        std: Its standard deviation in the beginning.
        steps: The discriminator's steps after which it is gone, as it falls linearly; 0 keeps it.
    """

    taken: Tensor

    def __init__(self, std: float = 0.1, steps: int = 0) -> None:
        super().__init__()
        if std < 0 or steps < 0:
            raise ValueError(f"std is {std} and steps {steps}: neither can be below 0")
        self.std, self.steps = std, steps
        self.register_buffer("taken", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if not self.steps:
            return x + self.std * torch.randn_like(x)
        left = (1 - self.taken / self.steps).clamp(min=0).to(x)
        return x + self.std * left * torch.randn_like(x)

    def adapt(self, accuracy: Tensor, n: int) -> None:
        self.taken += 1


class DiffAugment(View):
    """Brightness, saturation, contrast, shifts and cut-outs, drawn for each image.

    What is shifted in or cut out is black; the paper's is grey, as its images are in [-1, 1].

    References:
        | Differentiable Augmentation for Data-Efficient GAN Training (Zhao et al., 2020)
        | https://arxiv.org/abs/2006.10738

    Args:
        color: Whether brightness, saturation and contrast vary.
        shift: The largest shift, as a share of each side; 0 shifts nothing.
        cutout: The sides of the square that is cut out, as a share of the image's; 0 cuts nothing.
    """

    def __init__(self, color: bool = True, shift: float = 0.125, cutout: float = 0.5) -> None:
        super().__init__()
        if not (0 <= shift < 1 and 0 <= cutout < 1):
            raise ValueError(f"shift is {shift} and cutout {cutout}: both are shares in [0, 1)")
        self.color, self.shift, self.cutout = color, shift, cutout

    def forward(self, x: Tensor) -> Tensor:
        augmentation.require_images(x)
        if self.color:
            x = augmentation.colored(x)
        if self.shift:
            x = augmentation.shifted(x, self.shift)
        return augmentation.cut_out(x, self.cutout) if self.cutout else x


class AdaptiveAugmentation(View):
    """Flips, shifts, turns and colors, each with a probability that follows the discriminator.

    Where it calls too many real images real, it has learned them by heart, and the probability
    rises; where too few, it falls.

    References:
        | Training Generative Adversarial Networks with Limited Data (Karras et al., 2020)
        | https://arxiv.org/abs/2006.06676

    Args:
        target: The mean sign of logits of real images that is wanted.
        images: Real images seen in which the probability can go from 0 to 1.
        start: The probability in the beginning.
        largest: The largest probability; above 0.8 generated images may come to look augmented.
        flip: Whether images may be mirrored, which digits and letters may not.
    """

    probability: Tensor

    def __init__(
        self,
        target: float = 0.6,
        images: int = 500_000,
        start: float = 0.0,
        largest: float = 0.8,
        flip: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= start <= largest <= 1 or images < 1:
            raise ValueError(
                f"start is {start}, largest {largest} and images {images}: probabilities rise from "
                "start to largest, and images is 1 or more"
            )
        self.target, self.images, self.largest, self.flip = target, images, largest, flip
        self.register_buffer("probability", torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        augmentation.require_images(x)
        ways = [
            *([augmentation.mirrored] if self.flip else []),
            lambda x: augmentation.shifted(x, 0.125),
            augmentation.turned,
            augmentation.colored,
        ]
        for way in ways:
            chosen = torch.rand(len(x), 1, 1, 1, device=x.device) < self.probability
            x = torch.where(chosen, way(x), x)
        return x

    def adapt(self, accuracy: Tensor, n: int) -> None:
        step = (2 * accuracy - 1 - self.target).sign() * n / self.images
        self.probability.add_(step).clamp_(0, self.largest)
