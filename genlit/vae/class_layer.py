"""A layer of classes and codes: events of classes that are known of a few of them only."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from genlit.likelihoods import Law as Likelihood
from genlit.likelihoods import Observation
from genlit.networks import Network
from genlit.vae.classes import candidates, marginal_bound
from genlit.vae.gaussian import kl_to_standard, log_normal
from genlit.vae.objectives import Terms, importance_bound
from genlit.vae.posteriors import Diagonal, require_latent


class ClassLayer(nn.Module):
    """p(x) = Σ_y p(y) ∫ p(x | y, z) p(z) dz, with q(y | x), a classifier, and q(z | x, y).

    Classes y are as probable as each other, codes z standard normal. The encoder sees an event
    once, whatever the number of classes: these are added to its features.

    Args:
        shape: The shape of one event.
        classes: The number of classes.
        latent: The number of latent variables, z.
        features: Numbers that the encoder puts out for an event.
        least: Classes that the classifier gives a smaller probability are left out of the sum over
            classes, which remains a bound; 0 leaves none out.
        classifier: Builds the network from events to the logits of q(y | x).
        encoder: Builds the network from events to features.
        decoder: Builds the network from a code and a class to the numbers of p(x | y, z).
        likelihood: The law of entries given these.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int,
        latent: int,
        features: int,
        least: float,
        classifier: Network,
        encoder: Network,
        decoder: Network,
        likelihood: Likelihood,
    ) -> None:
        super().__init__()
        require_latent(latent)
        if classes < 2 or features < 1 or not 0 <= least < 1:
            raise ValueError(
                f"classes is {classes}, features {features} and least {least}: they are 2 or more, "
                "1 or more, and a probability below 1"
            )
        self.classes, self.latent, self.least = classes, latent, least
        self.observation: Observation = likelihood(shape)
        self.classifier = classifier(shape, (classes,))
        self.encoder = encoder(shape, (features,))
        self.of_class = nn.Linear(classes, features, bias=False)
        self.code = nn.Linear(features, 2 * latent)
        self.decoder = decoder((latent + classes,), self.observation.outputs)

    # Learning

    def terms(
        self, x: Tensor, labelled: Tensor, labels: Tensor, share: float, weight: float
    ) -> dict[str, Tensor]:
        """Scalars to log, means over events in nats; the one under "loss" is minimized.

        Args:
            x: Events of unknown classes, (B, *shape).
            labelled: Events of known ones, (L, *shape).
            labels: Their classes, (L, classes), one-hot.
            share: The weight of the labelled events' bound, that of the others being 1 less it.
            weight: That of the classifier's cross-entropy.
        """
        unlabelled, known = self.bound(x).mean(), self.bound_given(labelled, labels).mean()
        logits = self.classifier(labelled)
        surprise = nnf.cross_entropy(logits, labels)
        loss = weight * surprise - (1 - share) * unlabelled - share * known
        found = {"unlabelled_bound": unlabelled, "labelled_bound": known, "surprise": surprise}
        return {"loss": loss, **found, "error": error(logits, labels)}

    def bound(self, x: Tensor) -> Tensor:
        """A stochastic bound of log p(x), in which q(y | x) learns, too; (B,) nats."""
        pairs = candidates(self.log_q(x), self.least)
        labels = torch.eye(self.classes, device=x.device)[pairs.label]
        of_pairs = self._bound_given(x[pairs.event], self.encoder(x)[pairs.event], labels)
        return marginal_bound(pairs, of_pairs)

    def bound_given(self, x: Tensor, labels: Tensor) -> Tensor:
        """A stochastic bound of log p(x, y) of classes (B, classes), one-hot; (B,) nats."""
        return self._bound_given(x, self.encoder(x), labels)

    def _bound_given(self, x: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        q = self.recognition(features, labels)
        z = q.draw(1)[0]
        log_likelihood = self.log_likelihood(x, z, labels)[0]
        return log_likelihood - kl_to_standard(q.mean, q.log_std) - math.log(self.classes)

    # Parts of the model

    def log_q(self, x: Tensor) -> Tensor:
        """Log q(y | x) in nats, (B, classes)."""
        return self.classifier(x).log_softmax(1)

    def recognition(self, features: Tensor, labels: Tensor) -> Diagonal:
        """q(z | x, y), from features (B, features) of events and classes (B, classes)."""
        h = nnf.silu(features + self.of_class(labels.to(features)))
        return Diagonal(*self.code(h).chunk(2, -1))

    def output(self, z: Tensor, labels: Tensor) -> Tensor:
        """The numbers of p(x | y, z) of codes (*S, latent) and classes (*S, classes)."""
        told = torch.cat([z, labels.to(z)], -1)
        return self.decoder(told.flatten(0, -2)).unflatten(0, told.shape[:-1])

    def log_likelihood(self, x: Tensor, z: Tensor, labels: Tensor) -> Tensor:
        """Log p(x | y, z) in nats of events (B, *shape) given z (S, B, latent); (S, B)."""
        return self.observation.log_prob(self.output(z, labels.expand(len(z), -1, -1)), x)

    def every_label(self, n: int) -> Tensor:
        """Labels of n events of each class, (classes, n, classes), one-hot."""
        return torch.eye(self.classes, device=self.code.weight.device)[:, None].expand(-1, n, -1)

    def in_turn(self, n: int) -> Tensor:
        """Labels of n events of one class after the other, (n, classes), one-hot."""
        rounds = math.ceil(n / self.classes)
        return self.every_label(rounds).transpose(0, 1).flatten(0, 1)[:n]

    # What it can be asked

    def log_prob_estimate(self, x: Tensor, samples: int, chunk: int) -> Tensor:
        """The logarithm of an unbiased estimate of p(x), by all classes; (B,) nats, float64.

        Args:
            x: Events, (B, *shape).
            samples: Codes of each class.
            chunk: How many of them are decoded at once.
        """
        features = self.encoder(x)
        found = [
            importance_bound(self._weights(x, features, labels), samples, chunk)
            for labels in self.every_label(len(x))
        ]
        return torch.stack(found).logsumexp(0) - math.log(self.classes)

    def _weights(self, x: Tensor, features: Tensor, labels: Tensor) -> Terms:
        return Terms(
            q=self.recognition(features, labels),
            log_likelihood=lambda z: self.log_likelihood(x, z, labels),
            log_prior=lambda z: log_normal(z, 0.0, 0.0),
            standard=True,
            exact=True,
        )

    def draw_codes(self, labels: Tensor) -> Tensor:
        """Draws z from its prior for each class (n, classes), and appends that."""
        z = torch.randn(len(labels), self.latent, device=labels.device)
        return torch.cat([z, labels.to(z)], -1)


def error(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of events that are taken for another class than theirs, a scalar."""
    return (logits.detach().argmax(1) != labels.argmax(1)).float().mean()
