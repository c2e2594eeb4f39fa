"""Deep Boltzmann machines of a few units, checked against sums over all their states."""

from functools import partial
from itertools import pairwise

import lightning as L
import pytest
import torch
import torch.nn.functional as nnf

from genlit.annealing import forward_weights, ladder, reverse_weights
from genlit.boltzmann import DBM, deep_gradient
from genlit.boltzmann.deep import (
    DeepTheta,
    drawn,
    energy,
    given_visible,
    log_marginal,
    log_partition,
    logits,
    logits_from,
    mean_field,
    split,
    sweep,
    variational_bound,
)
from genlit.boltzmann.deep_gradient import energy_gap, gap_gradient, run
from genlit.boltzmann.deep_path import DeepPath
from genlit.boltzmann.deep_pretraining import composed, positive, run_pair
from genlit.boltzmann.energy import Theta, free_energy, states
from genlit.boltzmann.partition import log_partition as log_partition_of_rbm
from genlit.boltzmann.stages import Stages
from genlit.chains import chain_of
from genlit.data.toy import BarsAndStripes, bars_and_stripes
from genlit.logmath import log_mean_exp, log_mean_exp_stderr
from tests import small, test_processes, test_resume
from tests.test_boltzmann import frequencies, total_variation_in_floors, trainer

pytestmark = pytest.mark.usefixtures("double")

SIZES = [(3, 2, 3), (3, 2, 2, 2)]
sizes = pytest.mark.parametrize("sizes", SIZES, ids=["2 layers", "3 layers"])


def machine(sizes, scale: float = 1.0) -> DeepTheta:
    W = [scale * torch.randn(pair) for pair in pairwise(sizes)]
    return DeepTheta(W, [scale * torch.randn(n) for n in sizes])


def joint(theta: DeepTheta) -> tuple[torch.Tensor, dict]:
    """All states side by side in the order of `states`, and each layer of them."""
    n = [len(b) for b in theta.b]
    x = states(sum(n))
    return x, dict(enumerate(x.split(n, 1)))


def probabilities(theta: DeepTheta) -> torch.Tensor:
    return torch.softmax(-energy(theta, joint(theta)[1]), 0)


def beside(x: dict) -> torch.Tensor:
    return torch.cat([x[k] for k in sorted(x)], 1)


def exact_samples(theta: DeepTheta, n: int) -> dict:
    chosen = torch.multinomial(probabilities(theta), n, replacement=True)
    return {k: x[chosen] for k, x in joint(theta)[1].items()}


def log_prob(theta: DeepTheta) -> torch.Tensor:
    """Log p(v) of every v, by brute force."""
    p, v = probabilities(theta), joint(theta)[1][0]
    number = (v @ 2.0 ** torch.arange(v.shape[1])).long()
    return torch.zeros(2 ** v.shape[1]).index_add(0, number, p).log()


def put(model: DBM, theta: DeepTheta) -> DBM:
    with torch.no_grad():
        for group, values in zip((model.deep.W, model.deep.b), theta, strict=True):
            for p, value in zip(group, values, strict=True):
                p.copy_(value)
    return model


def model_of(theta: DeepTheta, **options) -> DBM:
    shape, *layers = [len(b) for b in theta.b]
    return put(DBM((shape,), layers, **options), theta)


# Energy and its sums


@sizes
def test_partition_function_is_the_same_from_either_parity(sizes):
    theta = machine(sizes)
    exact = torch.logsumexp(-energy(theta, joint(theta)[1]), 0)

    for odd in (None, 0, 1):
        for chunk in (3, 2**14):
            found = log_partition(theta, odd, chunk)
            torch.testing.assert_close(found, exact, rtol=0, atol=1e-12)
    assert log_partition(DeepTheta(*([p.float() for p in g] for g in theta))).dtype == torch.float64


