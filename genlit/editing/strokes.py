"""What the user paints, as JSON and as what an image is to be like.

Places are (x, y) in pixels of the image, from its upper left corner: the pixel in column j and row
i is the square from (j, i) to (j + 1, i + 1).
"""

import base64
import binascii
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genlit.latent import Wish

BRUSH, EDGE, ERASER, PHOTO = "brush", "edge", "eraser", "photo"
TOOLS = (BRUSH, EDGE, ERASER, PHOTO)
POINTS = 2000  # the most of a stroke
SEGMENTS = 256  # of a stroke that are drawn at once
CONTRAST = 0.5  # that an edge is to have, unless the stroke says so


class Painting(NamedTuple):
    """What has been painted, of an image of shape (C, H, W)."""

    colour: Tensor  # (C, H, W) in [0, 1]; 0 where nothing is painted
    painted: Tensor  # (H, W), bool
    edges: Tensor  # (2, H, W): vectors (x, y) across wished edges, as `edge_error` takes them

    def wish(self) -> Wish:
        """What an image is to be like, as a batch of one."""
        edges = self.edges[None] if self.edges.any() else None
        return Wish(self.colour[None], self.painted.expand_as(self.colour)[None], edges)

    @property
    def numbers(self) -> int:
        """How many numbers are wished: those of painted pixels, and one an edge's pixel."""
        edges = self.edges.square().sum(0) > 0
        return int(self.painted.sum()) * len(self.colour) + int(edges.sum())


@dataclass(frozen=True)
class Stroke:
    """One movement of a tool.

    Args:
        tool: brush, edge, eraser, or photo, which paints every pixel.
        points: The places that it goes through, (x, y).
        size: The diameter of the tool, in pixels.
        colour: Of a brush: a number in [0, 1] for each channel.
        contrast: Of an edge: how much it is to have, as a share of that of black and white.
        pixels: Of a photo: its levels from 0 to 255, (H, W, C) in base64.
    """

    tool: str
    points: tuple[tuple[float, float], ...] = ()
    size: float = 1.0
    colour: tuple[float, ...] = ()
    contrast: float = CONTRAST
    pixels: str = field(default="", repr=False)


def stroke_of(spec: Any, shape: Sequence[int]) -> Stroke:
    """Reads a stroke on an image of some shape from what JSON says.

    Raises:
        ValueError: If it says something else.
    """
    if not isinstance(spec, dict) or spec.get("tool") not in TOOLS:
        raise ValueError(f'a stroke is {{"tool": ...}} with one of {", ".join(TOOLS)}')
    tool: str = spec["tool"]
    if tool == PHOTO:
        pixels_of(spec.get("pixels"), shape)
        return Stroke(tool, pixels=spec["pixels"])
    places = spec.get("points")
    least = 2 if tool == EDGE else 1
    if not isinstance(places, list) or not least <= len(places) <= POINTS:
        raise ValueError(f"the points of a stroke of tool {tool} are {least} to {POINTS}")
    far = 4.0 * max(shape)
    points = tuple(numbers(place, 2, -far, far, "a point of a stroke") for place in places)
    (size,) = numbers([spec.get("size", 1.0)], 1, 0.1, far, "the size of a stroke")
    (contrast,) = numbers([spec.get("contrast", CONTRAST)], 1, 0.0, 1.0, "the contrast of an edge")
    colour = ()
    if tool == BRUSH:
        colour = numbers(spec.get("colour"), shape[0], 0.0, 1.0, "the colour of a brush")
    return Stroke(tool, points, size, colour, contrast)  # pyright: ignore[reportArgumentType]


def numbers(given: Any, count: int, low: float, high: float, what: str) -> tuple[float, ...]:
    """So many numbers within bounds.

    Raises:
        ValueError: If they are something else.
    """
    known = isinstance(given, list) and len(given) == count
    if not known or not all(type(x) in (int, float) and low <= x <= high for x in given):
        many = "a number" if count == 1 else f"{count} numbers"
        raise ValueError(f"{what} is {many} from {low:g} to {high:g}, not {given!r:.60}")
    return tuple(float(x) for x in given)


