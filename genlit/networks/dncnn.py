"""The network that finds the noise in an image."""

from collections.abc import Sequence

from torch import Tensor, nn


class DnCNN(nn.Module):
    """Convolutions that put out what is wrong with an image, which is then taken off; of any size.

    (B, inputs[0], H, W) to (B, outputs[0], H, W). What is taken off is 0 at first. Where the input
    has further channels than the output, as noise or a map of its strength, these come last.

    References:
        | Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising (Zhang et
        | al., 2017)
        | https://arxiv.org/abs/1608.03981

    Args:
        inputs: Shape of the spoilt image.
        outputs: Shape of the clean image.
        width: Channels of every hidden layer.
        depth: Convolutions, 2 or more; each sees one pixel further.
        normalized: Whether hidden layers but the first are batch-normalized.

    Raises:
        ValueError: If the shapes are of no such images, or depth is below 2.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        width: int = 64,
        depth: int = 17,
        normalized: bool = True,
    ) -> None:
        super().__init__()
        if len(inputs) != 3 or tuple(inputs[1:]) != tuple(outputs[1:]) or inputs[0] < outputs[0]:
            raise ValueError(
                f"DnCNN makes an image of one of the same size, not events of shape "
                f"{tuple(outputs)} of {tuple(inputs)}: take UNet or MLP"
            )
        if depth < 2:
            raise ValueError(f"depth is {depth}: DnCNN has 2 convolutions or more")
        self.channels = outputs[0]
        layers: list[nn.Module] = [nn.Conv2d(inputs[0], width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers.append(nn.Conv2d(width, width, 3, padding=1, bias=not normalized))
            layers += [nn.BatchNorm2d(width), nn.ReLU()] if normalized else [nn.ReLU()]
        last = nn.Conv2d(width, outputs[0], 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.channels] - self.layers(x)
