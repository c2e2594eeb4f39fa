"""Lit solids that turn, and which way they turn cannot be seen in one frame."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from genlit.data.video import VideoData
from genlit.randomness import generator

TURNING_SEED = 2_016  # of the one choice of solids and turns that all runs share
TILT = math.radians(30)  # of the axis towards the camera
LIGHT = (-0.48, 0.64, 0.6)  # the direction to the light: right, up, to the camera; a unit vector
AMBIENT = 0.15  # the share of light that comes from everywhere
REACH = 1.25  # of the picture's edges, and of depths, from the middle; no solid reaches so far
HALVINGS = 10  # of the depth at which a surface is found: to REACH / 2^9
BLOCK = 500  # frames that are rendered at once


class Solid(NamedTuple):
    """Superquadrics (|x/a|^(2/f) + |z/c|^(2/f))^(f/e) + |y/b|^(2/e) <= 1, y their axis of turning.

    References:
        | Superquadrics and Angle-Preserving Transformations (Barr, 1981)
    """

    axes: Tensor  # a, b and c, (N, 3)
    roundness: Tensor  # e and f, in (0, 2]: near 0 a box, at 1 an ellipsoid, (N, 2)


class RotatingSolids(VideoData):
    """Solids between boxes and ellipsoids that turn about an upright axis under a light.

    Each is a superquadric of its own proportions, and turns by the same angle a frame, to the left
    or to the right. Of one frame that is given, either may follow, and both futures are known; two
    frames tell which it is. The camera looks down at solids from 30 degrees, in parallel rays, and
    surfaces are matt (Lambert's law).

    References:
        | Unsupervised Learning of Visual Structure using Predictive Generative Networks (Lotter,
        | Kreiman & Cox, 2015), whose heads turn likewise

    Args:
        side: Pixels a side.
        degrees: By how much solids turn from frame to frame.
        past: How many frames a model is given; of 1, two futures are possible.
        future: How many frames it makes of them.
        frames: How many frames a clip has.
        n: Training clips; `held_out` more are for validation, and as many for the test.
        held_out: Clips for validation, and for the test.
        batch_size: Examples a training batch, on each process.
        eval_batch_size: Examples a batch of validation and test.
    """

    def __init__(
        self,
        side: int = 32,
        degrees: float = 24.0,
        past: int = 1,
        future: int = 1,
        frames: int = 2,
        n: int = 2000,
        held_out: int = 500,
        batch_size: int = 32,
        eval_batch_size: int = 100,
    ) -> None:
        super().__init__((1, side, side), past, future, frames, 1, batch_size, eval_batch_size)
        if side < 8 or min(n, held_out) < 1 or not 0 < degrees < 90:
            raise ValueError(
                f"side is {side}, degrees {degrees:g}, n {n} and held_out {held_out}: side is 8 or "
                "more, degrees between 0 and 90, n and held_out 1 or more"
            )
        self.degrees, self.n, self.held_out = degrees, n, held_out

    @property
    def motion(self) -> str:
        return f"rotating_solids_{self.frame[1]}_{self.degrees:g}degrees"

    def clips(self, split: str) -> Tensor:
        solids, start, sign = self._drawn(split)
        return self._turning(solids, start, sign, torch.arange(self.frames))

    def futures(self, split: str) -> Tensor:
        solids, start, sign = self._drawn(split)
        later = torch.arange(self.past, self.frames)
        signs = [sign.abs(), -sign.abs()] if self.past == 1 else [sign]
        return torch.stack([self._turning(solids, start, s, later) for s in signs], 1)

    def _drawn(self, split: str) -> tuple[Solid, Tensor, Tensor]:
        """Solids, their first angles and the signs of their turns, (n,) each."""
        n = self.n if split == "train" else self.held_out
        draws = generator("solids", TURNING_SEED, split)
        axes = 0.4 + 0.4 * torch.rand(n, 3, generator=draws)
        roundness = 0.2 + 0.6 * torch.rand(n, 2, generator=draws)
        start = torch.rand(n, generator=draws) * 2 * math.pi
        sign = torch.randint(2, (n,), generator=draws) * 2.0 - 1
        return Solid(axes, roundness), start, sign

    def _turning(self, solids: Solid, start: Tensor, sign: Tensor, time: Tensor) -> Tensor:
        """Frames of solids at some times, (n, T, 1, side, side) uint8."""
        angles = start[:, None] + sign[:, None] * time * math.radians(self.degrees)
        every = Solid(*(part.repeat_interleave(len(time), 0) for part in solids))
        blocks = zip(*(part.split(BLOCK) for part in (*every, angles.flatten())), strict=True)
        frames = [render(Solid(axes, r), turned, self.frame[1]) for axes, r, turned in blocks]
        levels = torch.cat(frames).mul(255).round().byte()
        return levels.view(len(start), len(time), *self.frame)


def render(solids: Solid, angles: Tensor, side: int) -> Tensor:
    """Pictures of solids, each turned by an angle; (N, side, side) in [0, 1].

    Along a ray the inside-outside function has one minimum, as solids are convex; where that is
    inside, the surface is between it and the camera. A pixel that the edge of a solid passes is
    covered in part.
    """
    spread = (torch.arange(side) + 0.5) * (2 * REACH / side) - REACH
    right, up = spread.expand(side, side).flatten(), -spread[:, None].expand(side, side).flatten()
    frame = orientation(angles)
    origin = right[:, None] * frame[:, None, 0] + up[:, None] * frame[:, None, 1]  # (N, pixels, 3)
    towards = frame[:, None, 2]

    def at(depth: Tensor) -> Tensor:
        return origin + depth[..., None] * towards

    deepest = minimized(lambda depth: radius(solids, at(depth)), origin[..., 0])
    least = radius(solids, at(deepest))
    near, far = torch.full_like(deepest, REACH), deepest
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        inside = radius(solids, at(middle)) < 1
        near, far = torch.where(inside, near, middle), torch.where(inside, middle, far)
    normals = slope(solids, at(far))
    light = torch.einsum("c,ncd->nd", torch.tensor(LIGHT), frame)
    shade = AMBIENT + (1 - AMBIENT) * torch.einsum("npd,nd->np", normals, light).clamp(min=0)
    size = solids.axes.mean(1, keepdim=True) / (2 * REACH / side)  # in pixels
    covered = (0.5 + (1 - least) * size).clamp(0, 1)
    return (shade * covered).view(-1, side, side)


def orientation(angles: Tensor) -> Tensor:
    """The camera's right, up and backward in the coordinates of turned solids, (N, 3, 3)."""
    sin, cos, zero = angles.sin(), angles.cos(), torch.zeros_like(angles)
    tilt, lean = math.sin(TILT), math.cos(TILT)
    right = torch.stack([cos, zero, sin], -1)
    up = torch.stack([tilt * sin, zero + lean, -tilt * cos], -1)
    back = torch.stack([-lean * sin, zero + tilt, lean * cos], -1)
    return torch.stack([right, up, back], 1)


def radius(solids: Solid, points: Tensor) -> Tensor:
    """How far points (N, P, 3) are out, in multiples of the surface in their direction; (N, P)."""
    e, f = solids.roundness.T[..., None]
    x, y, z = (points.abs() / solids.axes[:, None]).unbind(-1)
    across = (x ** (2 / f) + z ** (2 / f)) ** (f / e)
    return (across + y ** (2 / e)) ** (e / 2)


def slope(solids: Solid, points: Tensor) -> Tensor:
    """Unit normals of surfaces at points on them, (N, P, 3)."""
    e, f = solids.roundness.T[..., None]
    x, y, z = (points.abs() / solids.axes[:, None]).clamp(min=1e-4).unbind(-1)
    across = (x ** (2 / f) + z ** (2 / f)) ** (f / e - 1)
    steep = [across * x ** (2 / f - 1), y ** (2 / e - 1), across * z ** (2 / f - 1)]
    normals = torch.stack(steep, -1) / solids.axes[:, None] * points.sign()
    return torch.nn.functional.normalize(normals, dim=-1)


def minimized(function: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Where functions with one minimum have it, in [-REACH, REACH]: by the golden section."""
    golden = (math.sqrt(5) - 1) / 2
    low, high = torch.full_like(like, -REACH), torch.full_like(like, REACH)
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(HALVINGS):
        lower = at_left < at_right
        low, high = torch.where(lower, low, left), torch.where(lower, right, high)
        kept, known = torch.where(lower, left, right), torch.where(lower, at_left, at_right)
        new = low + high - kept
        at_new = function(new)
        left, right = torch.where(lower, new, kept), torch.where(lower, kept, new)
        at_left, at_right = torch.where(lower, at_new, known), torch.where(lower, known, at_new)
    return (low + high) / 2
