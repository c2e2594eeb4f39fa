"""Where the temperatures of an annealed path lie. The config chooses among these classes.

A chain that goes from β to β + Δ is weighted by what log p* gains. The sum of these gains over a
path spreads the less, the more temperatures lie where log p* changes at different rates in
different chains, and where a chain keeps its rate for long.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as nnf
from torch import Tensor

from genlit.annealing import Rung, common_seed, ladder
from genlit.randomness import isolated
from genlit.ways import Path

FLOOR = 0.1  # share of the mean density of temperatures that is found everywhere
WINDOWS = 10  # that many, laid end to end, cover the pilot run


class Schedule(ABC):
    """Places the temperatures of a path. A base class, since the config chooses among them."""

    @abstractmethod
    def rungs(self, path: Path) -> list[Rung]:
        """The neighbouring temperatures from β = 0 to 1, in ascending order."""

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


class Ladder(Schedule):
    """The same temperatures for every model, close together near β = 1.

    Args:
        steps: Temperatures between the base and the model.
    """

    def __init__(self, steps: int = 10_000) -> None:
        self.steps = at_least_one(steps)

    def rungs(self, path: Path) -> list[Rung]:
        return ladder(self.steps)


class Given(Schedule):
    """Temperatures written down.

    Args:
        betas: The temperatures, ascending from 0 to 1.

    Raises:
        ValueError: If they are not.
    """

    def __init__(self, betas: Sequence[float]) -> None:
        self.betas = [float(beta) for beta in betas]
        ends = [*self.betas[:1], *self.betas[-1:]]
        if ends != [0, 1] or not all(low < high for low, high in pairwise(self.betas)):
            raise ValueError("betas of an annealed path ascend from 0 to 1, each above the last")

    def rungs(self, path: Path) -> list[Rung]:
        return list(pairwise(self.betas))

    def __repr__(self) -> str:
        return f"Given({len(self.betas) - 1} steps)"


class Adaptive(Schedule):
    """Temperatures placed where a cheap run before finds that chains gain differently.

    The run goes along the path in equal steps. How much the gains of its chains differ over a
    window of temperatures tells two things in one: how differently log p* changes in them at one
    temperature, and for how long each chain keeps its difference, which near β = 1 is long. Every
    step then has an equal share of the integral of that standard deviation.

    Where chains hardly mix, it may do worse than `Ladder`: of two forward estimates the higher
    log Z is the better, and not the one whose weights spread less.

    References:
        | Thermodynamic Metrics and Optimal Paths (Sivak & Crooks, 2012)

    Args:
        steps: Temperatures between the base and the model.
        pilot_steps: Temperatures of the run before.
        pilot_chains: Chains of the run before.
    """

    def __init__(
        self, steps: int = 10_000, pilot_steps: int = 200, pilot_chains: int = 100
    ) -> None:
        self.steps = at_least_one(steps)
        if pilot_steps < 1 or pilot_chains < 2:
            raise ValueError("a pilot run needs 1 step or more, and 2 chains or more to differ")
        self.pilot_steps, self.pilot_chains = pilot_steps, pilot_chains

    @torch.no_grad()
    def rungs(self, path: Path) -> list[Rung]:
        with isolated("pilot", common_seed()):
            rates = self._rates(path)
        return placed(spread(rates, self.pilot_steps // (2 * WINDOWS)), self.steps)

    def _rates(self, path: Path) -> Tensor:
        """What log p* of each chain gains per β at each step, (pilot_steps, pilot_chains)."""
        state, rates, n = path.start(self.pilot_chains), [], self.pilot_steps
        for low, high in pairwise(k / n for k in range(n + 1)):
            rates.append(path.rise(state, low, high).cpu() * n)
            state = path.move(state, high)
        return torch.stack(rates)


def spread(rates: Tensor, reach: int) -> Tensor:
    """How much chains differ in what they gain around each step: √n times the mean's deviation.

    The mean is over the n steps of a window, which ends where the path ends.

    Args:
        rates: What each chain gains per β, (steps, chains).
        reach: Steps of the window to either side.
    """
    width = 2 * reach + 1
    means = nnf.avg_pool1d(rates.T[:, None], width, 1, reach, count_include_pad=False)[:, 0]
    inside = nnf.avg_pool1d(torch.ones_like(rates.T[:1, None]), width, 1, reach)[0, 0] * width
    return means.std(0) * inside.sqrt()


def placed(density: Tensor, steps: int) -> list[Rung]:
    """Rungs that share the integral of a density over β equally, with a floor under it.

    With the floor no gap is much above 1 / FLOOR times that of equal steps.

    Args:
        density: How many temperatures are wanted at equal steps of β, up to a factor; (n,).
        steps: How many rungs to place.
    """
    mean = float(density.mean())
    density = density.double() / mean if mean > 0 else torch.ones_like(density).double()
    filled = nnf.pad(density.clamp(min=FLOOR).cumsum(0), (1, 0))
    shares = filled / filled[-1]
    wanted = torch.arange(1, steps, dtype=torch.float64) / steps
    bins = torch.searchsorted(shares, wanted).clamp(1, len(density))
    low, high = shares[bins - 1], shares[bins]
    betas = (bins - 1 + (wanted - low) / (high - low)) / len(density)
    return list(pairwise([0.0, *betas.tolist(), 1.0]))


def at_least_one(steps: int) -> int:
    """The number of steps.

    Raises:
        ValueError: If there are none.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}: an annealed path has 1 step or more")
    return steps
