"""Networks whose layers cannot stretch what they are given."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from genlit.networks.mlp import Network

# Layers that multiply by a matrix, if a convolution's weights are written as one row a channel.
LINEAR = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


class SpectralNormalized(nn.Module):
    """A network, each of whose linear and convolutional layers is divided by its spectral norm.

    The norm, the largest singular value of the weights written as a matrix, is found by power
    iteration, of which every forward pass in training takes some steps.

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018)
        | https://arxiv.org/abs/1802.05957

    Args:
        inputs: Shape of the input.
        outputs: Shape of the output.
        network: Builds the network.
        steps: Power iterations of a forward pass in training.

    Raises:
        ValueError: If there is no layer to normalize.
    """

    def __init__(
        self, inputs: Sequence[int], outputs: Sequence[int], network: Network, steps: int = 1
    ) -> None:
        super().__init__()
        self.network = network(inputs, outputs)
        layers = [m for m in self.network.modules() if isinstance(m, LINEAR)]
        if not layers:
            raise ValueError(
                f"SpectralNormalized finds no linear layer or convolution in "
                f"{type(self.network).__name__}: take another network"
            )
        for layer in layers:
            spectral_norm(layer, n_power_iterations=steps)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)
