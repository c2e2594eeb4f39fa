"""The coordinates of the gradient: the centred machine is the same machine."""

from functools import partial

import pytest
import torch

from genlit.boltzmann import PCD, RBM, Centred, Enhanced, Ordinary, gradient
from genlit.boltzmann.centring import centred
from genlit.boltzmann.energy import Theta, free_energy, states
from genlit.boltzmann.layer import Layer
from genlit.boltzmann.partition import log_partition
from genlit.boltzmann.units import Binary

pytestmark = pytest.mark.usefixtures("double")

V, H = 4, 3


def log_likelihood(theta: Theta, v: torch.Tensor) -> torch.Tensor:
    everything = torch.logsumexp(-free_energy(theta, states(len(theta.b))), 0)
    return (-free_energy(theta, v) - everything).mean()


def ordinary(W, b, c, m, offset) -> Theta:
    """The ordinary machine that a centred one is: E = -v·b - h·c - (v - m)·W (h - offset)."""
    return Theta(W, b - W @ offset, c - m @ W)


def test_a_step_is_that_of_the_centred_machine():
    """To first order: the ordinary step equals the step in (W, b', c') seen from outside."""
    m, offset, v = torch.rand(V), torch.rand(H), torch.rand(50, V).round()
    inner = [torch.randn(s).requires_grad_() for s in ((V, H), (V,), (H,))]
    slopes = torch.autograd.grad(log_likelihood(ordinary(*inner, m, offset), v), inner)
    expected = [  # d(W, b' - W offset, c' - W'm) for d(W, b', c') = the slopes
        slopes[0],
        slopes[1] - slopes[0] @ offset,
        slopes[2] - m @ slopes[0],
    ]

    outer = [p.detach().requires_grad_() for p in ordinary(*inner, m, offset)[:3]]
    found = [g.clone() for g in torch.autograd.grad(log_likelihood(Theta(*outer), v), outer)]
    centred(*found, m, offset)
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e)


def test_offsets_of_zero_change_nothing():
    g = [torch.randn(s) for s in ((V, H), (V,), (H,))]
    turned = [t.clone() for t in g]
    centred(*turned, torch.zeros(V), torch.zeros(H))
    for f, e in zip(turned, g, strict=True):
        assert (f == e).all()


def flipped(theta: Theta) -> Theta:
    """The machine over 1 - v that gives 1 - v the probability of v."""
    return Theta(-theta.W, -theta.b, theta.c + theta.W.sum(0))


@pytest.mark.parametrize(
    ("coordinates", "alike"), [(Ordinary, False), (Centred, True), (Enhanced, True)]
)
def test_learning_does_not_depend_on_which_state_is_called_1(coordinates, alike):
    """A step on data and one on flipped data lead to the same law, if the offsets flip too."""
    v, chains = torch.rand(20, V).round(), torch.rand(30, V).round()
    start = Theta(0.5 * torch.randn(V, H), torch.randn(V), torch.randn(H))
    ends = []
    for theta, data, model in ((start, v, chains), (flipped(start), 1 - v, 1 - chains)):
        layer = Layer(Binary(V), H, PCD, coordinates)
        with torch.no_grad():
            for p, value in zip((layer.W, layer.b, layer.c), theta, strict=False):
                p.copy_(value)
            phases = gradient.phase(layer.theta, data), gradient.phase(layer.theta, model)
        layer.coordinates.observe(*phases)
        gradient.energy_gap(layer.theta, *phases).backward()
        layer.turn()
        torch.optim.SGD(layer.parameters(), lr=0.3).step()
        ends.append(layer.theta)

    x = states(V)
    log_p = [-free_energy(t, x).detach() - log_partition(t) for t in ends]
    other = -free_energy(ends[1], 1 - x).detach() - log_partition(ends[1])
    assert ((log_p[0] - other).abs().max() < 1e-10) == alike


def test_offsets_are_means_of_the_data():
    layer = Layer(Binary(V), H, PCD, partial(Centred, rate=0.1))
    batches = [torch.rand(10, V).round() for _ in range(12)]
    for v in batches:
        layer.loss(v)
    found = layer.coordinates.m
    expected = torch.stack([v.mean(0) for v in batches[:10]]).mean(0)  # at first, of all
    for v in batches[10:]:
        expected = expected.lerp(v.mean(0), 0.1)
    torch.testing.assert_close(found, expected)

    layer.eval().loss(torch.ones(5, V))
    assert (layer.coordinates.m == found).all()


def test_enhanced_offsets_are_between_data_and_model():
    layer = Layer(Binary(V), H, PCD, Enhanced)
    data, chains = torch.ones(5, V), torch.zeros(7, V)
    phases = gradient.phase(layer.theta, data), gradient.phase(layer.theta, chains)
    layer.coordinates.observe(*phases)
    torch.testing.assert_close(layer.coordinates.m, torch.full((V,), 0.5))
    between = (phases[0].mean.mean(0) + phases[1].mean.mean(0)) / 2
    torch.testing.assert_close(layer.coordinates.offset, between)


def test_sparsity_draws_activations_to_the_target():
    v, means = torch.rand(200, 6).round(), []
    for sparsity in (0.0, 5.0):
        torch.manual_seed(1)
        model = RBM((6,), hidden=8, sampler=PCD, sparsity=sparsity, sparsity_target=0.1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            model.loss({"x": v})["loss"].backward()
            optimizer.step()
        means.append(model.encode(v).mean(0).detach())
    assert ((means[1] - 0.1).abs() < 0.03).all()
    assert ((means[0] - 0.1).abs() > 0.1).all()
