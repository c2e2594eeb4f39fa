"""Chains at several temperatures, against sums over all states of machines of a few units."""

import math
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn

from genlit.boltzmann import (
    CD,
    PCD,
    RBM,
    Binary,
    Categorical,
    Gaussian,
    ParallelTempering,
    TrajectoryTempering,
    bennett,
    tempering,
)
from genlit.boltzmann.energy import (
    Theta,
    free_energy,
    hidden_free_energy,
    hidden_logits,
    states,
    visible_logits,
)
from genlit.boltzmann.gradient import phase
from genlit.boltzmann.partition import log_partition
from genlit.boltzmann.rungs import acceptance, rise
from genlit.boltzmann.units import draw
from genlit.callbacks import Likelihood
from genlit.data.toy import bars_and_stripes
from genlit.estimators import Bennett
from tests.test_boltzmann import frequencies, total_variation_in_floors, trainer

pytestmark = pytest.mark.usefixtures("double")

laws = pytest.mark.parametrize(
    "units", [Binary(5), Categorical(2, levels=3), Gaussian(2)], ids=lambda u: type(u).__name__
)


def machine(units, hidden: int, scale: float = 1.5) -> Theta:
    if isinstance(units, Gaussian):
        scale /= 2
        units.log_variance = nn.Parameter(torch.tensor([-0.4, 0.3]), requires_grad=False)
    sizes = [(units.size, hidden), (units.size,), (hidden,)]
    return Theta(*(scale * torch.randn(size) for size in sizes), units)


def between(theta: Theta, base: torch.Tensor, beta: float) -> Theta:
    bias = (1 - beta) * base + beta * theta.b
    return Theta(beta * theta.W, bias, beta * theta.c, theta.units)


def hidden_law(theta: Theta) -> torch.Tensor:
    """P(h) of every hidden state, by enumeration."""
    return torch.softmax(-hidden_free_energy(theta, states(len(theta.c))), 0)


def exact(rungs: list[Theta], n: int) -> torch.Tensor:
    """Independent hidden states of all rungs, (rungs, n, H)."""
    h = [states(len(m.c))[torch.multinomial(hidden_law(m), n, replacement=True)] for m in rungs]
    return torch.stack(h)


def drift(sampler, theta: Theta, rungs: list[Theta], n: int = 100_000, steps: int = 4) -> float:
    """How far from their joint law some steps take exact samples of all rungs, in floors."""
    h = exact(rungs, n)
    for t in range(steps):
        h = draw(sampler.step(theta, h, t).logits)
    joint = torch.ones(1)
    for rung in rungs:
        joint = torch.outer(hidden_law(rung), joint).flatten()
    return total_variation_in_floors(frequencies(h.transpose(0, 1).flatten(1)), joint, n)


def parallel(theta: Theta, base: torch.Tensor, betas: list[float], particles: int = 1):
    sampler = ParallelTempering(*theta.W.shape, particles, temperatures=len(betas))
    sampler.settle(theta, base)
    sampler.betas.copy_(torch.tensor(betas))
    return sampler, [between(theta, base, beta) for beta in betas]


def trajectory(theta: Theta, base: torch.Tensor, past: list[Theta], particles: int = 1):
    sampler = TrajectoryTempering(*theta.W.shape, particles)
    sampler.settle(theta, base)
    for at, frozen in enumerate(past, 1):
        sampler.insert(frozen, at)
    return sampler, [between(theta, base, 0), *past, theta]


# Exchange leaves every rung's law as it is


@laws
def test_temperatures_keep_their_laws(units):
    theta, base = machine(units, 3), torch.randn(units.size)
    sampler, rungs = parallel(theta, base, [0, 0.4, 1])

    assert drift(sampler, theta, rungs) < 1.2  # 0.8 and a little, were the draws independent


@laws
def test_snapshots_keep_their_laws(units):
    theta, base = machine(units, 2), torch.randn(units.size)
    past = [machine(units, 2), machine(units, 2)]
    sampler, rungs = trajectory(theta, base, past)

    assert drift(sampler, theta, rungs) < 1.2