def test_exact_partition_function_is_refused_where_it_would_take_forever():
    assert log_partition(machine((40, 6, 30, 6))).isfinite()
    with pytest.raises(ValueError, match=r"2\^23 states.*annealing"):
        log_partition(machine((20, 23, 10)))


@sizes
def test_each_layer_has_the_conditional_of_the_joint_law(sizes):
    """Sums over one parity, and the law of one parity given the other, are those of the joint."""
    theta = machine(sizes)
    layers = joint(theta)[1]
    log_p = -energy(theta, layers)
    for odd in (0, 1):
        kept = beside({k: layers[k] for k in layers if k % 2 == odd})
        key = (kept @ 2.0 ** torch.arange(kept.shape[1])).long()
        total = torch.zeros(2 ** kept.shape[1]).index_add(0, key, log_p.exp())
        torch.testing.assert_close(log_marginal(theta, layers, odd), total.log()[key])
        for k in range(1 - odd, len(sizes), 2):
            ones = torch.zeros(len(total), sizes[k])
            ones.index_add_(0, key, log_p.exp()[:, None] * layers[k])
            torch.testing.assert_close(
                logits(theta, layers, k).sigmoid(), (ones / total[:, None])[key]
            )


def test_without_upper_weights_the_machine_is_an_rbm():
    theta = machine((4, 3, 2))
    theta.W[1].zero_()
    rbm, v = Theta(theta.W[0], theta.b[0], theta.b[1]), states(4)
    free = nnf.softplus(theta.b[2]).sum()

    torch.testing.assert_close(log_partition(theta), log_partition_of_rbm(rbm) + free)
    bound = variational_bound(theta, mean_field(theta, v, 1))
    torch.testing.assert_close(bound, free - free_energy(rbm, v))
    torch.testing.assert_close(bound - log_partition(theta), log_prob(theta))


# Mean-field


@sizes
def test_mean_field_comes_to_rest_where_every_layer_agrees_with_its_neighbours(sizes):
    theta, v = machine(sizes), states(sizes[0])
    mean = mean_field(theta, v, 10_000, 1e-13)
    for k in range(1, len(sizes)):
        found = logits(theta, mean, k).sigmoid()
        torch.testing.assert_close(mean[k], found, rtol=0, atol=1e-8)

    def bound(*free):
        layers = {0: v} | dict(enumerate(free, 1))
        entropy = sum((torch.special.entr(m) + torch.special.entr(1 - m)).sum(-1) for m in free)
        return (entropy - energy(theta, layers)).sum()

    free = [mean[k].clone().requires_grad_() for k in range(1, len(sizes))]
    for slope in torch.autograd.grad(bound(*free), free):
        torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-6)
    torch.testing.assert_close(variational_bound(theta, mean).sum(), bound(*free))


@sizes
def test_bound_rises_with_every_step_and_never_exceeds_the_exact_likelihood(sizes):
    for scale in (0.3, 1.0, 2.0):
        theta = machine(sizes, scale)
        exact, v = log_prob(theta), states(sizes[0])
        bounds = torch.stack(
            [variational_bound(theta, mean_field(theta, v, s)) for s in (1, 2, 3, 5, 20)]
        ) - log_partition(theta)
        assert (bounds <= exact + 1e-12).all()
        assert (bounds.diff(dim=0) >= -1e-12).all()
        if scale == 0.3:
            assert (exact - bounds[-1]).max() < 0.1


def test_mean_field_begins_with_the_input_from_below_in_place_of_both():
    theta, v = machine((3, 2, 2, 2)), states(3)
    mean = {1: (theta.b[1] + 2 * v @ theta.W[0]).sigmoid()}
    mean[2] = (theta.b[2] + 2 * mean[1] @ theta.W[1]).sigmoid()
    mean[3] = (theta.b[3] + mean[2] @ theta.W[2]).sigmoid()
    mean[2] = logits(theta, mean, 2).sigmoid()
    found = mean_field(theta, v, 1)

    torch.testing.assert_close(found[2], mean[2])
    torch.testing.assert_close(found[3], logits(theta, mean, 3).sigmoid())
    torch.testing.assert_close(found[1], logits(theta, {0: v} | mean, 1).sigmoid())


