"""Belief nets of a few units, where every path of hidden states can be summed over."""

import math
import warnings
from copy import deepcopy
from functools import partial
from itertools import pairwise, product
from types import SimpleNamespace

import lightning as L
import pytest
import torch

from genlit.boltzmann import CD, DBN, PCD, Centred, belief
from genlit.boltzmann.belief import Directed
from genlit.boltzmann.energy import BINARY, Theta, free_energy, states
from genlit.boltzmann.partition import log_partition
from genlit.chains import chain_of
from genlit.data.toy import BarsAndStripes, bars_and_stripes
from tests.test_boltzmann import frequencies, machine, total_variation_in_floors, trainer

pytestmark = pytest.mark.usefixtures("double")

SIZES = (5, 4, 3)  # v, h_1 and h_2 below the machine on top, which has 5 hidden units more


def directed(lower: int, upper: int, tied: bool) -> Directed:
    theta = machine(lower, upper)
    return Directed(theta, theta if tied else machine(lower, upper))


def toy(tied: bool = False, sizes=SIZES) -> tuple[list[Directed], Theta]:
    """A net of random weights, and the machine on top of it."""
    net = [directed(a, b, tied) for a, b in pairwise(sizes)]
    return net, machine(sizes[-1], 5)


def every_path(v: torch.Tensor, sizes=SIZES) -> list[torch.Tensor]:
    """V (B, V) beside all states of the layers above; each (paths * B, n_l), paths first."""
    combinations = list(product(*(states(n) for n in sizes[1:])))
    above, paths = map(torch.stack, zip(*combinations, strict=True)), len(combinations)
    return [v.repeat(paths, 1), *(h.repeat_interleave(len(v), 0) for h in above)]


def summed(net, top, v: torch.Tensor, sizes=SIZES) -> torch.Tensor:
    """Log p*(v) by enumeration; (B,)."""
    joint = belief.log_joint(net, top, every_path(v, sizes))
    return torch.logsumexp(joint.view(-1, len(v)), 0)


def small(epochs=(1, 1), layers=(4, 6), scale=1.0, **settings) -> DBN:
    """A model of 5 pixels, of random weights all over."""
    model = DBN((5,), layers, epochs, sampler=partial(PCD, particles=30), **settings).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(scale * torch.randn_like(p))
    return model


# Laws


@pytest.mark.parametrize("tied", [True, False])
def test_probabilities_sum_to_one(tied):
    net, top = toy(tied)

    log_z = torch.logsumexp(summed(net, top, states(5)), 0)
    torch.testing.assert_close(log_z, log_partition(top), rtol=0, atol=1e-12)
    v = states(5)[13:14]
    q = belief.log_recognition(net, every_path(v)).exp().sum()
    torch.testing.assert_close(q, torch.ones_like(q), rtol=0, atol=1e-12)


def test_layers_are_drawn_as_their_laws_say():
    net, _ = toy()
    n, v, dream = 100_000, states(5)[11:12], states(3)[6:7]
    p = belief.log_recognition(net, every_path(v)).exp()
    drawn = belief.climb(net, v.expand(n, -1))
    # Which path was drawn: h_2 counts fastest in `every_path`.
    found = frequencies(torch.cat([drawn[2], drawn[1]], 1))
    assert total_variation_in_floors(found, p, n) < 4

    below = belief.descend(net, dream.expand(n, -1))
    lower, upper = states(5).repeat(16, 1), states(4).repeat_interleave(32, 0)
    log_p = belief.log_down(net[0], lower, upper) + belief.log_down(
        net[1], upper, dream.expand(512, -1)
    )
    found = frequencies(torch.cat(below[:2], 1))
    assert (below[2] == dream).all()
    assert total_variation_in_floors(found, log_p.exp(), n) < 4


def test_known_inputs_change_nothing():
    net, _ = toy()
    v = torch.rand(50, 5).round()
    inputs = torch.addmm(net[0].up.c, v, net[0].up.W)
    drawn = []
    for known in (None, inputs):
        torch.manual_seed(1)
        drawn.append(torch.cat(belief.climb(net, v, known), 1))
    assert (drawn[0] == drawn[1]).all()


