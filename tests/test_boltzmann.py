"""Machines of a few units, where every claim can be checked against a sum over all states."""

from functools import partial
from types import SimpleNamespace

import lightning as L
import pytest
import torch
import torch.nn.functional as nnf
from torch.utils.flop_counter import FlopCounterMode

from genlit.annealing import forward_weights, ladder, reverse_weights
from genlit.boltzmann import CD, PCD, RBM, Centred, Enhanced, Ordinary, gradient
from genlit.boltzmann.energy import (
    Theta,
    energy,
    free_energy,
    gibbs_step,
    hidden_logits,
    pseudo_log_likelihood,
    states,
    transpose,
    visible_logits,
)
from genlit.boltzmann.partition import log_partition
from genlit.boltzmann.path import RBMPath
from genlit.chains import clamped
from genlit.data.images import ImageData
from genlit.data.toy import BarsAndStripes, bars_and_stripes
from genlit.logmath import log_mean_exp, log_mean_exp_stderr
from genlit.model import Diverged

pytestmark = pytest.mark.usefixtures("double")

sizes = pytest.mark.parametrize(("visible", "hidden"), [(4, 3), (3, 5), (1, 1), (4, 0)])


def machine(visible: int, hidden: int, scale: float = 1.0) -> Theta:
    return Theta(*(scale * torch.randn(s) for s in [(visible, hidden), (visible,), (hidden,)]))


def probabilities(theta: Theta) -> torch.Tensor:
    """P(v) of every state, by enumeration."""
    return torch.softmax(-free_energy(theta, states(len(theta.b))), 0)


def exact_samples(theta: Theta, n: int) -> torch.Tensor:
    chosen = torch.multinomial(probabilities(theta), n, replacement=True)
    return states(len(theta.b))[chosen]


def frequencies(v: torch.Tensor) -> torch.Tensor:
    """How often each state stands in v, in the order of `states`."""
    numbers = (v @ 2.0 ** torch.arange(v.shape[1])).long()
    return torch.bincount(numbers, minlength=2 ** v.shape[1]) / len(v)


def total_variation_in_floors(found: torch.Tensor, p: torch.Tensor, n: int) -> float:
    """Distance of frequencies to p, in units of what n independent draws would have."""
    return float((found - p).abs().sum() / (p * (1 - p) / n).sqrt().sum())


def few(particles: int):
    """Chains that persist, so many of them."""
    return partial(PCD, particles=particles)