def scaled_free_energy(theta, units, v, biases, logits):
    """The mistake to be told apart: exchange by β F(v), though the rungs have other laws."""
    flat = v.flatten(0, 1)
    rise_of_beta = (logits[1] - logits[0])[..., 0] / hidden_logits(theta, flat)[:, 0].view(2, -1)
    return rise_of_beta * -free_energy(theta, flat).view(2, -1)


@pytest.mark.parametrize("right", [True, False])
def test_exchange_by_scaled_free_energies_would_not_keep_them(right, monkeypatch):
    theta, base = machine(Binary(5), 3), torch.zeros(5)
    sampler, rungs = parallel(theta, base, [0.2, 0.6, 1])
    if not right:
        monkeypatch.setattr(tempering, "rise", partial(scaled_free_energy, theta))

    assert (drift(sampler, theta, rungs) < 1.2) == right


@pytest.mark.parametrize("kind", [parallel, trajectory])
def test_exchange_happens_as_often_as_it_says(kind):
    theta, base = machine(Binary(5), 3), torch.randn(5)
    rest = [0, 1] if kind is parallel else []
    sampler, rungs = kind(theta, base, rest)
    v = torch.stack([states(5)] * 2)  # the same state on both rungs: always exchanged
    logits = torch.stack([hidden_logits(m, states(5)) for m in rungs])
    both = rungs[0].b, rungs[1].b
    rises = rise(Binary(5), v, both, (logits[:1], logits[1:]))

    torch.testing.assert_close(rises[0], free_energy(rungs[0], v[0]) - free_energy(rungs[1], v[0]))
    assert (acceptance(rises) == 1).all()
    end = sampler.step(theta, exact(rungs, 1000), 0)
    assert end.rises.shape == (1, 2, 1000)
    assert sampler.step(theta, exact(rungs, 1000), 1).rises.shape == (0, 2, 1000)
    torch.testing.assert_close(
        end.rates, (end.rises[:, 0] - end.rises[:, 1]).exp().clamp(max=1).mean(1)
    )


# Modes that Gibbs sampling never leaves


def two_modes() -> Theta:
    """Nearly all of ten units are 0, or nearly all are 1, which has three times the weight."""
    W, c = torch.full((10, 2), 6.0), torch.full((2,), -30.0)
    return Theta(W, torch.full((10,), -6.0 + 0.1 * math.log(3)), c)


def ones(theta: Theta, h: torch.Tensor) -> float:
    """The share of chains in the mode of ones."""
    return float((Binary(10).draw(visible_logits(theta, h)).mean(1) > 0.5).double().mean())


def learned(theta: Theta, steps: int, sampler) -> None:
    """Lets chains follow a machine that grows from independent units to `theta`."""
    sampler.settle(theta, torch.zeros(10))
    for t in range(1, steps + 1):
        now = between(theta, torch.zeros(10), t / steps)
        sampler.negative(now, phase(now, torch.zeros(1, 10)))


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        (PCD, False),
        (partial(ParallelTempering, temperatures=8), True),
        (partial(TrajectoryTempering, snapshots=8, every=1), True),
    ],
    ids=["gibbs", "temperatures", "snapshots"],
)
def test_tempering_finds_the_weight_of_a_mode(kind, right):
    theta, n = two_modes(), 500
    v = states(10)
    p = float(torch.softmax(-free_energy(theta, v), 0)[v.mean(1) > 0.5].sum())
    assert 0.7 < p < 0.8
    sampler = kind(10, 2, particles=n)
    learned(theta, 150, sampler)
    sampler.particles.view(-1, n, 2)[getattr(sampler, "rungs", 1) - 1] = 0  # in the wrong mode

    assert ones(theta, sampler.go_on(theta, torch.zeros(10), n, 0)) < 0.01
    found = ones(theta, sampler.go_on(theta, torch.zeros(10), n, 150))
    assert (abs(found - p) < 4 * (p * (1 - p) / n) ** 0.5) == right


# Samples, and the chains of training


tempered = pytest.mark.parametrize(
    "kind",
    [
        partial(ParallelTempering, temperatures=3),
        partial(TrajectoryTempering, snapshots=4, every=1),
    ],
    ids=["temperatures", "snapshots"],
)


def snapshot(sampler) -> dict:
    return {name: value.clone() for name, value in sampler.state_dict().items()}


