"""Ways to get log p(x) out of a model: each turns a model into a function x -> (B,) nats.

Which one was used belongs to the number it gives, so the config names it and the log shows it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from genlit.logmath import effective_sample_size, log_mean_exp, log_mean_exp_stderr
from genlit.protocols import Bounded, Density, EnergyBased, require


class LogDensity(NamedTuple):
    """A log-density, with what is known of its error."""

    log_prob: Callable[[Tensor], Tensor]  # x (B, *shape) to (B,) nats
    stderr: float = 0.0  # of what all events share, such as log Z; in nats
    details: dict[str, float | str] = {}  # noqa: RUF012
    warning: str | None = None


class Estimator(ABC):
    """Turns a model into a log-density. A base class, since the config chooses among them."""

    name: ClassVar[str]  # becomes part of the metric's name
    kind: ClassVar[str]  # exact, lower bound or estimate
    protocol: ClassVar[type]  # what a model must implement

    @abstractmethod
    def __call__(self, model: Any) -> LogDensity:
        """Returns x -> log p(x), doing once what does not depend on x."""

    def check(self, model: Any) -> None:
        """Makes sure that a model can be asked.

        Raises:
            Unanswerable: If it lacks the protocol that this estimator needs.
        """
        require(model, "log p(x)", self.protocol)

    @property
    def method(self) -> str:
        """The name with all settings, for results.json."""
        settings = ", ".join(f"{k}={v}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({settings})"


class Exact(Estimator):
    """For models whose density is normalized."""

    name = "exact"
    kind = "exact"
    protocol = Density

    def __call__(self, model: Density) -> LogDensity:
        self.check(model)
        return LogDensity(model.log_prob)


class LowerBound(Estimator):
    """The importance-weighted bound; too low by less as samples grow. One sample is the ELBO.

    References:
        | Importance Weighted Autoencoders (Burda, Grosse & Salakhutdinov, 2016)

    Args:
        samples: Samples of the latent variables for each event.
    """

    name = "bound"
    kind = "lower bound"
    protocol = Bounded

    def __init__(self, samples: int = 500) -> None:
        self.samples = samples

    def __call__(self, model: Bounded) -> LogDensity:
        self.check(model)
        return LogDensity(partial(model.log_prob_bound, samples=self.samples))


class Annealed(Estimator):
    """Annealed importance sampling of Z, forward and, as a check, in reverse.

    Forward estimates of log Z are too low on average and flatter the model; reverse ones, which
    begin at samples of the model, are too high. Where they part by more than a nat neither is to be
    trusted, and a warning says so.

    References:
        | On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov & Murray, 2008)
        | Accurate and Conservative Estimates of MRF Log-likelihood (Burda et al., 2015)

    Args:
        steps: Temperatures between the base and the model.
        chains: Independent chains.
        reverse: Whether to run the reverse estimate too.
    """

    name = "ais"
    kind = "estimate"
    protocol = EnergyBased

    def __init__(self, steps: int = 10_000, chains: int = 100, reverse: bool = True) -> None:
        if steps < 1 or chains < 2:
            raise ValueError("Annealed needs 1 step or more, and 2 chains or more for its error")
        self.steps = steps
        self.chains = chains
        self.reverse = reverse

    def __call__(self, model: EnergyBased) -> LogDensity:
        self.check(model)
        weights = model.log_partition(self.steps, self.chains)
        log_z, stderr = float(log_mean_exp(weights)), float(log_mean_exp_stderr(weights))
        details: dict[str, float | str] = {
            "log_partition": log_z,
            "log_partition_stderr": stderr,
            "effective_sample_size": float(effective_sample_size(weights)),
            "largest_weight": float((weights - weights.logsumexp(0)).max().exp()),
        }
        warning = self._add_reverse(model, log_z, details) if self.reverse else None
        return LogDensity(lambda x: -model.free_energy(x) - log_z, stderr, details, warning)

    def _add_reverse(
        self, model: EnergyBased, log_z: float, details: dict[str, float | str]
    ) -> str | None:
        weights = model.log_partition(self.steps, self.chains, reverse=True)
        upper = -float(log_mean_exp(weights))
        details["log_partition_reverse"] = upper
        details["log_partition_reverse_stderr"] = float(log_mean_exp_stderr(weights))
        if abs(upper - log_z) <= 1:
            return None
        return (
            f"forward and reverse AIS differ by {upper - log_z:.2f} nats "
            f"(log Z {log_z:.2f} and {upper:.2f}): take more steps than {self.steps}"
        )
