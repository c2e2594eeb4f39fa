"""Boltzmann machines with couplings within their layers, small enough to be summed exactly."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch
import torch.nn.functional as nnf

from genlit.annealing import forward_weights, ladder, reverse_weights
from genlit.boltzmann import (
    PCD,
    RBM,
    BoltzmannMachine,
    LateralBoltzmannMachine,
    PersistentChains,
    PseudoLikelihood,
    couplings,
    energy,
    partition,
    sweeps,
)
from genlit.boltzmann.coupled_path import CoupledPath, JointPath
from genlit.boltzmann.couplings import Couplings, hidden_logits, log_partition, visible_logits
from genlit.boltzmann.energy import Theta, states
from genlit.boltzmann.gradient import Phase
from genlit.boltzmann.objectives import energy_gap, phase
from genlit.boltzmann.sweeps import Gibbs, Order, colours, neighbours, order
from genlit.boltzmann.units import draw
from genlit.chains import chain_of
from genlit.data.toy import BarsAndStripes, bars_and_stripes
from genlit.estimators import Exact
from genlit.logmath import log_mean_exp, log_mean_exp_stderr
from tests.test_boltzmann import frequencies, total_variation_in_floors, trainer

pytestmark = pytest.mark.usefixtures("double")

N = 200_000  # chains of a test of stationarity, of which floors are 0.8 on average if it is right
kinds = pytest.mark.parametrize("kind", ["W", "RW", "WS", "RWS", "R"])


def symmetric(n: int, scale: float) -> torch.Tensor:
    upper = scale * torch.randn(n, n).triu(1)
    return upper + upper.T


def machine(kind: str = "RWS", visible: int = 4, hidden: int = 3, scale: float = 1.0) -> Couplings:
    """A machine that has the couplings whose letters stand in `kind`."""
    hidden = hidden if "W" in kind else 0
    W, b, c = (scale * torch.randn(s) for s in [(visible, hidden), (visible,), (hidden,)])
    R = symmetric(visible, scale) if "R" in kind else None
    return Couplings(W, b, c, R, symmetric(hidden, scale) if "S" in kind else None)


def gibbs(theta: Couplings, mask: torch.Tensor | None = None) -> Gibbs:
    mask = neighbours((len(theta.b),), None) if mask is None else mask
    hidden = None if theta.S is None else order(neighbours((len(theta.c),), None))
    return Gibbs(theta, None if theta.R is None else order(mask), hidden)


def every(theta: Couplings) -> tuple[torch.Tensor, torch.Tensor]:
    """All joint states, (S, V) and (S, H)."""
    return states(sum(theta.W.shape)).split(list(theta.W.shape), 1)


def law(theta: Couplings) -> torch.Tensor:
    """P(v, h) of every joint state, in the order of `states`."""
    return torch.softmax(-couplings.energy(theta, *every(theta)), 0)


def visible_law(theta: Couplings) -> torch.Tensor:
    """P(v) of every state, by a sum over all joint states."""
    return law(theta).view(-1, 2 ** len(theta.b)).sum(0)


def exact_samples(theta: Couplings, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    chosen = torch.multinomial(law(theta), n, replacement=True)
    return tuple(layer[chosen] for layer in every(theta))


def drift(theta: Couplings, v: torch.Tensor, h: torch.Tensor) -> float:
    """How far states are from the machine's law, in floors."""
    return total_variation_in_floors(frequencies(torch.cat([v, h], 1)), law(theta), len(v))


# Energy


@kinds
def test_free_energy_sums_out_the_hidden_units(kind):
    theta = machine(kind)
    joint = -couplings.energy(theta, *every(theta)).view(-1, 16)

    torch.testing.assert_close(couplings.free_energy(theta, states(4)), -joint.logsumexp(0))
    for chunk in (1, 5, 2**14):
        torch.testing.assert_close(log_partition(theta, chunk), joint.flatten().logsumexp(0))
    turned = couplings.transpose(theta)
    torch.testing.assert_close(log_partition(turned), log_partition(theta))
    torch.testing.assert_close(log_partition(couplings.joint(theta)), log_partition(theta))


@kinds
def test_each_unit_has_its_conditional_given_all_others(kind):
    theta = machine(kind)
    v, h = every(theta)
    for layer, found in ((v, visible_logits(theta, h, v)), (h, hidden_logits(theta, v, h))):
        for i in range(layer.shape[1]):
            ends = []
            for value in (1.0, 0.0):
                other = layer.clone()
                other[:, i] = value
                both = (other, h) if layer is v else (v, other)
                ends.append(-couplings.energy(theta, *both))
            torch.testing.assert_close(found[:, i], ends[0] - ends[1])


