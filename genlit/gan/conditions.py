"""What events of a game are of, besides noise: nothing, a class, or a code that can be read off."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genlit.gan.heads import CodeReader, Head, Heads, Projection, Unconditional
from genlit.networks import Network
from genlit.protocols import Batch


class Condition(ABC):
    """What the generator is given besides noise. A base class, since the config chooses."""

    numbers: int  # that the generator is given
    one_of: int = 0  # how many of them, the first ones, are 0 but for a single 1

    @abstractmethod
    def head(self, network: Network, shape: Sequence[int]) -> Head:
        """Builds the discriminator, from a network and the shape of what it judges."""

    @abstractmethod
    def of_generated(self, share: Batch) -> Tensor | None:
        """What events are to be of that are generated beside real ones, (B, numbers)."""

    def require(self, data: Any) -> None:
        """Makes sure that a data module has what real events are of.

        Raises:
            ValueError: If it has not.
        """
        return

    @abstractmethod
    def draw(self, n: int, device: torch.device) -> Tensor:
        """What n samples are of, (n, numbers)."""


class Nothing(Condition):
    """Events are of nothing in particular."""

    numbers = 0

    def head(self, network: Network, shape: Sequence[int]) -> Head:
        return Unconditional(network, shape)

    def of_generated(self, share: Batch) -> Tensor | None:
        return None

    def draw(self, n: int, device: torch.device) -> Tensor:
        return torch.empty(n, 0, device=device)


class Classes(Condition):
    """Events are of classes, which real ones come with. Samples are of one after the other.

    Args:
        classes: The number of classes.
        discriminator: How the discriminator comes to know them: Concatenation, Projection or
            AuxiliaryClassifier.
    """

    def __init__(self, classes: int = 10, discriminator: Heads = Projection) -> None:
        self.numbers = self.one_of = classes
        self.discriminator = discriminator

    def head(self, network: Network, shape: Sequence[int]) -> Head:
        return self.discriminator(network, shape, self.numbers)

    def of_generated(self, share: Batch) -> Tensor | None:
        """The classes of the real events, so that both are of the same mixture."""
        return share.get("condition")

    def require(self, data: Any) -> None:
        found = getattr(data, "conditions", {}).get("train")
        if data is not None and (found is None or found.shape[1:] != (self.numbers,)):
            raise ValueError(
                f"this game is of events of {self.numbers} classes, and this data has others or "
                "none: set data.labels to true, or model.condition.init_args.classes"
            )

    def draw(self, n: int, device: torch.device) -> Tensor:
        return one_hot(torch.arange(n, device=device) % self.numbers, self.numbers).float()


class Code(Condition):
    """Events are of a code that the discriminator learns to read off: InfoGAN.

    References:
        | InfoGAN: Interpretable Representation Learning by Information Maximizing Generative
        | Adversarial Nets (Chen et al., 2016)
        | https://arxiv.org/abs/1606.03657

    Args:
        categories: Values of the code's categorical variable, all as probable; 0 has none.
        continuous: How many variables it has that are uniform on [-1, 1].
        weight: The coefficient of what the code tells, λ in the paper.
    """

    def __init__(self, categories: int = 10, continuous: int = 2, weight: float = 1.0) -> None:
        if min(categories, continuous) < 0 or categories + continuous < 1:
            raise ValueError(
                f"a code of {categories} categories and {continuous} continuous variables tells "
                "nothing: give at least one of either"
            )
        self.categories, self.continuous, self.weight = categories, continuous, weight
        self.one_of = categories
        self.numbers = categories + continuous

    def head(self, network: Network, shape: Sequence[int]) -> Head:
        return CodeReader(network, shape, self.categories, self.continuous, self.weight)

    def of_generated(self, share: Batch) -> Tensor | None:
        return self.draw(len(share["x"]), share["x"].device)

    def draw(self, n: int, device: torch.device) -> Tensor:
        parts = [torch.rand(n, self.continuous, device=device) * 2 - 1]
        if self.categories:
            category = torch.randint(self.categories, (n,), device=device)
            parts.insert(0, one_hot(category, self.categories).float())
        return torch.cat(parts, 1)
