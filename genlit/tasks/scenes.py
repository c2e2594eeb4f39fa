"""Pictures of small worlds, drawn from their states: a cart with its pole, and a pendulum.

A scene is made of thick lines with round ends; a pixel is covered by as much as it lies inside.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

HEIGHT, WIDTH = 64, 128  # pixels of the scene of a cart; that of a pendulum is square
METRE = WIDTH / 5.6  # pixels; the track is 4.8 m long
INK, WOOD, GROUND = (0.15, 0.2, 0.3), (0.75, 0.45, 0.15), (0.7, 0.7, 0.7)


def stroke(
    picture: Tensor,
    start: Sequence[float],
    end: Sequence[float],
    width: float,
    colour: Sequence[float],
) -> Tensor:
    """A picture (3, H, W) in [0, 1] with a line from start to end (x, y) of a width, in pixels."""
    rows, columns = torch.meshgrid(*map(torch.arange, picture.shape[1:]), indexing="ij")
    at = torch.stack([columns, rows], -1) + 0.5
    a, b = torch.tensor(start, dtype=torch.float32), torch.tensor(end, dtype=torch.float32)
    along = ((at - a) @ (b - a) / ((b - a) @ (b - a)).clamp(min=1e-9)).clamp(0, 1)
    distance = (at - a - along[..., None] * (b - a)).norm(dim=-1)
    cover = (width / 2 - distance + 0.5).clamp(0, 1)
    return picture + cover * (torch.tensor(colour)[:, None, None] - picture)


def cart_and_pole(state: Tensor) -> Tensor:
    """A cart on its track with the pole on it, of a state (x, ẋ, θ, θ̇); (3, 64, 128) in [0, 1]."""
    x, _, angle, _ = state
    ground, middle = HEIGHT - 14.0, WIDTH / 2
    at = middle + METRE * float(x)
    tip = (at + 1.6 * METRE * float(angle.sin()), ground - 6 - 1.6 * METRE * float(angle.cos()))
    picture = torch.ones(3, HEIGHT, WIDTH)
    for side in (-1, 1):
        edge = middle + side * 2.4 * METRE
        picture = stroke(picture, (edge, ground), (edge, ground + 6), 1.5, GROUND)
    picture = stroke(picture, (0, ground + 6), (WIDTH, ground + 6), 1.5, GROUND)
    picture = stroke(picture, (at - 7, ground), (at + 7, ground), 8, INK)
    return stroke(picture, (at, ground - 3), tip, 3, WOOD)


def pendulum(state: Tensor) -> Tensor:
    """A rod on its axle, of a state (cos θ, sin θ, θ̇), upright for θ = 0; (3, 64, 64) in [0, 1]."""
    cos, sin, _ = state
    middle, length = HEIGHT / 2, 0.42 * HEIGHT
    size = max(float(torch.hypot(cos, sin)), 1e-6)
    tip = (middle + length * float(sin) / size, middle - length * float(cos) / size)
    picture = stroke(torch.ones(3, HEIGHT, HEIGHT), (middle, middle), tip, 6, WOOD)
    return stroke(picture, (middle, middle), (middle, middle), 4, INK)


SCENES: dict[str, Callable[[Tensor], Tensor]] = {
    "CartPole-v1": cart_and_pole,
    "Pendulum-v1": pendulum,
}
