"""What an estimator of log p(x) is, and those of models that have a density or a bound of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from genlit.protocols import Bounded, Density, require

TOLD_ELSEWHERE = ("name", "events")  # by the metric's name, and by n: there may be fewer events


Known = tuple[float | None, dict[str, float | str]]  # stderr and details of a LogDensity


class LogDensity(NamedTuple):
    """A log-density, with what is known of its error."""

    log_prob: Callable[[Tensor], Tensor]  # x (B, *shape) to (B,) nats
    stderr: float | None = 0.0  # of what all events share, such as log Z; None: not known
    details: dict[str, float | str] = {}  # noqa: RUF012
    warnings: tuple[str, ...] = ()
    events: int = 0  # how many events to ask about where each takes its time; 0 means all
    closing: "Callable[[], Known] | None" = None  # says what is known once all were asked about

    def closed(self) -> "LogDensity":
        """The same once all events were asked about, with what is known only then.

        Call it on every process, where there are several.
        """
        if self.closing is None:
            return self
        stderr, details = self.closing()
        return self._replace(stderr=stderr, details=self.details | details)


class Estimator(ABC):
    """Turns a model into a log-density. A base class, since the config chooses among them."""

    name: str  # becomes part of the metric's name
    kind: ClassVar[str]  # exact, lower bound, estimate, or what lies between
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
        told = {k: v for k, v in vars(self).items() if k not in TOLD_ELSEWHERE}
        settings = ", ".join(f"{k}={v}" for k, v in told.items())
        return f"{type(self).__name__}({settings})"


class Exact(Estimator):
    """For models whose density is normalized."""

    name = "exact"
    kind = "exact"
    protocol = Density

    def check(self, model: Any) -> None:
        """Makes sure that a model is normalized, and not too large for that.

        Raises:
            Unanswerable: If it is not normalized.
            ValueError: If its normalizer is a sum of too many terms.
        """
        super().check(model)
        model.require_tractable()

    def __call__(self, model: Density) -> LogDensity:
        self.check(model)
        return LogDensity(model.log_density())


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
        return LogDensity(partial(model.log_prob_bound, samples=self.samples), stderr=None)
