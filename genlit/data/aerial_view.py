"""How a plan looks from above: roofs, trees, shadows, cars, and light that is never the same."""

import math

import torch
from torch import Tensor
from torch.nn import functional as nnf

from genlit.data.street_plan import (
    BUILDING,
    HIGHWAY,
    LAND,
    LINES,
    LOTS,
    PARK,
    SIDE,
    STREET,
    WATER,
    Plan,
    smooth,
)

# Colours from which those of a landscape are mixed, in [0, 1].
GROUNDS = ((0.60, 0.56, 0.45), (0.43, 0.47, 0.31), (0.67, 0.62, 0.53), (0.50, 0.50, 0.40))
FIELDS = ((0.49, 0.52, 0.30), (0.63, 0.57, 0.38), (0.42, 0.36, 0.26), (0.36, 0.46, 0.25))
ROOFS = ((0.58, 0.58, 0.58), (0.36, 0.35, 0.36), (0.56, 0.34, 0.27), (0.82, 0.81, 0.78),
         (0.66, 0.57, 0.46), (0.45, 0.29, 0.25))  # fmt: skip
LAWN, LAKE, ASPHALT = (0.34, 0.45, 0.24), (0.14, 0.25, 0.30), (0.42, 0.42, 0.43)
CONCRETE, TREE, PAINT = (0.53, 0.52, 0.50), (0.17, 0.27, 0.13), (0.80, 0.80, 0.76)
SHADE = 0.5  # of the light that is left in a shadow


def photographed(plan: Plan, draws: torch.Generator) -> Tensor:
    """Pictures of plans from above, (n, 3, H, W) in [0, 1]."""
    n, height, width = plan.labels.shape
    view = surfaces(plan, draws)
    high = plan.labels == BUILDING
    trees = canopies(plan, draws)
    sun = torch.rand(n, generator=draws) * 2 * math.pi
    shadow = shadows(high, sun, 3.0) | shadows(trees > 0, sun, 1.5)
    ground = (~high & (trees == 0)).unsqueeze(1)
    light = 1 - (1 - SHADE) * (shadow.unsqueeze(1) & ground).float()
    leaves = torch.tensor(TREE)[:, None, None] * (0.6 + 0.8 * trees.unsqueeze(1))
    view = torch.where((trees > 0).unsqueeze(1), leaves, view) * blurred(light)
    cloud = 1 - 0.5 * (smooth(n, height, width, 2, draws) - 0.6).clamp(0, 0.6).unsqueeze(1)
    gain = 0.85 + 0.3 * torch.rand(n, 1, 1, 1, generator=draws)
    cast = 0.96 + 0.08 * torch.rand(n, 3, 1, 1, generator=draws)
    noise = 0.02 * torch.randn(view.shape, generator=draws)
    return (blurred(view) * cloud * gain * cast + noise).clamp(0, 1)


def surfaces(plan: Plan, draws: torch.Generator) -> Tensor:
    """The colour of whatever lies at a place, without light; (n, 3, H, W)."""
    n, height, width = plan.labels.shape

    def flat(colour: tuple[float, ...], coarse: float, fine: float) -> Tensor:
        blotches = smooth(n, height, width, 12, draws) - 0.5
        grain = torch.randn(n, height, width, generator=draws)
        return torch.tensor(colour)[:, None, None] * (1 + coarse * blotches + fine * grain)[:, None]

    def of_each(colours: tuple, things: Tensor, most: int) -> Tensor:
        """A colour of each thing that pixels belong to, no two quite alike."""
        chosen = torch.randint(len(colours), (n, most), generator=draws)
        tint = 0.85 + 0.3 * torch.rand(n, most, 1, generator=draws)
        table = torch.tensor(colours)[chosen] * tint
        at = things.flatten(1)[..., None].expand(-1, -1, 3)
        return table.gather(1, at).mT.reshape(n, 3, height, width)

    soil = flat((1.0, 1.0, 1.0), 0.35, 0.06)
    furrows = 1 + 0.08 * (plan.u * 2.5).sin().unsqueeze(1)
    ground = of_each(GROUNDS, plan.block, LINES**2) * soil
    fields = of_each(FIELDS, plan.block, LINES**2) * soil * furrows
    slope = torch.where(plan.gable > 0, 1.0, 0.8).unsqueeze(1)
    roofs = of_each(ROOFS, plan.lot, LINES**2 * LOTS**2) * slope * flat((1.0, 1.0, 1.0), 0.1, 0.03)
    painted = {
        LAND: torch.where(plan.open.unsqueeze(1), fields, ground),
        PARK: flat(LAWN, 0.5, 0.07),
        WATER: flat(LAKE, 0.35, 0.04),
        BUILDING: roofs,
        STREET: with_cars(flat(ASPHALT, 0.2, 0.05), 0.02, draws),
        HIGHWAY: with_cars(with_stripe(flat(CONCRETE, 0.15, 0.04), plan.stripe), 0.03, draws),
    }
    view = painted[LAND]
    for label, colour in painted.items():
        view = torch.where((plan.labels == label).unsqueeze(1), colour, view)
    return view