# The gradient


def leaves(theta: DeepTheta) -> DeepTheta:
    return DeepTheta(*([p.clone().requires_grad_() for p in group] for group in theta))


def flat(theta: DeepTheta) -> list:
    return [*theta.W, *theta.b]


def test_gradient_and_value_are_those_of_the_mean_energies():
    theta = leaves(machine((3, 2, 4)))
    data, chains = (
        {k: torch.rand(n, m) for k, m in enumerate((3, 2, 4))} for n in (7, 5)
    )  # K is not the batch size
    expected = energy(theta, data).mean() - energy(theta, chains).mean()
    found = energy_gap(theta, data, chains)
    torch.testing.assert_close(found, expected)
    for f, e in zip(
        torch.autograd.grad(3 * found, flat(theta)),
        torch.autograd.grad(3 * expected, flat(theta)),
        strict=True,
    ):
        torch.testing.assert_close(f, e)


@sizes
def test_gradient_is_that_of_the_likelihood_if_both_phases_are_exact(sizes):
    """Expectations of the gap under p(h | v) and p(x), against the enumerated likelihood."""
    theta, data = leaves(machine(sizes)), torch.rand(20, sizes[0]).round()
    with torch.no_grad():
        p, (_, x) = probabilities(theta), joint(theta)
        seen = (x[0][:, None] == data).all(-1).double()  # (states, events)
        posterior = p[:, None] * seen
        posterior = (posterior / posterior.sum(0)).mean(1)

    def nll(*parameters):
        t = DeepTheta(list(parameters[: len(theta.W)]), list(parameters[len(theta.W) :]))
        weights = -energy(t, x)
        given = torch.where(seen.T > 0, weights, -torch.inf).logsumexp(1)
        return weights.logsumexp(0) - given.mean()

    assert torch.autograd.gradcheck(nll, tuple(flat(theta)))  # against finite differences
    expected = torch.autograd.grad(nll(*flat(theta)), flat(theta))
    rows = [{k: y[i : i + 1] for k, y in x.items()} for i in range(len(p))]
    found = [torch.zeros_like(q) for q in flat(theta)]
    for i, row in enumerate(rows):
        W, b = gap_gradient(row, {k: torch.zeros_like(y) for k, y in row.items()})
        for total, g in zip(found, [*W.values(), *b.values()], strict=True):
            total += (posterior[i] - p[i]) * g
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e, rtol=0, atol=1e-10)


@sizes
def test_negative_phase_is_unbiased_if_chains_are_samples_of_the_model(sizes):
    """The odd layers stand with probabilities, which keeps every mean and lowers its variance."""
    theta, n = machine(sizes), 200_000
    p, (_, x) = probabilities(theta), joint(theta)
    phase, _ = run(theta, exact_samples(theta, n), 2)
    for k in range(len(sizes) - 1):
        product = phase[k][:, :, None] * phase[k + 1][:, None]
        exact = torch.einsum("s,si,sj->ij", p, x[k], x[k + 1])
        z = (product.mean(0) - exact) / (product.std(0) / n**0.5)
        assert z.abs().max() < 4.5
        assert (product.var(0) < exact * (1 - exact)).all()


