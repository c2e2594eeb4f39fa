"""What annealing walks along: distributions on the way to a model whose normalizer is wanted."""

from typing import Any, Protocol

from torch import Tensor


class Way(Protocol):
    """Distributions p_β from one whose normalizer is known, at β = 0, to another, at β = 1.

    What annealed importance sampling walks along. A state is a number of chains side by side, in
    whatever form the way likes best; only the way looks into it.
    """

    @property
    def log_base(self) -> float:
        """Log Z at β = 0, exact, in nats."""
        ...

    def start(self, n: int) -> Any:
        """Draws a state of n independent chains exactly from p_0."""
        ...

    def rise(self, state: Any, low: float, high: float) -> Tensor:
        """What log p*_β of each chain gains from β = low to high; (n,) nats in float64."""
        ...

    def move(self, state: Any, beta: float) -> Any:
        """Moves every chain by one transition that leaves p_β as it is."""
        ...

    def move_back(self, state: Any, beta: float) -> Any:
        """The same transition reversed in time: `move` itself where that is reversible."""
        ...


class Path(Way, Protocol):
    """A way that ends at a model."""

    @property
    def origin(self) -> str:
        """Where `samples` come from, in words: it belongs to every reverse estimate."""
        ...

    def samples(self, n: int) -> Any:
        """Draws a state of n chains from the model, as well as a chain can."""
        ...

    def events(self, state: Any) -> Tensor:
        """The event of each chain, drawn given its state at β = 1, flat: (n, entries)."""
        ...


class EventPath(Path, Protocol):
    """A path over events: whatever is hidden is summed out."""

    def at(self, x: Tensor) -> Any:
        """The state whose chains stand at events x (n, *shape)."""
        ...
