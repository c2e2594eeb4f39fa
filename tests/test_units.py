"""Laws of visible units, against sums over all states, or integrals over a fine grid."""

import math
from functools import partial

import pytest
import torch

from genlit.annealing import forward_weights, ladder, reverse_weights
from genlit.boltzmann import CD, RBM, Binary, Categorical, Gaussian, gradient
from genlit.boltzmann.energy import (
    Theta,
    energy,
    free_energy,
    gibbs_step,
    hidden_free_energy,
    hidden_logits,
    states,
    visible_logits,
)
from genlit.boltzmann.partition import log_partition
from genlit.boltzmann.path import RBMPath
from genlit.boltzmann.units import Units, draw
from genlit.data.images import ImageData
from genlit.logmath import log_mean_exp, log_mean_exp_stderr
from tests.small import trainer
from tests.test_boltzmann import frequencies, total_variation_in_floors

pytestmark = pytest.mark.usefixtures("double")

HIDDEN = 3


def categorical() -> Units:
    return Categorical(3, levels=3)


def gaussian() -> Units:
    """Two pixels whose variances given h, means and deviations all differ."""
    units = Gaussian(2)
    units.fit(torch.tensor([0.3, 0.6]), torch.tensor([0.5, 0.2]))
    with torch.no_grad():
        units.log_variance.copy_(torch.tensor([-1.0, 0.3]))
    return units


laws = pytest.mark.parametrize("law", [partial(Binary, 4), categorical, gaussian])


def machine(law) -> Theta:
    units, scale = law().requires_grad_(False), 0.7
    shapes = [(units.size, HIDDEN), (units.size,), (HIDDEN,)]
    return Theta(*(scale * torch.randn(s) for s in shapes), units)


