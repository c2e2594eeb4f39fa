"""The vector-quantized variational autoencoder."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.likelihoods import Bernoulli
from genlit.likelihoods import Law as Likelihood
from genlit.model import GenerativeModel
from genlit.networks import GridDecoder, GridEncoder, Network
from genlit.protocols import (
    Batch,
    Bounded,
    Denoises,
    Density,
    Encodes,
    Reconstructs,
    Samples,
    require,
)
from genlit.randomness import isolated
from genlit.vae.codebook import Codebook, perplexity


class IndependentCodes(nn.Module):
    """Codes that know nothing of each other: a probability of each of them at each place.

    Args:
        shape: The shape of the grid of codes, whose values are 0, 1/(size - 1), ..., 1.
        size: The number of codes.
    """

    def __init__(self, shape: Sequence[int], size: int) -> None:
        super().__init__()
        self.shape, self.size = tuple(shape), size
        self.logits = nn.Parameter(torch.zeros(*shape, size))

    def log_prob(self, x: Tensor) -> Tensor:
        k = (x * (self.size - 1)).round().long()
        log_p = self.logits.log_softmax(-1).expand(len(x), *self.logits.shape)
        return log_p.gather(-1, k[..., None]).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        flat = self.logits.softmax(-1).flatten(0, -2)
        k = torch.multinomial(flat, n, replacement=True).mT
        return k.view(n, *self.shape).to(self.logits) / (self.size - 1)

    log_density = Density.log_density
    require_tractable = Density.require_tractable


class VQVAE(GenerativeModel, Samples, Bounded, Encodes, Reconstructs, Denoises):
    """Vector-quantized variational autoencoder: an image is a grid of codes, of a finite number.

    Networks, codes and the density of codes learn together. The encoder chooses one code at each
    place, so that log p(x) is at least log p(x | codes) + log p(codes), in nats; the loss is minus
    that, and the commitment of the encoder to the vectors it chose. The density of codes sees them
    as grey levels, each k of K as k / (K - 1): genlit.autoregressive.PixelCNN with the law
    genlit.likelihoods.Categorical of K levels is the customary one.

    References:
        | Neural Discrete Representation Learning (van den Oord, Vinyals & Kavukcuoglu, 2017)
        | https://arxiv.org/abs/1711.00937

    Args:
        shape: The shape of one event, an image whose sides are multiples of 4.
        size: The number of codes, K, 2 to 256.
        width: Entries of the vector that a code stands for.
        encoder: Builds the network from images to grids of vectors.
        decoder: Builds the network from these to the numbers of p(x | codes).
        likelihood: The law of pixels given these.
        prior: Builds the density of codes from the shape of their grid, (1, height, width); None
            takes codes that know nothing of each other.
        commitment: The weight of the squared distance of the encoder's vectors from the codes'.
        decay: The weight of what was, in the moving averages that the codes' vectors are.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        size: int = 64,
        width: int = 16,
        encoder: Network = GridEncoder,
        decoder: Network = GridDecoder,
        likelihood: Likelihood = Bernoulli,
        prior: Callable[[Sequence[int]], nn.Module] | None = None,
        commitment: float = 0.25,
        decay: float = 0.99,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        _check(self.shape, size)
        grid = (self.shape[1] // 4, self.shape[2] // 4)
        self.size, self.width, self.grid = size, width, grid
        self.commitment, self.lr_decay = commitment, lr_decay
        self.observation = likelihood(self.shape)
        self.binary = self.observation.levels == 2
        self.encoder = encoder(self.shape, (width, *grid))
        self.decoder = decoder((width, *grid), self.observation.outputs)
        self.codebook = Codebook(size, width, decay)
        self.prior = IndependentCodes((1, *grid), size) if prior is None else prior((1, *grid))
        for protocol in (Density, Samples):
            require(self.prior, "codes", protocol)

    def on_fit_start(self) -> None:
        """Refuses data, and a density of codes, of other values."""
        super().on_fit_start()
        data: Any = getattr(self.trainer, "datamodule", None)
        self.observation.check(getattr(data, "protocol", ""))
        assert isinstance(self.prior, Samples)
        with isolated("codes"):
            places = self.prior.sample(1) * (self.size - 1)
        if ((places - places.round()).abs() > 1e-3).any():
            raise ValueError(
                f"the prior draws other values than {self.size} codes: give it the law "
                f"genlit.likelihoods.Categorical with levels {self.size}"
            )

    # Learning

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = batch["x"]
        points = self.encoder(x)
        if self.training:
            self.codebook.follow(self._listed(points.detach()))
        codes = self.codebook(self._listed(points))
        vectors = self.vectors(codes.view(len(x), *self.grid))
        passed = points + (vectors - points).detach()  # the decoder's gradient, straight through
        reconstruction = -self.observation.log_prob(self.decoder(passed), x).mean()
        distance = (points - vectors).square().flatten(1).sum(1).mean()
        of_codes = -self.log_prior(codes.view(len(x), *self.grid)).mean()
        return {
            "loss": reconstruction + of_codes + self.commitment * distance,
            "reconstruction": reconstruction,
            "codes": of_codes,
            "commitment": distance,
            "perplexity": perplexity(codes, self.size),
        }

    def vectors(self, codes: Tensor) -> Tensor:
        """The vectors of codes (B, h, w); (B, width, h, w)."""
        return self.codebook.vectors[codes].movedim(-1, 1)

    def codes(self, x: Tensor) -> Tensor:
        """The codes of events, (B, h, w) of integers."""
        points = self.encoder(x)
        return self.codebook(self._listed(points)).view(len(x), *self.grid)

    def log_prior(self, codes: Tensor) -> Tensor:
        """Log p(codes) in nats of grids (B, h, w); (B,)."""
        assert isinstance(self.prior, Density)
        return self.prior.log_prob(codes[:, None].float() / (self.size - 1))

    def _listed(self, points: Tensor) -> Tensor:
        """Vectors in a grid (B, width, h, w), one after the other: (B * h * w, width)."""
        return points.movedim(1, -1).flatten(0, 2)

    # What the model can be asked

    @torch.no_grad()
    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        """Log p(x | codes) + log p(codes) of the codes chosen; more samples do not tighten it."""
        codes = self.codes(x)
        log_p = self.observation.log_prob(self.decoder(self.vectors(codes)), x)
        return (log_p + self.log_prior(codes)).double()

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels given codes drawn from their density."""
        assert isinstance(self.prior, Samples)
        codes = (self.prior.sample(n)[:, 0] * (self.size - 1)).round().long()
        return self.observation.mean(self.decoder(self.vectors(codes)))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The vectors of the codes of x, (B, width * h * w)."""
        return self.vectors(self.codes(x)).flatten(1)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Expected pixels given the codes nearest to vectors (B, width * h * w)."""
        points = z.view(len(z), self.width, *self.grid)
        codes = self.codebook(self._listed(points)).view(len(z), *self.grid)
        return self.observation.mean(self.decoder(self.vectors(codes)))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    denoise = reconstruct


def _check(shape: Sequence[int], size: int) -> None:
    """Refuses what has no grid of codes.

    Raises:
        ValueError: If the events are no images, or codes too few or too many.
    """
    if len(shape) != 3 or shape[1] % 4 or shape[2] % 4:
        raise ValueError(
            f"VQVAE needs images (channels, height, width) with sides that are multiples of 4, not "
            f"{tuple(shape)}"
        )
    if not 2 <= size <= 256:
        raise ValueError(f"size is {size}: codes are 2 to 256")