def test_centred_gradient_is_the_one_of_the_centred_parameters():
    """In W and a_l = b_l + Σ W m of a machine with offsets, then written in W and b."""
    theta, m = leaves(machine((3, 2, 4))), {k: torch.rand(n) for k, n in enumerate((3, 2, 4))}
    data, chains = ({k: torch.rand(n, len(m[k])) for k in m} for n in (7, 5))

    def ordinary(W0, W1, a0, a1, a2):
        b = [a0 - W0 @ m[1], a1 - W0.T @ m[0] - W1 @ m[2], a2 - W1.T @ m[1]]
        return DeepTheta([W0, W1], b)

    turned = [p.detach().requires_grad_() for p in flat(theta)]
    t = ordinary(*turned)
    slope = torch.autograd.grad((energy(t, data).mean() - energy(t, chains).mean()), turned)
    moved = ordinary(*(p + g for p, g in zip(turned, slope, strict=True)))
    W, b = gap_gradient(data, chains)
    deep_gradient.centred(W, b, m)
    for found, after, before in zip([*W.values(), *b.values()], flat(moved), flat(t), strict=True):
        torch.testing.assert_close(found, after - before)


# Chains


@sizes
def test_sweeps_leave_exact_samples_exact(sizes):
    theta, n = machine(sizes), 200_000
    p, x = probabilities(theta), exact_samples(theta, n)

    ends = [sweep(theta, x), x | drawn(theta, x, 0), x | drawn(theta, x, 1)]
    phase, odd = run(theta, x, 3)
    for end in (*ends, phase | odd):
        assert total_variation_in_floors(frequencies(beside(end)), p, n) < 4


@sizes
@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("right", [True, False])
def test_what_is_seen_of_its_chains_has_the_law_of_events(sizes, odd, right):
    """Whichever layers the chains live on."""
    model, n = model_of(machine(sizes)), 100_000
    path = DeepPath(
        model.theta, torch.randn(sizes[0]), partial(exact_samples, model.theta), "", odd
    )
    model.path = lambda: path
    if not right:
        path.events = lambda state: torch.rand(n, sizes[0]).round()
    chain, p = chain_of(model), log_prob(model.theta).exp().detach()
    state = chain.samples(n)
    for _ in range(3):
        seen = chain.look(state)
        assert seen.shape == (n, sizes[0])
        assert (total_variation_in_floors(frequencies(seen), p, n) < 4) == right
        state = chain.step(state)


@sizes
def test_chains_with_observed_pixels_sample_the_conditional(sizes):
    theta, n = machine(sizes), 100_000
    v, seen = torch.tensor([1.0, 0, 0]), torch.tensor([True, True, False])
    p, (_, x) = probabilities(theta), joint(theta)
    p = p * ((x[0] == v) | ~seen).all(1)
    p /= p.sum()
    start = torch.multinomial(p, n, replacement=True)
    observed, held = seen.expand(n, -1), v.expand(n, -1)

    end = sweep(theta, {k: y[start] for k, y in x.items()}, held, observed)
    assert total_variation_in_floors(frequencies(beside(end)), p, n) < 4
    model = model_of(theta, impute_steps=60)
    filled = model.impute(held, observed)
    of_v = torch.zeros(8).index_add(0, (x[0] @ 2.0 ** torch.arange(3)).long(), p)
    assert total_variation_in_floors(frequencies(filled), of_v, n) < 4
    mixed = torch.rand(50, 3) < 0.5  # another mask for each event
    x = torch.rand(50, 3).round()
    assert (model.impute(x, mixed)[mixed] == x[mixed]).all()


# Annealing

parities = pytest.mark.parametrize("odd", [0, 1], ids=["even kept", "odd kept"])


def path_of(theta: DeepTheta, odd: int | None = None, base=None) -> DeepPath:
    base = torch.randn(len(theta.b[0])) if base is None else base
    return DeepPath(theta, base, partial(exact_samples, theta), "exact samples", odd)


def at(theta: DeepTheta, base: torch.Tensor, beta: float) -> DeepTheta:
    """The machine at β."""
    hidden = [beta * b for b in theta.b[1:]]
    return DeepTheta([beta * W for W in theta.W], [(1 - beta) * base + beta * theta.b[0], *hidden])