@tempered
def test_chains_move_in_training_only(kind):
    theta = machine(Binary(5), 3)
    sampler, data = kind(5, 3, particles=20), phase(theta, torch.zeros(1, 5))
    sampler.settle(theta, torch.zeros(5))
    before = snapshot(sampler)

    sampler.eval().negative(theta, data)
    sampler.go_on(theta, torch.zeros(5), 7, 3)
    sampler.log_partition(theta, 3)
    assert all((before[name] == value).all() for name, value in sampler.state_dict().items())
    sampler.train().negative(theta, data)
    assert (before["particles"] != sampler.particles).any()
    assert sampler.turns == 1
    assert set(before) - {"base"} == set(sampler.chains)


@tempered
def test_states_for_a_gradient_are_those_of_the_machine(kind):
    theta = machine(Binary(5), 3)
    sampler = kind(5, 3, particles=20, steps=2)
    sampler.settle(theta, torch.zeros(5))
    end = sampler.negative(theta, phase(theta, torch.zeros(1, 5)))

    torch.testing.assert_close(end.logits, hidden_logits(theta, end.v))
    torch.testing.assert_close(end.mean, end.logits.sigmoid())
    assert sampler.turns == 2


@pytest.mark.parametrize("kind", [parallel, trajectory])
def test_samples_come_from_ladders_of_their_own(kind, monkeypatch):
    monkeypatch.setattr("genlit.boltzmann.rungs.TOGETHER", 15_000)
    theta, base, n = machine(Binary(5), 3), torch.randn(5), 40_000
    sampler, rungs = kind(theta, base, [0, 0.5, 1] if kind is parallel else [], 30_000)
    sampler.particles[: len(rungs)] = exact(rungs, 30_000)

    h = sampler.go_on(theta, base, n, 3)
    assert total_variation_in_floors(frequencies(h), hidden_law(theta), n) < 2
    start = sampler.start(theta, base, n)
    assert total_variation_in_floors(frequencies(start), hidden_law(theta), n) < 2


# The partition function


def test_bennett_finds_a_known_ratio_and_its_error():
    """Between N(0, 1) and 5 N(1, 1), seen by chains of which each remembers its last state."""
    steps, chains, runs = 10, 40, 200
    noise = torch.randn(2, steps, runs * chains)
    for t in range(1, steps):
        noise[:, t] = 0.8 * noise[:, t - 1] + 0.6 * noise[:, t]
    below, above = (math.log(5) + x - 0.5 for x in (noise[0], noise[1] + 1))
    found = [
        bennett.log_ratio(*both)
        for both in zip(below.split(chains, 1), above.split(chains, 1), strict=True)
    ]
    values = torch.stack([f.value for f in found])
    errors = torch.stack([f.influence.std() / chains**0.5 for f in found])

    assert abs(values.mean() - math.log(5)) < 4 * values.std() / runs**0.5
    assert 0.85 < errors.square().mean().sqrt() / values.std() < 1.15  # give or take 0.05
    scattered = torch.stack([f.influence.sum() for f in found])
    torch.testing.assert_close(scattered, torch.zeros(runs), rtol=0, atol=1e-9)


@laws
@pytest.mark.parametrize("kind", [parallel, trajectory])
def test_every_rung_knows_its_partition_function(kind, units):
    theta, base, n = machine(units, 3), torch.randn(units.size), 400
    middle = between(machine(units, 3), base, 0.7), between(theta, base, 0.8)
    rest = [0, 0.3, 0.7, 1] if kind is parallel else middle
    sampler, rungs = kind(theta, base, rest, n)
    sampler.particles[: len(rungs)] = exact(rungs, n)
    truth = torch.stack([log_partition(m) for m in rungs])

    values, errors = sampler.log_partition(theta, 50)
    torch.testing.assert_close(values[0], truth[0])
    assert ((values - truth).abs() < 0.05).all()
    assert ((values - truth).abs()[1:] < 4 * errors[1:]).all()
    assert errors[0] == 0


