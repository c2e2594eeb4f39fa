"""Handwritten digits that move in straight lines, and digits that may turn one way or another."""

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as nnf

from genlit.data.mnist import MNIST
from genlit.data.video import VideoData
from genlit.randomness import generator

MOTION_SEED = 2_015  # of the one choice of digits and ways that all runs share


class MovingMNIST(VideoData):
    """Digits that cross a black square, bounce at its edges, and pass over one another.

    Each digit begins anywhere, in any direction, at the same speed; where digits overlap the
    brighter one is seen. With the settings below it is the protocol of the literature: two digits
    of 28 x 28 pixels in 64 x 64, at 3.6 pixels a frame, 10 frames given of 20. Its test set is a
    file of 10,000 clips, which is not this one: these are made by a fixed seed, of digits of
    MNIST's test set. Smaller sides shrink digits and speeds alike.

    References:
        | Unsupervised Learning of Video Representations using LSTMs (Srivastava, Mansimov &
        | Salakhutdinov, 2015), https://arxiv.org/abs/1502.04681

    Args:
        side: Pixels a side.
        digits: How many digits there are.
        past: How many frames a model is given.
        future: How many frames it makes of them.
        frames: How many frames a clip has.
        windows: At how many places of a clip a training example begins.
        n: Training clips; `held_out` more are for validation, and as many for the test.
        held_out: Clips for validation, and for the test.
        batch_size: Examples a training batch, on each process.
        eval_batch_size: Examples a batch of validation and test.
    """

    def __init__(
        self,
        side: int = 64,
        digits: int = 2,
        past: int = 10,
        future: int = 10,
        frames: int = 20,
        windows: int = 1,
        n: int = 4000,
        held_out: int = 500,
        batch_size: int = 16,
        eval_batch_size: int = 100,
    ) -> None:
        super().__init__(
            (1, side, side), past, future, frames, windows, batch_size, eval_batch_size
        )
        refuse_few(n, held_out, digits, side)
        self.digits, self.n, self.held_out = digits, n, held_out
        self.speed = 3.6 * side / 64  # pixels a frame

    @property
    def motion(self) -> str:
        return f"moving_mnist_{self.digits}of{self.frame[1]}"

    def clips(self, split: str) -> Tensor:
        n = self.n if split == "train" else self.held_out
        draws = generator("moving mnist", MOTION_SEED, split)
        digits = digits_of(split, (n, self.digits), self.frame[1], draws)
        room = self.frame[1] - digits.shape[-1]
        angles = torch.rand(n, self.digits, generator=draws) * 2 * torch.pi
        speeds = self.speed * torch.stack([angles.sin(), angles.cos()], -1)
        start = torch.rand(n, self.digits, 2, generator=draws) * room
        time = torch.arange(self.frames)[:, None, None]
        places = reflected(start[:, None] + time * speeds[:, None], room)
        return drawn(digits, places.long(), self.frame[1])