def trainer(**options) -> L.Trainer:
    options = {"accelerator": "cpu", "logger": False, "max_epochs": 1} | options
    quiet = ("enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return L.Trainer(**dict.fromkeys(quiet, False), **options)


# Energy


@sizes
def test_free_energy_sums_out_the_hidden_units(visible, hidden):
    theta, v, h = machine(visible, hidden), states(visible), states(hidden)
    joint = energy(theta, v[:, None].expand(-1, len(h), -1), h.expand(len(v), -1, -1))

    torch.testing.assert_close(free_energy(theta, v), -torch.logsumexp(-joint, dim=1))
    torch.testing.assert_close(log_partition(theta), torch.logsumexp(-joint.flatten(), 0))


@sizes
def test_each_layer_has_the_conditional_of_the_joint_law(visible, hidden):
    theta, v, h = machine(visible, hidden), states(visible), states(hidden)
    joint = -energy(theta, v[:, None].expand(-1, len(h), -1), h.expand(len(v), -1, -1))

    torch.testing.assert_close(hidden_logits(theta, v).sigmoid(), joint.softmax(1) @ h)
    torch.testing.assert_close(visible_logits(theta, h).sigmoid(), joint.softmax(0).T @ v)


def test_pseudo_likelihood_is_the_product_of_the_conditionals():
    theta, v = machine(5, 3), states(5)
    log_p = -free_energy(theta, v)
    expected = 0.0
    for i in range(5):
        other = v.clone()
        other[:, i] = 1 - other[:, i]
        expected += log_p - torch.logaddexp(log_p, -free_energy(theta, other))
    found = [pseudo_log_likelihood(theta, v, torch.full((len(v),), i)) for i in range(5)]

    torch.testing.assert_close(torch.stack(found).mean(0), expected)


def test_states_are_all_different():
    assert (states(6).unique(dim=0).shape, states(6, 10, 20).shape) == ((64, 6), (10, 6))
    torch.testing.assert_close(torch.cat([states(6, 0, 10), states(6, 10)]), states(6))


# The partition function


@sizes
def test_partition_function_is_the_same_from_either_layer(visible, hidden):
    theta = machine(visible, hidden)
    from_visible = torch.logsumexp(-free_energy(theta, states(visible)), 0)
    from_hidden = torch.logsumexp(-free_energy(transpose(theta), states(hidden)), 0)

    torch.testing.assert_close(from_visible, from_hidden, rtol=0, atol=1e-12)
    for chunk in (1, 3, 2**14):
        torch.testing.assert_close(log_partition(theta, chunk), from_hidden, rtol=0, atol=1e-12)


def test_partition_function_of_independent_units():
    b, c = torch.randn(30), torch.randn(7)
    z = log_partition(Theta(torch.zeros(30, 7), b, c), chunk=50)

    torch.testing.assert_close(z, nnf.softplus(b).sum() + nnf.softplus(c).sum())


def test_exact_partition_function_is_refused_where_it_would_take_forever():
    assert log_partition(machine(30, 12)).isfinite()
    with pytest.raises(ValueError, match=r"2\^23 states.*Annealed"):
        RBM((1, 5, 5), hidden=23).log_prob(torch.zeros(1, 1, 5, 5))


def along(theta, base, samples=None):
    """The way from base to machine, with exact samples of it unless told otherwise."""
    return RBMPath(theta, base, samples or (lambda n: exact_samples(theta, n)), "exact samples")


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_annealed_sweep_and_weight_are_about_the_same_law(beta):
    """P_β has the energy between those of base and machine; a sweep at β leaves it as it is."""
    theta, base, n = machine(4, 3), torch.randn(4), 200_000
    between = Theta(beta * theta.W, (1 - beta) * base + beta * theta.b, beta * theta.c)
    path, v = along(theta, base), states(4)
    gained = free_energy(Theta(0 * theta.W, base, 0 * theta.c), v) - free_energy(between, v)
    torch.testing.assert_close(path.rise(path.at(v), 0.0, beta), gained)

    end, _ = path.move(path.at(exact_samples(between, n)), beta)
    assert total_variation_in_floors(frequencies(end), probabilities(between), n) < 4


def test_annealing_agrees_with_the_exact_partition_function():
    theta, base = machine(784, 16, scale=0.1), 0.1 * torch.randn(784)
    log_w = forward_weights(along(theta, base), ladder(100), 200)

    z = (log_mean_exp(log_w) - log_partition(theta)) / log_mean_exp_stderr(log_w)
    assert abs(float(z)) < 4


def test_forward_and_reverse_annealing_bracket_the_partition_function():
    theta, base = machine(8, 6), torch.zeros(8)
    path, exact, rungs = along(theta, base), log_partition(theta), ladder(4)
    lower = forward_weights(path, rungs, 3000).view(300, 10)
    upper = reverse_weights(path, rungs[::-1], path.samples(3000)).view(300, 10)

    below, above = log_mean_exp(lower, 1) - exact, -log_mean_exp(upper, 1) - exact
    assert below.mean() < -2 * below.std() / 300**0.5
    assert above.mean() > 2 * above.std() / 300**0.5


def test_annealing_without_a_way_to_go_has_equal_weights():
    b, c = torch.randn(9), torch.randn(4)
    theta = Theta(torch.zeros(9, 4), b, c)
    path, exact = along(theta, b), log_partition(theta).expand(20)

    torch.testing.assert_close(forward_weights(path, ladder(7), 20), exact)
    v = path.at(torch.rand(20, 9).round())
    torch.testing.assert_close(reverse_weights(path, ladder(7)[::-1], v), -exact)


def test_a_temperature_takes_two_matrix_products():
    theta = machine(40, 30)
    path = along(theta, torch.zeros(40))
    state = path.start(5)
    with FlopCounterMode(display=False) as counter:
        path.rise(state, 0.1, 0.2)
        path.move(state, 0.2)
    products = 2 * 2 * 5 * 40 * 30
    assert products <= counter.get_total_flops() <= products * 1.1


# The gradient


def leaves(theta: Theta) -> Theta:
    return Theta(*(p.clone().requires_grad_() for p in theta[:3]))


def gap(theta: Theta, data: torch.Tensor, chains: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        looked_at = gradient.phase(theta, data), gradient.phase(theta, chains)
    return gradient.energy_gap(theta, *looked_at)


def test_gradient_is_that_of_the_free_energies():
    theta = leaves(machine(6, 5))
    data, chains = torch.rand(30, 6).round(), torch.rand(20, 6).round()  # K is not the batch size
    expected = 3 * (free_energy(theta, data).mean() - free_energy(theta, chains).mean())
    found = torch.autograd.grad(3 * gap(theta, data, chains), theta[:3])

    for f, e in zip(found, torch.autograd.grad(expected, theta[:3]), strict=True):
        torch.testing.assert_close(f, e, rtol=0, atol=1e-10)


def test_gradient_agrees_with_finite_differences():
    theta, data, chains = leaves(machine(4, 3)), torch.rand(9, 4).round(), torch.rand(7, 4).round()
    found = torch.autograd.grad(gap(theta, data, chains), theta[:3])
    for p, g in zip(theta[:3], found, strict=True):
        for at in range(p.numel()):
            ends = []
            for epsilon in (1e-5, -1e-5):
                with torch.no_grad():
                    p.view(-1)[at] += epsilon
                    ends.append(free_energy(theta, data).mean() - free_energy(theta, chains).mean())
                    p.view(-1)[at] -= epsilon
            torch.testing.assert_close(
                g.view(-1)[at], (ends[0] - ends[1]) / 2e-5, rtol=0, atol=1e-9
            )


def test_gradient_is_that_of_the_likelihood_if_chains_are_samples_of_the_model():
    theta, data, v = leaves(machine(4, 3)), torch.rand(50, 4).round(), states(4)

    def nll(*theta):
        everything = torch.logsumexp(-free_energy(Theta(*theta), v), 0)
        return free_energy(Theta(*theta), data).mean() + everything

    assert torch.autograd.gradcheck(nll, theta[:3])
    expectation = sum(
        p * gap(theta, data, state[None])
        for p, state in zip(probabilities(theta).detach(), v, strict=True)
    )
    torch.testing.assert_close(
        torch.autograd.grad(expectation, theta[:3]), torch.autograd.grad(nll(*theta[:3]), theta[:3])
    )


def test_loss_is_a_difference_of_mean_energies():
    theta, data, chains = machine(4, 3), torch.rand(9, 4).round(), torch.rand(7, 4).round()

    def mean_energy(v):
        return energy(theta, v, hidden_logits(theta, v).sigmoid()).mean()

    torch.testing.assert_close(gap(theta, data, chains), mean_energy(data) - mean_energy(chains))


@pytest.mark.parametrize(
    ("sampler", "gradient"), [(CD, Ordinary), (PCD, Ordinary), (PCD, Centred), (CD, Enhanced)]
)
def test_learning_raises_the_exact_likelihood(sampler, gradient):
    images = bars_and_stripes(2).double()  # 6 of the 16 states: from -log 16 = -2.77 to -1.79
    model = RBM((1, 2, 2), hidden=16, sampler=partial(sampler, steps=5), gradient=gradient)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    for _ in range(1000):
        optimizer.zero_grad()
        model.loss({"x": images.repeat(20, 1, 1, 1)})["loss"].backward()
        model.on_before_optimizer_step(optimizer)
        optimizer.step()

    assert model.log_prob(images).mean() > -2.2
    everything = states(4).view(-1, 1, 2, 2)
    torch.testing.assert_close(model.log_prob(everything).exp().sum(), torch.tensor(1.0))


# Chains


def test_sweeps_leave_exact_samples_exact():
    theta, n = machine(4, 3), 200_000
    p, v = probabilities(theta), exact_samples(theta, n)

    assert total_variation_in_floors(frequencies(gibbs_step(theta, v)), p, n) < 4
    for steps in (1, 3):
        h = gradient.phase(theta, v).hidden
        end = gradient.run(theta, h, steps)
        assert total_variation_in_floors(frequencies(end.v), p, n) < 4


@pytest.mark.parametrize("steps", [1, 2])
def test_chains_take_as_many_steps_as_they_are_told(steps):
    theta, n, v, h = machine(3, 2, scale=2.0), 100_000, states(3), states(2)
    joint = -energy(theta, v[:, None].expand(-1, 4, -1), h.expand(8, -1, -1))
    up, down = joint.softmax(1), joint.softmax(0).T  # p(h | v) and p(v | h), rows sum to 1
    expected = down[1] if steps == 1 else down[1] @ up @ down

    end = gradient.run(theta, h[1].expand(n, -1), steps)
    assert total_variation_in_floors(frequencies(end.v), expected, n) < 4
    torch.testing.assert_close(end.mean, hidden_logits(theta, end.v).sigmoid())


def test_clamped_chains_sample_the_conditional():
    model, n = RBM((4,), hidden=3), 100_000
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), machine(4, 3)[:3], strict=True):
            parameter.copy_(value)
    x, observed = torch.tensor([1.0, 0, 1, 0]), torch.tensor([True, True, False, False])
    possible = states(4)[((states(4) == x) | ~observed).all(1)]
    p = torch.zeros(16)
    at = (possible @ 2.0 ** torch.arange(4)).long()
    p[at] = torch.softmax(-model.free_energy(possible), 0).detach()

    exact = possible[torch.multinomial(p[at], n, replacement=True)]
    seen = observed.expand(n, -1)
    moved = torch.where(seen, exact, model.step(exact))
    assert total_variation_in_floors(frequencies(moved), p, n) < 4
    filled = clamped(model.step, x.expand(n, -1), seen, 60)
    assert total_variation_in_floors(frequencies(filled), p, n) < 4
    assert (model.impute(x.expand(5, -1), seen[:5])[:, :2] == x[:2]).all()