# The bound


@pytest.mark.parametrize("tied", [True, False])
def test_mean_weight_is_the_probability(tied):
    net, top = toy(tied)
    paths = every_path(states(5))
    log_w = belief.log_weight(net, top, paths) + belief.log_recognition(net, paths)
    expected = torch.logsumexp(log_w.view(-1, 32), 0)

    torch.testing.assert_close(expected, summed(net, top, states(5)))
    assert belief.log_weight(net, top, paths).dtype == torch.float64


def test_weights_of_a_machine_upside_down_are_all_equal():
    below = machine(5, 4)
    top = belief.stacked(below, torch.randn(4, 5), torch.randn(5))
    net = [Directed(below, below)]
    log_w = belief.log_weight(net, top, every_path(states(5), (5, 4))).view(16, 32)

    torch.testing.assert_close(
        log_w, -free_energy(below, states(5)).expand(16, -1), atol=1e-10, rtol=0
    )
    torch.testing.assert_close(log_partition(top), log_partition(below), rtol=0, atol=1e-10)


def test_upside_down_machines_may_be_stacked():
    first = machine(3, 2)
    second = belief.stacked(first, torch.randn(2, 3), torch.randn(3))
    third = belief.stacked(second, torch.randn(3, 2), torch.randn(2))

    for a, b in zip(third[:3], first[:3], strict=True):
        torch.testing.assert_close(a, b)


def test_surplus_units_hardly_change_the_law():
    below = machine(8, 6)
    log_p = []
    for scale in (0.01, 0.001):
        W, c = scale * torch.randn(6, 2000), torch.zeros(2000)
        top = belief.stacked(below, W, c)
        log_p.append(-free_energy(top, states(6)) - log_partition(top))
    exact = -free_energy(Theta(below.W.mT, below.c, below.b), states(6)) - log_partition(below)
    error = [(found - exact).abs().max() for found in log_p]

    assert error[0] < 0.02
    assert error[1] < 0.02 * error[0]  # a matter of weights squared


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("layers", [(4, 6), (4, 3, 5)])
def test_bound_is_below_the_estimate_is_below_the_exact_probability(layers, untied):
    model, v = small([1] * (len(layers) + untied), layers, scale=0.8), states(5)
    model.stack.stage.fill_(len(layers) - 1 + untied)
    assert model.stack.untied == untied
    sizes = (5, *layers[:-1])
    exact = summed(model.stack.net, model.stack.top.theta, v, sizes).detach()

    gaps, errors = [], []  # on average over all v, and their standard errors
    for samples, n in ((1, 200), (5, 100), (500, 3)):
        weights = torch.stack([model.log_weight_bound(v, samples) for _ in range(n)])
        lacking = (exact - weights).mean(1)
        gaps.append(float(lacking.mean()))
        errors.append(float(lacking.std() / n**0.5))
    assert gaps[0] - gaps[1] > 3 * (errors[0] + errors[1])
    assert gaps[1] - gaps[2] > 3 * (errors[1] + errors[2])

    paths = every_path(v, sizes)
    log_q = belief.log_recognition(model.stack.net, paths).detach().view(-1, len(v))
    log_w = (
        belief.log_weight(model.stack.net, model.stack.top.theta, paths).detach().view(-1, len(v))
    )
    elbo = (log_q.exp() * log_w).sum(0)
    assert abs(gaps[0] - float((exact - elbo).mean())) < 4 * errors[0]
    variance = (torch.logsumexp(log_q + 2 * log_w, 0) - 2 * exact).exp() - 1  # of weights over mean
    expected = float(variance.mean()) / (2 * 500)  # what is lacking, to first order
    assert -4 * errors[2] < gaps[2] < 2 * expected + 4 * errors[2]