@sizes
@parities
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_path_weights_and_moves_by_the_same_law(sizes, odd, beta):
    theta, n = machine(sizes), 100_000
    path = path_of(theta, odd)
    between = at(theta, path.base, beta)
    x = exact_samples(between, n)
    gained = log_marginal(between, x, odd) - log_marginal(at(theta, path.base, 0.0), x, odd)
    state = path._look(x)
    torch.testing.assert_close(path.rise(state, 0.0, beta), gained)
    torch.testing.assert_close(path.log_base, float(log_partition(at(theta, path.base, 0.0))))

    p = torch.softmax(
        log_marginal(between, split(theta, states(beside(state[0]).shape[1]), odd), odd), 0
    )
    starts = [path.start(n)[0]] if beta == 0 else []
    for kept in (*starts, path.move(state, beta)[0], path.move_back(state, beta)[0]):
        assert total_variation_in_floors(frequencies(beside(kept)), p, n) < 4


@sizes
@parities
def test_annealing_agrees_with_the_exact_partition_function(sizes, odd):
    theta, base = machine(sizes), torch.zeros(sizes[0])
    path, rungs, exact = path_of(theta, odd, base), ladder(20), log_partition(theta)
    for sign in (1, -1):
        z = []
        for seed in range(20):
            torch.manual_seed(seed)
            log_w = (
                forward_weights(path, rungs, 200)
                if sign == 1
                else reverse_weights(path, rungs[::-1], path.samples(200))
            )
            assert log_w.dtype == torch.float64
            z.append(float((log_mean_exp(log_w) - sign * exact) / log_mean_exp_stderr(log_w)))
        assert max(map(abs, z)) < 4
        assert sum(abs(value) < 1.96 for value in z) >= 17


def test_states_that_move_before_they_are_weighted_are_told_apart():
    theta = machine((3, 2, 3), 2.0)
    path = path_of(theta, base=torch.zeros(3))
    log_w, state = path.log_base, path.start(20_000)
    for low, high in ladder(20):
        state = path.move(state, high)
        log_w = log_w + path.rise(state, low, high)
    assert abs(log_mean_exp(log_w) - log_partition(theta)) > 8 * log_mean_exp_stderr(log_w)


def test_annealing_of_a_model_without_weights_has_equal_weights():
    theta = machine((5, 3, 4, 2))
    for W in theta.W:
        W.zero_()
    for b in theta.b[1:]:
        b.zero_()
    for odd in (0, 1):
        log_w = forward_weights(path_of(theta, odd, theta.b[0]), ladder(5), 10)
        torch.testing.assert_close(log_w, log_partition(theta).expand(10))


def test_model_brackets_its_own_partition_function():
    theta = machine((6, 3, 4))
    model = model_of(theta, particles=50, sample_steps=100)
    path = model.path()
    assert path.odd == 1
    for sign, log_w in (
        (1, forward_weights(path, ladder(100), 500)),
        (-1, reverse_weights(path, ladder(100)[::-1], path.samples(500))),
    ):
        error = sign * log_mean_exp(log_w) - log_partition(theta)
        assert error.abs() < 4 * log_mean_exp_stderr(log_w)
    assert "persistent chains after 100" in path.origin


# Pretraining


def test_an_inner_layer_counts_its_only_neighbour_twice():
    theta = machine((3, 4, 2, 5))
    for layer, other, count in [(0, 1, 1), (1, 0, 2), (1, 2, 2), (2, 1, 2), (2, 3, 2), (3, 2, 1)]:
        x = torch.rand(6, len(theta.b[other]))
        W = theta.W[other] if other < layer else theta.W[layer].T
        expected = theta.b[layer] + count * (x @ W)
        torch.testing.assert_close(logits_from(theta, x, other, layer), expected)