@pytest.mark.parametrize("kind", ["W", "RW", "R"])
def test_pseudo_likelihood_is_the_product_of_the_conditionals(kind):
    theta, v = machine(kind, 5), states(5)
    log_p = -couplings.free_energy(theta, v)
    expected = 0.0
    for i in range(5):
        other = v.clone()
        other[:, i] = 1 - other[:, i]
        expected += log_p - torch.logaddexp(log_p, -couplings.free_energy(theta, other))
    sites = [torch.full((len(v),), i) for i in range(5)]
    found = [couplings.pseudo_log_likelihood(theta, v, i) for i in sites]

    torch.testing.assert_close(torch.stack(found).mean(0), expected)
    if kind == "R":
        torch.testing.assert_close(couplings.full_pseudo_log_likelihood(theta, v), expected)


@kinds
def test_mean_field_bounds_the_density_and_is_exact_for_uncoupled_hidden_units(kind):
    theta, v = machine(kind), states(4)
    exact = -couplings.free_energy(theta, v)
    mean = couplings.mean_field(theta, v, 50)
    bound = couplings.log_weight_bound(theta, v, mean)

    if theta.S is None:
        torch.testing.assert_close(bound, exact)
    else:
        assert (bound < exact).all()
        assert (bound > couplings.log_weight_bound(theta, v, 0 * mean + 0.5)).all()
        settled = torch.addmm(hidden_logits(theta, v), mean, theta.S, alpha=2).sigmoid()
        torch.testing.assert_close(mean, settled, rtol=0, atol=1e-4)


def test_without_couplings_within_layers_it_is_the_restricted_machine():
    theta = machine("W", 6, 5)
    rbm, v, h = Theta(*theta[:3]), states(6), states(5)

    for mine, other in (
        (couplings.free_energy(theta, v), energy.free_energy(rbm, v)),
        (hidden_logits(theta, v), energy.hidden_logits(rbm, v)),
        (visible_logits(theta, h, v[: len(h)]), energy.visible_logits(rbm, h)),
        (couplings.energy(theta, v[: len(h)], h), energy.energy(rbm, v[: len(h)], h)),
    ):
        assert (mine == other).all()
    torch.testing.assert_close(log_partition(theta), partition.log_partition(rbm))
    zeros = theta._replace(R=torch.zeros(6, 6), S=torch.zeros(5, 5))
    torch.testing.assert_close(log_partition(zeros), partition.log_partition(rbm))


def test_sums_that_would_take_forever_are_refused():
    assert log_partition(machine("W", 40, 9)).isfinite()
    assert log_partition(machine("WS", 40, 9)).isfinite()
    for model in (
        BoltzmannMachine((1, 5, 5)),
        BoltzmannMachine((1, 5, 5), hidden=2),
        LateralBoltzmannMachine((1, 4, 4), hidden=7),
        LateralBoltzmannMachine((1, 2, 2), hidden=23, visible_couplings=False),
    ):
        with pytest.raises(ValueError, match=r"2\^2[35] states.*Annealed"):
            model.log_prob(torch.zeros(1, *model.shape))
        with pytest.raises(ValueError, match=r"2\^2[35] states.*Annealed"):
            Exact().check(model)
    Exact().check(BoltzmannMachine((1, 5, 5), hidden=22, visible_couplings=False))
    Exact().check(LateralBoltzmannMachine((1, 9, 9), hidden=22, visible_couplings=False))


@kinds
def test_units_are_counted_as_they_are_summed(kind, monkeypatch):
    """With one unit less allowed than are summed over, the sum is refused, and so is the model."""
    theta = machine(kind, 4, 3)
    summed = {"W": 3, "RW": 4, "WS": 3, "RWS": 7, "R": 4}[kind]
    asked = []
    monkeypatch.setattr(couplings, "states", lambda n, *ends: asked.append(n) or states(n, *ends))
    for largest, refused in ((summed, False), (summed - 1, True)):
        monkeypatch.setattr(couplings, "LARGEST", largest)
        for ask in (couplings.require_tractable, log_partition):
            with pytest.raises(ValueError, match="states of") if refused else nullcontext():
                ask(theta)
    assert set(asked) - {3 if kind == "WS" else None} <= {summed}


