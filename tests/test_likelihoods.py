"""Laws of events against sums and integrals of all that they may say."""

import math
from functools import partial

import pytest
import torch

from genlit.likelihoods import Bernoulli, Categorical, LogisticMixture, Normal, SharedNormal
from genlit.likelihoods.levels import log_logistic_bin

DISCRETE = {
    "bernoulli": (Bernoulli, 2),
    "categorical": (partial(Categorical, levels=5), 5),
    "logistics": (partial(LogisticMixture, components=3, levels=7), 7),
    "logistics_256": (partial(LogisticMixture, components=2), 256),
}
REAL = {"normal": Normal, "shared": SharedNormal}
LAWS = {name: law for name, (law, _) in DISCRETE.items()} | REAL


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_probabilities_of_all_levels_sum_to_one(name, scale, double):
    law, levels = DISCRETE[name]
    law = law((1, 2, 3))
    output = scale * torch.randn(4, *law.outputs)
    grid = torch.linspace(0, 1, levels).view(-1, 1, 1, 1, 1).expand(-1, 4, 1, 2, 3)
    log_p = torch.stack([law.terms(output, x) for x in grid])
    # Beyond 20, torch's softplus is the identity, which is wrong by 2e-9.
    torch.testing.assert_close(log_p.logsumexp(0), torch.zeros(4, 1, 2, 3), rtol=0, atol=5e-9)


@pytest.mark.parametrize("name", REAL)
def test_densities_integrate_to_one(name, double):
    law = REAL[name]((2,))
    output = torch.randn(1, *law.outputs)
    x = torch.linspace(-60, 60, 240_001)[:, None].expand(-1, 2)
    mass = law.terms(output.expand(len(x), -1), x).exp().sum(0) * (120 / 240_000)
    torch.testing.assert_close(mass, torch.ones(2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", LAWS)
def test_samples_have_the_probabilities_that_are_told(name, double):
    """The mean log-probability of samples is the negative entropy, found by sum or closed form."""
    law = LAWS[name]((3,))
    output, n = torch.randn(1, *law.outputs), 20_000
    x = law.sample(output.expand(n, -1))
    log_p = law.terms(output.expand(n, -1), x)
    if name in DISCRETE:
        levels = DISCRETE[name][1]
        grid = torch.linspace(0, 1, levels)[:, None].expand(-1, 3)
        every = law.terms(output.expand(levels, -1), grid)
        expected = (every.exp() * every).sum(0)
        share = torch.stack([(x - g).abs().lt(1e-6).double().mean(0) for g in grid])
        error = (every.exp() * (1 - every.exp()) / n).sqrt()
        assert ((share - every.exp()).abs() < 4.5 * error + 1e-3 / levels).all()
    else:
        std = law._law(output)[1].exp() if name == "normal" else law.log_std.exp()
        expected = -(std.log() + 0.5 + 0.5 * math.log(2 * math.pi)).expand(1, 3)[0]
    assert ((log_p.mean(0) - expected).abs() < 4.5 * log_p.std(0) / n**0.5).all()


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "normal", "shared"])
def test_expectation_is_the_mean_of_samples(name, double):
    law, n = LAWS[name]((4,)), 20_000
    output = 0.5 + 0.01 * torch.randn(1, *law.outputs)
    if name == "normal":
        output[:, 4:] -= 3.0
    x = law.sample(output.expand(n, -1))
    error = x.std(0) / n**0.5
    assert ((x.mean(0) - law.mean(output)[0]).abs() < 4 * error).all()


def test_a_logistic_bin_is_the_difference_of_its_edges(double):
    centre, width = 3 * torch.randn(50), torch.rand(50) + 1e-3
    edges = torch.stack([centre + width / 2, centre - width / 2]).sigmoid()
    torch.testing.assert_close(log_logistic_bin(centre, width), (edges[0] - edges[1]).log())
    far = log_logistic_bin(torch.tensor(800.0), torch.tensor(0.5))
    torch.testing.assert_close(far, -torch.tensor(800.0) + math.log(2 * math.sinh(0.25)))


def test_one_logistic_has_the_mean_of_its_network():
    """So that an untrained network says grey."""
    law = LogisticMixture((1,), components=1)
    assert law.mean(torch.zeros(1, 3)).item() == 0.5


@pytest.mark.parametrize("name", LAWS)
def test_entries_that_are_not_observed_do_not_count(name, double):
    law = LAWS[name]((2, 3, 4))
    output, x = torch.randn(5, 6, *law.outputs), torch.rand(6, 2, 3, 4).round()
    observed = torch.rand(6, 2, 3, 4) < 0.5
    changed = torch.where(observed, x, 1 - x)
    some = law.log_prob(output, x, observed)
    assert some.shape == (5, 6)
    torch.testing.assert_close(some, law.log_prob(output, changed, observed), rtol=0, atol=0)
    torch.testing.assert_close(some + law.log_prob(output, x, ~observed), law.log_prob(output, x))


@pytest.mark.parametrize("name", LAWS)
def test_every_pixel_is_judged_by_the_network_output_at_its_place(name, double):
    """The gradient of one pixel's term is there alone."""
    law = LAWS[name]((2, 3, 4))
    output = torch.randn(1, *law.outputs, requires_grad=True)
    law.terms(output, torch.rand(1, 2, 3, 4).round())[0, 1, 2, 3].backward()
    touched = output.grad[0].unflatten(0, (law.numbers, 2)).abs().sum(0) > 0
    assert touched.nonzero().tolist() == [[1, 2, 3]]


def test_an_optimal_shared_width_is_the_root_mean_square_error(double):
    law, output, x = SharedNormal((50,)), torch.rand(20, 50), torch.rand(20, 50)
    law.log_std.data = (output - x).square().mean().sqrt().log()
    law.log_prob(output, x).sum().backward()
    assert law.log_std.grad.abs() < 1e-9


def test_constants_at_784_dimensions(double):
    x = torch.rand(1, 784)
    law = SharedNormal((784,), std=1.0)
    torch.testing.assert_close(law.log_prob(x, x)[0].item(), -392 * math.log(2 * math.pi))
    flat = Categorical((784,), levels=256)
    torch.testing.assert_close(
        flat.log_prob(torch.zeros(1, *flat.outputs), x)[0].item(), -784 * math.log(256)
    )
    fair = Bernoulli((784,)).log_prob(torch.zeros(1, 784), x.round())
    torch.testing.assert_close(fair[0].item(), -784 * math.log(2))


def test_laws_of_levels_refuse_other_data():
    Categorical((1,), levels=4).check("4_levels")
    Normal((1,)).check("grey")
    with pytest.raises(ValueError, match=r"4 grey levels, and this data is grey: set data\."):
        Categorical((1,), levels=4).check("grey")
    with pytest.raises(ValueError, match="levels is 1: grey levels are 2 to 256"):
        LogisticMixture((1,), levels=1)
    for law, least in ((Normal, "least_std"), (SharedNormal, "std")):
        with pytest.raises(ValueError, match=f"{least} is 0"):
            law((1,), 0.0)