def test_a_pretrained_stack_becomes_a_machine_whose_inputs_are_means_of_both_sides():
    """Salakhutdinov & Hinton (2009): the total input of an inner layer is halved."""
    theta, up = machine((3, 4, 2, 5)), machine((3, 4, 2, 5))
    up = DeepTheta(theta.W, up.b)
    whole = DeepTheta(theta.W, composed(theta, up))
    x = {k: torch.rand(6, len(b)) for k, b in enumerate(theta.b)}
    for k in (1, 2):
        from_below = logits_from(up, x[k - 1], k - 1, k)
        from_above = logits_from(theta, x[k + 1], k + 1, k)
        torch.testing.assert_close(logits(whole, x, k), (from_below + from_above) / 2)
    torch.testing.assert_close(logits(whole, x, 0), logits_from(theta, x[1], 1, 0))
    torch.testing.assert_close(
        logits(whole, x, 3), logits_from(up, x[2], 2, 3) - up.b[3] + theta.b[3]
    )


@pytest.mark.parametrize("lower", [0, 1, 2])
def test_pairs_run_between_their_own_two_layers(lower):
    """Two steps of the chain, against the product of its two conditionals."""
    theta, n = machine((2, 2, 2, 2)), 100_000
    odd = lower + 1 - lower % 2
    even = 2 * lower + 1 - odd
    every = states(2)

    def law(of, given):
        p = logits_from(theta, every, given, of).sigmoid()[:, None]
        return (every * p + (1 - every) * (1 - p)).prod(-1)  # (given, of)

    expected = law(even, odd)[1] @ law(odd, even) @ law(even, odd)
    phase, end = run_pair(theta, lower, every[1].expand(n, -1), 2)
    assert phase.keys() == {even, odd}
    assert total_variation_in_floors(frequencies(phase[even]), expected, n) < 4
    assert total_variation_in_floors(frequencies(end), expected @ law(odd, even), n) < 4
    torch.testing.assert_close(phase[odd], logits_from(theta, phase[even], even, odd).sigmoid())
    up = DeepTheta(theta.W, machine((2, 2, 2, 2)).b)
    data = positive(theta, up, every, lower)
    torch.testing.assert_close(
        data[lower + 1], logits_from(theta, data[lower], lower, lower + 1).sigmoid()
    )


def test_a_pair_learns_from_samples_of_the_layer_below_under_its_bias_as_a_hidden_layer():
    theta, n = machine((3, 2, 2)), 100_000
    up, v = DeepTheta(theta.W, machine((3, 2, 2)).b), states(3)[5]
    p = logits_from(up, v[None], 0, 1).sigmoid()[0]
    law = torch.stack([torch.where(h == 1, p, 1 - p).prod() for h in states(2)])

    found = frequencies(positive(theta, up, v.expand(n, -1), 1)[1])
    assert total_variation_in_floors(found, law, n) < 4


def test_a_stage_begins_at_independent_units_and_the_last_one_joins_all():
    model = DBM((3,), (2, 4, 2), (1, 1, 1))
    deep, hidden = model.deep, [torch.randn(n) for n in (2, 4)]
    with torch.no_grad():
        deep.offsets.uniform_(0.1, 0.9)
        means = deep.offsets.split(deep.sizes)
        for k in (1, 2):
            deep.b[k].copy_(hidden[k - 1])
            deep.go_on()
            torch.testing.assert_close(deep.b[k].detach().sigmoid(), means[k])
            torch.testing.assert_close(deep.up.b[k], hidden[k - 1])
            assert deep.lower == k
        deep.go_on()
    assert deep.lower is None
    for k in (1, 2):
        torch.testing.assert_close(deep.b[k].detach(), (hidden[k - 1] + means[k].logit()) / 2)


def test_stages_follow_each_other():
    stages = Stages([2, 1])
    assert [stages.at(epoch) for epoch in range(5)] == [0, 0, 1, 2, 2]
    rate = partial(stages.rate, epoch=10, total=50, scales=[4.0, 4.0])
    assert [rate(t, fall=False) for t in (0, 29, 30, 49)] == [4, 4, 1, 1]
    found = [rate(t, fall=True) for t in (0, 10, 20, 25, 30, 40, 50)]
    assert found == pytest.approx([4, 2, 4, 2, 1, 0.5, 0])
    with pytest.raises(ValueError, match=r"take 3 epochs.*max_epochs is 3"):
        stages.check(3)
    stages.check(4)
    stages.check(-1)