# Sweeps


def test_colours_are_of_units_that_are_not_coupled():
    for shape, reach, count in (
        ((28, 28), 1, 4),
        ((1, 9, 8), 2, 9),
        ((30,), 1, 2),
        ((2, 6, 7), 1, 8),
    ):
        mask = neighbours(shape, reach)
        colour = colours(mask)
        assert not (mask & (colour == colour[:, None])).any()
        assert colour.max() + 1 == count
        visits = order(mask)
        assert not visits.coupled
        assert sorted(torch.cat(visits.groups).tolist()) == list(range(len(mask)))


def test_neighbours_are_as_near_as_they_are_to_be():
    assert neighbours((5,), None).sum() == 20
    mask = neighbours((1, 4, 5), 1)
    assert mask[7].nonzero()[:, 0].tolist() == [1, 2, 3, 6, 8, 11, 12, 13]
    assert (mask == mask.T).all()
    assert neighbours((2, 3, 3), 1)[0].nonzero()[:, 0].tolist() == [1, 3, 4, 9, 10, 12, 13]
    assert order(neighbours((1, 28, 28), None)).coupled
    assert order(neighbours((1, 28, 28), 20)).coupled


def block(gibbs, v, h, backwards):
    return gibbs.visible(h, v, backwards=backwards).states, h


def hidden_sweep(gibbs, v, h, backwards):
    return v, gibbs.hidden(v, h, backwards).states


def run(gibbs, v, h, backwards):
    return gibbs.run(v, h, range(3))


def all_at_once(gibbs, v, h, backwards):
    """A mistake: coupled units answer to what the others were."""
    return draw(visible_logits(gibbs.theta, h, v)), h


def half_the_couplings(gibbs, v, h, backwards):
    """A mistake: each pair of units counts twice in the energy."""
    weaker = gibbs.theta._replace(R=gibbs.theta.R / 2)
    return block(gibbs._replace(theta=weaker), v, h, backwards)


def blocks_at_once(gibbs, v, h, backwards):
    """A mistake: coupled units of a group are drawn without a look at one another."""
    return block(gibbs._replace(visible_order=gibbs.visible_order._replace(coupled=False)), v, h, 0)


@pytest.mark.parametrize("beta", [0.3, 1.0])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize(
    ("kernel", "right"),
    [(block, 1), (hidden_sweep, 1), (run, 1), (all_at_once, 0), (half_the_couplings, 0),
     (blocks_at_once, 0)],
)  # fmt: skip
def test_sweeps_leave_exact_samples_exact(kernel, right, backwards, beta, monkeypatch):
    monkeypatch.setattr(sweeps, "BLOCK", 3)  # so that there are several
    theta = machine("RWS", 5, 3)
    R, W, S = theta.R.sum(1), theta.W, theta.S.sum(1)
    centred = theta._replace(b=-R - W.sum(1) / 2, c=-S - W.sum(0) / 2)  # no state is rare
    theta = couplings.anneal(centred, torch.zeros(5), beta)
    v, h = exact_samples(theta, N)

    found = drift(theta, *kernel(gibbs(theta), v, h, backwards))
    assert (found < 1.5) == bool(right), found


@pytest.mark.parametrize(("groups", "right"), [(((0, 2, 4), (1, 3)), 1), (((0, 1, 4), (2, 3)), 0)])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_colours_leave_exact_samples_exact(groups, right, backwards):
    mask = neighbours((5,), 1)
    theta = machine("RW", 5, 2)
    theta = theta._replace(R=2 * theta.R * mask)
    visits = Order(tuple(map(torch.tensor, groups)), coupled=False)
    assert order(mask).groups[0].tolist() == [0, 2, 4]
    v, h = exact_samples(theta, N)

    found = drift(theta, *block(Gibbs(theta, visits, None), v, h, backwards))
    assert (found < 4) == bool(right)


@pytest.mark.parametrize("mask", [neighbours((4,), 1), neighbours((4,), None)], ids=["1", "dense"])
@pytest.mark.parametrize("coupled", [True, False], ids=["RW", "W"])
def test_sweeps_past_held_units_leave_the_conditional_law(mask, coupled):
    theta = machine("RW", 4, 2)
    theta = theta._replace(R=theta.R * mask if coupled else None)
    assert order(mask).coupled == (mask.sum() == 12)
    x, held = torch.tensor([1.0, 0, 1, 0]), torch.tensor([True, False, True, False])
    v, h = every(theta)
    p = law(theta) * ((v == x) | ~held).all(1)
    p = p / p.sum()
    chosen = torch.multinomial(p, N, replacement=True)

    found = gibbs(theta, mask).visible(h[chosen], v[chosen], held.expand(N, -1)).states
    assert (found[:, held] == x[held]).all()
    both = frequencies(torch.cat([found, h[chosen]], 1))
    assert total_variation_in_floors(both, p, N) < 4


