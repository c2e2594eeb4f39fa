"""Penalties on the slope of the discriminator, which keep the game from running away.

Each is a mean over events of a function of ‖∇_x l(x)‖, the norm of the gradient of an event's logit
by that event. Norms are of one event each: those of others in the batch never enter. Gradients are
taken in float32 whatever the precision of the run.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

TINY = 1e-12  # under the root of a squared norm, whose derivative is infinite at 0

Critic = Callable[[Tensor], Tensor]  # from events (B, *shape) to their logits (B,)


class Seen(NamedTuple):
    """Events that the discriminator was shown, and what it said."""

    x: Tensor  # (B, *shape), by which the logits can be differentiated if a penalty does so
    logits: Tensor  # (B,)
    critic: Critic  # answers to others of the same kind


def squared_slopes(seen: Seen) -> Tensor:
    """‖∇_x l(x)‖² of each event, (B,) float32, differentiable by the critic's parameters."""
    if torch.is_autocast_enabled(seen.x.device.type):  # then the logits are not of float32
        return squared_slopes_at(seen.critic, seen.x)
    return _squared_norms(seen.x, seen.logits)


def squared_slopes_at(critic: Critic, x: Tensor) -> Tensor:
    """‖∇_x l(x)‖² at events that the discriminator has not been shown yet, (B,) float32."""
    with torch.autocast(x.device.type, enabled=False):
        x = x.detach().to(torch.promote_types(x.dtype, torch.float32)).requires_grad_()
        return _squared_norms(x, critic(x))


def _squared_norms(x: Tensor, logits: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


class Penalty(ABC):
    """What is added to the discriminator's cost. A base class, since the config chooses.

    Args:
        weight: The coefficient.
        every: Adds it to every so many of the discriminator's steps, so many times as heavily.
    """

    at_real: ClassVar[bool] = True  # whether it differentiates what was said of real events,
    at_fake: ClassVar[bool] = True  # or of generated ones; either costs time

    def __init__(self, weight: float, every: int) -> None:
        if weight < 0 or every < 1:
            raise ValueError(
                f"a penalty's weight is {weight} and every {every}: not below 0, and 1 or more"
            )
        self.weight, self.every = weight, every

    def due(self, step: int) -> bool:
        """Whether it is added to the cost of a step, of which the first is 0."""
        return step % self.every == 0

    def __call__(self, real: Seen, fake: Seen) -> Tensor:
        """What is added where it is due, a scalar."""
        return self.weight * self.every * self.mean(real, fake)

    @abstractmethod
    def mean(self, real: Seen, fake: Seen) -> Tensor:
        """Returns its mean over events, without the weight; a scalar."""


class R1(Penalty):
    """Half the mean squared slope at real events: the game then converges locally.

    References:
        | Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018)
        | https://arxiv.org/abs/1801.04406

    Args:
        weight: The coefficient, γ in the paper.
        every: Adds it to every so many of the discriminator's steps, so many times as heavily.
    """

    at_fake = False

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def mean(self, real: Seen, fake: Seen) -> Tensor:
        return squared_slopes(real).mean() / 2


class R2(Penalty):
    """Half the mean squared slope at generated events.

    References:
        | Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018)
        | https://arxiv.org/abs/1801.04406

    Args:
        weight: The coefficient, γ in the paper.
        every: Adds it to every so many of the discriminator's steps, so many times as heavily.
    """

    at_real = False

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def mean(self, real: Seen, fake: Seen) -> Tensor:
        return squared_slopes(fake).mean() / 2


class GradientPenalty(Penalty):
    """Mean squared distance of slopes from a target, on lines between real and generated events.

    Each event has a place of its own on its line. With a target of 1 it is that of WGAN-GP; with 0
    the game converges as with R1.

    References:
        | Improved Training of Wasserstein GANs (Gulrajani et al., 2017)
        | Improving Generalization and Stability of Generative Adversarial Networks (Thanh-Tung,
        | Tran & Venkatesh, 2019), for a target of 0

    Args:
        weight: The coefficient, λ in the paper.
        target: The slope that is wanted.
        one_sided: Whether smaller slopes than that are as good.
        every: Adds it to every so many of the discriminator's steps, so many times as heavily.
    """

    at_real = at_fake = False  # it asks at places of its own

    def __init__(
        self, weight: float = 10.0, target: float = 1.0, one_sided: bool = False, every: int = 1
    ) -> None:
        super().__init__(weight, every)
        self.target, self.one_sided = target, one_sided

    def mean(self, real: Seen, fake: Seen) -> Tensor:
        a = real.x.detach()
        b = fake.x.detach().to(a)  # which may be of bfloat16
        return self.excess(real.critic, torch.lerp(a, b, share_of_each(a)))

    def excess(self, critic: Critic, x: Tensor) -> Tensor:
        """Mean squared distance of slopes at x from the target."""
        distance = (squared_slopes_at(critic, x) + TINY).sqrt() - self.target
        return (distance.relu() if self.one_sided else distance).square().mean()


class DRAGAN(GradientPenalty):
    """The same around real events: at places between them and noisy ones.

    References:
        | On Convergence and Stability of GANs (Kodali et al., 2017)
        | https://arxiv.org/abs/1705.07215

    Args:
        weight: The coefficient, λ in the paper.
        target: The slope that is wanted, k in the paper.
        scale: The largest noise, in standard deviations of a batch's pixels.
        every: Adds it to every so many of the discriminator's steps, so many times as heavily.
    """

    def __init__(
        self, weight: float = 10.0, target: float = 1.0, scale: float = 0.5, every: int = 1
    ) -> None:
        super().__init__(weight, target, False, every)
        self.scale = scale

    def mean(self, real: Seen, fake: Seen) -> Tensor:
        x = real.x.detach()
        return self.excess(
            real.critic, x + share_of_each(x) * self.scale * x.std() * torch.rand_like(x)
        )


def share_of_each(x: Tensor) -> Tensor:
    """A number from [0, 1) for each event, (B, 1, ...)."""
    return torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device, dtype=x.dtype)


def due_penalties(penalties: Sequence[Penalty], step: Tensor) -> list[Penalty]:
    """Those to be added at a step of the discriminator."""
    now = int(step) if penalties else 0  # reading it waits for the device
    return [penalty for penalty in penalties if penalty.due(now)]
