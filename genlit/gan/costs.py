"""What the two players of the adversarial game minimize, in nats, from the discriminator's logits.

Notation: D(x) = σ(l) is the probability that the discriminator gives to x being real, l its logit.
The value of the game, which D raises and the generator G lowers, is

    V(D, G) = E_data log D(x) + E_z log(1 - D(G(z)))

For a given G it is largest at D* = p_data / (p_data + p_G), where V = 2 JSD(p_data, p_G) - log 4.
"""

from abc import ABC, abstractmethod

from torch import Tensor
from torch.nn import functional as nnf


def value(real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) of the logits of real and generated events; a scalar, at most 0.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014), eq. 1
        | https://arxiv.org/abs/1406.2661
    """
    return nnf.logsigmoid(real).mean() + nnf.logsigmoid(-fake).mean()


class Cost(ABC):
    """What each player minimizes. A base class, since the config chooses among them."""

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the discriminator's cost, given the logits of real and generated events."""

    @abstractmethod
    def generator(self, fake: Tensor) -> Tensor:
        """Returns the generator's cost, given the logits of generated events."""


class MinimaxCost(Cost):
    """The game of the theory: the generator lowers what the discriminator raises.

    Where the discriminator is sure that an event is generated, the generator's gradient vanishes
    with D(G(z)): it saturates.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014)
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 3.4, for smoothing

    Args:
        smoothing: One-sided label smoothing: the probability that the discriminator is to give to
            real events is 1 less this.

    Raises:
        ValueError: If the smoothing is not in [0, 1).
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError(f"a smoothing of {smoothing} is not in [0, 1): 0.1 is customary")
        self.smoothing = smoothing

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.smoothing * real.mean() - value(real, fake)

    def generator(self, fake: Tensor) -> Tensor:
        return nnf.logsigmoid(-fake).mean()


class NonSaturatingCost(MinimaxCost):
    """The game of practice: the generator raises log D(G(z)), which never saturates.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014), section 3

    Args:
        smoothing: One-sided label smoothing: the probability that the discriminator is to give to
            real events is 1 less this.
    """

    def generator(self, fake: Tensor) -> Tensor:
        return -nnf.logsigmoid(fake).mean()
