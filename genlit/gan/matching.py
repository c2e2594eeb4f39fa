"""Feature matching: the generator wants the discriminator's features to have the same means."""

from torch import Tensor, nn


class FeatureMatching:
    """The squared distance between mean features of real and generated events, for the generator.

    Features are what the discriminator's last linear or convolutional layer is given.

    References:
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 3.1
        | https://arxiv.org/abs/1606.03498

    Args:
        weight: The coefficient.
        alone: Whether it takes the place of the generator's cost, as in the paper, or is added.
    """

    def __init__(self, weight: float = 1.0, alone: bool = True) -> None:
        if weight <= 0:
            raise ValueError(f"the weight of feature matching is {weight}: it must be above 0")
        self.weight, self.alone = weight, alone

    def __call__(self, real: Tensor, fake: Tensor) -> Tensor:
        """The weighted distance of features (B, ...)."""
        gap = real.detach().flatten(1).mean(0) - fake.flatten(1).mean(0)
        return self.weight * gap.square().sum()


class Listener:
    """Keeps what the last layer of a network is given while the network is asked, in a `with`.

    Args:
        network: The network.

    Raises:
        ValueError: If it has no linear or convolutional layer.
    """

    def __init__(self, network: nn.Module) -> None:
        layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        if not layers:
            raise ValueError(
                "feature matching listens at the last linear or convolutional layer of the "
                f"discriminator, and {type(network).__name__} has none"
            )
        self.last = layers[-1]
        self.heard: list[Tensor] = []

    def __enter__(self) -> list[Tensor]:
        self._hook = self.last.register_forward_pre_hook(lambda _, x: self.heard.append(x[0]))
        return self.heard

    def __exit__(self, *_: object) -> None:
        self._hook.remove()
