"""How plausible a model finds images, as far as it can be asked."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from genlit.protocols import Bounded, Density, EnergyBased, EnergyBounded

SAMPLES = 10  # of a bound


class Plausibility(NamedTuple):
    """A number of nats that is higher the more plausible an image is."""

    name: str
    of: Callable[[Tensor], Tensor]  # (B, *shape) to (B,)


def plausibility_of(model: Any) -> Plausibility | None:
    """How plausible images are to a model; None where it cannot say."""
    if isinstance(model, EnergyBased):
        return Plausibility("minus the free energy", lambda x: -model.free_energy(x))
    if isinstance(model, Density):
        return Plausibility("log p(x)", model.log_prob)
    if isinstance(model, EnergyBounded):
        return Plausibility(
            "a bound of minus the free energy", lambda x: model.log_weight_bound(x, SAMPLES)
        )
    if isinstance(model, Bounded):
        return Plausibility("a bound of log p(x)", lambda x: model.log_prob_bound(x, SAMPLES))
    return None
