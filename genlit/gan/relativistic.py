"""Costs of how much more real an event looks than another, of the opposite kind.

Both players' costs depend on logits of real and generated events together, so that the generator
cannot lower its own by raising logits of everything alike.
"""

from torch import Tensor
from torch.nn import functional as nnf

from genlit.gan.costs import Cost, beyond_mean


def paired(more: Tensor, less: Tensor) -> Tensor:
    """Mean of -log σ(more - less) over pairs of logits (B,), in nats."""
    return nnf.softplus(less - more).mean()


def against_mean(more: Tensor, less: Tensor) -> Tensor:
    """Cross-entropy where logits are judged by their distance from the other kind's mean, nats."""
    return nnf.softplus(less.mean() - more).mean() + nnf.softplus(less - more.mean()).mean()


class RelativisticCost(Cost):
    """Relativistic pairing: a real and a generated event, of which one must look more real.

    Where a mode is missed, its real events win over all that is generated near it, so that
    the generator is drawn there; the loss landscape has no minima with modes dropped. It
    needs R1 and R2 to converge.

    References:
        | The Relativistic Discriminator (Jolicoeur-Martineau, 2019)
        | The GAN is Dead; Long Live the GAN! A Modern GAN Baseline (Huang et al., 2024)
        | https://arxiv.org/abs/2501.05441
    """

    compares = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return paired(real, fake)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return paired(fake, given(real))

    def accuracies(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        right = (real > fake).float().mean()
        return right, right


class RelativisticAverageCost(Cost):
    """Relativistic average: every event is judged against the mean of the other kind.

    References:
        | The Relativistic Discriminator (Jolicoeur-Martineau, 2019)
        | https://arxiv.org/abs/1807.00734
    """

    compares = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return against_mean(real, fake)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return against_mean(fake, given(real))

    def accuracies(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return beyond_mean(real, fake)


def given(real: Tensor | None) -> Tensor:
    """Logits of real events.

    Raises:
        ValueError: If there are none.
    """
    if real is None:
        raise ValueError("a relativistic cost of the generator takes logits of real events")
    return real
