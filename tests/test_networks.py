"""Networks have the shapes that were asked for, and say so when they cannot."""

import pytest
import torch
from torch import nn

from genlit.networks import MLP, ConvDecoder, ConvEncoder


@pytest.mark.parametrize("hidden", [(), (5,), (5, 6, 7)])
@pytest.mark.parametrize("inputs", [(4,), (1, 8, 12)])
@pytest.mark.parametrize("outputs", [(3,), (2, 4, 4)])
def test_mlp_joins_any_two_shapes(inputs, outputs, hidden):
    network = MLP(inputs, outputs, hidden)
    assert network(torch.rand(6, *inputs)).shape == (6, *outputs)
    assert sum(isinstance(layer, nn.Linear) for layer in network) == len(hidden) + 1


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12)])
def test_convolutions_keep_sides_apart(shape):
    x = torch.rand(2, *shape)
    code = ConvEncoder(shape, (10,), width=4)(x)
    assert code.shape == (2, 10)
    assert ConvDecoder((10,), shape, width=4)(code).shape == x.shape


@pytest.mark.parametrize("network", [MLP, ConvEncoder])
def test_events_of_a_batch_do_not_see_each_other(network):
    network, x = network((1, 8, 8), (5,)), torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]))


@pytest.mark.parametrize("shape", [(1, 27, 28), (1, 28, 30), (784,)])
def test_sides_that_cannot_be_halved_twice_are_refused(shape):
    for build in (lambda: ConvEncoder(shape, (5,)), lambda: ConvDecoder((5,), shape)):
        with pytest.raises(ValueError, match=r"multiples of 4, not \(.*\): take MLP"):
            build()
