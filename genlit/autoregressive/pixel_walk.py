"""Sampling of a gated PixelCNN that computes every feature about once.

The vertical stack is computed a row at a time, from the few rows above that its layers see; the
horizontal stack a pixel at a time, from the few pixels to the left. So an event costs about what
one pass of the network does, and not one for every pixel.
"""

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.autoregressive.ancestral import Walk, raster
from genlit.autoregressive.gated import GatedLayer, GatedPixelCNN, MaskedConv, gate


def matrix(conv: MaskedConv) -> Tensor:
    """The weights of a convolution along a row as a matrix, (pixels * inputs, outputs)."""
    return conv.seen.detach()[:, :, 0].permute(2, 1, 0).flatten(0, 1).contiguous()


class PixelWalk(Walk):
    """The entries of n images: rows, in them columns, and at each pixel its channels.

    Args:
        n: The number of images.
        shape: The shape of one image.
        net: The network.
    """

    def __init__(self, n: int, shape: tuple[int, ...], net: GatedPixelCNN) -> None:
        super().__init__(n, raster(shape), net.out.weight)
        self.shape, self.net = shape, net
        self.layers: list[GatedLayer] = [*net.layers]  # pyright: ignore[reportAttributeAccessIssue]
        self.weights = [(matrix(k.horizontal), matrix(k.mix), k.mix.shift) for k in self.layers]
        self.head = [(c.shift, matrix(c)) for c in (net.inner, net.out)]
        width, side = net.inner.in_channels, shape[2]
        first = self.x.new_zeros(n, shape[0], self.layers[0].rows, side)
        rest = [self.x.new_zeros(n, width, layer.rows, side) for layer in self.layers[1:]]
        # Rows that the vertical convolutions see, of each layer's input.
        self.above = [first, *rest]
        # Of the row at hand: what the vertical stack hands over, and each layer's input, which has
        # `reach` columns of zeros on its left; pixels come before features.
        self.links: list[Tensor] = []
        self.row: list[Tensor] = []
        self._begin_row()

    @torch.no_grad()
    def _begin_row(self) -> None:
        """Computes the vertical stack in a row, whose rows above are known."""
        self.links, n, side = [], len(self.x), self.shape[2]
        for k, layer in enumerate(self.layers):
            seen = nnf.pad(self.above[k], (layer.reach, layer.reach))
            v = layer.vertical(seen)
            link = layer.link(v) + layer.horizontal.shift.view(-1, 1, 1)
            self.links.append(link[:, :, 0].mT.contiguous())
            if k + 1 < len(self.layers):
                self.above[k + 1] = torch.cat([self.above[k + 1][:, :, 1:], gate(v)], 2)
        self.row = [
            self.x.new_zeros(n, side + layer.reach, layer.horizontal.in_channels)
            for layer in self.layers
        ]

    def output(self) -> Tensor:
        column, channel = divmod(self.at % (self.shape[0] * self.shape[2]), self.shape[0])
        h = self.x
        for k, (layer, (W, mix, bias)) in enumerate(zip(self.layers, self.weights, strict=True)):
            seen = self.row[k][:, column : column + layer.reach + 1]
            new = torch.addmm(bias, gate(torch.addmm(self.links[k][:, column], seen.flatten(1), W)),
                              mix)  # fmt: skip
            h = new if k == 0 else h + new
            if k + 1 < len(self.layers):
                self.row[k + 1][:, column + self.layers[k + 1].reach] = h
        for bias, W in self.head:
            h = torch.addmm(bias, h.relu(), W)
        return h[:, channel :: self.shape[0]]

    def update(self, site: int, value: Tensor) -> None:
        channels, height, side = self.shape
        row, column = divmod(site % (height * side), side)
        channel = site // (height * side)
        self.row[0][:, column + self.layers[0].reach, channel] = value
        if self.at % (channels * side) == 0 and row + 1 < height:
            values = self.x.view(-1, *self.shape)[:, :, row : row + 1]
            self.above[0] = torch.cat([self.above[0][:, :, 1:], values], 2)
            self._begin_row()

    def pick(self, rows: Tensor) -> None:
        super().pick(rows)
        self.above, self.links, self.row = (
            [kept[rows] for kept in every] for every in (self.above, self.links, self.row)
        )