def everything(units: Units) -> tuple[torch.Tensor, float]:
    """All states of visible units, or a grid of them, and the log-volume of x that each is for."""
    if isinstance(units, Gaussian):
        line = torch.linspace(-14, 14, 1201)
        grid = torch.cartesian_prod(line, line)
        return grid, 2 * math.log(float(line[1] - line[0])) + float(units.std_of_data.log().sum())
    levels = torch.arange(units.size // units.pixels if units.size > units.pixels else 2)
    x = torch.cartesian_prod(*[levels / (len(levels) - 1)] * units.pixels)
    return units.states(x), 0.0


@laws
def test_exact_partition_function_is_the_sum_over_everything(law):
    theta = machine(law)
    v, volume = everything(theta.units)
    joint = -energy(theta, v[:, None].expand(-1, 8, -1), states(HIDDEN).expand(len(v), -1, -1))

    torch.testing.assert_close(free_energy(theta, v), -torch.logsumexp(joint, 1))
    torch.testing.assert_close(log_partition(theta), torch.logsumexp(joint.flatten(), 0) + volume)
    marginal = torch.logsumexp(joint, 0) + volume
    torch.testing.assert_close(-hidden_free_energy(theta, states(HIDDEN)), marginal)


@laws
def test_units_are_drawn_from_the_conditional_of_the_joint_law(law):
    theta, h = machine(law), states(HIDDEN)[5:6]
    v, volume = everything(theta.units)
    position = visible_logits(theta, h)
    log_p = -energy(theta, v, h.expand(len(v), -1))
    log_p = log_p - log_p.logsumexp(0)

    torch.testing.assert_close(theta.units.log_prob(position, v), log_p - volume)
    mean = theta.units.mean(position)[0]
    torch.testing.assert_close(mean, log_p.exp() @ v)
    n = 100_000
    drawn = theta.units.draw(position.expand(n, -1))
    spread = log_p.exp() @ (v - mean).square()
    assert ((drawn.mean(0) - mean).abs() < 4 * (spread / n).sqrt()).all()
    assert ((drawn.var(0) / spread - 1).abs() < 0.03).all()


def exact_hidden(theta: Theta, n: int) -> torch.Tensor:
    p = torch.softmax(-hidden_free_energy(theta, states(HIDDEN)), 0)
    return states(HIDDEN)[torch.multinomial(p, n, replacement=True)]


@laws
def test_sweeps_leave_the_law_of_hidden_units_as_it_is(law):
    theta, n = machine(law), 100_000
    v = theta.units.draw(visible_logits(theta, exact_hidden(theta, n)))
    h = draw(hidden_logits(theta, gibbs_step(theta, v)))

    p = torch.softmax(-hidden_free_energy(theta, states(HIDDEN)), 0)
    assert total_variation_in_floors(frequencies(h), p, n) < 4


@laws
def test_annealing_agrees_with_the_exact_partition_function(law):
    theta = machine(law)
    base = 0.3 * torch.randn(theta.units.size)

    def samples(n):
        return theta.units.draw(visible_logits(theta, exact_hidden(theta, n)))

    with torch.no_grad():
        path = RBMPath(theta, base, samples, "exact samples")
        forward = forward_weights(path, ladder(20), 20_000)
        reverse = reverse_weights(path, ladder(20)[::-1], path.samples(20_000))
    for sign, log_w in ((1, forward), (-1, reverse)):
        error = sign * log_mean_exp(log_w) - log_partition(theta)
        assert abs(float(error / log_mean_exp_stderr(log_w))) < 4


@laws
def test_gradient_is_that_of_the_likelihood_if_chains_are_samples_of_the_model(law):
    theta = machine(law)
    v, _ = everything(theta.units)
    v = v[:: max(len(v) // 700, 1)]  # the sum over any set of states will do as the model
    theta = Theta(*(p.requires_grad_() for p in theta[:3]), theta.units.requires_grad_())
    parameters = [*theta[:3], *theta.units.parameters()]
    data = v[torch.randint(len(v), (30,))]
    p = torch.softmax(-free_energy(theta, v), 0).detach()

    def gap(states):
        with torch.no_grad():
            looked_at = gradient.phase(theta, data), gradient.phase(theta, states)
        return gradient.energy_gap(theta, *looked_at)

    expectation = sum(w * gap(state[None]) for w, state in zip(p, v, strict=True))
    nll = free_energy(theta, data).mean() + torch.logsumexp(-free_energy(theta, v), 0)
    found = torch.autograd.grad(expectation, parameters)
    for f, e in zip(found, torch.autograd.grad(nll, parameters), strict=True):
        torch.testing.assert_close(f, e)
    for parameter, slope in zip(parameters, found, strict=True):  # finite differences
        ends = []
        for epsilon in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.view(-1)[0] += epsilon
                z = torch.logsumexp(-free_energy(theta, v), 0)
                ends.append(free_energy(theta, data).mean() + z)
                parameter.view(-1)[0] -= epsilon
        torch.testing.assert_close(slope.view(-1)[0], (ends[0] - ends[1]) / 2e-5, atol=1e-8, rtol=0)


def test_two_levels_are_binary_units():
    theta = machine(partial(Categorical, 3, levels=2))
    W, b = (t.unflatten(0, (3, 2)) for t in theta[:2])
    binary = Theta(W[:, 1] - W[:, 0], b[:, 1] - b[:, 0], theta.c + W[:, 0].sum(0))
    x = states(3)

    torch.testing.assert_close(
        free_energy(theta, theta.units.states(x)) + log_partition(theta),
        free_energy(binary, x) + log_partition(binary),
    )


def test_levels_and_events_are_the_same_thing():
    units = Categorical(4, levels=5)
    x = torch.randint(5, (20, 4)) / 4
    v = units.states(x)

    assert (v.view(20, 4, 5).sum(-1) == 1).all()
    torch.testing.assert_close(units.events(v), x)
    with pytest.raises(ValueError, match=r"data\.levels to 5"):
        units.states(x + 0.1)


@pytest.mark.parametrize("mean", [0.0, 0.2, 1.0])
def test_levels_set_out_with_the_mean_of_the_data(mean):
    units = Categorical(1, levels=6)
    b = units.fit(torch.tensor([mean]), torch.ones(1))
    assert float(units.events(units.mean(b[None]))) == pytest.approx(mean, abs=1e-3)


def test_gaussian_units_have_the_density_of_pixels():
    theta = machine(gaussian)
    x = torch.rand(5, 2)
    with torch.no_grad():
        log_p = -free_energy(theta, theta.units.states(x)) - log_partition(theta)
        line = torch.linspace(-8, 9, 1501)
        grid = theta.units.states(torch.cartesian_prod(line, line))
        density = (-free_energy(theta, grid) - log_partition(theta)).exp()
    assert float(density.sum() * (line[1] - line[0]) ** 2) == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(theta.units.events(theta.units.states(x)), x)
    assert torch.isfinite(log_p).all()


class Faces(ImageData):
    """Smooth random images, of which one pixel never changes."""

    shape = (1, 4, 4)

    def read(self):
        noise = torch.Generator().manual_seed(0)
        level = torch.rand(60, 1, 1, 1, generator=noise)
        images = 40 + 150 * level + 20 * torch.randn(60, 1, 4, 4, generator=noise)
        images[..., 0, 0] = 7
        images = images.clamp(0, 255).byte()
        return {"train": images[:40], "val": images[40:50], "test": images[50:]}


@pytest.mark.parametrize(("visible", "binarize"), [(Gaussian, "none"), (Categorical, "levels")])
def test_grey_images_are_learned(visible, binarize, tmp_path):
    data = Faces(batch_size=10, eval_batch_size=10, binarize=binarize)
    model = RBM((1, 4, 4), 6, visible, CD, optimizer=partial(torch.optim.SGD, lr=0.02)).float()
    settings = {"enable_checkpointing": False, "max_epochs": 100}
    run = trainer(tmp_path, **settings)
    model._trainer = run
    data.setup("fit")
    run.datamodule = data
    model.setup("fit")
    x = data.events("test")
    x = (x / 255 if x.dtype == torch.uint8 else x).float()
    before = model.log_prob(x).mean()
    run.fit(model, data)

    assert model.log_prob(x).mean() > before + 1
    sample = model.sample(3)
    assert ((sample >= 0) & (sample <= 1)).all()
    assert sample.shape == (3, 1, 4, 4)
    observed = torch.rand(x.shape) < 0.5
    assert (model.impute(x, observed)[observed] == x[observed]).all()
    assert model.filters().shape == (6, 1, 4, 4)
