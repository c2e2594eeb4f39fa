"""Families of p(z), each a density one can sample and train with the rest of the model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genlit.logmath import log_mean_exp
from genlit.protocols import Density, Samples, require
from genlit.vae.gaussian import log_normal
from genlit.vae.posteriors import Law

# q(z | x) of events (B, *shape): what a prior may be made of.
Recognition = Callable[[Tensor], Law]


class Prior(nn.Module, ABC):
    """p(z). A base class, since the config chooses.

    Args:
        latent: The number of latent variables.
        shape: The shape of one event.
    """

    standard: bool = False  # whether it is N(0, 1)
    exact: bool = True  # whether `log_prob` is log p(z), and not that of an unbiased estimate

    def __init__(self, latent: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.latent, self.shape = latent, tuple(shape)

    @abstractmethod
    def log_prob(self, z: Tensor, q: Recognition) -> Tensor:
        """Log p(z) in nats of z (S, B, D) under the model's own recognition; (S, B)."""

    @abstractmethod
    def sample(self, n: int, q: Recognition) -> Tensor:
        """Draws n codes, (n, D)."""

    def begin(self, mean: Tensor) -> None:
        """Looks at the mean of the training data, (*shape), before training."""


class StandardNormal(Prior):
    """N(0, 1).

    Args:
        latent: The number of latent variables.
        shape: The shape of one event.
    """

    standard = True
    zero: Tensor

    def __init__(self, latent: int, shape: Sequence[int]) -> None:
        super().__init__(latent, shape)
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def log_prob(self, z: Tensor, q: Recognition) -> Tensor:
        return log_normal(z, 0.0, 0.0)

    def sample(self, n: int, q: Recognition) -> Tensor:
        return torch.randn(n, self.latent, device=self.zero.device)


class VampPrior(Prior):
    """The mean of q(z | u) over pseudo-inputs u, which are learned.

    References:
        | VAE with a VampPrior (Tomczak & Welling, 2018)
        | https://arxiv.org/abs/1705.07120

    Args:
        latent: The number of latent variables.
        shape: The shape of one event.
        pseudo_inputs: How many there are.
    """

    def __init__(self, latent: int, shape: Sequence[int], pseudo_inputs: int = 500) -> None:
        super().__init__(latent, shape)
        if pseudo_inputs < 1:
            raise ValueError(f"pseudo_inputs is {pseudo_inputs}: a mixture takes 1 or more")
        self.inputs = nn.Parameter(torch.rand(pseudo_inputs, *shape))

    def log_prob(self, z: Tensor, q: Recognition) -> Tensor:
        return log_mean_exp(q(self.inputs.clamp(0, 1)).log_prob_of_each(z), -1)

    def sample(self, n: int, q: Recognition) -> Tensor:
        chosen = torch.randint(len(self.inputs), (n,), device=self.inputs.device)
        return q(self.inputs[chosen].clamp(0, 1)).draw(1)[0][0]

    @torch.no_grad()
    def begin(self, mean: Tensor) -> None:
        """Begins at noisy copies of the mean of the training data."""
        self.inputs.copy_((mean + 0.1 * torch.randn_like(self.inputs)).clamp(0, 1))


class LearnedPrior(Prior):
    """Any density of vectors, a flow for example, learned with the rest of the model.

    Args:
        latent: The number of latent variables.
        shape: The shape of one event.
        density: Builds the density from the shape of its events, here (latent,).
    """

    def __init__(
        self, latent: int, shape: Sequence[int], density: Callable[[Sequence[int]], nn.Module]
    ) -> None:
        super().__init__(latent, shape)
        self.density = density((latent,))
        for protocol in (Density, Samples):
            require(self.density, "a prior", protocol)

    def log_prob(self, z: Tensor, q: Recognition) -> Tensor:
        assert isinstance(self.density, Density)
        return self.density.log_prob(z.flatten(0, -2)).view(z.shape[:-1])

    def sample(self, n: int, q: Recognition) -> Tensor:
        assert isinstance(self.density, Samples)
        return self.density.sample(n)
