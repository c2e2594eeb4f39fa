"""M1 + M2: a semi-supervised VAE on the codes of another VAE."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlit.likelihoods import Normal
from genlit.networks import MLP, Network
from genlit.protocols import Conditional
from genlit.vae.class_layer import ClassLayer
from genlit.vae.latent_classifier import LatentClassifier
from genlit.vae.semi_supervised import require_weights


class StackedVAE(LatentClassifier, Conditional):
    """M1 + M2: a VAE learns codes of all events, and then a semi-supervised VAE learns those codes.

    One run trains both. In its first epochs the VAE, M1, learns from events without their labels;
    then it stays as it is, and M2 (see SemiSupervisedVAE) learns from codes drawn from q(z | x) at
    every visit, of labelled and other events. M2 takes the place of the prior of codes, so that
    both are one model of events, which can be sampled given a class.

    References:
        | Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014)
        | https://arxiv.org/abs/1406.5298

    Args:
        shape: The shape of one event.
        latent: The number of M2's latent variables.
        weight: The weight of the classifier's cross-entropy; see SemiSupervisedVAE.
        share: The weight of the labelled events' bound; see SemiSupervisedVAE.
        least: The least probability of a class that the sum over classes takes notice of.
        features: Numbers that M2's encoder puts out for a code, to which its class is added.
        top_encoder: Builds M2's network from codes to features.
        top_decoder: Builds M2's network from its own codes and classes to the law of M1's codes.
        **options: All that LatentClassifier takes; its classifier is q(y | z), and its prior
            that of codes until M2 takes its place.
    """

    top: ClassLayer

    def __init__(
        self,
        shape: Sequence[int],
        latent: int = 50,
        weight: float = 0.1,
        share: float = 0.0,
        least: float = 0.0,
        features: int = 300,
        top_encoder: Network = MLP,
        top_decoder: Network = MLP,
        **options: Any,
    ) -> None:
        require_weights(weight, share)
        super().__init__(shape, **options)
        self.weight, self.share = weight, share
        classifier = self.top
        self.top = ClassLayer(
            (self.codes,), self.classes, latent, features, least, lambda *_: classifier,
            top_encoder, top_decoder, Normal,
        )  # fmt: skip

    def second(self, z: Tensor, known: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return self.top.terms(z, known, labels, self.share, self.weight)

    def log_prior(self, z: Tensor) -> Tensor:
        """By M2 once it has begun to learn; till then codes are standard normal."""
        if not self.stage:
            return super().log_prior(z)
        flat = z.flatten(0, 1)
        return self.top.log_prob_estimate(flat, 1, 1).view(z.shape[:2]).to(z)

    def require_known_prior(self) -> None:
        """Makes sure that M2 does not learn yet, whose density of codes is only estimated."""
        super().require_known_prior()
        if self.stage:
            raise ValueError(
                "StackedVAE only estimates log p(z), and annealing needs it itself: use "
                "genlit.estimators.LowerBound"
            )

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Log q(y | z) at the mean z of each event's code, (B, classes)."""
        return self.top.log_q(self.encode(x))

    @torch.no_grad()
    def draw_codes(self, n: int) -> Tensor:
        """Draws codes of one class after the other, once M2 has begun to learn; (n, codes)."""
        return self._codes_given(self.top.in_turn(n)) if self.stage else super().draw_codes(n)

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Expected pixels of one code of M1 for each class (B, classes), one-hot."""
        return self.decode(self._codes_given(condition))

    def _codes_given(self, labels: Tensor) -> Tensor:
        """Draws a code of M1 for each class (n, classes), one-hot; (n, codes)."""
        return self.top.observation.sample(self.top.decoder(self.top.draw_codes(labels)))