@pytest.mark.parametrize(("reverse", "right"), [("move_back", 1), ("move", 0)])
@pytest.mark.parametrize("kind", ["R", "RW", "WS", "RWS"])
def test_reversed_transitions_are_those_of_time_running_backwards(
    kind, reverse, right, monkeypatch
):
    monkeypatch.setattr(sweeps, "BLOCK", 2)  # so that blocks are reversed, and units in them
    theta, base, n = machine(kind, 3, 2 if "S" in kind else 1, 2.0), torch.randn(3), 4 * N
    make = CoupledPath if theta.S is None else JointPath
    path, beta = make(gibbs(theta), base, None, ""), 0.8
    now = exact_samples(couplings.anneal(theta, base, beta), n)
    now = now if theta.S is not None else now[0]
    after, before = path.move(now, beta), getattr(path, reverse)(now, beta)

    def pairs(*states):
        layers = [state if isinstance(state, tuple) else (state,) for state in states]
        return frequencies(torch.cat([layer for state in layers for layer in state], 1))

    # Each of the two has the noise of one sample, so their difference has √2 floors.
    found = total_variation_in_floors(pairs(before, now), pairs(now, after), n)
    assert (found < 1.2 * 2**0.5) == bool(right), found


# Annealing


def paths(kind: str, visible: int = 6, hidden: int = 4):
    """A path to a machine, with its exact log Z and a function that draws its states."""
    theta, base = machine(kind, visible, hidden, 0.7), 0.5 * torch.randn(visible)

    make = CoupledPath if theta.S is None else JointPath
    path = make(gibbs(theta), base, partial(exact_samples, theta), "exact samples")
    return path, log_partition(theta)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["R", "RW", "WS", "RWS"])
def test_paths_weigh_and_move_by_the_same_law(kind, beta):
    theta, base = machine(kind, 4, 2), torch.randn(4)
    path = (CoupledPath if theta.S is None else JointPath)(gibbs(theta), base, None, "")
    between, start = (couplings.anneal(theta, base, t) for t in (beta, 0.0))
    torch.testing.assert_close(log_partition(start), torch.tensor(path.log_base))
    v, h = every(theta)
    if theta.S is None:
        v = states(4)
        gained = couplings.free_energy(start, v) - couplings.free_energy(between, v)
        torch.testing.assert_close(path.rise(v, 0.0, beta), gained)
        end, p = path.move(path.at(exact_samples(between, N)[0]), beta), visible_law(between)
    else:
        gained = couplings.energy(start, v, h) - couplings.energy(between, v, h)
        torch.testing.assert_close(path.rise((v, h), 0.0, beta), gained)
        end, p = torch.cat(path.move(exact_samples(between, N), beta), 1), law(between)
    assert total_variation_in_floors(frequencies(end), p, N) < 4


@pytest.mark.parametrize("kind", ["R", "RW", "RWS"])
def test_annealing_agrees_with_the_exact_partition_function(kind):
    path, exact = paths(kind)
    rungs = ladder(40)
    errors, bars = [], []
    for seed in range(20):
        torch.manual_seed(seed)
        forward = forward_weights(path, rungs, 400)
        reverse = reverse_weights(path, rungs[::-1], path.samples(400))
        errors.append(torch.stack([log_mean_exp(forward) - exact, -log_mean_exp(reverse) - exact]))
        bars.append(torch.stack([log_mean_exp_stderr(w) for w in (forward, reverse)]))
    errors, bars = torch.stack(errors), torch.stack(bars)

    assert forward.dtype == reverse.dtype == torch.float64
    assert (errors.abs() < 4 * bars).all()
    assert ((errors.abs() < 1.96 * bars).double().mean(0) >= 0.85).all()
    assert (errors.mean(0).abs() < 4 * bars.square().mean(0).div(20).sqrt()).all()