class Watch(L.Callback):
    """Keeps the parameters and the rate at the start of each epoch."""

    def __init__(self):
        self.seen, self.rates = [], []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_before_backward(self, trainer, module, loss):
        if trainer.fit_loop.batch_idx == 0:
            assert not trainer.optimizers[0].state  # no momentum of the stage before
            self.seen.append({k: p.detach().clone() for k, p in module.named_parameters()})

    def on_train_end(self, trainer, module):
        self.seen.append({k: p.detach().clone() for k, p in module.named_parameters()})


@pytest.mark.parametrize("persistent", [True, False])
def test_each_stage_trains_its_own_layers_only(persistent):
    """Weight decay and momentum do not move the others either."""
    watch = Watch()
    model = DBM(
        (1, 2, 2), (3, 4, 2), [1, 1, 1], persistent=persistent, weight_decay=0.1, lr_decay=True,
        pretrain_lr=2.0, optimizer=partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    ).float()  # fmt: skip
    data = BarsAndStripes(side=2, batch_size=6, repeats=5)
    trainer(max_epochs=4, callbacks=watch).fit(model, data)

    # Entering a stage also gives the layer in its middle another bias, before its first batch.
    moved = [
        {k[5:] for k in now if (now[k] != then[k]).any()} for then, now in pairwise(watch.seen)
    ]
    assert moved[0] == {"W.0", "b.0", "b.1"}
    assert watch.rates == pytest.approx(
        [r * (1 - t / 5) for r in (0.2, 0.2, 0.2, 0.1) for t in range(5)]
    )
    assert moved[1] == {"W.1", "b.1", "b.2"}
    assert moved[2] == {"W.2", "b.2", "b.3", "b.1"}  # at its end all become one machine
    assert len(moved[3]) == 7
    assert model.deep.lower is None


def test_a_run_that_ends_before_joint_training_is_refused():
    model = DBM((1, 2, 2), (3, 4), [2, 1]).float()
    with pytest.raises(ValueError, match=r"raise trainer\.max_epochs"):
        trainer(max_epochs=3).fit(model, BarsAndStripes(side=2))
    with pytest.raises(ValueError, match=r"genlit\.boltzmann\.RBM"):
        DBM((1, 2, 2), (3,))
    with pytest.raises(ValueError, match="for 2 layers"):
        DBM((1, 2, 2), (3, 4), [2])


# Learning


@torch.no_grad()
def leave_plateau(model: DBM) -> None:
    for W in model.deep.W:
        W.mul_(30)