def test_a_model_can_be_asked_what_its_header_says():
    model = RBM((1, 3, 3), hidden=5, sampler=few(4), sample_steps=3, impute_steps=3)
    x = torch.rand(7, 1, 3, 3).round()

    for answer in (model.sample(7), model.reconstruct(x), model.denoise(x)):
        assert answer.shape == x.shape
        assert ((answer >= 0) & (answer <= 1)).all()
    moved = model.step(x)
    assert ((moved == 0) | (moved == 1)).all()
    assert model.free_energy(x).shape == model.log_prob(x).shape == (7,)


@pytest.mark.parametrize("sampler", [CD, PCD])
def test_model_brackets_its_own_partition_function(sampler):
    model = RBM((1, 3, 3), hidden=6, sampler=sampler, sample_steps=200)
    with torch.no_grad():
        model.layer.W.copy_(torch.randn(9, 6))
        path = model.path()
        forward = forward_weights(path, ladder(200), 500)
        reverse = reverse_weights(path, ladder(200)[::-1], path.samples(500))
    for sign, log_w in ((1, forward), (-1, reverse)):
        error = sign * log_mean_exp(log_w) - log_partition(model.theta)
        assert (log_w.shape, log_w.dtype) == ((500,), torch.float64)
        assert error.abs() < 4 * log_mean_exp_stderr(log_w)
    assert path.origin == f"{sampler.origin} after 200 Gibbs steps"


