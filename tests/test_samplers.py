"""Chains that supply the gradient with states of the machine, where their law is known."""

import pytest
import torch

from genlit.boltzmann import PCD, FastPCD, gradient
from genlit.boltzmann.energy import Theta, hidden_free_energy, states
from tests.test_boltzmann import (
    exact_samples,
    frequencies,
    machine,
    probabilities,
    total_variation_in_floors,
)

pytestmark = pytest.mark.usefixtures("double")


def plus(theta: Theta, fast: FastPCD) -> Theta:
    return Theta(theta.W + fast.W, theta.b + fast.b, theta.c + fast.c)


def with_fast_weights(particles: int, **settings) -> FastPCD:
    sampler = FastPCD(4, 3, particles, **settings)
    for buffer in (sampler.W, sampler.b, sampler.c):
        buffer.copy_(torch.randn_like(buffer))
    return sampler


def at_equilibrium(theta: Theta, n: int) -> torch.Tensor:
    """Exact hidden samples (n, H)."""
    h = states(len(theta.c))
    p = torch.softmax(-hidden_free_energy(theta, h), 0)
    return h[torch.multinomial(p, n, replacement=True)]


def test_fast_weights_that_do_not_learn_are_no_weights():
    theta, data = machine(4, 3), gradient.phase(machine(4, 3), torch.rand(9, 4).round())
    found = []
    for kind in (PCD(4, 3, 20, steps=2), FastPCD(4, 3, 20, steps=2, fast_lr=0.0)):
        torch.manual_seed(1)
        kind.settle(theta, theta.b)
        found.append([kind.negative(theta, data) for _ in range(5)][-1])

    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("steps", [1, 2])
def test_chains_move_under_slow_and_fast_weights_together(steps):
    n, theta = 100_000, machine(4, 3)
    sampler = with_fast_weights(n, steps=steps).eval()
    both = plus(theta, sampler)
    sampler.particles.copy_(at_equilibrium(both, n))
    found = frequencies(sampler.negative(theta, gradient.phase(theta, torch.zeros(1, 4))).v)

    assert total_variation_in_floors(found, probabilities(both), n) < 2
    assert total_variation_in_floors(found, probabilities(theta), n) > 20


def test_fast_weights_decay():
    theta, sampler = machine(4, 3), with_fast_weights(20, fast_lr=0.0, decay=0.7)
    before = [buffer.clone() for buffer in (sampler.W, sampler.b, sampler.c)]
    for _ in range(3):
        sampler.negative(theta, gradient.phase(theta, torch.rand(9, 4).round()))

    for buffer, value in zip((sampler.W, sampler.b, sampler.c), before, strict=True):
        torch.testing.assert_close(buffer, 0.7**3 * value)


def test_fast_weights_learn_along_the_gradient_of_the_likelihood():
    """If the chains are samples of the machine, which they are while there are no fast weights."""
    n, theta = 400_000, machine(4, 3)
    other = machine(4, 3)
    sampler = FastPCD(4, 3, n, fast_lr=0.5)
    sampler.particles.copy_(at_equilibrium(theta, n))
    sampler.negative(theta, gradient.phase(theta, exact_samples(other, n)))

    v = states(4)
    gap = probabilities(other) - probabilities(theta)
    mean = gradient.phase(theta, v).mean
    expected = (v * gap[:, None]).mT @ mean, gap @ v, gap @ mean
    for found, e in zip((sampler.W, sampler.b, sampler.c), expected, strict=True):
        error = 0.5 * 2**-0.5 / n**0.5  # at most, of a difference of means of numbers in [0, 1]
        torch.testing.assert_close(found, 0.5 * e, rtol=0, atol=4 * error)
    assert expected[0].abs().max() > 0.05
