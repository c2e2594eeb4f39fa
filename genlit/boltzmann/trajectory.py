"""Tempering by what the machine was: its own past is the ladder on which chains reach it."""

from typing import ClassVar

import torch
from torch import Tensor

from genlit.boltzmann.energy import Theta, hidden_logits, visible_logits
from genlit.boltzmann.gradient import Phase, run
from genlit.boltzmann.rungs import Rungs, Tempered, exchanged, rise, traded

RARE = 1 / 3  # of the threshold: neighbours that exchange less often get a rung between them


class TrajectoryTempering(Tempered):
    """Parallel trajectory tempering: rungs are machines of earlier in training, at β = 1.

    The lowest rung has independent pixels with the means of the data. When the machine exchanges
    states with the newest rung less often than `threshold`, it is frozen as a rung of its own.
    Neighbours that learning has left too far apart, at a third of that rate, get a rung with their
    mean parameters between them. When the ladder is full, a new rung takes the place of the one
    whose neighbours need it least.

    A step of the ladder costs 1.5 times one of PCD with as many chains as stand on all rungs
    together; it takes the memory of one more set of parameters for each snapshot, in checkpoints of
    two. The variances of Gaussian units are those of now on every rung.

    References:
        | Fast Training and Sampling of Restricted Boltzmann Machines (Béreux et al., 2025)
        | https://arxiv.org/abs/2405.15376

    Args:
        visible: The number of visible units.
        hidden: The number of hidden units.
        particles: Chains on each rung, on each process.
        steps: Steps before each gradient.
        snapshots: The greatest number of frozen machines.
        threshold: The rate of exchange below which the machine is frozen.
        every: Gradients between two for which the whole ladder moves; for the others, it is the
            machine's own chains only.
    """

    chains: ClassVar[tuple[str, ...]] = (*Tempered.chains, "W", "b", "c", "frozen", "waited")

    W: Tensor  # (snapshots, V, H), and so on: the frozen parameters, from the lowest rung up
    b: Tensor
    c: Tensor
    frozen: Tensor  # () snapshots in use
    waited: Tensor  # () gradients since the ladder moved

    def __init__(
        self, visible: int, hidden: int, particles: int = 100, steps: int = 1,
        snapshots: int = 50, threshold: float = 0.3, every: int = 5,
    ) -> None:  # fmt: skip
        if snapshots < 3:
            raise ValueError(f"snapshots is {snapshots}: a trajectory has at least 3; or take "
                             "genlit.boltzmann.PCD, which has no past")  # fmt: skip
        if every < 1:
            raise ValueError(f"every is {every}: the ladder moves at each gradient (1) or at fewer")
        super().__init__(visible, hidden, particles, steps, snapshots + 1)
        self.threshold, self.every = threshold, every
        self.register_buffer("W", torch.zeros(snapshots, visible, hidden))
        self.register_buffer("b", torch.zeros(snapshots, visible))
        self.register_buffer("c", torch.zeros(snapshots, hidden))
        self.register_buffer("frozen", torch.ones((), dtype=torch.long))
        self.register_buffer("waited", torch.zeros((), dtype=torch.long))

    @property
    def origin(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return f"trajectory tempering of {self.rungs} machines"

    @property
    def rungs(self) -> int:
        return int(self.frozen) + 1

    def settle(self, theta: Theta, base: Tensor) -> None:
        super().settle(theta, base)
        self.frozen.fill_(1)
        self.b[0] = base

    def negative(self, theta: Theta, data: Phase) -> Phase:
        if int(self.waited) + 1 < self.every:
            return self._alone(theta)
        end = super().negative(theta, data)
        if self.training:
            self.waited.zero_()
            self.tend(theta)
        return end

    def _alone(self, theta: Theta) -> Phase:
        end = run(theta, self.particles[self.rungs - 1], self.steps)
        if self.training:
            self.particles[self.rungs - 1] = end.hidden
            self.waited += 1
        return end

    def machines(self, theta: Theta) -> list[Theta]:
        """Those of all rungs in use, the one that learns last."""
        n = int(self.frozen)
        past = zip(self.W[:n], self.b[:n], self.c[:n], strict=True)
        return [*(Theta(W, b, c, theta.units) for W, b, c in past), theta]

    def step(self, theta: Theta, h: Tensor, turn: int) -> Rungs:
        machines, units = self.machines(theta), theta.units
        positions = [visible_logits(*at) for at in zip(machines, h, strict=True)]
        v = units.draw(torch.stack(positions))
        logits = torch.stack([hidden_logits(*at) for at in zip(machines, v, strict=True)])
        rises = logits.new_zeros(len(h) - 1, 2, h.shape[1], dtype=torch.float64)
        for low in range(turn % 2, len(h) - 1, 2):
            pair, (below, above) = slice(low, low + 2), machines[low : low + 2]
            x, y = v[pair]
            there = torch.stack([hidden_logits(below, y), hidden_logits(above, x)])
            # Under the lower machine, then under the higher one, the states (x, y).
            ends = torch.stack([logits[low], there[0]]), torch.stack([there[1], logits[low + 1]])
            rises[low] = rise(units, v[pair], (below.b, above.b), ends)
            flip = exchanged(rises[low])
            v[pair] = traded(v[pair], flip)
            logits[pair] = torch.where(flip[:, None], there, logits[pair])
        return Rungs(v, logits, rises[turn % 2 :: 2])

    def tend(self, theta: Theta) -> None:
        """Adds a rung where neighbours have become strangers, if there are such."""
        rates, rare = self.swap_rates(), RARE * self.threshold
        full = int(self.frozen) == len(self.W)
        estranged = bool(rates[-1] < self.threshold)
        apart = bool(rates.min() < rare) and not (full and self.rates_without().max() < rare)
        if full and (estranged or apart):
            self.drop(int(self.rates_without().argmax()) + 1)
        if estranged:
            self.insert(theta, int(self.frozen))
        elif apart:
            low = int(self.swap_rates().argmin())
            self.insert(between(*self.machines(theta)[low : low + 2]), low + 1)
            self.rates[low : low + 2] = rare  # neither dropped nor parted until it is known

    def insert(self, machine: Theta, at: int) -> None:
        """Makes a rung of a machine; its chains start where those of the rung above it stand."""
        for states in (self.W, self.b, self.c, self.rates, self.particles):
            states[at + 1 :] = states[at:-1].clone()
        for past, now in zip((self.W, self.b, self.c), machine[:3], strict=True):
            past[at] = now
        self.rates[at] = 1.0
        self.frozen += 1

    def drop(self, at: int) -> None:
        """Takes a rung away."""
        self.rates[at - 1] = self.rates_without()[at - 1]
        for states in (self.W, self.b, self.c, self.rates, self.particles):
            states[at:-1] = states[at + 1 :].clone()
        self.frozen -= 1

    def rates_without(self) -> Tensor:
        """What rate may be left without each rung but the lowest and the newest two."""
        rates = self.swap_rates()
        return rates[:-2] * rates[1:-1]


def between(below: Theta, above: Theta) -> Theta:
    """The machine with the mean parameters of two."""
    W, b, c = (below.W + above.W) / 2, (below.b + above.b) / 2, (below.c + above.c) / 2
    return Theta(W, b, c, above.units)