@pytest.mark.parametrize("kind", ["R", "RW", "RWS"])
def test_few_chains_bracket_the_partition_function(kind):
    path, exact = paths(kind)
    rungs = ladder(4)
    below = log_mean_exp(forward_weights(path, rungs, 4000).view(400, 10), 1) - exact
    start = path.samples(4000)
    above = -log_mean_exp(reverse_weights(path, rungs[::-1], start).view(400, 10), 1) - exact

    assert below.mean() < -2 * below.std() / 20
    assert above.mean() > 2 * above.std() / 20


def weighted_after_moving(path, rungs, chains):
    """The mistake to be told apart: states move at the new temperature before they are weighted."""
    state, log_weight = path.start(chains), path.log_base
    for low, high in rungs:
        state = path.move(state, high)
        log_weight = log_weight + path.rise(state, low, high)
    return log_weight


@pytest.mark.parametrize("kind", ["R", "RW", "RWS"])
@pytest.mark.parametrize(("method", "right"), [(forward_weights, 1), (weighted_after_moving, 0)])
def test_states_are_weighted_before_they_move(method, right, kind):
    path, exact = paths(kind)
    log_w = method(path, ladder(12), 20_000)
    z = (log_mean_exp(log_w) - exact) / log_mean_exp_stderr(log_w)
    assert (abs(float(z)) < 4) == bool(right)


# The gradient


def leaves(theta: Couplings) -> list[torch.Tensor]:
    return [p.clone().requires_grad_() for p in theta if p is not None]


def rebuilt(kind: str, parts) -> Couplings:
    """A machine from its parts, of whose couplings the upper triangles count."""

    def full(upper):
        return upper.triu(1) + upper.triu(1).T

    W, b, c, *rest = parts
    R = full(rest[0]) if "R" in kind else None
    return Couplings(W, b, c, R, full(rest[-1]) if "S" in kind else None)


def as_phase(theta: Couplings, v: torch.Tensor, h: torch.Tensor) -> Phase:
    """One joint state, or means of hidden units given one visible state."""
    return Phase(v[None], torch.addmm(theta.c, v[None], theta.W), h[None])


@kinds
def test_gradient_is_that_of_the_likelihood_if_both_phases_are_exact(kind):
    parts, data = leaves(machine(kind, 4, 3)), torch.rand(6, 4).round()

    def nll(*parts):
        theta = rebuilt(kind, parts)
        log_z = torch.logsumexp(-couplings.energy(theta, *every(theta)), 0)
        return couplings.free_energy(theta, data).mean() + log_z

    assert torch.autograd.gradcheck(nll, tuple(parts))
    theta = rebuilt(kind, parts)
    fixed, gap = theta.double(), torch.zeros(())
    v, h = every(fixed)
    chain = as_phase(fixed, 0 * v[0], 0 * h[0])  # counts as often with plus as with minus
    for x in data:
        of_h = states(len(fixed.c))
        posterior = torch.softmax(-couplings.energy(fixed, x.expand(len(of_h), -1), of_h), 0)
        for q, state in zip(posterior / len(data), of_h, strict=True):
            gap = gap + q * energy_gap(theta, as_phase(fixed, x, state), chain)
    for p, *state in zip(law(fixed), v, h, strict=True):
        gap = gap - p * energy_gap(theta, as_phase(fixed, *state), chain)

    expected = torch.autograd.grad(nll(*parts), parts)
    for f, e in zip(torch.autograd.grad(gap, parts), expected, strict=True):
        torch.testing.assert_close(f, e)


@kinds
def test_loss_is_a_difference_of_mean_energies_and_its_gradient_that_of_the_difference(kind):
    parts = leaves(machine(kind, 4, 3))
    theta = rebuilt(kind, parts)
    data, chains = torch.rand(9, 4).round(), torch.rand(7, 4).round()
    with torch.no_grad():
        phases = [phase(theta, x, 5) for x in (data, chains)]
    ends = [couplings.energy(theta, x.v, x.mean).mean() for x in phases]
    found, expected = energy_gap(theta, *phases), ends[0] - ends[1]

    torch.testing.assert_close(found, expected)
    pairs = zip(*(torch.autograd.grad(y, parts) for y in (found, expected)), strict=True)
    for f, e in pairs:
        torch.testing.assert_close(f, e)


# Models

