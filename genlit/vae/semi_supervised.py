"""The VAE of events whose classes are known of a few: M2."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.likelihoods import Bernoulli
from genlit.likelihoods import Law as Likelihood
from genlit.model import GenerativeModel
from genlit.networks import MLP, Network
from genlit.protocols import (
    Batch,
    Bounded,
    Classifies,
    Conditional,
    Encodes,
    Generates,
    Reconstructs,
    Samples,
    labelled_pairs,
)
from genlit.vae.class_layer import ClassLayer
from genlit.vae.vae import chunk_of


class SemiSupervisedVAE(
    GenerativeModel, Samples, Bounded, Conditional, Generates, Encodes, Reconstructs, Classifies
):
    """M2: p(x) = Σ_y p(y) ∫ p(x | y, z) p(z) dz of events whose classes y are known of a few.

    Of labelled events it raises a bound of log p(x, y). Of the others it raises one of log p(x), a
    sum over all that y may be, weighed by a classifier q(y | x), which so learns from them, too.
    The loss in nats per event is

        -(1 - share) E_x[U(x)] - share E_(x, y)[L(x, y)] - weight E_(x, y)[log q(y | x)]

    In the paper it is a sum over all N events, labelled or not, so that `weight` is α / N and
    `share` is that of the labelled ones among the N.

    References:
        | Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014)
        | https://arxiv.org/abs/1406.5298

    Args:
        shape: The shape of one event.
        classes: The number of classes.
        latent: The number of latent variables, z.
        weight: The weight of the classifier's cross-entropy on labelled events; the paper's α is so
            many times N.
        share: The weight of the labelled events' bound, that of the others being 1 less it.
        least: Classes that the classifier gives a smaller probability are left out of the sum,
            which saves time, and remains a bound; 0 leaves none out.
        features: Numbers that the encoder puts out for an event, to which its class is added.
        classifier: Builds the network from events to the logits of q(y | x).
        encoder: Builds the network from events to features, of which q(z | x, y) is made.
        decoder: Builds the network from a code and a class to the numbers of p(x | y, z).
        likelihood: The law of pixels given these.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 10,
        latent: int = 50,
        weight: float = 0.1,
        share: float = 0.0,
        least: float = 0.0,
        features: int = 500,
        classifier: Network = MLP,
        encoder: Network = MLP,
        decoder: Network = MLP,
        likelihood: Likelihood = Bernoulli,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        require_weights(weight, share)
        self.layer = ClassLayer(
            self.shape, classes, latent, features, least, classifier, encoder, decoder, likelihood
        )
        self.weight, self.share, self.lr_decay = weight, share, lr_decay
        self.binary = self.layer.observation.levels == 2

    def on_fit_start(self) -> None:
        """Refuses data that the law of pixels is not made for."""
        super().on_fit_start()
        data = getattr(self.trainer, "datamodule", None)
        self.layer.observation.check(getattr(data, "protocol", ""))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        pairs = labelled_pairs(batch, self.layer.classes)
        return self.layer.terms(batch["x"], *pairs, self.share, self.weight)

    # What the model can be asked

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Log q(y | x), (B, classes)."""
        return self.layer.log_q(x)

    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        """The importance-weighted bound, with so many samples for each class."""
        return self.layer.log_prob_estimate(x, samples, chunk_of(x))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels of codes from the prior, of one class after the other."""
        return self.decode(self.draw_codes(n))

    @torch.no_grad()
    def draw_codes(self, n: int) -> Tensor:
        """Draws z from the prior followed by one class after the other, (n, latent + classes)."""
        return self.layer.draw_codes(self.layer.in_turn(n))

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Expected pixels of one code from the prior for each class (B, classes), one-hot."""
        return self.decode(self.layer.draw_codes(condition))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z | x, y) followed by y, the most probable class; (B, latent + classes)."""
        labels = torch.eye(self.layer.classes, device=x.device)[self.layer.log_q(x).argmax(1)]
        z = self.layer.recognition(self.layer.encoder(x), labels).mean
        return torch.cat([z, labels.to(z)], -1)

    def decode(self, z: Tensor) -> Tensor:
        """Expected pixels of codes followed by classes, (B, latent + classes); these may mix."""
        return self.layer.observation.mean(self.layer.decoder(z))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def require_weights(weight: float, share: float) -> None:
    """Makes sure that an objective has weights that it can have.

    Raises:
        ValueError: If it has not.
    """
    if weight < 0 or not 0 <= share <= 1:
        raise ValueError(
            f"weight is {weight} and share {share}: weight is 0 or more, share from 0 to 1"
        )