def test_a_net_of_one_layer_is_a_machine():
    model, v = small(), states(5)
    expected = -free_energy(model.stack.top.theta, v)
    torch.testing.assert_close(model.log_weight_bound(v, 1), expected)
    assert (model.stack.untied, len(model.stack.net)) == (False, 0)


# Stages


@pytest.mark.parametrize("epochs", [(1, 1), (1, 1, 1)])
def test_no_stage_begins_with_a_loss(epochs):
    model, v = small(epochs, (4, 5)), states(5)
    exact = -free_energy(model.stack.top.theta, v)
    bounds = []
    for stage in range(1, len(epochs)):
        model.begin(stage)
        bounds.append(model.log_weight_bound(v, 1))
    for bound in bounds:
        torch.testing.assert_close(bound, exact, rtol=0, atol=1e-10)
    log_z = log_partition(model.stack.layers[1].theta)
    torch.testing.assert_close(
        log_z, log_partition(model.stack.layers[0].theta), rtol=0, atol=1e-10
    )


def test_upside_down_chains_go_on_from_those_below():
    model, n = DBN((5,), (4, 5), (1, 1), sampler=partial(PCD, particles=50_000)).double(), 50_000
    with torch.no_grad():
        for p in model.stack.layers[0].parameters():
            p.copy_(torch.randn_like(p))
        theta = model.stack.layers[0].theta
        p = torch.softmax(-free_energy(theta, states(5)), 0)
        h = torch.addmm(theta.c, states(5)[torch.multinomial(p, n, replacement=True)], theta.W)
        model.stack.layers[0].sampler.particles.copy_(torch.rand_like(h) < h.sigmoid())
    model.begin(1)

    assert total_variation_in_floors(frequencies(model.stack.layers[1].sampler.particles), p, n) < 4


class Record(L.Callback):
    """Keeps the parameters as they are after each epoch, and at its beginning."""

    def __init__(self):
        self.ends, self.starts, self.rates = [], [], []

    def on_before_zero_grad(self, trainer, module, optimizer):
        if trainer.fit_loop.epoch_loop.batch_idx == 0:
            self.starts.append({k: p.detach().clone() for k, p in module.named_parameters()})
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer, module):
        self.ends.append({k: p.detach().clone() for k, p in module.named_parameters()})


OPTIMIZERS = {
    "momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=0.01),
}


def fitted(
    epochs, layers=(6, 10), options=None, repeats=4, **settings
) -> tuple[DBN, L.Trainer, Record]:
    """A model of 3 x 3 bars and stripes."""
    torch.manual_seed(1)
    settings = {
        "weight_decay": 0.1,
        "gradient": Centred,
        "optimizer": OPTIMIZERS["momentum"],
    } | settings
    sampler = partial(PCD, particles=20)
    model = DBN((1, 3, 3), layers, epochs, sampler=sampler, **settings).float()
    record = Record()
    run = trainer(**({"max_epochs": sum(epochs), "callbacks": record} | (options or {})))
    run.fit(model, BarsAndStripes(side=3, batch_size=14, repeats=4))
    return model, run, record


def moved(record: Record, epoch: int) -> set[str]:
    """Names of the parameters that moved in an epoch."""
    before, after = record.starts[epoch], record.ends[epoch]
    return {name for name in before if (before[name] != after[name]).any()}