def known(kind, particles: int = 400) -> tuple[RBM, torch.Tensor]:
    """A machine whose chains are exact samples of all rungs, and its log Z."""
    theta, base = machine(Binary(5), 3), torch.randn(5)
    middle = between(machine(Binary(5), 3), base, 0.7), between(theta, base, 0.8)
    sampler, rungs = kind(theta, base, [0, 0.3, 0.7, 1] if kind is parallel else middle, particles)
    sampler.particles[: len(rungs)] = exact(rungs, particles)
    model = RBM((5,), 3, sampler=lambda *sizes: sampler)
    with torch.no_grad():
        for p, value in zip((model.layer.W, model.layer.b, model.layer.c), theta, strict=False):
            p.copy_(value)
    return model, log_partition(theta)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("kind", [parallel, trajectory])
def test_the_estimator_gives_log_p_within_its_error(kind, right, monkeypatch):
    ratio = bennett.log_ratio
    if not right:
        monkeypatch.setattr(
            bennett, "log_ratio", lambda *u: ratio(*u)._replace(value=-ratio(*u).value)
        )
    model, truth = known(kind)
    before = deepcopy(model.state_dict())
    found = Bennett(steps=50)(model)

    z = (found.details["log_partition"] - float(truth)) / found.stderr
    assert (abs(z) < 4) == right
    assert 0 < found.stderr < 0.05
    x = states(5)
    torch.testing.assert_close(
        found.log_prob(x), model.log_prob(x) + truth - found.details["log_partition"]
    )
    assert all((before[name] == value).all() for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (CD, "those of CD have one: set sampler to genlit.boltzmann.ParallelTempering or"),
        (PCD, "those of PCD have one"),
        (partial(ParallelTempering, particles=1), "set particles to 2 or more"),
        (partial(TrajectoryTempering, particles=1), "set particles to 2 or more"),
    ],
    ids=["cd", "pcd", "one ladder", "one trajectory"],
)
def test_a_model_without_a_ladder_is_refused_before_any_time_is_spent(sampler, message):
    model = RBM((5,), 3, sampler=sampler)
    with pytest.raises(ValueError, match=message):
        Likelihood(Bennett()).setup(trainer(), model, "fit")


@tempered
def test_one_ladder_cannot_tell_the_error(kind):
    with pytest.raises(ValueError, match="particles to 2"):
        kind(5, 3, particles=1).log_partition(machine(Binary(5), 3), 10)


# Where the rungs are


def test_temperatures_move_to_where_exchange_is_rare():
    betas, rates = torch.linspace(0, 1, 4), torch.tensor([0.9, 0.1, 0.8])
    found = tempering.respaced(betas, rates).diff()
    assert found[1] < 1 / 3 < found[2] < found[0]

    theta = machine(Binary(8), 4, scale=3.0)
    sampler, _ = parallel(theta, torch.zeros(8), [0, 0.02, 0.04, 0.5, 1], 200)
    for _ in range(500):
        sampler.negative(theta, phase(theta, torch.zeros(1, 8)))
    assert sampler.betas[0] == 0
    assert sampler.betas[-1] == 1
    assert sampler.rates.max() - sampler.rates.min() < 0.15


def test_a_machine_is_frozen_when_the_newest_snapshot_no_longer_knows_it():
    base, theta = torch.randn(5), machine(Binary(5), 3, scale=4.0)
    at_rest = Theta(torch.zeros(5, 3), base, torch.zeros(3))
    sampler, data = (
        TrajectoryTempering(5, 3, particles=50, every=1),
        phase(theta, torch.zeros(1, 5)),
    )
    sampler.settle(at_rest, base)
    for _ in range(20):
        sampler.negative(at_rest, data)
    assert (sampler.rungs, sampler.swap_rates()) == (2, 1)

    while sampler.rungs == 2:
        sampler.negative(theta, data)
    assert (sampler.W[1] == theta.W).all()
    assert (sampler.particles[1] == sampler.particles[2]).all()
    assert sampler.swap_rates()[1] == 1
    weights = [float(m.W.abs().sum()) for m in sampler.machines(theta)]
    assert weights[0] == 0 < weights[1] == weights[2]


