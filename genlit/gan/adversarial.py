"""The adversarial loss of a translation: an opponent that tells answers from truths."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional as nnf

from genlit.gan.clipping import WeightClipping
from genlit.gan.costs import Cost, NonSaturatingCost
from genlit.gan.discriminator import Discriminator
from genlit.gan.heads import Unconditional
from genlit.gan.matching import FeatureMatching
from genlit.gan.optimizer import GANAdam
from genlit.gan.penalties import Penalty, due_penalties
from genlit.gan.turns import Shown, discriminator_terms, generator_loss, warn_of_penalties
from genlit.gan.views import View
from genlit.losses import Opponent
from genlit.networks import DCGANDiscriminator, Network


class Adversarial(Opponent):
    """Judges answers by a discriminator that learns meanwhile to tell them from truths.

    A discriminator may put out one logit an event, or a map of logits of its patches; costs are
    means over all of them. It sees the condition, too, as further channels beside the event.

    References:
        | Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017)
        | https://arxiv.org/abs/1611.07004

    Args:
        weight: The coefficient in the sum of losses.
        cost: What both lower: MinimaxCost, NonSaturatingCost, LeastSquaresCost, WassersteinCost,
            HingeCost, RelativisticCost or RelativisticAverageCost.
        discriminator: Builds the network from events and their conditions to logits.
        sees_condition: Whether it is shown what the event is made from, brought to its size.
        penalties: What is added to the discriminator's cost: R1, R2, GradientPenalty, DRAGAN.
        views: What it is shown in place of events: InstanceNoise, DiffAugment,
            AdaptiveAugmentation.
        matching: Feature matching, in place of the network's cost or beside it.
        clipping: Weight clipping of the discriminator.
        optimizer: Builds the discriminator's optimizer from its parameters.
    """

    steps: Tensor

    def __init__(
        self,
        weight: float = 1.0,
        cost: Cost = NonSaturatingCost(),  # noqa: B008 - it has no state
        discriminator: Network = DCGANDiscriminator,
        sees_condition: bool = True,
        penalties: Sequence[Penalty] = (),
        views: Sequence[View] = (),
        matching: FeatureMatching | None = None,
        clipping: WeightClipping | None = None,
        optimizer: OptimizerCallable = GANAdam,
    ) -> None:
        super().__init__(weight, optimizer)
        self.cost, self.network, self.sees_condition = cost, discriminator, sees_condition
        self.penalties, self.views = list(penalties), list(views)
        self.matching, self.clipping = matching, clipping
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def build(self, shape: Sequence[int], condition_shape: Sequence[int]) -> None:
        channels = shape[0] + (condition_shape[0] if self.sees_condition else 0)
        head = Unconditional(self.network, (channels, *shape[1:]))
        self.discriminator = Discriminator(head, self.views)
        warn_of_penalties(self.penalties, self.discriminator)

    def forward(self, answer: Tensor, truth: Tensor, condition: Tensor) -> Tensor:
        """What the network lowers to look real."""
        real, fake = (Shown(self._shown(x, condition)) for x in (truth, answer))
        return generator_loss(self.discriminator, self.cost, self.matching, real, fake)

    def terms(self, answer: Tensor, truth: Tensor, condition: Tensor) -> dict[str, Tensor]:
        real, fake = (Shown(self._shown(x, condition)) for x in (truth, answer))
        due = due_penalties(self.penalties, self.steps)
        return discriminator_terms(self.discriminator, self.cost, due, real, fake)

    def after_step(self, accuracy: Tensor, n: int) -> None:
        self.steps += 1
        if self.clipping is not None:
            self.clipping(self.discriminator, int(self.steps))
        self.discriminator.adapt(accuracy, n)

    def opinion(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        logits, slopes = self.discriminator.opinion(self._shown(x, condition), None)
        return logits.view(len(slopes), -1).mean(1), slopes

    def _shown(self, x: Tensor, condition: Tensor) -> Tensor:
        """Events with what they are made from beside them, (B, channels, *side)."""
        if not self.sees_condition:
            return x
        if condition.shape[2:] != x.shape[2:]:
            condition = nnf.interpolate(condition, x.shape[2:], mode="bilinear")
        return torch.cat([x, condition.to(x)], 1)
