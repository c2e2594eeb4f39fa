"""What a law of events given a network's output is, and that of zeros and ones."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn


def bernoulli_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """Log p(x) in nats of independent zeros and ones, given the log-odds of ones.

    Logits of half precision are summed in the precision of x.

    Args:
        logits: Log-odds, (*S, B, *shape).
        x: Events of zeros and ones, (B, *shape).

    Returns:
        The sum over all entries of an event, (*S, B).
    """
    return total(bernoulli_terms(logits, x), x.dim() - 1)


def bernoulli_terms(logits: Tensor, x: Tensor) -> Tensor:
    """The same of each entry, (*S, B, *shape).

    Written as x·l - softplus(l), which is right for every finite l and costs one pass less than the
    two logarithms of probabilities.
    """
    logits = logits.to(torch.promote_types(logits.dtype, x.dtype))
    return x * logits - nnf.softplus(logits)


def total(terms: Tensor, dims: int) -> Tensor:
    """The sum over the last dimensions, so many; (*S, B, *shape) to (*S, B)."""
    return terms.flatten(terms.dim() - dims).sum(-1)


class Observation(nn.Module, ABC):
    """p(x | network output) with independent entries. A base class, since the config chooses.

    Args:
        shape: The shape of one event.
    """

    numbers: int = 1  # that the network puts out for each entry of an event
    levels: int | None = None  # that an entry can take; None where it is a real number

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The shape of what the network puts out for one event: its first side is longer."""
        return (self.numbers * self.shape[0], *self.shape[1:])

    @abstractmethod
    def terms(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-probability in nats of each entry of events (B, *shape); (*S, B, *shape)."""

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """Expected events in [0, 1], (*S, B, *shape)."""

    @abstractmethod
    def sample(self, output: Tensor) -> Tensor:
        """Draws one event for each output, (*S, B, *shape)."""

    def log_prob(self, output: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log p(x) in nats, of the entries that are observed if that is given; (*S, B).

        Args:
            output: What the network puts out, (*S, B, *outputs).
            x: Events, (B, *shape).
            observed: True where an entry counts, (B, *shape).
        """
        terms = self.terms(output, x)
        if observed is not None:
            terms = terms.where(observed, 0.0)
        return total(terms, len(self.shape))

    def check(self, protocol: str) -> None:
        """Compares the law with what the data says of itself.

        Raises:
            ValueError: If the law gives probabilities to other values than the data has.
        """
        if protocol and self.levels not in (None, 2) and protocol != f"{self.levels}_levels":
            raise ValueError(
                f"{type(self).__name__} gives probabilities to {self.levels} grey levels, and this "
                f"data is {protocol}: set data.binarize to levels and data.levels to {self.levels}"
            )

    def parts(self, output: Tensor) -> tuple[Tensor, ...]:
        """The numbers for each entry, one tensor (*S, B, *shape) for each of them."""
        return output.unflatten(-len(self.shape), (self.numbers, -1)).unbind(-len(self.shape) - 1)


# The config chooses the law of the events; the model knows their shape.
Law = Callable[[Sequence[int]], Observation]


class Bernoulli(Observation):
    """Zeros and ones, given their log-odds."""

    levels = 2

    def terms(self, output: Tensor, x: Tensor) -> Tensor:
        return bernoulli_terms(output, x)

    def mean(self, output: Tensor) -> Tensor:
        return output.sigmoid()

    def sample(self, output: Tensor) -> Tensor:
        return (torch.rand_like(output) < output.sigmoid()).to(output)
