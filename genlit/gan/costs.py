"""What the two players of the adversarial game minimize, from the discriminator's logits.

Notation: l is the discriminator's number for an event, its logit. Where a cost is of probabilities,
D(x) = σ(l) is the one that the discriminator gives to x being real, and costs are in nats. The
value of that game, which D raises and the generator G lowers, is

    V(D, G) = E_data log D(x) + E_z log(1 - D(G(z)))

For a given G it is largest at D* = p_data / (p_data + p_G), where V = 2 JSD(p_data, p_G) - log 4.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as nnf


def value(real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) of the logits of real and generated events; a scalar, at most 0.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014), eq. 1
        | https://arxiv.org/abs/1406.2661
    """
    return nnf.logsigmoid(real).mean() + nnf.logsigmoid(-fake).mean()


def beyond_mean(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The shares of either kind on the right side of the other's mean, where no logit means 0."""
    return (real > fake.mean()).float().mean(), (fake < real.mean()).float().mean()


class Cost(ABC):
    """What each player minimizes. A base class, since the config chooses among them."""

    compares: ClassVar[bool] = False  # whether the generator's depends on logits of real events
    middle: float = 0.0  # the logit above which events are called real, if the cost fixes one

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the discriminator's cost, given logits of real and generated events, (B,)."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns the generator's cost, given logits of generated and, if it compares, real ones.

        Args:
            fake: Logits of generated events, (B,).
            real: Logits of as many real events; None where the cost compares nothing.
        """

    def accuracies(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The shares of real and of generated events that are told for what they are."""
        return (real > self.middle).float().mean(), (fake < self.middle).float().mean()


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

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return nnf.logsigmoid(-fake).mean()


class NonSaturatingCost(MinimaxCost):
    """The game of practice: the generator raises log D(G(z)), which never saturates.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014), section 3

    Args:
        smoothing: One-sided label smoothing: the probability that the discriminator is to give to
            real events is 1 less this.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -nnf.logsigmoid(fake).mean()


class LeastSquaresCost(Cost):
    """Half the squared distance of logits from what each player wants them to be.

    With aims of -1 and 1 for the discriminator and 0 for the generator, the game is that of the
    Pearson χ² divergence between p_data + p_G and 2 p_G.

    References:
        | Least Squares Generative Adversarial Networks (Mao et al., 2017)
        | https://arxiv.org/abs/1611.04076

    Args:
        fake: What the discriminator wants of generated events, a in the paper.
        real: What it wants of real ones, b.
        wanted: What the generator wants of generated ones, c.
    """

    def __init__(self, fake: float = 0.0, real: float = 1.0, wanted: float = 1.0) -> None:
        if fake == real:
            raise ValueError(f"fake and real are both {real}: the discriminator could tell nothing")
        self.fake, self.real, self.wanted = fake, real, wanted
        self.middle = (fake + real) / 2

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - self.real).square().mean() + (fake - self.fake).square().mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return (fake - self.wanted).square().mean() / 2


class WassersteinCost(Cost):
    """Means of logits: the distance of earth movers, as far as the discriminator is 1-Lipschitz.

    So it needs `genlit.gan.GradientPenalty`, `genlit.gan.WeightClipping` or
    `genlit.networks.SpectralNormalized`; without them logits grow without end.

    References:
        | Wasserstein Generative Adversarial Networks (Arjovsky, Chintala & Bottou, 2017)
        | https://arxiv.org/abs/1701.07875
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()

    def accuracies(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return beyond_mean(real, fake)


class HingeCost(Cost):
    """The discriminator wants logits beyond 1 and -1, and no more than that.

    References:
        | Geometric GAN (Lim & Ye, 2017)
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), eq. 16
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return nnf.relu(1 - real).mean() + nnf.relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()
