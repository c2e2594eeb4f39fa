"""Mixture density networks."""

import math
from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.model import GenerativeModel
from genlit.networks import MLP, Network
from genlit.protocols import Batch, Conditional
from genlit.translation.mixture import GaussianMixture, mixture


class MixtureDensity(GenerativeModel, Conditional):
    """A network that gives the law of an event given a condition: a mixture of Gaussians.

    Log p(x | c) is exact. Components have independent entries, so this is for vectors and small
    images, not for photographs.

    References:
        | Mixture Density Networks (Bishop, 1994)

    Args:
        shape: The shape of one event.
        condition_shape: The shape of what it is made from.
        components: How many Gaussians a mixture has.
        network: Builds the network from the condition to weights, means and widths.
        least_std: The least standard deviation of an entry; without a floor the density of what
            never changes grows for ever.
        temperature: How much of the noise around the mean of a component is drawn, in standard
            deviations; 0 gives means.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        condition_shape: Sequence[int],
        components: int = 5,
        network: Network = MLP,
        least_std: float = 0.01,
        temperature: float = 1.0,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        if components < 1 or least_std <= 0 or temperature < 0:
            raise ValueError(
                "MixtureDensity needs 1 component or more, least_std above 0 and temperature of 0 "
                f"or more, not {components}, {least_std} and {temperature}"
            )
        self.condition_shape, self.lr_decay = tuple(condition_shape), lr_decay
        self.components, self.least = components, math.log(least_std)
        self.temperature = temperature
        numbers = components * (2 * math.prod(self.shape) + 1)
        self.network = network(self.condition_shape, (numbers,))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Minus log p(x | c) in nats per event."""
        assert "condition" in batch, "batches have no condition: take data that have"
        return {"loss": -self.log_prob_given(batch["x"], batch["condition"]).mean()}

    def log_prob_given(self, x: Tensor, condition: Tensor) -> Tensor:
        """Log p(x | c) in nats of events (B, *shape), (B,)."""
        return self.law(condition).log_prob(x.flatten(1))

    def law(self, condition: Tensor) -> GaussianMixture:
        """The law of the event given each condition (B, *condition_shape)."""
        return mixture(self.network(condition), self.components, self.least)

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        return self.law(condition).draw(self.temperature).unflatten(1, self.shape)