SHAPE = (1, 2, 2)
pcd = partial(PersistentChains, particles=100, sweeps=3)
MODELS = {
    "fully visible, pseudo-likelihood": lambda **k: BoltzmannMachine(SHAPE, **k),
    "fully visible, chains": lambda **k: BoltzmannMachine(SHAPE, objective=pcd, **k),
    "semi-restricted": lambda **k: BoltzmannMachine(SHAPE, hidden=6, objective=pcd, **k),
    "restricted": lambda **k: BoltzmannMachine(
        SHAPE, hidden=8, visible_couplings=False, objective=pcd, **k
    ),
    "lateral": lambda **k: LateralBoltzmannMachine(SHAPE, hidden=6, objective=pcd, **k),
    "lateral, pixels uncoupled": lambda **k: LateralBoltzmannMachine(
        SHAPE, hidden=8, visible_couplings=False, objective=pcd, **k
    ),
}
LEAST = {"restricted": -2.5, "lateral, pixels uncoupled": -2.8}  # nats; all began below -3.8
models = pytest.mark.parametrize("name", MODELS)


def filled(model, scale: float = 1.0):
    """A model with random parameters."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(scale * torch.randn_like(p))
    return model


@models
def test_learning_raises_the_exact_likelihood(name):
    images = bars_and_stripes(2).double()
    model = filled(MODELS[name](optimizer=partial(torch.optim.SGD, lr=0.3)))
    optimizer, before = model.configure_optimizers(), model.log_prob(images).mean()
    for _ in range(400):
        optimizer.zero_grad()
        model.loss({"x": images.repeat(10, 1, 1, 1)})["loss"].backward()
        optimizer.step()

    after = model.log_prob(images).mean()
    assert before < -3.8
    assert after > LEAST.get(name, -2.1)
    everything = states(4).view(-1, *SHAPE)
    torch.testing.assert_close(model.log_prob(everything).exp().sum(), torch.tensor(1.0))


@pytest.mark.parametrize("name", ["fully visible, chains", "semi-restricted", "lateral"])
def test_chains_stand_in_the_loss_as_they_are_left(name):
    """Coupled hidden units with their states, uncoupled ones with their means."""
    model, data = filled(MODELS[name]()), torch.rand(9, 4).round()
    chains = model.layer.objective.particles
    before = chains.clone()
    loss = model.loss({"x": data})["loss"]
    v, h = chains[:, :4], chains[:, 4:]
    h = h if name == "lateral" else model.layer.mean_hidden(v)
    expected = couplings.energy(model.theta, data, model.layer.mean_hidden(data)).mean()
    torch.testing.assert_close(loss, expected - couplings.energy(model.theta, v, h).mean())

    assert (before != chains).any()
    left = chains.clone()
    model.eval().loss({"x": data})
    assert (chains == left).all()


def twins(**arguments):
    """An RBM and the machine that it is, with the same parameters and chains."""
    rbm = RBM((1, 3, 3), hidden=5, sampler=partial(PCD, particles=20, steps=2), **arguments)
    chains = partial(PersistentChains, particles=20, sweeps=2)
    model = BoltzmannMachine(
        (1, 3, 3), hidden=5, visible_couplings=False, objective=chains, **arguments
    )
    with torch.no_grad():
        for name in "Wbc":
            getattr(model.layer, name).copy_(getattr(rbm.layer, name))
        model.layer.objective.particles[:, 9:] = rbm.layer.sampler.particles
    return rbm, model


def test_without_couplings_within_layers_it_learns_and_answers_as_the_restricted_machine():
    descend = partial(torch.optim.SGD, lr=0.1, momentum=0.5)
    sizes = {"sample_steps": 3, "impute_steps": 3, "weight_decay": 0.01, "optimizer": descend}
    models, found = twins(**sizes), []
    data, x = torch.rand(30, 1, 3, 3).round(), torch.rand(7, 1, 3, 3).round()
    for model in models:
        torch.manual_seed(5)
        optimizer = model.configure_optimizers()
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            losses.append(model.loss({"x": data})["loss"])
            losses[-1].backward()
            optimizer.step()
        learned = [p.detach() for p in (model.layer.W, model.layer.b, model.layer.c)]
        observed = torch.rand(7, 1, 3, 3) < 0.5
        answers = [model.reconstruct(x), model.free_energy(x).detach(), model.filters()]
        for ask in (partial(model.sample, 25), partial(model.step, x),
                    partial(model.impute, x, observed)):  # fmt: skip
            torch.manual_seed(6)
            answers.append(ask())
        found.append([*map(torch.Tensor.detach, losses), *learned, *answers])

    assert all(torch.equal(rbm, machine) for rbm, machine in zip(*found, strict=True))


@pytest.mark.parametrize("name", ["fully visible, pseudo-likelihood", "semi-restricted", "lateral"])
@pytest.mark.parametrize("adam", [False, True])
def test_no_unit_is_ever_coupled_with_itself(name, adam, tmp_path):
    way = torch.optim.Adam if adam else partial(torch.optim.SGD, momentum=0.9)
    images = BarsAndStripes(side=2, batch_size=6, repeats=5)

    def fit(epochs, resume=None):
        torch.manual_seed(1)
        model = MODELS[name](weight_decay=0.1, optimizer=partial(way, lr=0.05)).float()
        run = trainer(max_epochs=epochs)
        run.fit(model, images, ckpt_path=resume)
        return model, run

    whole = fit(4)[0]
    fit(2)[1].save_checkpoint(tmp_path / "half.ckpt")
    resumed = fit(4, tmp_path / "half.ckpt")[0]
    assert whole.theta.R.abs().min() == 0
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key
    for coupling in (p for p in (resumed.theta.R, resumed.theta.S) if p is not None):
        assert (coupling.diagonal() == 0).all()
        assert torch.equal(coupling, coupling.T)
        assert coupling.any()
    for lateral in (p for p in (resumed.layer.R, resumed.layer.S) if p is not None):
        assert not lateral.upper.tril().any()
        with torch.no_grad():
            lateral.upper.fill_(1.0)
        assert (lateral.matrix == 1 - torch.eye(len(lateral.upper))).all()


def test_weight_decay_leaves_biases_alone():
    model = LateralBoltzmannMachine(
        (4,), hidden=3, weight_decay=0.5, optimizer=partial(torch.optim.SGD, lr=0.1)
    )
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
            p.grad = torch.zeros_like(p)
    model.configure_optimizers().step()

    theta, all_but_self = model.theta, 1 - torch.eye(4)
    torch.testing.assert_close(theta.W.detach(), torch.full((4, 3), 0.95))
    torch.testing.assert_close(theta.R.detach(), 0.95 * all_but_self)
    torch.testing.assert_close(theta.S.detach(), 0.95 * all_but_self[:3, :3])
    assert (theta.b == 1).all()
    assert (theta.c == 1).all()


def test_couplings_reach_no_farther_than_they_are_to():
    model = filled(BoltzmannMachine((1, 5, 5), reach=1))
    R = model.theta.R.detach().view(5, 5, 5, 5)
    assert (R[0, 0] != 0).sum() == 3
    assert (R[1, 1] != 0).sum() == 8
    assert not model.layer.R.order.coupled


@models
def test_a_model_can_be_asked_what_its_header_says(name):
    model, x = filled(MODELS[name](sample_steps=3, impute_steps=3)), states(4).view(-1, *SHAPE)
    observed = torch.rand(x.shape) < 0.5
    for answer in (model.sample(7), model.reconstruct(x), model.denoise(x)):
        assert answer.shape[1:] == SHAPE
        assert ((answer >= 0) & (answer <= 1)).all()
    assert model.filters().shape[1:] == SHAPE
    for events in (x, torch.rand(x.shape)):  # grey levels stay what they are, too
        imputed = model.impute(events, observed)
        assert torch.equal(imputed[observed], events[observed])
        assert ((imputed[~observed] == 0) | (imputed[~observed] == 1)).all()
    torch.testing.assert_close(model.log_prob(x).exp().sum(), torch.tensor(1.0))
    if isinstance(model, BoltzmannMachine):
        assert model.step(x).shape == x.shape
        assert model.free_energy(x).shape == (16,)
    else:
        assert (
            model.log_weight_bound(x, 1) <= model.log_prob(x) + log_partition(model.theta)
        ).all()


@models
def test_imputation_draws_what_is_missing_given_what_is_observed(name):
    model, n = filled(MODELS[name](impute_steps=60)), 40_000
    x, observed = torch.tensor([1.0, 0, 1, 0]), torch.tensor([True, False, False, True])
    v = states(4)
    p = model.log_prob(v.view(-1, *SHAPE)).exp() * ((v == x) | ~observed).all(1)
    p = p / p.sum()

    filled_in = model.impute(
        x.expand(n, -1).view(n, *SHAPE), observed.expand(n, -1).view(n, *SHAPE)
    )
    assert total_variation_in_floors(frequencies(filled_in.flatten(1)), p, n) < 1.5


@pytest.mark.parametrize("name", ["fully visible, pseudo-likelihood", "semi-restricted"])
def test_a_step_of_the_chain_leaves_the_law_of_events(name):
    model, v = filled(MODELS[name]()), states(4)
    p = model.log_prob(v.view(-1, *SHAPE)).exp()
    x = v[torch.multinomial(p, N, replacement=True)].view(-1, *SHAPE)
    assert total_variation_in_floors(frequencies(model.step(x).flatten(1)), p, N) < 1.5


@pytest.mark.parametrize("name", ["lateral", "lateral, pixels uncoupled"])
@pytest.mark.parametrize("right", [True, False])
def test_a_chain_with_hidden_units_leaves_the_law_of_events(name, right):
    model, v = filled(MODELS[name]()), states(4)
    p, path = model.log_prob(v.view(-1, *SHAPE)).exp(), model.path()
    model.path = lambda: path
    path.draw_samples = lambda n: exact_samples(model.theta, n)
    if not right:
        path.move = lambda state, beta: JointPath.move(path, state, 0.7)
    chain = chain_of(model)
    state = chain.samples(N)
    for seen in (chain.look(state), chain.look(chain.step(chain.step(state)))):
        assert seen.shape == (N, *SHAPE)
    assert (total_variation_in_floors(frequencies(seen.flatten(1)), p, N) < 1.5) == right


@models
def test_model_brackets_its_own_partition_function(name):
    model = filled(MODELS[name](sample_steps=100))
    path, rungs, exact = model.path(), ladder(100), log_partition(model.theta)
    assert "100 Gibbs sweeps" in path.origin
    for log_w, sign in (
        (forward_weights(path, rungs, 500), 1),
        (reverse_weights(path, rungs[::-1], path.samples(500)), -1),
    ):
        error = sign * log_mean_exp(log_w) - exact
        assert (log_w.shape, log_w.dtype) == ((500,), torch.float64)
        assert error.abs() < 4 * log_mean_exp_stderr(log_w)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"hidden to 0, or objective to .*PersistentChains"):
        BoltzmannMachine(SHAPE, hidden=3, objective=PseudoLikelihood)
    with pytest.raises(ValueError, match="nothing is coupled"):
        BoltzmannMachine(SHAPE, visible_couplings=False)
    with pytest.raises(ValueError, match=r"without hidden units is a genlit.*BoltzmannMachine"):
        LateralBoltzmannMachine(SHAPE, hidden=0)
    with pytest.raises(ValueError, match="reach is 0"):
        BoltzmannMachine(SHAPE, reach=0)
    with pytest.raises(ValueError, match="particles is 0"):
        BoltzmannMachine(SHAPE, hidden=2, objective=partial(PersistentChains, particles=0))
    model = BoltzmannMachine(SHAPE, lr_decay=True, optimizer=partial(torch.optim.SGD, lr=0.1))
    with pytest.raises(ValueError, match="lr_decay needs a run that ends"):
        trainer(max_epochs=-1).fit(model.float(), BarsAndStripes(side=2))


@models
def test_learning_starts_at_the_means_and_validation_draws_nothing(name):
    data = BarsAndStripes(side=2, batch_size=6, repeats=5)
    model = MODELS[name](optimizer=partial(torch.optim.SGD, lr=0.0), lr_decay=True).float()
    run = trainer()
    run.fit(model, data)
    mean = data.mean.flatten()
    torch.testing.assert_close(model.layer.b.sigmoid(), mean, rtol=1e-3, atol=0)
    assert (model.layer.base == model.layer.b).all()

    filled(model)
    state = torch.get_rng_state()
    found = run.validate(model, data, verbose=False)[0]
    x = data.events("val")
    error = nnf.binary_cross_entropy(model.reconstruct(x), x, reduction="sum") / len(x)
    assert found["val/reconstruction_error"] == pytest.approx(error.item(), rel=1e-5)
    if isinstance(model, BoltzmannMachine):
        v = x.flatten(1)
        each = [
            couplings.pseudo_log_likelihood(model.theta, v, torch.full((len(v),), i))
            for i in range(4)
        ]
        bounds = torch.stack(each).min(0).values.mean(), torch.stack(each).max(0).values.mean()
        assert bounds[0] < found["val/pseudo_log_likelihood"] < bounds[1]
    else:
        bound = model.log_weight_bound(x, 1).mean()
        assert found["val/log_weight_bound"] == pytest.approx(bound.item(), rel=1e-5)
    assert (torch.get_rng_state() == state).all()