@pytest.mark.parametrize("layers", [(12, 6), (10, 6, 4)], ids=["2 layers", "3 layers"])
def test_learning_raises_the_exact_likelihood(layers):
    images = bars_and_stripes(2).double()  # 6 of the 16 states: from -log 16 = -2.77 to -1.79
    model = DBM((1, 2, 2), layers, particles=100, mean_field_steps=5)
    leave_plateau(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    for _ in range(600):
        optimizer.zero_grad()
        model.loss({"x": images})["loss"].backward()
        model.on_before_optimizer_step(optimizer)
        optimizer.step()

    theta, v = model.theta, images.flatten(1)
    log_z = log_partition(theta)
    exact = torch.stack([log_partition(given_visible(theta, row[None])) for row in v])
    exact = exact + v @ theta.b[0] - log_z
    bound = model.log_weight_bound(images, 1) - log_z
    assert exact.mean() > -2.2
    assert (bound <= exact + 1e-6).all()
    assert bound.mean() > -2.4


def test_pretraining_and_joint_training_raise_the_exact_likelihood_in_one_run():
    class Bound(L.Callback):
        def __init__(self):
            self.seen = []

        def on_train_epoch_end(self, trainer, module):
            x = bars_and_stripes(2).float()
            bound = module.log_weight_bound(x, 1).double() - log_partition(module.theta)
            self.seen.append(bound.mean().item())

    bound = Bound()
    model = DBM((1, 2, 2), (12, 8), [3, 3], lr_decay=True, pretrain_lr=2.0, mean_field_steps=5,
                optimizer=partial(torch.optim.SGD, lr=0.4)).float()  # fmt: skip
    leave_plateau(model)
    data = BarsAndStripes(side=2, batch_size=12, repeats=80)
    trainer(max_epochs=12, limit_val_batches=0, callbacks=bound).fit(model, data)
    assert bound.seen[-1] > -2.5
    assert bound.seen[-1] > bound.seen[6]


def test_particles_and_means_move_in_training_only():
    for epochs in ((), (1, 1)):
        model = DBM((1, 3, 3), (4, 3), epochs, particles=20)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        model.eval().loss({"x": torch.rand(5, 1, 3, 3).round()})
        model.sample(3)
        assert all((v == before[k]).all() for k, v in model.state_dict().items())
        model.train().loss({"x": torch.rand(5, 1, 3, 3).round()})
        assert (model.deep.particles != before["deep.particles"]).any()
        assert (model.deep.offsets != before["deep.offsets"]).any()


@pytest.mark.parametrize("epochs", [(), (1, 1, 1)], ids=["joint", "pretraining"])
def test_a_model_can_be_asked_what_its_header_says(epochs):
    model = DBM((1, 3, 3), (5, 4, 3), epochs, particles=4, sample_steps=3, impute_steps=3)
    x = torch.rand(7, 1, 3, 3).round()
    observed = torch.rand(7, 1, 3, 3) < 0.5
    for stage in range(4 if epochs else 1):
        if stage:
            model.deep.go_on()
        answers = [model.sample(7), model.reconstruct(x), model.denoise(x)]
        answers += [model.impute(x, observed), model.decode(model.encode(x))]
        for answer in answers:
            assert answer.shape == x.shape
            assert ((answer >= 0) & (answer <= 1)).all()
    assert model.encode(x).shape == (7, 5)
    torch.testing.assert_close(model.decode(model.encode(x)), model.reconstruct(x))
    assert model.filters().shape == (5, 1, 3, 3)
    assert model.log_weight_bound(x, 5).shape == (7,)
    assert model.sample(1).shape == (1, 1, 3, 3)


# The stages under the Trainer: what tests of every model do, with one epoch for each stage


@pytest.fixture
def staged(double, monkeypatch):
    torch.set_default_dtype(torch.float32)
    model = partial(small.dbm, pretrain_epochs=(1, 1), lr_decay=True)
    monkeypatch.setitem(small.MODELS, "dbm", model)


@pytest.mark.usefixtures("staged")
def test_a_resumed_stack_goes_on_where_it_stood(tmp_path):
    test_resume.train("dbm", tmp_path / "whole", 0)
    whole = test_resume.Run("dbm", test_resume.final(tmp_path / "whole"))
    for after in (12, 17, 24, 29):
        folder = tmp_path / str(after)
        test_resume.test_a_resumed_run_is_the_uninterrupted_run(whole, after, folder)


@pytest.mark.usefixtures("staged")
def test_stages_of_two_processes_are_those_of_one_with_twice_the_batch(tmp_path, monkeypatch):
    whole = test_processes.run

    def run(folder, model, data, processes, *callbacks, **options):
        options |= {"max_epochs": 3}
        if processes > 1:
            options["strategy"] = "ddp_fork"  # the command line's choice, as forks
        return whole(folder, model, data, processes, *callbacks, **options)

    monkeypatch.setattr(test_processes, "run", run)
    test_processes.test_two_processes_are_one_with_twice_the_batch("dbm", tmp_path, monkeypatch)
