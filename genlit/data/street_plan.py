"""Random plans of towns and country: streets, blocks with houses, parks, rivers and lakes.

Notation: n plans of H x W pixels are drawn at once; lengths are in units, of which the shorter side
has 64. A plan's streets run along u and v, coordinates that are turned and bent.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as nnf

CLASSES = ("land", "park", "water", "building", "street", "highway")
LAND, PARK, WATER, BUILDING, STREET, HIGHWAY = range(len(CLASSES))

SIDE = 64.0  # units of the shorter side
LINES = 16  # of streets in each of the two directions, more than an image is wide
LOTS = 5  # at most, along each side of a block
SETBACK = 2.4  # from the middle of a street to the first house
BUILT, GREEN, OPEN = range(3)  # kinds of blocks


class Plan(NamedTuple):
    """What is where in n landscapes."""

    labels: Tensor  # classes, (n, H, W) int64
    u: Tensor  # the coordinate along one family of streets, (n, H, W)
    block: Tensor  # which block a pixel is in, (n, H, W) int64 below LINES²
    open: Tensor  # whether that is open country, (n, H, W)
    lot: Tensor  # which lot of all, (n, H, W) int64 below LINES² LOTS²
    gable: Tensor  # from -1 to 1 across the lot
    middle: Tensor  # the distance to the middle of the nearest street, (n, H, W)
    stripe: Tensor  # and of the highway


class Axis(NamedTuple):
    """Where pixels are among the streets that cut one coordinate."""

    cell: Tensor  # between which of them, (n, H, W) int64
    line: Tensor  # the nearest one
    distance: Tensor  # to that
    inside: Tensor  # from the lower one
    length: Tensor  # between the two


def draw_plans(n: int, height: int, width: int, draws: torch.Generator) -> Plan:
    """Draws n plans of so many pixels."""

    def random(*size: int) -> Tensor:
        return torch.rand(n, *size, generator=draws)

    y, x = places(height, width)
    rural = random(1) < 0.25
    u, v = street_coordinates(y, x, random(6))
    widening = 1 + 0.8 * rural
    across, along = (axis(w, ((9 + 12 * random(LINES)) * widening).cumsum(1)) for w in (u, v))
    block = across.cell * LINES + along.cell
    kinds = kinds_of(random(LINES**2), rural).gather(1, block.flatten(1)).view_as(block)
    street = streets(across, along, random) | streets(along, across, random)
    house, lot, gable = houses(across, along, block, random)
    stripe = winding(y, x, random(5)) + 1e3 * (random(1, 1) < 0.5)
    river = winding(y, x, random(5)) + 1e3 * (random(1, 1) < 0.6)
    lakes = smooth(n, height, width, 3, draws) > 0.78 + (random(1, 1) < 0.5)
    water = lakes | (river < 1.5 + 4 * random(1, 1))

    labels = torch.full((n, height, width), LAND)
    labels[kinds == GREEN] = PARK
    labels[house & (kinds == BUILT) & (stripe > 4)] = BUILDING
    labels[water] = WATER
    bridge = random(LINES).gather(1, across.line.flatten(1)).view_as(block) < 0.4
    labels[street & (~water | bridge)] = STREET
    labels[stripe < 2.2] = HIGHWAY
    middle = torch.minimum(across.distance, along.distance)
    return Plan(labels, u, block, kinds == OPEN, lot, gable, middle, stripe)


def places(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where pixels are, in units from the middle; (H, W) each."""
    unit = SIDE / min(height, width)
    y = (torch.arange(height) - (height - 1) / 2) * unit
    x = (torch.arange(width) - (width - 1) / 2) * unit
    return y[:, None].expand(height, width), x.expand(height, width)


