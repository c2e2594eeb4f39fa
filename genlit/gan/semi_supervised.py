"""GANs whose discriminator is a classifier: events of classes that are known of a few."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as nnf

from genlit.gan.conditions import Nothing
from genlit.gan.discriminator import Discriminator
from genlit.gan.ema import average, newest_share, twin
from genlit.gan.gan import GAN
from genlit.gan.heads import ClassLogits, Head
from genlit.gan.matching import FeatureMatching
from genlit.model import evaluating
from genlit.networks import BatchNormMLP, Network, NoisyMLP
from genlit.protocols import Batch, Classifies, labelled_pairs


class SemiSupervisedGAN(GAN, Classifies):
    """Semi-supervised GAN: the discriminator tells K classes of real events, and generated ones.

    Its K logits are those of a softmax of K + 1 classes whose last logit, "generated", is fixed at
    0: an event is real with the log-odds logsumexp of the K. So from labelled events it learns the
    class, from others that they are of one of the classes, and from generated ones that they are of
    none. The generator matches its features, which makes samples that are not the best to look at,
    and a better classifier. Events are classified by a running average of its weights.

    References:
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 5
        | https://arxiv.org/abs/1606.03498

    Args:
        shape: The shape of one event.
        classes: The number of classes.
        weight: The weight of the classifier's cross-entropy on labelled events, beside the cost;
            in the paper, whose cost is halved, it is 2.
        average_decay: The average of the discriminator's weights forgets by this factor a step.
        generator: Builds the network from latent variables to the log-odds of pixels.
        discriminator: Builds the network from events to the logits of classes.
        matching: Feature matching, in place of the generator's cost or beside it; null has none.
        **options: All that GAN takes.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 10,
        weight: float = 2.0,
        average_decay: float = 0.999,
        generator: Network = BatchNormMLP,
        discriminator: Network = NoisyMLP,
        matching: FeatureMatching | None = FeatureMatching(),  # noqa: B008 - it has no state
        **options: Any,
    ) -> None:
        if classes < 2 or weight < 0 or not 0 < average_decay < 1:
            raise ValueError(
                f"classes is {classes}, weight {weight} and average_decay {average_decay}: they "
                "are 2 or more, 0 or more, and between 0 and 1"
            )
        if options.get("packing", 1) > 1:
            raise ValueError("packs of events have no common class: set model.packing to 1")
        super().__init__(
            shape, generator=generator, discriminator=discriminator, matching=matching,
            condition=HiddenClass(classes), **options,
        )  # fmt: skip
        self.classes, self.weight, self.average_decay = classes, weight, average_decay
        self.averaged_discriminator = cast(Discriminator, twin(self.discriminator))

    def discriminator_terms(self, share: Batch) -> dict[str, Tensor]:
        """Those of the game, and the classifier's cross-entropy in nats."""
        terms = super().discriminator_terms(share)
        x, labels = labelled_pairs(share, self.classes)
        logits = self.discriminator(x).told
        surprise = nnf.cross_entropy(logits, labels)
        terms["discriminator_loss"] = terms["discriminator_loss"] + self.weight * surprise
        wrong = (logits.detach().argmax(1) != labels.argmax(1)).float().mean()
        return terms | {"surprise": surprise, "error": wrong}

    def after_discriminator(self, terms: dict[str, Tensor], n: int) -> None:
        """Moves the average of its weights on, too."""
        super().after_discriminator(terms, n)
        newest = newest_share(self.average_decay, 0.0, self.discriminator_updates)
        average(self.averaged_discriminator, self.discriminator, newest)

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Log p(class | x), given that x is real, by the averaged discriminator; (B, classes)."""
        with evaluating(self.averaged_discriminator):
            told = self.averaged_discriminator.head(x, None).told
        assert told is not None
        return told.log_softmax(1)


class HiddenClass(Nothing):
    """Generated events are of nothing in particular, real ones of a class that is told of a few.

    Args:
        classes: The number of classes.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def head(self, network: Network, shape: Sequence[int]) -> Head:
        return ClassLogits(network, shape, self.classes)
