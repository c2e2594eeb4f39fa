"""Autoencoders: networks that give events back through a code, clean where they came spoilt."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.corruptions import Corruption, GaussianNoise
from genlit.likelihoods import Bernoulli
from genlit.likelihoods import Law as Likelihood
from genlit.model import GenerativeModel
from genlit.networks import MLP, Network
from genlit.protocols import Batch, Denoises, Encodes, MarkovChain, Reconstructs, Samples
from genlit.vae.posteriors import require_latent


class Coder(nn.Module):
    """An encoder, a decoder, and the law of pixels given what the decoder puts out.

    Args:
        shape: The shape of one event.
        latent: The size of the code.
        encoder: Builds the network from events to codes.
        decoder: Builds the network from codes to the numbers of p(x | code).
        likelihood: The law of pixels given these.
    """

    def __init__(
        self,
        shape: Sequence[int],
        latent: int,
        encoder: Network,
        decoder: Network,
        likelihood: Likelihood,
    ) -> None:
        super().__init__()
        require_latent(latent)
        self.observation = likelihood(shape)
        self.encoder = encoder(shape, (latent,))
        self.decoder = decoder((latent,), self.observation.outputs)

    def error(self, seen: Tensor, x: Tensor) -> Tensor:
        """Mean of -log p(x | code of what is seen) over events (B, *shape), nats per event."""
        return -self.observation.log_prob(self.decoder(self.encoder(seen)), x).mean()

    @torch.no_grad()
    def decoded(self, z: Tensor) -> Tensor:
        """The expected event of each code, (B, *shape) in [0, 1]."""
        return self.observation.mean(self.decoder(z))

    @torch.no_grad()
    def drawn(self, seen: Tensor) -> Tensor:
        """An event drawn from p(x | code) for each event seen, (B, *shape), cut off at [0, 1]."""
        return self.observation.sample(self.decoder(self.encoder(seen))).to(seen).clamp(0, 1)

    def check(self, trainer: Any) -> None:
        """Compares the law of pixels with the data of a run.

        Raises:
            ValueError: If it is not made for them.
        """
        self.observation.check(getattr(getattr(trainer, "datamodule", None), "protocol", ""))


class Autoencoder(GenerativeModel, Encodes, Reconstructs):
    """Autoencoder: a code of each event, and the event back from it.

    The loss is -log p(x | code of x) in nats per event. As the code has seen x, that is no
    likelihood of x, and an autoencoder cannot be sampled: it has no law of codes.

    References:
        | Reducing the Dimensionality of Data with Neural Networks (Hinton & Salakhutdinov, 2006)

    Args:
        shape: The shape of one event.
        latent: The size of the code.
        encoder: Builds the network from events to codes.
        decoder: Builds the network from codes to the numbers of p(x | code).
        likelihood: The law of pixels given these: Bernoulli, Normal, SharedNormal, Categorical or
            LogisticMixture.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        latent: int = 32,
        encoder: Network = MLP,
        decoder: Network = MLP,
        likelihood: Likelihood = Bernoulli,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        self.coder = Coder(self.shape, latent, encoder, decoder, likelihood)
        self.binary = self.coder.observation.levels == 2
        self.lr_decay = lr_decay

    def on_fit_start(self) -> None:
        """Refuses data that the law of pixels is not made for."""
        super().on_fit_start()
        self.coder.check(self.trainer)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.coder.error(batch["x"], batch["x"])}

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        return self.coder.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.coder.decoded(z)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class DenoisingAutoencoder(GenerativeModel, Samples, MarkovChain, Encodes, Reconstructs, Denoises):
    """Denoising autoencoder: clean events back from spoilt ones, and so a chain to draw events by.

    The loss is -log p(x | code of x̃) in nats per event, with x̃ drawn by the corruption. It is no
    likelihood of x. But spoiling an event and drawing a clean one, again and again, is a Markov
    chain, whose stationary law tends to that of the data as p(x | x̃) becomes right; pixels that are
    drawn independently can only make it so where the corruption is small.

    References:
        | Extracting and Composing Robust Features with Denoising Autoencoders (Vincent et al.,
          2008)
        | Generalized Denoising Auto-Encoders as Generative Models (Bengio et al., 2013)
        | https://arxiv.org/abs/1305.6663

    Args:
        shape: The shape of one event.
        latent: The size of the code, which may be larger than events.
        encoder: Builds the network from events to codes.
        decoder: Builds the network from codes to the numbers of p(x | code).
        likelihood: The law of pixels given these: Bernoulli, Normal, SharedNormal, Categorical or
            LogisticMixture.
        corruption: What spoils events: GaussianNoise, SaltAndPepper or Masking.
        sample_steps: Steps of the chain, from noise, before a sample is taken.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        latent: int = 200,
        encoder: Network = MLP,
        decoder: Network = MLP,
        likelihood: Likelihood = Bernoulli,
        corruption: Callable[[], Corruption] = GaussianNoise,
        sample_steps: int = 200,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        self.coder = Coder(self.shape, latent, encoder, decoder, likelihood)
        self.binary = self.coder.observation.levels == 2
        self.corruption = corruption()
        self.sample_steps, self.lr_decay = sample_steps, lr_decay

    def on_fit_start(self) -> None:
        """Refuses data that the law of pixels is not made for."""
        super().on_fit_start()
        self.coder.check(self.trainer)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.coder.error(self.corruption(batch["x"]), batch["x"])}

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels in the last step of the chain: the grey levels customarily shown.

        Chains start at noise, drawn evenly from what pixels can be, and run for `sample_steps`.
        """
        x = torch.rand(n, *self.shape, device=self.device)
        if levels := self.coder.observation.levels:
            x = (x * levels).floor() / (levels - 1)
        for _ in range(self.sample_steps - 1):
            x = self.step(x)
        return self.reconstruct(self.corruption(x))

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """X -> x̃ ~ C(x̃ | x) -> x' ~ p(x | x̃)."""
        return self.coder.drawn(self.corruption(x))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        return self.coder.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.coder.decoded(z)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    denoise = reconstruct