def test_strangers_get_their_mean_between_them():
    theta = machine(Binary(5), 3)
    sampler, _ = trajectory(theta, torch.randn(5), [machine(Binary(5), 3), theta], 10)
    before = deepcopy(sampler).machines(theta)
    sampler.rates[:3] = torch.tensor([0.4, 0.05, 0.9])
    sampler.tend(theta)

    after = sampler.machines(theta)
    kept = (0, 1, 3, 4)
    assert all((after[k].W == before[i].W).all() for i, k in enumerate(kept))
    for found, below, above in zip(after[2][:3], before[1], before[2], strict=False):
        torch.testing.assert_close(found, (below + above) / 2)
    torch.testing.assert_close(sampler.swap_rates(), torch.tensor([0.4, 0.1, 0.1, 0.9]))
    sampler.tend(theta)
    assert sampler.rungs == 5


def full_ladder(rates: list[float]) -> TrajectoryTempering:
    sampler = TrajectoryTempering(2, 3, particles=5, snapshots=5)
    for k in (1, 2, 3, 4):
        sampler.insert(Theta(torch.full((2, 3), float(k)), torch.zeros(2), torch.zeros(3)), k)
    sampler.particles.copy_(torch.rand_like(sampler.particles))
    sampler.rates.copy_(torch.tensor(rates))
    return sampler


def test_a_full_ladder_gives_up_the_rung_that_is_needed_least():
    theta = Theta(torch.full((2, 3), 5.0), torch.zeros(2), torch.zeros(3))
    sampler = full_ladder([0.3, 0.9, 0.8, 0.5, 0.2])
    before = sampler.particles.clone()
    sampler.tend(theta)

    assert sampler.W[:, 0, 0].tolist() == [0, 1, 3, 4, 5]
    torch.testing.assert_close(sampler.rates, torch.tensor([0.3, 0.72, 0.5, 0.2, 1.0]))
    for rung, origin in enumerate([0, 1, 3, 4, 5, 5]):
        assert (sampler.particles[rung] == before[origin]).all()
    assert sampler.rungs == 6


def test_a_full_ladder_mends_a_gap_only_if_it_need_not_make_another():
    theta = Theta(torch.full((2, 3), 5.0), torch.zeros(2), torch.zeros(3))
    sampler = full_ladder([0.05, 0.3, 0.3, 0.5, 0.6])
    sampler.tend(theta)
    assert sampler.W[:, 0, 0].tolist() == [0, 0.5, 1, 2, 4]
    sampler = full_ladder([0.05, 0.3, 0.2, 0.2, 0.6])
    sampler.tend(theta)
    assert sampler.W[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_the_machine_moves_alone_between_moves_of_the_ladder():
    theta = machine(Binary(5), 3)
    sampler, data = (
        TrajectoryTempering(5, 3, particles=30, every=3),
        phase(theta, torch.zeros(1, 5)),
    )
    sampler.settle(theta, torch.zeros(5))
    moved = []
    for _ in range(6):
        before = sampler.particles.clone()
        sampler.negative(theta, data)
        moved.append([bool((before[rung] != sampler.particles[rung]).any()) for rung in (0, 1)])
    assert moved == [[False, True], [False, True], [True, True]] * 2
    assert sampler.turns == 2


@tempered
def test_learning_with_tempering_raises_the_exact_likelihood(kind):
    images = bars_and_stripes(2).double()  # 6 of the 16 states: from -log 16 = -2.77 to -1.79
    model = RBM((1, 2, 2), hidden=16, sampler=partial(kind, particles=100))
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 2.0 * (1 - step / 600)
        optimizer.zero_grad()
        model.loss({"x": images})["loss"].backward()
        optimizer.step()

    assert model.log_prob(images).mean() > -2.05
    assert len(model.swap_rates()) >= 1
    assert "tempering" in model.path().origin


def test_too_few_rungs_or_chains_are_refused():
    for make, match in (
        (lambda: ParallelTempering(4, 3, temperatures=1), "temperatures is 1.*PCD"),
        (lambda: TrajectoryTempering(4, 3, snapshots=2), "snapshots is 2.*PCD"),
        (lambda: TrajectoryTempering(4, 3, every=0), "every is 0"),
        (lambda: ParallelTempering(4, 3, particles=0), "particles is 0"),
        (lambda: ParallelTempering(4, 3, steps=0), "steps is 0"),
    ):
        with pytest.raises(ValueError, match=match):
            make()
