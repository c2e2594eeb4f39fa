"""Log p(x) of models whose normalizer must be estimated: by annealing, or by tempered chains."""

from abc import abstractmethod
from typing import Any

from torch import Tensor

from genlit.annealing import conservative_weights
from genlit.estimators.estimator import Estimator, LogDensity
from genlit.normalizers import ladder_partition, log_partition
from genlit.protocols import EnergyBased, EnergyBounded, Laddered, require
from genlit.schedules import Ladder, Schedule

STEPS = 10_000  # temperatures between the base and the model, unless one asks for others


class Annealing(Estimator):
    """What estimators that find log Z by annealing have in common.

    Forward estimates of log Z are too low on average and flatter the model; reverse ones, which
    begin at samples of the model, are too high. Where they part by more than a nat neither is to be
    trusted, and a warning says so, as it does where few chains decide.
    """

    def __init__(self, schedule: Schedule, chains: int, reverse: bool) -> None:
        if chains < 2:
            raise ValueError(f"chains is {chains}: the error of log Z takes 2 or more")
        self.schedule = schedule
        self.chains = chains
        self.reverse = reverse

    def __call__(self, model: Any) -> LogDensity:
        self.check(model)
        path = model.path()
        z = log_partition(path, self.schedule.rungs(path), self.chains, self.reverse)
        return LogDensity(
            lambda x: self.log_weight(model, x) - z.value, z.stderr, z.details, z.warnings
        )

    @abstractmethod
    def log_weight(self, model: Any, x: Tensor) -> Tensor:
        """Returns log p(x) + log Z of events, or a bound of it; (B,) nats."""


class Annealed(Annealing):
    """Annealed importance sampling of Z, forward and, as a check, in reverse.

    References:
        | On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov & Murray, 2008)
        | Accurate and Conservative Estimates of MRF Log-likelihood (Burda et al., 2015)

    Args:
        steps: Temperatures between the base and the model.
        chains: Independent chains.
        reverse: Whether to run the reverse estimate too.
        schedule: Where the temperatures lie, in place of `steps`; None means Ladder(steps).
    """

    name = "ais"
    kind = "estimate"
    protocol = EnergyBased

    def __init__(
        self,
        steps: int = STEPS,
        chains: int = 100,
        reverse: bool = True,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(chosen(steps, schedule), chains, reverse)

    def log_weight(self, model: EnergyBased, x: Tensor) -> Tensor:
        return -model.free_energy(x)


class AnnealedBound(Annealing):
    """A lower bound of log p(x) + log Z, less an estimate of log Z by annealed importance sampling.

    So it is a lower bound of log p(x) as far as log Z is right, for models whose hidden units
    cannot be summed out (deep Boltzmann machines, belief nets).

    References:
        | On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov & Murray, 2008)

    Args:
        samples: Samples of the hidden units for each event, where the bound has use for them.
        steps: Temperatures between the base and the model.
        chains: Independent chains.
        reverse: Whether to run the reverse estimate of log Z too.
        schedule: Where the temperatures lie, in place of `steps`; None means Ladder(steps).
    """

    kind = "estimate of a lower bound"
    protocol = EnergyBounded

    def __init__(
        self,
        samples: int = 100,
        steps: int = STEPS,
        chains: int = 100,
        reverse: bool = True,
        schedule: Schedule | None = None,
    ) -> None:
        if samples < 1:
            raise ValueError(f"samples is {samples}: a bound takes 1 or more")
        self.samples = samples
        self.name = f"ais_bound_{samples}"
        super().__init__(chosen(steps, schedule), chains, reverse)

    def log_weight(self, model: EnergyBounded, x: Tensor) -> Tensor:
        return model.log_weight_bound(x, self.samples)


class Bennett(Estimator):
    """Log Z by Bennett's acceptance ratio of neighbours on the ladder that a model's chains climb.

    It begins at the lowest rung, whose Z is known, and where the chains of training stand. Its
    error comes from how much chains differ; it knows nothing of modes that none of them visits.

    References:
        | Efficient Estimation of Free Energy Differences from Monte Carlo Data (Bennett, 1976)
        | Fast Training and Sampling of Restricted Boltzmann Machines (Béreux et al., 2025)

    Args:
        steps: How often each pair of neighbouring rungs meets.
    """

    name = "bennett"
    kind = "estimate"
    protocol = Laddered

    def __init__(self, steps: int = 1000) -> None:
        if steps < 1:
            raise ValueError(f"steps is {steps}: neighbouring rungs meet 1 time or more")
        self.steps = steps

    def check(self, model: Any) -> None:
        """Makes sure that a model has a free energy, and chains on several rungs.

        Raises:
            Unanswerable: If it lacks the protocols.
            ValueError: If its chains have one rung only, or are too few to tell an error.
        """
        super().check(model)
        require(model, "log p(x)", EnergyBased)
        model.require_ladder()

    def __call__(self, model: Any) -> LogDensity:
        self.check(model)
        z = ladder_partition(model, self.steps)
        return LogDensity(
            lambda x: -model.free_energy(x) - z.value, z.stderr, z.details, z.warnings
        )


class Raise(Estimator):
    """The likelihood of the sampler that anneals to the model: a conservative estimate (RAISE).

    On average it is below log p(x) of forward annealing's last state. That law tends to the model
    as steps grow, and is commonly worse, where annealed importance sampling errs to the other side.
    Every event takes a run of its own, as long as one of `Annealed`, so ask about few.

    References:
        | Accurate and Conservative Estimates of MRF Log-likelihood (Burda et al., 2015)
        | https://arxiv.org/abs/1412.8566

    Args:
        steps: Temperatures between the base and the model.
        chains: Independent chains for each event.
        events: How many events to ask about, drawn at random from those there are; 0 means all.
        schedule: Where the temperatures lie, in place of `steps`; None means Ladder(steps).
    """

    name = "raise"
    kind = "conservative estimate"
    protocol = EnergyBased

    def __init__(
        self,
        steps: int = STEPS,
        chains: int = 10,
        events: int = 100,
        schedule: Schedule | None = None,
    ) -> None:
        if chains < 1 or events < 0:
            raise ValueError("Raise needs 1 chain or more for each event; 0 events means all")
        self.schedule = chosen(steps, schedule)
        self.chains = chains
        self.events = events

    def __call__(self, model: EnergyBased) -> LogDensity:
        self.check(model)
        path = model.path()
        rungs = self.schedule.rungs(path)

        def log_prob(x: Tensor) -> Tensor:
            lacking = conservative_weights(path, rungs, x, self.chains)
            return lacking - model.free_energy(x).to(lacking)

        return LogDensity(log_prob, stderr=None, events=self.events)


def chosen(steps: int, schedule: Schedule | None) -> Schedule:
    """The schedule, or else the one of so many steps that serves by default.

    Raises:
        ValueError: If steps are given twice.
    """
    if schedule is not None and steps != STEPS:
        raise ValueError(
            f"a schedule has steps of its own: leave out steps ({steps}) or {schedule}"
        )
    return Ladder(steps) if schedule is None else schedule