def street_coordinates(y: Tensor, x: Tensor, random: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates that are turned, moved and bent by six random numbers a plan; (n, H, W) each."""
    turn, right, up, bend, wave, phase = random.T[:, :, None, None]
    angle = math.pi * turn
    u = x * angle.cos() + y * angle.sin() + SIDE * right
    v = y * angle.cos() - x * angle.sin() + SIDE * up
    length = 15 + 25 * wave
    return (
        u + 5 * bend * (v / length + 2 * math.pi * phase).sin(),
        v + 5 * bend * (u / length + 2 * math.pi * phase).sin(),
    )


def axis(w: Tensor, lines: Tensor) -> Axis:
    """Where coordinates (n, H, W) are among lines (n, LINES), ascending from 0."""
    lines = lines - lines[:, LINES // 2, None]
    cell = torch.searchsorted(lines, w.flatten(1)).clamp(1, LINES - 1)
    lower, upper = (lines.gather(1, cell - k).view_as(w) for k in (1, 0))
    cell = cell.view(w.shape)
    nearer = (w - lower) < (upper - w)
    distance = torch.where(nearer, w - lower, upper - w)
    return Axis(cell, cell - nearer.long(), distance, w - lower, upper - lower)


def kinds_of(random: Tensor, rural: Tensor) -> Tensor:
    """The kind of each block, (n, LINES²), of uniform numbers; rarely built in the country."""
    built = torch.where(rural, 0.3, 0.72)
    return torch.where(random < built, BUILT, torch.where(random < built + 0.13, GREEN, OPEN))


def streets(of: Axis, between: Axis, random) -> Tensor:  # noqa: ANN001
    """Whether there is a street along one axis; of their pieces some are missing, (n, H, W)."""
    kept = random(LINES**2) < 0.85
    piece = (of.line * LINES + between.cell).flatten(1)
    half = (0.9 + 0.8 * (random(LINES) < 0.3)).gather(1, of.line.flatten(1)).view_as(of.distance)
    return kept.gather(1, piece).view_as(of.line) & (of.distance < half)


def houses(across: Axis, along: Axis, block: Tensor, random) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN001
    """Whether there is a house, in which lot, and how far across it from -1 to 1; (n, H, W)."""
    large = (random(LINES**2) < 0.2).gather(1, block.flatten(1)).view_as(block)
    lot, shares = block, []
    for axis in (across, along):
        room = axis.length - 2 * SETBACK
        count = torch.where(large, 1, (room / 6.5).long().clamp(1, LOTS))
        share = (axis.inside - SETBACK) / room * count
        place = share.floor().clamp(min=0).minimum(count - 1)
        lot = lot * LOTS + place.long()
        shares.append(share - place)
    table = random(6, LINES**2 * LOTS**2)
    there, left, right, low, high, corner = table.gather(
        2, lot.flatten(1)[:, None].expand(-1, 6, -1)
    ).view(len(lot), 6, *lot.shape[1:]).unbind(1)  # fmt: skip
    a, b = shares
    inside = (a > 0.05 + 0.2 * left) & (a < 0.95 - 0.2 * right)
    inside &= (b > 0.05 + 0.2 * low) & (b < 0.95 - 0.2 * high)
    notch = (corner < 0.35) & (a > 0.55) & (b > 0.4 + corner)
    return inside & ~notch & (there < 0.85), lot, 2 * a - 1


def winding(y: Tensor, x: Tensor, random: Tensor) -> Tensor:
    """The distance to a winding line, drawn by five random numbers a plan; (n, H, W)."""
    turn, shift, bend, wave, phase = random.T[:, :, None, None]
    angle = 2 * math.pi * turn
    w = x * angle.cos() + y * angle.sin()
    v = y * angle.cos() - x * angle.sin()
    sway = (3 + 9 * bend) * (v / (10 + 14 * wave) + 2 * math.pi * phase).sin()
    return (w - SIDE * (shift - 0.5) * 0.8 - sway).abs()


def smooth(n: int, height: int, width: int, cells: int, draws: torch.Generator) -> Tensor:
    """Uniform numbers in a grid of so many cells along the shorter side, joined; (n, H, W)."""
    side = min(height, width) / cells
    grid = torch.rand(
        n, 1, math.ceil(height / side) + 1, math.ceil(width / side) + 1, generator=draws
    )
    return nnf.interpolate(grid, (height, width), mode="bicubic", align_corners=True)[:, 0]
