"""Balls that bounce off walls and off one another: the films of the recurrent RBMs."""

import torch
from torch import Tensor

from genlit.data.video import VideoData
from genlit.randomness import generator

BALLS_SEED = 2_008  # of the one choice of motions that all runs share
BOX = 10.0  # the walls are at 0 and here
RADIUS = 1.2
SPEED = 0.5  # of all balls together a frame: the norm of the vector of all velocities
SUBSTEPS = 2  # of a frame
BLOCK = 50  # clips that are drawn at once


class BouncingBalls(VideoData):
    """Three balls of equal mass in a square box, without friction.

    The protocol of the recurrent temporal RBM, whose figures are sums over pixels of the squared
    error of the next frame, as `NextFrame` measures them. Balls of radius 1.2 in a box of 10 move
    by half steps; balls that touch while they approach exchange the velocities along the line
    between them. A ball shows as exp(-(distance / radius)^8), and where several overlap, as their
    sum, at most 1; frames are of 256 grey levels.

    References:
        | The Recurrent Temporal Restricted Boltzmann Machine (Sutskever, Hinton & Taylor, 2008)
        | Structured Recurrent Temporal Restricted Boltzmann Machines (Mittelman et al., 2014)

    Args:
        side: Pixels a side; the literature has 15 and 30.
        balls: How many balls there are.
        past: How many frames a model is given.
        future: How many frames it makes of them.
        frames: How many frames a clip has.
        windows: At how many places of a clip an example begins.
        n: Training clips; `held_out` more are for validation, and as many for the test.
        held_out: Clips for validation, and for the test.
        batch_size: Examples a training batch, on each process.
        eval_batch_size: Examples a batch of validation and test.
    """

    def __init__(
        self,
        side: int = 30,
        balls: int = 3,
        past: int = 4,
        future: int = 1,
        frames: int = 100,
        windows: int = 16,
        n: int = 1000,
        held_out: int = 200,
        batch_size: int = 32,
        eval_batch_size: int = 400,
    ) -> None:
        super().__init__(
            (1, side, side), past, future, frames, windows, batch_size, eval_batch_size
        )
        if not 1 <= balls <= 5 or min(n, held_out) < 1:
            raise ValueError(
                f"balls is {balls}, n {n} and held_out {held_out}: balls is 1 to 5, as more do not "
                "fit, n and held_out 1 or more"
            )
        self.balls, self.n, self.held_out = balls, n, held_out

    @property
    def motion(self) -> str:
        return f"bouncing_balls_{self.balls}of{self.frame[1]}"

    def clips(self, split: str) -> Tensor:
        n = self.n if split == "train" else self.held_out
        draws = generator("bouncing balls", BALLS_SEED, split)
        places = trajectories(*beginnings(n, self.balls, draws), self.frames)[0]
        return torch.cat([painted(some, self.frame[1]) for some in places.split(BLOCK)])


def beginnings(n: int, balls: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Places of balls that touch neither walls nor one another, and velocities; (n, balls, 2).

    Places are drawn evenly from all that are allowed, and velocities from the sphere.
    """
    free = BOX - 2 * RADIUS
    places = torch.empty(n, balls, 2, dtype=torch.float64)
    missing = torch.arange(n)
    while len(missing):
        drawn = torch.rand(len(missing), balls, 2, generator=draws, dtype=torch.float64)
        places[missing] = RADIUS + free * drawn
        missing = missing[(gaps(places[missing]) < 0).flatten(1).any(1)]
    velocities = torch.randn(n, balls, 2, generator=draws, dtype=torch.float64)
    return places, SPEED * velocities / velocities.flatten(1).norm(dim=1)[:, None, None]


def trajectories(places: Tensor, velocities: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Places and velocities at each frame, the first as they are; (n, frames, balls, 2) each."""
    seen = []
    for _ in range(frames):
        seen.append((places, velocities))
        for _ in range(SUBSTEPS):
            places, velocities = moved(places, velocities, 1 / SUBSTEPS)
    every = [torch.stack(kind, 1) for kind in zip(*seen, strict=True)]
    return every[0], every[1]


def moved(places: Tensor, velocities: Tensor, time: float) -> tuple[Tensor, Tensor]:
    """Balls after so much time: they go straight, and then bounce where they touch."""
    places = places + time * velocities
    inward = torch.where(places < RADIUS, velocities.abs(), velocities)
    velocities = torch.where(places > BOX - RADIUS, -velocities.abs(), inward)
    for i in range(places.shape[1]):
        for j in range(i):
            velocities = collided(places, velocities, i, j)
    return places, velocities


def collided(places: Tensor, velocities: Tensor, i: int, j: int) -> Tensor:
    """Velocities after two balls, where they touch and approach, bounced off each other."""
    between = places[:, i] - places[:, j]
    distance = between.norm(dim=-1, keepdim=True)
    line = between / distance.clamp(min=1e-12)
    apart = ((velocities[:, i] - velocities[:, j]) * line).sum(-1, keepdim=True)
    exchanged = torch.where((distance < 2 * RADIUS) & (apart < 0), apart, 0.0) * line
    velocities = velocities.clone()
    velocities[:, i] -= exchanged
    velocities[:, j] += exchanged
    return velocities


def gaps(places: Tensor) -> Tensor:
    """The gaps between balls (n, balls, 2), negative where they overlap; (n, balls, balls)."""
    distances = torch.cdist(places, places) - 2 * RADIUS
    return distances + torch.eye(places.shape[1], dtype=places.dtype) * BOX


def painted(places: Tensor, side: int) -> Tensor:
    """Frames of balls at places (n, T, balls, 2), (n, T, 1, side, side) uint8."""
    pixels = (torch.arange(side) + 0.5) * BOX / side
    off = (pixels - places.float()[..., None]).square() / RADIUS**2  # (n, T, balls, 2, side)
    squared = off[..., 0, None, :] + off[..., 1, :, None]
    light = squared.pow_(4).neg_().exp_().sum(2).clamp_(max=1)
    return (light * 255).round().byte()[:, :, None]
