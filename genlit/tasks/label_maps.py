"""Maps of classes: reading them off images exactly, and how right they are.

Notation: K classes, each of which has a colour, or a unit vector of one-hot channels.
"""

import torch
from torch import Tensor

IGNORED = -1  # the label of pixels that count for nothing
AT_ONCE = 2**22  # distances of pixels to colours that are in memory


def nearest_classes(images: Tensor, palette: Tensor) -> Tensor:
    """The class whose colour is nearest to each pixel's, (n, H, W) int64.

    Args:
        images: (n, C, H, W).
        palette: The colour of each class, (K, C).
    """
    each = max(1, AT_ONCE // (images[0, 0].numel() * len(palette)))
    # |p - c|² but for |p|², which all classes share.
    squares = palette.square().sum(1)[:, None, None]
    found = [
        (squares - 2 * torch.einsum("nchw,kc->nkhw", part.float(), palette)).argmin(1)
        for part in images.split(each)
    ]
    return torch.cat(found)


def confusion(labels: Tensor, answers: Tensor, classes: int) -> Tensor:
    """How many pixels of each class were taken for each, for every map; (n, K, K) float64.

    Args:
        labels: The true classes, (n, H, W); IGNORED ones do not count.
        answers: What they were taken for, (n, H, W).
        classes: How many there are, K.
    """
    counts = torch.zeros(len(labels), classes * classes, dtype=torch.float64)
    known = (labels != IGNORED).flatten(1).double()
    pairs = (labels.clamp(min=0) * classes + answers).flatten(1)
    return counts.scatter_add_(1, pairs, known).view(-1, classes, classes)


def pixel_accuracy(counts: Tensor) -> Tensor:
    """The share of pixels whose class is right, for each map; (n,)."""
    return counts.diagonal(dim1=1, dim2=2).sum(1) / counts.sum((1, 2))


def class_accuracy(counts: Tensor) -> Tensor:
    """The same of each class that a map has, and of these the mean; (n,)."""
    return (counts.diagonal(dim1=1, dim2=2) / counts.sum(2)).nanmean(1)


def intersection_over_union(counts: Tensor) -> Tensor:
    """Pixels rightly of a class by those that are or were taken for it, the mean of classes; (n,).

    It is the mean over the classes that the map has, or was taken to have.
    """
    right = counts.diagonal(dim1=1, dim2=2)
    return (right / (counts.sum(1) + counts.sum(2) - right)).nanmean(1)


def mean_of_classes(images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The mean colour of each class, (K, C); of those that no pixel has, the mean of all.

    Args:
        images: (n, C, H, W).
        labels: The class of each pixel, (n, H, W).
        classes: How many there are, K.
    """
    pixels = images.movedim(1, -1).flatten(0, 2).double()
    sums = torch.zeros(classes, pixels.shape[1], dtype=torch.float64)
    sums.index_add_(0, labels.flatten(), pixels)
    n = torch.bincount(labels.flatten(), minlength=classes)[:, None]
    return torch.where(n > 0, sums / n.clamp(min=1), pixels.mean(0)).float()


def in_colours(maps: Tensor, colours: Tensor | None) -> Tensor:
    """Maps of one-hot channels, or nearly so, as colour images; others as they are.

    Args:
        maps: (n, channels, H, W); of 1 or 3 channels they are images already.
        colours: Of the channels, (channels, 3); None goes around the circle of hues.
    """
    if maps.shape[1] in (1, 3):
        return maps
    colours = hues(maps.shape[1]) if colours is None else colours
    return colours[maps.argmax(1)].movedim(-1, 1)


def hues(n: int) -> Tensor:
    """Colours around the circle of hues, (n, 3) in [0, 1]."""
    angle = torch.arange(n)[:, None] / n + torch.tensor([0.0, 1 / 3, 2 / 3])
    return 0.5 + 0.45 * (2 * torch.pi * angle).cos()
