"""What each player lowers in its turn, whatever the game is for."""

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genlit.gan.costs import Cost
from genlit.gan.discriminator import Discriminator
from genlit.gan.matching import FeatureMatching, Listener
from genlit.gan.penalties import Penalty
from genlit.model import unmoved
from genlit.trainer_options import normalizes_batches


class Shown(NamedTuple):
    """Events that the discriminator is shown."""

    x: Tensor  # (B, *shape)
    condition: Tensor | None = None  # (B, numbers), what they are of


def discriminator_terms(
    judge: Discriminator, cost: Cost, penalties: Sequence[Penalty], real: Shown, fake: Shown
) -> dict[str, Tensor]:
    """The discriminator's cost, the mean logit of either kind, and how often it is right.

    Args:
        judge: The discriminator.
        cost: What it lowers.
        penalties: Those that are due at this step.
        real: Events of the data.
        fake: Generated ones.
    """
    seen_real, of_real = judge.seen(*real, any(p.at_real for p in penalties))
    seen_fake, of_fake = judge.seen(*fake, any(p.at_fake for p in penalties))
    loss = cost.discriminator(of_real.logits, of_fake.logits)
    for penalty in penalties:
        loss = loss + penalty(seen_real, seen_fake)
    if judge.head.tells_of_real:
        loss = loss + judge.surprise(of_real, real.condition)
    loss = loss + judge.surprise(of_fake, fake.condition)
    logits = of_real.logits.detach(), of_fake.logits.detach()
    real_accuracy, fake_accuracy = cost.accuracies(*logits)
    return {
        "discriminator_loss": loss,
        "real_logit": logits[0].mean(),
        "fake_logit": logits[1].mean(),
        "real_accuracy": real_accuracy,
        "fake_accuracy": fake_accuracy,
    }


def generator_loss(
    judge: Discriminator,
    cost: Cost,
    matching: FeatureMatching | None,
    real: Shown,
    fake: Shown,
) -> Tensor:
    """The generator's cost; a scalar.

    Args:
        judge: The discriminator, whose buffers keep no trace of real events.
        cost: What the generator lowers.
        matching: Feature matching, in place of the cost or beside it.
        real: Events of the data.
        fake: Generated ones, which the cost is differentiable by.
    """
    with Listener(judge) if matching else nullcontext([]) as heard:
        # Real ones first: gradients of the others need the buffers as their own pass left them.
        of_real = _logits(judge, real) if matching or cost.compares else None
        of_fake = judge(*fake)
    matched = matching(*heard) if matching else 0.0
    alone = matching is not None and matching.alone
    loss = matched if alone else cost.generator(of_fake.logits, of_real) + matched
    return torch.as_tensor(loss + judge.surprise(of_fake, fake.condition))


@torch.no_grad()
def _logits(judge: Discriminator, events: Shown) -> Tensor:
    with unmoved(judge):
        return judge(*events).logits


def warn_of_penalties(penalties: Sequence[Penalty], discriminator: nn.Module) -> None:
    """Warns where penalties of single events meet batch normalization."""
    if penalties and normalizes_batches(discriminator):
        warnings.warn(
            "the discriminator normalizes batches, so that a penalty on its slope at one event "
            "is of the others, too: take a network without batch normalization",
            stacklevel=3,
        )
