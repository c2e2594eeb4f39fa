"""How near a picture is to the true one, as papers on super-resolution measure it.

The protocol `y_shave4`: pictures are rounded to 8 bits a channel, turned into the luma Y of YCbCr
(ITU-R BT.601, from 16 to 235), and four rows and columns are cut off at every edge, as many as the
scale; 255 is the peak. Other ways to luma, or whole pictures, give numbers decibels away.

References:
    | Image Quality Assessment: From Error Visibility to Structural Similarity (Wang et al., 2004)
    | Photo-Realistic Single Image Super-Resolution Using a GAN (Ledig et al., 2017)
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d

RED, GREEN, BLUE, BLACK = 65.481, 128.553, 24.966, 16.0  # of BT.601, for channels in [0, 1]
PEAK = 255.0
STABILIZERS = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
SIGMA = 1.5  # pixels: of the window of SSIM
REACH = 3.5  # of a window, in standard deviations: 11 x 11 pixels
DAALA_HEIGHT = 256  # of pictures that SSIM's window was made for, says daala


def luma(x: Tensor) -> Tensor:
    """Y of a picture (3, H, W) in [0, 1] after rounding it to 8 bits; (H, W) float64."""
    red, green, blue = x.double().mul(PEAK).round().clamp(0, PEAK).div(PEAK)
    return RED * red + GREEN * green + BLUE * blue + BLACK


def shaved(x: Tensor, border: int) -> Tensor:
    """What is left of (H, W) without so many rows and columns at every edge.

    Raises:
        ValueError: If nothing is.
    """
    if min(x.shape) <= 2 * border:
        raise ValueError(f"a picture of {tuple(x.shape)} pixels has none left without {border} at "
                         "every edge")  # fmt: skip
    return x[border : x.shape[0] - border, border : x.shape[1] - border]


def psnr(x: Tensor, y: Tensor) -> float:
    """Peak signal-to-noise ratio of two lumas (H, W), in dB; inf where they are equal."""
    error = float((x - y).square().mean())
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def ssim(x: Tensor, y: Tensor) -> float:
    """Structural similarity of two lumas (H, W): its mean over windows that lie in the picture.

    Raises:
        ValueError: If not even one does.
    """
    window = gaussian(SIGMA, int(REACH * SIGMA + 0.5))
    if min(x.shape) < len(window):
        raise ValueError(
            f"a picture of {tuple(x.shape)} pixels is too small for the window of SSIM"
        )
    return float(similarity(x, y, lambda z: blurred(z, window)).mean())


def ssim_daala(x: Tensor, y: Tensor) -> float:
    """Structural similarity as daala's tool has it: of windows that grow with the picture's height.

    The paper on SRGAN reports this one. Windows are cut off at edges, and count as far as they lie
    in the picture. So are their tails, as far out as a picture of that size has no say.
    """
    sigma = SIGMA * x.shape[0] / DAALA_HEIGHT
    least = math.sqrt(math.pi / 2) * sigma / min(x.shape)
    reach = math.floor(sigma * math.sqrt(-2 * math.log(least))) if least < 1 else 0
    window = gaussian(sigma, reach)
    inside = blurred(torch.ones_like(x), window, reach)
    similar = similarity(x, y, lambda z: blurred(z, window, reach) / inside)
    return float((similar * inside).sum() / inside.sum())


def similarity(x: Tensor, y: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    """The index of structural similarity at every place, given how to average around it."""
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = STABILIZERS
    structure = (2 * vxy + c2) / (vx + vy + c2)
    return structure * (2 * mx * my + c1) / (mx * mx + my * my + c1)


def gaussian(sigma: float, reach: int) -> Tensor:
    """Weights of a normal window, which add up to 1; (2 * reach + 1,) float64."""
    at = torch.arange(-reach, reach + 1, dtype=torch.float64)
    return torch.softmax(-at.square() / (2 * sigma**2), 0)


def blurred(x: Tensor, window: Tensor, padding: int = 0) -> Tensor:
    """A picture (H, W) averaged by a window in both directions, with zeros around it."""
    down, across = window[None, None, :, None], window[None, None, None, :]
    rows = conv2d(x[None, None], down, padding=(padding, 0))
    return conv2d(rows, across, padding=(0, padding))[0, 0]
