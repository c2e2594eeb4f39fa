"""How the discriminator comes to know what events are of: a class, or a code of the generator's.

A head builds the discriminator from a network, and answers with a logit and, where it is asked to
tell what events are of, with what it makes out.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from genlit.networks import Network


class Judgement(NamedTuple):
    """What the discriminator says of events."""

    logits: Tensor  # (B,)
    told: Tensor | None = None  # (B, ...), what it makes out of the condition


class Head(nn.Module, ABC):
    """A discriminator of events and what they are of. A base class, since the config chooses."""

    tells_of_real: ClassVar[bool] = False  # whether it is asked to tell what real events are of

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor | None) -> Judgement:
        """Judges events (B, *shape) of conditions (B, numbers)."""

    def surprise(self, told: Tensor, condition: Tensor) -> Tensor:
        """Mean of -log q(condition | x) in nats, which both players lower; a scalar."""
        return told.new_zeros(())


class Unconditional(Head):
    """The discriminator of events that are of nothing in particular.

    Args:
        network: Builds the network from events to logits.
        shape: The shape of an event.
    """

    def __init__(self, network: Network, shape: Sequence[int]) -> None:
        super().__init__()
        self.network = network(shape, (1,))

    def forward(self, x: Tensor, condition: Tensor | None) -> Judgement:
        return Judgement(self.network(x).flatten())


class Concatenation(Head):
    """The class enters by channels beside those of the event, one for each class.

    References:
        | Conditional Generative Adversarial Nets (Mirza & Osindero, 2014)
        | https://arxiv.org/abs/1411.1784

    Args:
        network: Builds the network from events and classes to logits.
        shape: The shape of an event.
        classes: The number of classes.
    """

    def __init__(self, network: Network, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.network = network((shape[0] + classes, *shape[1:]), (1,))

    def forward(self, x: Tensor, condition: Tensor | None) -> Judgement:
        assert condition is not None
        maps = condition.view(*condition.shape, *[1] * (x.dim() - 2))
        maps = maps.expand(-1, -1, *x.shape[2:])
        return Judgement(self.network(torch.cat([x, maps.to(x)], 1)).flatten())


class Projection(Head):
    """The class enters by the inner product of its embedding with features of the event.

    References:
        | cGANs with Projection Discriminator (Miyato & Koyama, 2018)
        | https://arxiv.org/abs/1802.05637

    Args:
        network: Builds the network from events to features.
        shape: The shape of an event.
        classes: The number of classes.
        features: The number of features.
    """

    def __init__(
        self, network: Network, shape: Sequence[int], classes: int, features: int = 128
    ) -> None:
        super().__init__()
        self.network = network(shape, (features,))
        self.embedding = nn.Linear(classes, features, bias=False)  # of one-hot classes
        self.real = nn.Linear(features, 1)  # last, as feature matching listens at the last layer

    def forward(self, x: Tensor, condition: Tensor | None) -> Judgement:
        assert condition is not None
        features = nnf.leaky_relu(self.network(x), 0.2)
        of_class = (self.embedding(condition.to(features)) * features).sum(1)
        return Judgement(self.real(features).flatten() + of_class)


class AuxiliaryClassifier(Head):
    """The discriminator is not told the class, but asked for it; the generator wants it right.

    References:
        | Conditional Image Synthesis with Auxiliary Classifier GANs (Odena, Olah & Shlens, 2017)
        | https://arxiv.org/abs/1610.09585

    Args:
        network: Builds the network from events to a logit and those of classes.
        shape: The shape of an event.
        classes: The number of classes.
        weight: The coefficient of the classifier's cross-entropy.
    """

    tells_of_real = True

    def __init__(
        self, network: Network, shape: Sequence[int], classes: int, weight: float = 1.0
    ) -> None:
        super().__init__()
        self.network = network(shape, (1 + classes,))
        self.weight = weight

    def forward(self, x: Tensor, condition: Tensor | None) -> Judgement:
        output = self.network(x)
        return Judgement(output[:, 0], output[:, 1:])

    def surprise(self, told: Tensor, condition: Tensor) -> Tensor:
        return self.weight * nnf.cross_entropy(told, condition.to(told))


class ClassLogits(Head):
    """The discriminator tells the class of real events, and so that an event is real.

    Its K logits are those of a softmax of K + 1 classes, whose last, "generated", has logit 0.

    References:
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 5
        | https://arxiv.org/abs/1606.03498

    Args:
        network: Builds the network from events to the logits of classes.
        shape: The shape of an event.
        classes: The number of classes.
    """

    def __init__(self, network: Network, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.network = network(shape, (classes,))

    def forward(self, x: Tensor, condition: Tensor | None) -> Judgement:
        told = self.network(x)
        return Judgement(told.logsumexp(1), told)


class CodeReader(Head):
    """The discriminator is asked for the code that the generator was given: a bound of information.

    -log q(c | x) is an upper bound of H(c | x), so that lowering it raises I(c; x).

    References:
        | InfoGAN: Interpretable Representation Learning by Information Maximizing Generative
        | Adversarial Nets (Chen et al., 2016)
        | https://arxiv.org/abs/1606.03657

    Args:
        network: Builds the network from events to a logit and the numbers of q(c | x).
        shape: The shape of an event.
        categories: Values of the code's categorical variable; 0 has none.
        continuous: How many variables it has that are uniform on [-1, 1].
        weight: The coefficient, λ in the paper.
    """

    def __init__(
        self, network: Network, shape: Sequence[int], categories: int, continuous: int,
        weight: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network = network(shape, (1 + categories + continuous,))
        self.categories, self.weight = categories, weight

    def forward(self, x: Tensor, condition: Tensor | None) -> Judgement:
        output = self.network(x)
        return Judgement(output[:, 0], output[:, 1:])

    def surprise(self, told: Tensor, condition: Tensor) -> Tensor:
        """The cross-entropy of the category, and that of unit Gaussians less its constant."""
        k = self.categories
        terms = (told[:, k:] - condition[:, k:]).square().sum(1) / 2
        if k:
            terms = terms + nnf.cross_entropy(told[:, :k], condition[:, :k], reduction="none")
        return self.weight * terms.mean()


Heads = Callable[[Network, Sequence[int], int], Head]  # the config names the class