GREEDY = [{f"stack.layers.{k}.{name}" for name in "Wbc"} for k in range(3)]
UP_DOWN = {
    *(f"stack.layers.{k}.{name}" for k in (0, 1) for name in "Wb"),
    *(f"stack.recognition.{k}.{name}" for k in (0, 1) for name in "Wc"),
    *GREEDY[2],
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("processes", [1, 2])
def test_only_layers_in_training_move(optimizer, processes, tmp_path):
    """Neither weight decay nor momentum of an earlier stage moves the others, not by a bit."""
    if processes == 1:
        record = fitted((1, 1, 1, 1), (6, 10, 4), optimizer=OPTIMIZERS[optimizer])[2]
    else:
        keep = Keep(tmp_path / "record.pt")
        options = {"devices": 2, "strategy": "ddp_fork", "callbacks": keep, "accelerator": "cpu"}
        fitted((1, 1, 1, 1), (6, 10, 4), options, optimizer=OPTIMIZERS[optimizer])
        record = Record()
        record.starts, record.ends = torch.load(keep.path)

    assert [moved(record, epoch) for epoch in range(4)] == [*GREEDY, UP_DOWN]


class Keep(Record):
    """Leaves its record in a file, for the process that waits outside."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_end(self, trainer, module):
        if trainer.global_rank == 0:
            torch.save((self.starts, self.ends), self.path)


def test_every_stage_has_a_fresh_optimizer():
    model, run, _ = fitted((1, 1, 2), optimizer=OPTIMIZERS["adam"])
    n, state = run.global_step // 4, run.optimizers[0].state
    in_up_down = [model.stack.layers[0].W, model.stack.layers[1].W, model.stack.recognition[0].W]

    assert [float(state[W]["step"]) for W in in_up_down] == [2 * n] * 3
    assert model.stack.layers[0].c not in state


def test_rate_falls_to_zero_in_every_stage():
    settings = {"lr_decay": True, "optimizer": partial(torch.optim.SGD, lr=1.0)}
    settings["rates"] = (1.0, 0.25, 0.5)
    rates = fitted((2, 1, 3), **settings)[2].rates
    n = len(rates) // 6
    expected = [1 - t / (2 * n) for t in range(2 * n)] + [0.25 * (1 - t / n) for t in range(n)]
    expected += [0.5 * (1 - t / (3 * n)) for t in range(3 * n)]

    assert rates == pytest.approx(expected)


class Stopped(Exception):
    """What `StopAfter` raises."""


class StopAfter(L.Callback):
    """Writes a checkpoint after so many batches, and ends the run as a crash does."""

    def __init__(self, batches: int, path) -> None:
        self.batches, self.path = batches, path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.batches:
            trainer.save_checkpoint(self.path)
            raise Stopped


@pytest.mark.parametrize("layers", [(6, 10), (6, 4)], ids=["upside down", "independent"])
@pytest.mark.parametrize("batches", [4, 6, 8, 10], ids=["1.", "in 2.", "2.", "in up-down"])
def test_resumed_in_any_stage_is_uninterrupted(layers, batches, tmp_path):
    whole = fitted((1, 1, 1), layers)[0]
    path = tmp_path / "stopped.ckpt"
    with pytest.raises(Stopped):
        fitted((1, 1, 1), layers, {"callbacks": StopAfter(batches, path)})

    torch.manual_seed(99)
    sampler, settings = partial(PCD, particles=20), {"weight_decay": 0.1, "gradient": Centred}
    optimizer = OPTIMIZERS["momentum"]
    model = DBN((1, 3, 3), layers, (1, 1, 1), sampler=sampler, optimizer=optimizer, **settings)
    data = BarsAndStripes(side=3, batch_size=14, repeats=4)
    trainer(max_epochs=3).fit(model.float(), data, ckpt_path=path, weights_only=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_layers_that_cannot_begin_upside_down_begin_at_the_means():
    model, data = DBN((1, 3, 3), (6, 4), (1, 1)).float(), BarsAndStripes(side=3)
    data.setup("fit")
    model._trainer = SimpleNamespace(datamodule=data)
    with torch.no_grad():
        for p in model.stack.layers[0].parameters():
            p.copy_(torch.randn_like(p))
        v = data.events("train").flatten(1)
        mean = torch.addmm(model.stack.layers[0].c, v, model.stack.layers[0].W).sigmoid().mean(0)
        model.begin(1)

    torch.testing.assert_close(model.stack.layers[1].base.sigmoid(), mean, rtol=0, atol=2e-4)
    assert (model.stack.layers[1].b == model.stack.layers[1].base).all()


def test_length_of_the_run_is_that_of_the_stages():
    with pytest.raises(
        ValueError, match=r"1 \+ 1 = 2 epochs and trainer.max_epochs is 3: set it to 2"
    ):
        fitted((1, 1), options={"max_epochs": 3})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fitted((1, 1), options={"max_epochs": 1})[0]
    assert any("only 1 of 2 will begin" in str(w.message) for w in caught)
    assert model.stack.top is model.stack.layers[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": (1,)}, "1 or more for each layer"),
        ({"epochs": (1, 1, 1, 1)}, "one number more for up-down"),
        ({"epochs": (1, 0)}, "1 or more"),
        ({"layers": (4,), "epochs": (1, 1)}, "an RBM"),
        ({"rates": (1.0, 0.0)}, "one above 0 for each stage"),
        ({"rates": (1.0,)}, "one above 0 for each stage"),
    ],
)
def test_what_makes_no_net_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DBN((5,), **({"layers": (4, 5), "epochs": (1, 1)} | arguments))


# Up-down


@torch.no_grad()
def differences(f, parameter: torch.Tensor) -> torch.Tensor:
    """Central differences of a function of a parameter."""
    found = torch.zeros_like(parameter).view(-1)
    flat = parameter.data.view(-1)
    for at in range(len(flat)):
        ends = []
        for epsilon in (1e-5, -1e-5):
            flat[at] += epsilon
            ends.append(float(f()))
            flat[at] -= epsilon
        found[at] = (ends[0] - ends[1]) / 2e-5
    return found.view_as(parameter)


def up_down_model() -> DBN:
    model = small((1, 1, 1, 1), (4, 3, 5), gradient=Centred)
    model.stack.stage.fill_(3)
    return model


def test_wake_and_sleep_learn_the_likelihood_of_their_states():
    """Each part of the loss moves its own weights, along the likelihood of what it explains."""
    model, v = up_down_model(), torch.rand(40, 5).round()
    before = deepcopy(model)
    torch.manual_seed(5)
    terms = model.loss({"x": v})
    parts = terms["top"] + terms["wake"] + terms["sleep"]
    torch.testing.assert_close(parts, terms["loss"])
    terms["loss"].backward()

    torch.manual_seed(5)  # the same states again
    with torch.no_grad():
        awake = belief.climb(before.stack.net, v)
        chains = before.stack.top.phases(awake[-1])[1]
        asleep = belief.descend(before.stack.net, chains.v)

    def nll(W, bias, given, states):
        p = (bias + given @ W).sigmoid()
        return -torch.where(states > 0, p, 1 - p).log().sum(1).mean()

    for k, (layer, recognition) in enumerate(
        zip(model.stack.layers, model.stack.recognition, strict=False)
    ):
        wake = partial(lambda k, one: nll(one.W.T, one.b, awake[k + 1], awake[k]), k, layer)
        sleep = partial(lambda k, one: nll(one.W, one.c, asleep[k], asleep[k + 1]), k, recognition)
        for p, loss in [
            (layer.W, wake),
            (layer.b, wake),
            (recognition.W, sleep),
            (recognition.c, sleep),
        ]:
            torch.testing.assert_close(p.grad, differences(loss, p), rtol=0, atol=1e-7)
        assert layer.c.grad is None


def test_expected_gradients_are_those_of_wake_and_sleep():
    """Over all states that q and p give, as an exact sum."""
    model = up_down_model()
    net, top, v = model.stack.net, model.stack.top.theta, states(5)[[3, 21]]
    paths = every_path(v, (5, 4, 3))
    q = belief.log_recognition(net, paths).exp().detach() / len(v)
    total = torch.zeros(())
    for path, weight in zip(zip(*paths, strict=True), q, strict=True):
        total = total + weight * belief.wake_loss(net, [h[None] for h in path])
    p0 = model.stack.layers[0].W
    wake = lambda: -(q * belief.log_joint(model.stack.net, top, paths)).sum()  # noqa: E731
    grad = torch.autograd.grad(total, p0)[0]
    torch.testing.assert_close(grad, differences(wake, p0), rtol=0, atol=1e-7)

    paths = every_path(states(5), (5, 4, 3))
    p = torch.softmax(belief.log_joint(net, top, paths).detach(), 0)
    chosen = torch.multinomial(p, 20_000, replacement=True)
    dreams = [h[chosen] for h in paths]
    R = model.stack.recognition[1].W
    grad = torch.autograd.grad(belief.sleep_loss(net, dreams), R)[0]
    sleep = lambda: -(p * belief.log_recognition(model.stack.net, paths)).sum()  # noqa: E731
    exact = differences(sleep, R)
    assert (grad - exact).abs().max() < 4 * 0.5 / 20_000**0.5


def test_dreams_are_samples_of_the_net():
    """Those of chains that have the law of the machine on top."""
    model, n = small((1, 1, 1), (4, 6)), 100_000
    model.stack.stage.fill_(2)
    net, top = model.stack.net, model.stack.top.theta
    h = states(4)[
        torch.multinomial(
            torch.softmax(-free_energy(top, states(4)), 0).detach(), n, replacement=True
        )
    ]
    v = belief.descend(net, h)[0]

    assert (
        total_variation_in_floors(
            frequencies(v), torch.softmax(summed(net, top, states(5), (5, 4)), 0).detach(), n
        )
        < 4
    )


@torch.no_grad()
def exact_means(model: DBN, v: torch.Tensor) -> tuple[float, float]:
    """Log p(v), and the variational bound, on average over v."""
    sizes = (v.shape[1], *(len(layer.down.c) for layer in model.stack.net))
    paths, log_z = every_path(v, sizes), log_partition(model.stack.top.theta)
    q = belief.log_recognition(model.stack.net, paths)
    w = belief.log_weight(model.stack.net, model.stack.top.theta, paths)
    exact, bound = torch.logsumexp((q + w).view(-1, len(v)), 0), (q.exp() * w).view(-1, len(v))
    return float((exact - log_z).mean()), float((bound.sum(0) - log_z).mean())


def learn(model: DBN, v: torch.Tensor, steps: int, lr: float) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for t in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - t / steps)
        optimizer.zero_grad()
        model.loss({"x": v})["loss"].backward()
        model.on_before_optimizer_step(optimizer)
        optimizer.step()


def test_later_stages_raise_the_bound_on_bars_and_stripes():
    v = bars_and_stripes(3).flatten(1).double()
    sampler = partial(PCD, particles=100)
    model = DBN((9,), (6, 12), (1, 1, 1), sampler=sampler, gradient=Centred).double()
    found = []
    for stage, (steps, lr) in enumerate([(800, 0.5), (1000, 0.5), (500, 0.15)]):
        if stage:
            model.begin(stage)
        learn(model, v, steps, lr)
        found.append(exact_means(model, v))

    (first, same), (second, bound), (third, tuned) = found
    assert first == pytest.approx(same)
    assert first + 0.05 < bound < second
    assert bound + 0.1 < tuned < third < -math.log(14)


# Questions


@pytest.mark.parametrize("layers", [(4,), (4, 6), (4, 3, 5)])
def test_imputation_samples_the_conditional(layers):
    n, untied = 20_000, len(layers) > 1
    model = small([1] * (len(layers) + untied), layers, scale=0.5, impute_steps=30)
    model.stack.stage.fill_(len(layers) - 1 + untied)
    x, observed = torch.tensor([1.0, 0, 1, 0, 0]), torch.tensor([True, True, False, False, False])
    v = states(5)
    allowed = ((v == x) | ~observed).all(1)
    log_p = summed(model.stack.net, model.stack.top.theta, v, (5, *layers[:-1])).detach()
    p = torch.softmax(log_p.masked_fill(~allowed, -math.inf), 0)

    filled = model.impute(x.expand(n, -1), observed.expand(n, -1))
    assert total_variation_in_floors(frequencies(filled), p, n) < 4


def test_refreshed_hidden_layers_keep_the_posterior():
    net, top = toy()
    n, v = 100_000, states(5)[19:20]
    paths = every_path(v)
    posterior = torch.softmax(belief.log_joint(net, top, paths), 0)
    chosen = torch.multinomial(posterior, n, replacement=True)
    moved = belief.refresh(net, top, [h[chosen] for h in paths])
    found = frequencies(torch.cat([moved[2], moved[1]], 1))

    assert total_variation_in_floors(found, posterior, n) < 4
    assert (moved[1] != paths[1][chosen]).any()


def test_samples_have_the_law_of_the_net():
    model, n = small((1, 1), (4, 6), sample_steps=40), 30_000
    model.stack.stage.fill_(1)
    p = torch.softmax(summed(model.stack.net, model.stack.top.theta, states(5), (5, 4)), 0).detach()
    pixels = model.sample(n)
    found = frequencies((torch.rand_like(pixels) < pixels).to(pixels))

    assert total_variation_in_floors(found, p, n) < 4


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("descended", [True, False])
def test_what_is_seen_of_its_chains_has_the_law_of_the_net(stage, descended):
    model, n = small((1, 1, 1), (5, 6)), 100_000
    model.stack.stage.fill_(stage)
    net, top, path = model.stack.net, model.stack.top.theta, model.path()
    upper = torch.softmax(-free_energy(top, states(5)), 0)
    p = torch.softmax(summed(net, top, states(5), (5, 5) if net else (5,)), 0).detach()
    path.draw_samples = lambda n: states(5)[torch.multinomial(upper, n, replacement=True)]
    if not descended:
        path.net = ()
    model.path = lambda: path
    chain = chain_of(model)
    state = chain.samples(n)
    for _ in range(3):
        seen = chain.look(state)
        right = total_variation_in_floors(frequencies(seen), p, n) < 4
        assert right == (descended or stage == 0)
        state = chain.step(state)


@pytest.mark.parametrize("sampler", [CD, PCD])
@pytest.mark.parametrize("stage", range(4))
def test_a_model_can_be_asked_what_its_header_says_in_every_stage(stage, sampler):
    model = DBN(
        (1, 3, 3), (5, 4, 10), (1, 1, 1, 1), sampler=sampler, sample_steps=3, impute_steps=3
    )
    x, observed = torch.rand(7, 1, 3, 3).round(), torch.rand(7, 1, 3, 3) < 0.5
    for k in range(1, stage + 1):
        model.begin(k)

    for answer in (model.sample(7), model.reconstruct(x), model.denoise(x)):
        assert answer.shape == x.shape
        assert ((answer >= 0) & (answer <= 1)).all()
    filled = model.impute(x, observed)
    assert (filled[observed] == x[observed]).all()
    assert ((filled == 0) | (filled == 1)).all()
    assert model.encode(x).shape == (7, [5, 4, 10, 10][stage])
    assert model.filters().shape == (5, 1, 3, 3)
    assert model.log_weight_bound(x, 3).shape == (7,)
    assert model.path().rise(model.path().start(6), 0.0, 1.0).shape == (6,)
    assert torch.isfinite(model.loss({"x": x})["loss"])


def test_reconstruction_goes_up_and_down_by_means():
    model, x = small((1, 1, 1), (4, 6)), torch.rand(7, 5).round()
    model.stack.stage.fill_(2)
    lower, top, up = model.stack.layers[0], model.stack.layers[1], model.stack.recognition[0]
    h1 = (up.c + x @ up.W).sigmoid()
    h2 = (top.c + h1 @ top.W).sigmoid()
    down = (lower.b + (top.b + h2 @ top.W.T).sigmoid() @ lower.W.T).sigmoid()

    torch.testing.assert_close(model.encode(x), h2)
    torch.testing.assert_close(model.reconstruct(x), down)
    assert BINARY.log_prob(torch.zeros(2, 3), torch.ones(2, 3)).tolist() == pytest.approx(
        [3 * math.log(0.5)] * 2
    )
