"""Questions with several right answers, all of them known."""

import math

import torch
from torch import Tensor

from genlit.data.images import ImageData
from genlit.data.vectors import VectorData
from genlit.randomness import generator

FUTURES_SEED = 5  # of the one sample that all runs share
SINUSOID_SEED = 6
NARROW, WIDE = 1.0, 1.5  # standard deviations of blobs, in pixels
GRID = 2_001  # points of [0, 1] on which the sinusoid is turned round
ROOTS = 3  # the most answers that it has


class Futures(ImageData):
    """A blob of light that is about to move, to any of several sides; the first frame does not say.

    The condition is the first frame, the event the next one. `valid` has all next frames that may
    follow, of which the event is one, each as probable.

    Args:
        side: Pixels a side.
        directions: How many sides there are, evenly around: 2 are right and left.
        step: How far it moves, in pixels.
        n: Training pairs; a tenth of them more is for validation, and as many for the test.
        batch_size: Pairs a training batch, on each process.
        eval_batch_size: Pairs a batch of validation and test.
    """

    def __init__(
        self,
        side: int = 16,
        directions: int = 2,
        step: float = 4.0,
        n: int = 10_000,
        batch_size: int = 100,
        eval_batch_size: int = 500,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, "none")
        if directions < 1 or step <= 0 or n < 10 or side < 2 * (step + WIDE) + 2:
            raise ValueError(
                "Futures needs 1 direction or more, a step above 0, n of 10 or more and a side of "
                f"2 (step + {WIDE}) + 2 or more, not {directions}, {step}, {n} and {side}"
            )
        self.side, self.directions, self.step, self.n = side, directions, step, n
        self.shape = self.condition_shape = (1, side, side)
        self._first: dict[str, Tensor] = {}
        self._valid: dict[str, Tensor] = {}

    def read(self) -> dict[str, Tensor]:
        """Draws first frames, all that may follow, and which of these does."""
        events = {}
        for split, n in {"train": self.n, "val": self.n // 10, "test": self.n // 10}.items():
            draws = generator("futures", FUTURES_SEED, split)
            margin = self.step + WIDE
            start = margin + (self.side - 2 * margin) * torch.rand(n, 2, generator=draws)
            width = NARROW + (WIDE - NARROW) * torch.rand(n, 1, generator=draws)
            turns = torch.arange(self.directions) * (2 * math.pi / self.directions)
            moves = self.step * torch.stack([turns.cos(), turns.sin()], 1)
            self._first[split] = blobs(start, width, self.side)[:, None]
            self._valid[split] = blobs(start[:, None] + moves, width[:, None], self.side)[
                :, :, None
            ]
            which = torch.randint(self.directions, (n,), generator=draws)
            events[split] = self._valid[split][torch.arange(n), which]
        return events

    def read_conditions(self) -> dict[str, Tensor]:
        return self._first

    def valid(self, split: str) -> Tensor:
        """All frames that may follow each first one, (N, directions, *shape) in [0, 1]."""
        return self._valid[split].float() / 255


class InverseSinusoid(VectorData):
    """Bishop's inverse problem: which x gave c = x + 0.3 sin 2πx + noise? Often it may be three.

    The condition is c, the event x, which is uniform on [0, 1]; the noise is Gaussian. `valid` has
    all x in [0, 1] that give c without noise.

    References:
        | Mixture Density Networks (Bishop, 1994)

    Args:
        noise: The standard deviation of the noise.
        n: Training pairs; a tenth of them more is for validation, and as many for the test.
        batch_size: Pairs a training batch, on each process.
        eval_batch_size: Pairs a batch of validation and test.
    """

    shape = (1,)
    condition_shape = (1,)

    def __init__(
        self, noise: float = 0.05, n: int = 10_000, batch_size: int = 100,
        eval_batch_size: int = 500,
    ) -> None:  # fmt: skip
        super().__init__(batch_size, eval_batch_size, standardize=False)
        if n < 10 or noise <= 0:
            raise ValueError(f"n is {n} and noise {noise}: n is 10 or more, noise above 0")
        self.n, self.noise = n, noise
        self._given: dict[str, Tensor] = {}

    def read(self) -> dict[str, Tensor]:
        events = {}
        for split, n in {"train": self.n, "val": self.n // 10, "test": self.n // 10}.items():
            draws = generator("sinusoid", SINUSOID_SEED, split)
            x = torch.rand(n, 1, generator=draws)
            noise = self.noise * torch.randn(n, 1, generator=draws)
            events[split], self._given[split] = x, sinusoid(x) + noise
        return events

    def read_conditions(self) -> dict[str, Tensor]:
        return self._given

    def valid(self, split: str) -> Tensor:
        """All x that give each c, (N, 3, 1); NaN where there are fewer."""
        return roots(self.conditions[split].squeeze(1))[:, :, None]

    def true_log_prob(self, x: Tensor, condition: Tensor) -> Tensor:
        """The true log p(x | c) in nats, (B,): what no model exceeds in expectation."""
        grid = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
        normalizer = self._log_noise(condition.double(), grid[None]).logsumexp(1) - math.log(GRID)
        return self._log_noise(condition.double(), x.double()).squeeze(1) - normalizer

    def _log_noise(self, condition: Tensor, x: Tensor) -> Tensor:
        """Log-density of c given x, but for a constant; arguments broadcast."""
        return -0.5 * ((condition - sinusoid(x)) / self.noise) ** 2


def blobs(at: Tensor, width: Tensor, side: int) -> Tensor:
    """Blobs of light at places (*, 2) of widths (*, 1) in pixels; (*, side, side) uint8."""
    pixels = torch.arange(side) + 0.5
    across, down = (-0.5 * ((pixels - at[..., k, None]) / width) ** 2 for k in (0, 1))
    return (255 * (down[..., :, None] + across[..., None, :]).exp()).round().byte()


def sinusoid(x: Tensor) -> Tensor:
    """X + 0.3 sin 2πx."""
    return x + 0.3 * (2 * math.pi * x).sin()


def roots(c: Tensor) -> Tensor:
    """All x in [0, 1] with x + 0.3 sin 2πx = c, ascending; (N,) to (N, 3), filled up with NaN."""
    grid = torch.linspace(0, 1, GRID, dtype=torch.float64)
    above = sinusoid(grid)[None] - c.double()[:, None]
    crosses = (above[:, :-1] > 0) != (above[:, 1:] > 0)
    x = grid[:-1] + above[:, :-1] / (above[:, :-1] - above[:, 1:]) / (GRID - 1)
    found = torch.where(crosses, x, torch.inf).sort(1).values[:, :ROOTS]
    return found.masked_fill(found.isinf(), torch.nan).float()