def spec_of(stroke: Stroke) -> dict[str, Any]:
    """A stroke as JSON, without what its tool has no use for."""
    if stroke.tool == PHOTO:
        return {"tool": PHOTO, "pixels": stroke.pixels}
    spec: dict[str, Any] = {"tool": stroke.tool, "points": [list(p) for p in stroke.points]}
    spec["size"] = stroke.size
    if stroke.tool == BRUSH:
        spec["colour"] = list(stroke.colour)
    if stroke.tool == EDGE:
        spec["contrast"] = stroke.contrast
    return spec


def pixels_of(text: Any, shape: Sequence[int]) -> Tensor:
    """An image (C, H, W) in [0, 1] from levels from 0 to 255, (H, W, C) in base64.

    Raises:
        ValueError: If it is no such text, or of an image of another size.
    """
    channels, height, width = shape
    try:
        levels = base64.b64decode(text, validate=True)
    except (TypeError, binascii.Error, ValueError):
        levels = b""
    if len(levels) != math.prod(shape):
        raise ValueError(f"pixels are {height} x {width} x {channels} levels of a byte, in base64")
    image = torch.frombuffer(bytearray(levels), dtype=torch.uint8)
    return image.view(height, width, channels).permute(2, 0, 1).float() / 255


def text_of(image: Tensor) -> str:
    """An image (C, H, W) in [0, 1] as `pixels_of` reads it."""
    levels = image.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous()
    return base64.b64encode(levels.numpy().tobytes()).decode()


# Drawing


def painting_of(strokes: Sequence[Stroke], shape: Sequence[int]) -> Painting:
    """What strokes leave on an image of shape (C, H, W), one after the other."""
    colour = torch.zeros(*shape)
    painted = torch.zeros(*shape[1:], dtype=torch.bool)
    edges = torch.zeros(2, *shape[1:])
    for stroke in strokes:
        if stroke.tool == PHOTO:
            colour, painted = pixels_of(stroke.pixels, shape), torch.ones_like(painted)
            continue
        under, across = covered(stroke, shape)
        if stroke.tool == BRUSH:
            colour = torch.where(under, torch.tensor(stroke.colour)[:, None, None], colour)
            painted = painted | under
        elif stroke.tool == EDGE:
            edges = torch.where(under, stroke.contrast * across, edges)
        else:
            colour, edges = colour.where(~under, 0.0), edges.where(~under, 0.0)
            painted = painted & ~under
    return Painting(colour, painted, edges)


def covered(stroke: Stroke, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The pixels under a stroke, (H, W) bool, and unit vectors across it there, (2, H, W).

    A pixel is covered if its middle is no farther from the stroke than half the tool's size, or a
    point of the stroke lies in it.
    """
    height, width = shape[1:]
    points = torch.tensor(stroke.points)
    moves = (points[1:] != points[:-1]).any(1)
    starts, ends = (points[:-1][moves], points[1:][moves]) if moves.any() else (points, points)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    middles = torch.stack([x, y], -1).view(-1, 1, 2)
    nearest = torch.full((height * width,), torch.inf)
    along = torch.zeros(height * width, 2)
    for a, b in zip(starts.split(SEGMENTS), ends.split(SEGMENTS), strict=True):
        distance, which = distances(middles, a, b).min(1)
        closer = distance < nearest
        nearest = torch.where(closer, distance, nearest)
        along = torch.where(closer[:, None], (b - a)[which], along)
    under = (nearest <= stroke.size / 2).view(height, width)
    column, row = points.floor().long().unbind(1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    under[row[inside], column[inside]] = True
    length = along.norm(dim=1, keepdim=True).clamp_min(1e-12)
    normals = torch.stack([-along[:, 1], along[:, 0]], 1) / length
    return under, normals.T.reshape(2, height, width)


def distances(places: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The distance of places (P, 1, 2) to lines from a to b, (S, 2) each; (P, S)."""
    along = b - a
    square = along.square().sum(-1).clamp_min(1e-12)
    share = (((places - a) * along).sum(-1) / square).clamp(0, 1)
    return (places - a - share[..., None] * along).norm(dim=-1)