def with_stripe(lanes: Tensor, distance: Tensor) -> Tensor:
    """Lanes (n, 3, H, W) with paint in their middle."""
    return torch.where((distance < 0.4).unsqueeze(1), torch.tensor(PAINT)[:, None, None], lanes)


def with_cars(lanes: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """Lanes (n, 3, H, W) with cars on them, bright or dark."""
    n, _, height, width = lanes.shape
    places = torch.rand(n, 1, height, width, generator=draws) < share
    bright = torch.rand(n, 3, height, width, generator=draws).mul(1.5).clamp(0.08, 0.95)
    return torch.where(places, bright, lanes)


def canopies(plan: Plan, draws: torch.Generator) -> Tensor:
    """How bright the crown of a tree is, in (0, 1], or 0 where there is none; (n, H, W)."""
    labels = plan.labels
    often = torch.zeros(labels.shape)
    often[labels == LAND] = 0.02
    often[labels == PARK] = 0.05
    often[plan.open & (labels == LAND)] = 0.004
    often = often * (0.3 + 1.4 * torch.rand(len(labels), 1, 1, generator=draws))
    unit = min(labels.shape[1:]) / SIDE
    drawn = torch.rand(labels.shape, generator=draws) < often / unit**2
    crowns = drawn * (0.2 + 0.8 * torch.rand(labels.shape, generator=draws))
    size = 2 * max(round(unit), 1) + 1
    full = nnf.max_pool2d(crowns.unsqueeze(1), size, 1, size // 2)[:, 0]
    round_off = torch.rand(labels.shape, generator=draws) < 0.85  # leaves have holes at the edge
    return full * (round_off | drawn) * ((labels == LAND) | (labels == PARK))


def shadows(things: Tensor, sun: Tensor, length: float) -> Tensor:
    """Where the shadows of things (n, H, W) fall, so many units away from the sun (n,)."""
    n, height, width = things.shape
    unit = min(height, width) / SIDE
    y, x = torch.arange(height)[:, None], torch.arange(width)
    fallen = torch.zeros_like(things)
    for share in (0.5, 1.0):
        down = (sun.sin() * length * share * unit).round().long()[:, None, None]
        right = (sun.cos() * length * share * unit).round().long()[:, None, None]
        rows, columns = (y - down).clamp(0, height - 1), (x - right).clamp(0, width - 1)
        fallen |= things[torch.arange(n)[:, None, None], rows, columns]
    return fallen


def blurred(x: Tensor) -> Tensor:
    """Images (n, C, H, W) with a little of the neighbours in each pixel."""
    row = torch.tensor([0.15, 0.7, 0.15])
    padded = nnf.pad(x, (1, 1, 1, 1), mode="replicate").flatten(0, 1).unsqueeze(1)
    return nnf.conv2d(padded, torch.outer(row, row)[None, None]).view(x.shape)
