"""The layers of a deep Boltzmann machine before they are one: a stack of restricted ones.

Each pair of neighbouring layers learns as if there were no others. The inner ones will hear from
two neighbours, and until then count the one that they have twice.

An inner layer has two biases meanwhile: one as the hidden layer of the pair below, in `up`, and one
as the visible layer of the pair above, in θ. When all become one machine, inputs from either side
count once, and a bias is the mean of both.

References: Deep Boltzmann Machines (Salakhutdinov & Hinton, 2009), section 3.1.
"""

from torch import Tensor

from genlit.boltzmann.deep import DeepTheta, Layers, logits_from
from genlit.boltzmann.deep_gradient import bernoulli
from genlit.boltzmann.units import draw


def odd_of(lower: int) -> int:
    """The layer of odd number of the pair (lower, lower + 1), on which its chains live."""
    return lower + 1 - lower % 2


def positive(theta: DeepTheta, up: DeepTheta, v: Tensor, lower: int) -> Layers:
    """A sample of a pair's lower layer given v, and probabilities of the upper one given that."""
    x = v
    for k in range(lower):
        x = draw(logits_from(up, x, k, k + 1))
    return {lower: x, lower + 1: logits_from(theta, x, lower, lower + 1).sigmoid()}


def run_pair(theta: DeepTheta, lower: int, odd: Tensor, steps: int) -> tuple[Layers, Tensor]:
    """Runs chains of two neighbouring layers as if there were no others.

    Args:
        theta: The parameters.
        lower: The number of the lower layer.
        odd: States (K, n) of the layer of odd number.
        steps: Gibbs steps, at least 1.

    Returns:
        The negative phase: a sample of the other layer, and probabilities of the odd one given
        it; then a sample of the odd one to go on with.
    """
    layer = odd_of(lower)
    beside = 2 * lower + 1 - layer
    x, mean = odd, odd
    for _ in range(steps):
        x = draw(logits_from(theta, odd, layer, beside))
        mean = logits_from(theta, x, beside, layer).sigmoid()
        odd = bernoulli(mean)
    return {beside: x, layer: mean}, odd


def hand_down(theta: DeepTheta, x: Tensor, layer: int) -> Tensor:
    """Expected visible units given a sample of a layer, through samples of those between."""
    for k in range(layer, 1, -1):
        x = draw(logits_from(theta, x, k, k - 1))
    return logits_from(theta, x, 1, 0).sigmoid()


def reconstruction(theta: DeepTheta, up: DeepTheta, v: Tensor, lower: int) -> Tensor:
    """Log-odds of v reconstructed by the stack up to a pair, by means up and means down; (B, V)."""
    x = v
    for k in range(lower + 1):
        x = logits_from(theta if k == lower else up, x, k, k + 1).sigmoid()
    for k in range(lower + 1, 1, -1):
        x = logits_from(theta, x, k, k - 1).sigmoid()
    return logits_from(theta, x, 1, 0)


def composed(theta: DeepTheta, up: DeepTheta) -> list[Tensor]:
    """The biases of the one machine that a pretrained stack becomes."""
    inner = [(b + c) / 2 for b, c in zip(theta.b[1:-1], up.b[1:-1], strict=True)]
    return [theta.b[0], *inner, theta.b[-1]]
