"""A layer of latent variables above another."""

from collections.abc import Callable, Sequence

from torch import Tensor

from genlit.networks import MLP, Network
from genlit.vae.posteriors import Diagonal
from genlit.vae.priors import Prior, Recognition, StandardNormal


class StochasticLayer(Prior):
    """One more layer of latent variables: p(z) = ∫ p(z | y) p(y) dy, with a posterior q(y | z).

    Its log p(z) is that of the unbiased estimate p(z | y) p(y) / q(y | z) from one y, so that the
    importance weights of a VAE that has it are those of a model of both layers. Layers nest: the
    prior of this one may be another.

    References:
        | Importance Weighted Autoencoders (Burda, Grosse & Salakhutdinov, 2016)
        | https://arxiv.org/abs/1509.00519

    Args:
        latent: The number of latent variables of the layer below.
        shape: The shape of one event.
        units: The number of latent variables of this layer.
        encoder: Builds the network from z to the means and log-deviations of q(y | z).
        decoder: Builds the network from y to the means and log-deviations of p(z | y).
        prior: p(y).
    """

    exact = False

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        units: int = 50,
        encoder: Network = MLP,
        decoder: Network = MLP,
        prior: Callable[[int, Sequence[int]], Prior] = StandardNormal,
    ) -> None:
        super().__init__(latent, shape)
        self.encoder = encoder((latent,), (2 * units,))
        self.decoder = decoder((units,), (2 * latent,))
        self.prior = prior(units, (latent,))

    def log_prob(self, z: Tensor, q: Recognition) -> Tensor:
        flat = z.flatten(0, -2)
        above = self.recognition(flat)
        y, log_q = (t[0] for t in above.draw(1))
        log_p = self.below(y).log_prob(flat) + self.prior.log_prob(y, self.recognition)
        return (log_p - log_q).view(z.shape[:-1])

    def sample(self, n: int, q: Recognition) -> Tensor:
        return self.below(self.prior.sample(n, self.recognition)).draw(1)[0][0]

    def recognition(self, z: Tensor) -> Diagonal:
        """q(y | z) of z (N, D)."""
        return Diagonal(*self.encoder(z).chunk(2, -1))

    def below(self, y: Tensor) -> Diagonal:
        """p(z | y) of y (N, units)."""
        return Diagonal(*self.decoder(y).chunk(2, -1))