# Under the Trainer


class Border(ImageData):
    """Images of which one pixel is always 0, one always 1, and one a coin."""

    shape = (3,)

    def read(self):
        images = torch.tensor([[0, 255, 0], [0, 255, 255]], dtype=torch.uint8).repeat(10, 1)
        return {"train": images, "val": images[:5], "test": images}


def test_learning_starts_at_the_means_and_pixels_that_never_change_do_no_harm():
    data, model = Border(batch_size=6, eval_batch_size=2), RBM((3,), hidden=4, sampler=few(5))
    model.float()
    trainer(max_epochs=3).fit(model, data)

    assert torch.isfinite(torch.cat([p.flatten() for p in model.parameters()])).all()
    expected = torch.tensor([1e-4 / 1.0002, 1.0001 / 1.0002, 0.5])
    torch.testing.assert_close(model.layer.base.sigmoid().double(), expected, rtol=1e-3, atol=0)
    assert model.log_prob(torch.tensor([[0.0, 1.0, 0.0]]).float()) > -1


def test_processes_have_particles_of_their_own_at_the_means_of_the_data():
    found = []
    for rank in (0, 1, 0):
        torch.manual_seed(3)
        model, data = RBM((3,), hidden=1000, sampler=few(50)).float(), Border()
        data.setup("fit")
        model._trainer = SimpleNamespace(datamodule=data, global_rank=rank)
        model.setup("fit")
        found.append(model.layer.sampler.particles.clone())
    assert (found[0] == found[2]).all()
    assert 0.4 < (found[0] == found[1]).float().mean() < 0.6