class ForkingDigits(VideoData):
    """A digit goes straight, and then turns to one of several sides: all its futures are known.

    The digit goes up, down, left or right by whole pixels, and nothing in the frames that are given
    tells to which side it will turn by 90 degrees after them. A future is what a digit does from
    there on, for as long as the clip lasts. The mean of the futures, which has the least squared
    error, shows a digit that is half here and half there.

    References:
        | Stochastic Video Generation with a Learned Prior (Denton & Fergus, 2018), whose digits
        | turn at random where they bounce

    Args:
        side: Pixels a side.
        ways: How many futures there are: 2, left and right of the old way, or 3, also straight on.
        speed: Pixels a frame.
        past: How many frames a model is given; at least 2, to see where the digit goes.
        future: How many frames it makes of them.
        frames: How many frames a clip has.
        n: Training clips; `held_out` more are for validation, and as many for the test.
        held_out: Clips for validation, and for the test.
        batch_size: Examples a training batch, on each process.
        eval_batch_size: Examples a batch of validation and test.
    """

    turns: ClassVar[tuple[int, ...]] = (1, -1, 0)

    def __init__(
        self,
        side: int = 32,
        ways: int = 2,
        speed: int = 4,
        past: int = 2,
        future: int = 1,
        frames: int = 4,
        n: int = 8000,
        held_out: int = 1000,
        batch_size: int = 32,
        eval_batch_size: int = 100,
    ) -> None:
        super().__init__((1, side, side), past, future, frames, 1, batch_size, eval_batch_size)
        refuse_few(n, held_out, 1, side)
        if ways not in (2, 3) or past < 2:
            raise ValueError(f"ways is {ways} and past {past}: ways is 2 or 3, past 2 or more")
        reach = side - digit_side(side)
        way = max(frames if ways == 3 else past, 2 * (frames - past) + 1) - 1  # steps in a line
        if not 1 <= speed * way <= reach:
            raise ValueError(
                f"speed is {speed}: all futures must fit in {side} x {side}, so that a digit goes "
                f"1 to {reach // way} pixels a frame in clips of {frames} frames"
            )
        self.ways, self.speed, self.n, self.held_out = ways, speed, n, held_out

    @property
    def motion(self) -> str:
        return f"forking_digits_{self.frame[1]}_{self.ways}ways_speed{self.speed}"

    def clips(self, split: str) -> Tensor:
        digits, places, way = self._motion(split)
        chosen = places[torch.arange(len(way)), way]
        return drawn(digits, chosen[:, :, None], self.frame[1])

    def futures(self, split: str) -> Tensor:
        digits, places, _ = self._motion(split)
        after = places[:, :, self.past :]
        return torch.stack(
            [drawn(digits, way[:, :, None], self.frame[1]) for way in after.unbind(1)], 1
        )

    def _motion(self, split: str) -> tuple[Tensor, Tensor, Tensor]:
        """Digits (n, 1, d, d), places in each future (n, ways, frames, 2), and the true one (n,).

        A place is drawn for the last frame that is given, far enough from edges for all futures.
        """
        n = self.n if split == "train" else self.held_out
        draws = generator("forking digits", MOTION_SEED, split)
        digits = digits_of(split, (n, 1), self.frame[1], draws)
        room = self.frame[1] - digits.shape[-1]
        quarter = torch.randint(4, (n,), generator=draws)
        uniform = torch.rand(n, 2, generator=draws)
        way = torch.randint(self.ways, (n,), generator=draws)
        compass = torch.tensor([[0, 1], [1, 0], [0, -1], [-1, 0]]) * self.speed
        time = torch.arange(self.frames) - self.past + 1
        before, after = time.clamp(max=0)[:, None], time.clamp(min=0)[:, None]
        steps = torch.stack(
            [before * compass[quarter, None] + after * compass[(quarter + turn) % 4, None]
             if turn else time[:, None] * compass[quarter, None]
             for turn in self.turns[: self.ways]], 1
        )  # fmt: skip
        low, high = -steps.amin((1, 2)), room - steps.amax((1, 2))
        fork = low + (uniform * (high - low + 1)).long().minimum(high - low)
        return digits, fork[:, None, None] + steps, way


def digits_of(split: str, size: tuple[int, int], side: int, draws: torch.Generator) -> Tensor:
    """Digits of MNIST chosen at random, (*size, d, d) uint8, 7/16 as large as so many pixels."""
    images, d = mnist()[split], digit_side(side)
    digits = images[torch.randint(len(images), size, generator=draws), 0]
    if d == digits.shape[-1]:
        return digits
    small = nnf.interpolate(digits.float(), size=(d, d), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).byte()


@lru_cache(maxsize=1)
def mnist() -> dict[str, Tensor]:
    """The digits of MNIST, which take a second to be read."""
    return MNIST(binarize="none").read()


def digit_side(side: int) -> int:
    """Pixels a side of a digit in a square of so many: 28 in 64."""
    return round(side * 28 / 64)


def reflected(places: Tensor, room: float) -> Tensor:
    """Places on a line without end, folded into [0, room] as by mirrors at both ends."""
    return room - (places.remainder(2 * room) - room).abs()


def drawn(digits: Tensor, places: Tensor, side: int) -> Tensor:
    """Frames with digits at places; the brighter one is seen where they overlap.

    Args:
        digits: (N, D, d, d) uint8.
        places: Row and column of the upper left pixel of each, (N, T, D, 2) int64.
        side: Pixels a side of a frame.

    Returns:
        (N, T, 1, side, side) uint8.
    """
    (n, time, many), d = places.shape[:3], digits.shape[-1]
    frames = torch.zeros(n * time, side * side, dtype=torch.uint8)
    within = (torch.arange(d)[:, None] * side + torch.arange(d)).flatten()
    corners = (places[..., 0] * side + places[..., 1]).flatten(0, 1)
    for k in range(many):
        pixels = digits[:, k].flatten(1).repeat_interleave(time, 0)
        frames.scatter_reduce_(1, corners[:, k, None] + within, pixels, "amax")
    return frames.view(n, time, 1, side, side)


def refuse_few(n: int, held_out: int, digits: int, side: int, least: int = 8) -> None:
    """Refuses settings that leave nothing to see.

    Raises:
        ValueError: If there is no clip, no digit, or a square too small for digits.
    """
    wrong: Sequence[str] = [
        f"{name} is {value}: it must be {low} or more"
        for name, value, low in (
            ("n", n, 1), ("held_out", held_out, 1), ("digits", digits, 1), ("side", side, least)
        )
        if value < low
    ]  # fmt: skip
    if wrong:
        raise ValueError("; ".join(wrong))
