"""Whether a model's Markov chains mix, and whether it begins to learn its training set by heart."""

import math
import warnings
from typing import Any

import lightning as L
import torch
from torch import Tensor

from genlit.callbacks.held_out import has_events, some_events
from genlit.callbacks.judge import Judge
from genlit.chains import Mixing, autocorrelation_time, chain_of
from genlit.progress import track
from genlit.protocols import (
    EnergyBased,
    EnergyBounded,
    MarkovChain,
    Samples,
    Tempered,
    Unanswerable,
)
from genlit.randomness import isolated
from genlit.runs import Measurement

BLOCK = 500  # events whose free energy is asked for at once


class ChainHealth(Judge):
    """Measures how fast chains mix, how often tempered ones swap, and the free-energy gap.

    - `autocorrelation_time_free_energy` in steps (`..._intensity`, of the mean pixel, where the
      model has no free energy), and `effective_samples`, the independent samples that all states
      of the run are worth. Chains start at samples of the model and are seen about their common
      mean. Where the run was too short for its own answer, that is called a lower bound. Of deep
      machines and belief nets, whose chains move hidden layers, too, events drawn given these are
      followed.
    - `swap_rate_mean` and `swap_rate_min` of neighbouring temperatures, of a model that has
      several. A pair that never swaps cuts the ladder in two.
    - `free_energy_gap_<protocol>`, mean F(held out) - mean F(training) in nats. Z cancels, so it is
      by how much training data are more probable than held-out data: 0 where nothing was learned
      by heart, and growing when a model begins to overfit.

    What a model cannot be asked is left out.

    References:
        | Monte Carlo Methods in Statistical Mechanics (Sokal, 1997)
        | A Practical Guide to Training Restricted Boltzmann Machines (Hinton, 2010), section 6

    Args:
        chains: Chains whose autocorrelation is measured, side by side.
        steps: Steps that each of them runs; some hundred times the answer makes it a good one.
        n_events: The most held-out events, and as many of training, that the gap is a mean over.
        every_n_epochs: Also measures at validation after every so many epochs; 0 never does.
        seed: Seeds the chains and the choice of training events.
    """

    def __init__(
        self,
        chains: int = 100,
        steps: int = 1000,
        n_events: int = 10_000,
        every_n_epochs: int = 0,
        seed: int = 0,
    ) -> None:
        if min(chains, steps, n_events) < 2:
            raise ValueError("ChainHealth needs chains, steps and n_events of 2 or more")
        super().__init__(every_n_epochs)
        self.chains, self.steps = chains, steps
        self.n_events = n_events
        self.seed = seed

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses, before any time is spent, a model that can be asked none of it."""
        if not (_runs_chains(pl_module) or isinstance(pl_module, Tempered | EnergyBased)):
            raise Unanswerable(
                f"{type(pl_module).__name__} cannot be asked for the health of its chains: it does "
                "not implement MarkovChain and Samples, EnergyBounded, Tempered, or EnergyBased"
            )

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.measurements = []

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._examine(trainer, pl_module, "test")

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.due(trainer):
            self._examine(trainer, pl_module, "val")

    @torch.no_grad()
    def _examine(self, trainer: L.Trainer, model: L.LightningModule, split: str) -> None:
        found: list[Measurement] = []
        protocol = getattr(getattr(trainer, "datamodule", None), "protocol", "unknown")
        with isolated("chain health", self.seed):
            if _runs_chains(model):
                mine = self._mixing(model, split, protocol) if trainer.is_global_zero else []
                found += trainer.strategy.broadcast(mine)
            if isinstance(model, Tempered):
                found += self._swaps(trainer, model, split, protocol)
            if isinstance(model, EnergyBased) and has_events(trainer, split, "train"):
                found.append(self._gap(trainer, model, split, protocol))
        for measurement in found:
            self.conclude(model, measurement)

    def _mixing(self, model: Any, split: str, protocol: str) -> list[Measurement]:
        """Runs chains, on one process: all are as long, and side by side cost little more."""
        chain, series = chain_of(model), []
        state = chain.samples(self.chains)
        for _ in track(range(self.steps), "chains whose autocorrelation is measured, steps"):
            state = chain.step(state)
            series.append(_scalar(model, chain.look(state)))
        numbers = torch.stack(series).cpu()
        if not torch.isfinite(numbers).all():
            raise ValueError(
                f"the chains of {type(model).__name__} came to numbers that are not finite: it has "
                "diverged"
            )
        mixing = autocorrelation_time(numbers)
        if split == "test" and not mixing.closed:
            warnings.warn(
                f"{self.steps} steps are too few to tell the autocorrelation time of "
                f"{type(model).__name__}: give ChainHealth more",
                stacklevel=2,
            )
        return self._of_mixing(mixing, model, split, protocol)

    def _of_mixing(
        self, mixing: Mixing, model: Any, split: str, protocol: str
    ) -> list[Measurement]:
        scalar = "free_energy" if isinstance(model, EnergyBased) else "intensity"
        method = f"{self.chains} chains of {self.steps} steps from samples of the model"
        method += f"; window of {mixing.window} steps, common mean of all chains"
        independent = mixing.independent
        relative = mixing.stderr / mixing.time if mixing.time > 0 else math.inf
        rows = [
            (f"autocorrelation_time_{scalar}", mixing.time, mixing.stderr, "steps", "lower bound"),
            ("effective_samples", independent, relative * independent, "", "upper bound"),
        ]
        return [
            Measurement(
                name=name,
                split=split,
                value=value,
                stderr=stderr if mixing.closed else None,
                unit=unit,
                kind="estimate" if mixing.closed else bound,
                method=method,
                n=mixing.states,
                protocol=protocol,
            )
            for name, value, stderr, unit, bound in rows
        ]

    def _swaps(
        self, trainer: L.Trainer, model: Tempered, split: str, protocol: str
    ) -> list[Measurement]:
        """Each process has tempered chains of its own; what is told is their mean."""
        rates = model.swap_rates().detach().float()
        if rates.numel() == 0:
            return []
        rates = trainer.strategy.reduce(rates, reduce_op="mean").cpu()
        details: dict[str, float | str] = {
            f"swap_rate_{k}": float(rate) for k, rate in enumerate(rates)
        }
        return [
            Measurement(
                name=name,
                split=split,
                value=float(value),
                stderr=None,
                unit="",
                kind="estimate",
                method=f"swaps between {len(rates) + 1} neighbouring temperatures",
                n=len(rates),
                protocol=protocol,
                details=details,
            )
            for name, value in (("swap_rate_mean", rates.mean()), ("swap_rate_min", rates.min()))
        ]

    def _gap(self, trainer: L.Trainer, model: Any, split: str, protocol: str) -> Measurement:
        data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        n = min(self.n_events, *(len(data.splits[name]) for name in (split, "train")))
        sums = torch.zeros(2, 2, dtype=torch.float64, device=model.device)
        for row, name in zip(sums, (split, "train"), strict=True):
            events = some_events(trainer, name, n, "gap", self.seed)
            for x in events.split(BLOCK)[trainer.global_rank :: trainer.world_size]:
                energies = model.free_energy(x.to(model.device)).double()
                row += torch.stack([energies.sum(), energies.square().sum()])
        sums = trainer.strategy.reduce(sums, reduce_op="sum").cpu()
        means = sums[:, 0] / n
        variances = (sums[:, 1] / n - means.square()).clamp(min=0) / max(n - 1, 1)
        return Measurement(
            name=f"free_energy_gap_{protocol}",
            split=split,
            value=float(means[0] - means[1]),
            stderr=float(variances.sum().sqrt()),
            unit="nats",
            kind="exact",
            method=f"mean F({split}) - mean F(train), {n} events each",
            n=n,
            protocol=protocol,
            details={"free_energy": float(means[0]), "free_energy_train": float(means[1])},
        )


def _runs_chains(model: object) -> bool:
    begins = isinstance(model, MarkovChain) and isinstance(model, Samples)
    return begins or isinstance(model, EnergyBounded)


def _scalar(model: Any, x: Tensor) -> Tensor:
    """The number that is followed along the chains, (B,)."""
    return model.free_energy(x) if isinstance(model, EnergyBased) else x.flatten(1).mean(1)