def test_particles_move_in_training_only():
    model = RBM((1, 4, 4), hidden=8, sampler=few(20))
    before = model.layer.sampler.particles.clone()

    model.eval().loss({"x": torch.rand(5, 1, 4, 4).round()})
    model.sample(3)
    assert (model.layer.sampler.particles == before).all()
    model.train().loss({"x": torch.rand(5, 1, 4, 4).round()})
    assert (model.layer.sampler.particles != before).any()


def test_weight_decay_leaves_biases_alone():
    model = RBM((4,), hidden=3, weight_decay=0.5, optimizer=partial(torch.optim.SGD, lr=0.1))
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
            p.grad = torch.zeros_like(p)
    model.configure_optimizers().step()

    torch.testing.assert_close(model.layer.W.detach(), torch.full((4, 3), 0.95))
    assert (model.layer.b == 1).all()
    assert (model.layer.c == 1).all()


def test_learning_rate_falls_to_zero():
    class Rates(L.Callback):
        def __init__(self):
            self.seen = []

        def on_train_batch_start(self, trainer, *_):
            self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    model = RBM((1, 3, 3), lr_decay=True, optimizer=partial(torch.optim.SGD, lr=1.0)).float()
    rates, data = Rates(), BarsAndStripes(side=3, batch_size=14, repeats=2)
    run = trainer(max_epochs=5, callbacks=rates)
    run.fit(model, data)
    n = len(rates.seen)

    assert rates.seen == pytest.approx([1 - t / n for t in range(n)])
    assert run.optimizers[0].param_groups[0]["lr"] == 0
    with pytest.raises(ValueError, match="max_epochs"):
        trainer(max_epochs=-1).fit(model, data)


def test_validation_measures_the_pseudo_likelihood_and_draws_nothing():
    model, data = RBM((1, 2, 2), hidden=3).float(), BarsAndStripes(side=2, batch_size=6, repeats=5)
    run = trainer()
    run.fit(model, data)  # so that the model knows its data
    state = torch.get_rng_state()
    found = run.validate(model, data, verbose=False)[0]

    x = data.events("val").flatten(1)
    every = [pseudo_log_likelihood(model.theta, x, torch.full((6,), i)) for i in range(4)]
    bounds = torch.stack(every).min(0).values.mean(), torch.stack(every).max(0).values.mean()
    assert bounds[0] < found["val/pseudo_log_likelihood"] < bounds[1]
    error = nnf.binary_cross_entropy(model.reconstruct(x).flatten(1), x, reduction="sum") / 6
    assert found["val/reconstruction_error"] == pytest.approx(error.item(), rel=1e-5)
    assert (torch.get_rng_state() == state).all()


@pytest.mark.parametrize("parameter", ["W", "b", "c"])
def test_broken_weights_stop_the_run(parameter):
    class Break(L.Callback):
        def on_train_batch_start(self, trainer, module, *_):
            getattr(module.layer, parameter).data.view(-1)[0] = float("nan")

    with pytest.raises(Diverged, match="not finite"):
        trainer(callbacks=Break()).fit(
            RBM((1, 2, 2), sampler=few(3)).float(), BarsAndStripes(side=2)
        )


def test_a_run_that_is_resumed_goes_on_with_its_particles(tmp_path):
    def fit(epochs, resume=None):
        torch.manual_seed(1)
        model = RBM((1, 3, 3), hidden=4, sampler=few(6)).float()
        run = trainer(max_epochs=epochs)
        run.fit(model, BarsAndStripes(side=3, batch_size=7, repeats=5), ckpt_path=resume)
        return model, run

    whole = fit(4)[0]
    fit(2)[1].save_checkpoint(tmp_path / "half.ckpt")
    resumed = fit(4, tmp_path / "half.ckpt")[0]
    for name, value in whole.state_dict().items():
        assert (resumed.state_dict()[name] == value).all(), name
