"""Events are so small that all of them can be counted: every probability is known."""

import math
from functools import partial

import pytest
import torch

from genlit.autoregressive import FVSBN, MADE, NADE, PixelCNN
from genlit.autoregressive.ancestral import filled, is_prefix, raster, resampled
from genlit.autoregressive.hidden import nade_logits
from genlit.autoregressive.masks import shuffled, spread
from genlit.likelihoods import Categorical, LogisticMixture
from tests import small

SHAPE = (1, 2, 4)
THREE = partial(Categorical, levels=3)
LOGISTIC = partial(LogisticMixture, components=2, levels=3)
WINDOW = {"first_kernel": 3, "kernel": 3, "head": 4}

MODELS = {
    "fvsbn": partial(FVSBN, SHAPE),
    "fvsbn_colour": partial(FVSBN, (2, 2, 2)),
    "nade": partial(NADE, SHAPE, 5),
    "nade_colour": partial(NADE, (2, 2, 2), 5),
    "made": partial(MADE, SHAPE, (9,)),
    "made_linear": partial(MADE, SHAPE, (), direct=True),
    "made_deep": partial(MADE, SHAPE, (9, 5, 7), direct=True),
    "made_colour": partial(MADE, (2, 2, 2), (11,)),
    "made_orderings": partial(MADE, SHAPE, (9, 7), orderings=4, direct=True),
    "pixelcnn": partial(PixelCNN, SHAPE, 4, 3, **WINDOW),
    "pixelcnn_colour": partial(PixelCNN, (2, 2, 2), 5, 2, **WINDOW),
    "pixelcnn_levels": partial(PixelCNN, (2, 2, 1), 5, 2, likelihood=THREE, **WINDOW),
    "pixelcnn_mixture": partial(PixelCNN, (1, 2, 2), 5, 2, likelihood=LOGISTIC, **WINDOW),
}
BINARY = [name for name in MODELS if not name.endswith(("levels", "mixture"))]
PREFIX = [name for name in MODELS if name != "made_orderings"]


def wild(name: str, **arguments):
    """A model whose entries depend on each other: random weights, large ones."""
    model = MODELS[name](**arguments)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape) * (2.5 / p[0].numel() ** 0.5 if p.dim() > 1 else 0.5))
    return model.requires_grad_(False).eval()


def every_event(model) -> torch.Tensor:
    """All events that there are, (levels ** entries, *shape)."""
    levels = torch.linspace(0, 1, model.law.levels)
    return torch.cartesian_prod(*[levels] * len(model.order)).view(-1, *model.shape)


def index(model, x: torch.Tensor) -> torch.Tensor:
    """The place of events among `every_event`."""
    levels, n = model.law.levels, len(model.order)
    digits = (x.flatten(1) * (levels - 1)).round().long()
    return digits @ levels ** torch.arange(n - 1, -1, -1)


def assert_frequencies(model, x: torch.Tensor, p: torch.Tensor) -> None:
    """Pearson's statistic of samples x under p is within four deviations of its mean."""
    expected = p * len(x)
    rare = expected < 5  # put together, as small counts have heavy tails
    counts = torch.bincount(index(model, x), minlength=len(p)).to(p)
    counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None].clamp(min=1e-9)])
    cells = len(expected) - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert abs(statistic - cells) < 4 * (2 * cells) ** 0.5 + 4


# Probabilities


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_of_all_events_sum_to_one(name, double):
    model = wild(name)
    log_p = model.log_prob(every_event(model))
    assert log_p.exp().max() > 5 * log_p.exp().mean()  # which says nothing of equal ones
    torch.testing.assert_close(log_p.logsumexp(0), torch.tensor(0.0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_no_output_sees_its_entry_or_a_later_one(name, double):
    model = wild(name)
    for number in range(getattr(model, "orderings", 1)):
        of_one = {"number": number} if number else {}
        order = model.orders[number] if number else model.order
        x = torch.rand(1, *model.shape, requires_grad=True)
        every = model.outputs(x, **of_one).view(model.law.numbers, -1)[:, order]
        for i in range(len(order)):
            grad = torch.autograd.grad(every[:, i].square().sum(), x, retain_graph=True)[0]
            assert not grad.flatten()[order[i:]].any()
            if name.startswith(("fvsbn", "nade")):  # others may have units that are switched off
                assert grad.flatten()[order[:i]].all()


def test_order_is_that_of_reading():
    assert raster((1, 2, 3)).tolist() == [0, 1, 2, 3, 4, 5]
    assert raster((3, 1, 2)).tolist() == [0, 2, 4, 1, 3, 5]
    assert raster((4,)).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", MODELS)
def test_loss_is_minus_the_mean_log_probability(name):
    model, x = wild(name), every_event(MODELS[name]())[5:25]
    torch.testing.assert_close(model.loss({"x": x})["loss"], -model.log_prob(x).mean())


@pytest.mark.parametrize("make", [FVSBN, NADE, partial(MADE, hidden=(20,))])
def test_zero_weights_pay_log_two_for_every_pixel(make):
    """In nats an image, whatever the batch: probabilities taken for logits would pay more."""
    model = make((1, 28, 28))
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    for n in (1, 7):
        loss = model.loss({"x": torch.rand(n, 1, 28, 28).round()})["loss"]
        assert loss.item() == pytest.approx(784 * math.log(2), rel=1e-6)


@pytest.mark.parametrize("make", [FVSBN, NADE, MADE, partial(PixelCNN, **WINDOW)])
def test_one_pixel_is_a_coin(make, double):
    model = make((1, 1, 1))
    x = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    log_p = model.log_prob(x).detach()
    assert log_p.exp().sum() == pytest.approx(1)
    mean = model.sample(4000).mean()
    assert abs(mean - log_p[1].exp()) < 4 * 0.5 / 4000**0.5


def test_float32_agrees_with_float64():
    for make in (FVSBN, NADE, MADE):
        model, x = make((1, 28, 28)), torch.rand(4, 1, 28, 28).round()
        for p in model.parameters():
            torch.nn.init.normal_(p, 0.0, 0.1)
        single = model.log_prob(x)
        assert single.shape == (4,)
        torch.testing.assert_close(single.double(), model.double().log_prob(x.double()),
                                   rtol=1e-5, atol=1e-3)  # fmt: skip


# NADE


def test_nade_is_its_sequential_definition(double):
    model, x = wild("nade"), torch.rand(6, 8).round()
    a = model.c.expand(6, -1)
    for i in range(8):
        logit = model.b[i] + (a.sigmoid() * model.V[i]).sum(-1)
        torch.testing.assert_close(model.outputs(x.view(6, *SHAPE)).flatten(1)[:, i], logit)
        a = a + x[:, i : i + 1] * model.W[i]


def test_nade_does_not_depend_on_its_chunks(double):
    model, x = wild("nade").requires_grad_(), torch.rand(6, 8).round()
    gradients = []
    for chunk in (None, 1, 3, 8):
        logits = nade_logits(x, model.W, model.c, model.V, model.b, chunk)
        loss = (logits * torch.arange(8.0)).square().sum()
        gradients.append([loss, *torch.autograd.grad(loss, [*model.parameters()])])
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0])


# MADE


def test_degrees_are_spread_and_shuffled():
    assert spread(6, 4).tolist() == [1, 1, 2, 2, 3, 3]
    assert spread(3, 1).tolist() == [1, 1, 1]
    first, again, other = (shuffled(torch.arange(9), [spread(20, 9)], m) for m in (1, 1, 2))
    assert first.order.equal(again.order)
    assert not first.order.equal(other.order)
    for ordering in (first, other):
        assert ordering.order.sort().values.equal(torch.arange(9))
        assert ordering.degrees[0].bincount(minlength=9)[1:].min() >= 2


def test_entries_see_all_before_through_enough_hidden_units(double):
    for number in range(3):
        model = MADE((6,), (40, 40), orderings=3)
        for p in model.parameters():
            torch.nn.init.uniform_(p, 0.1, 1.0)  # no unit is switched off
        order = model.orders[number]
        seen = torch.autograd.functional.jacobian(
            partial(model.outputs, number=number), torch.rand(1, 6)
        )[0, :, 0]
        assert (seen[order][:, order] > 0).equal(torch.ones(6, 6).tril(-1).bool())


def test_orderings_mix_probabilities(double):
    """Mean log-odds of orderings give numbers p(x) that do not sum to one."""
    model = wild("made_orderings")
    x = every_event(model)
    parts = torch.stack([model.log_prob_under(x, m) for m in range(4)])
    assert not torch.allclose(parts[0], parts[1])
    torch.testing.assert_close(parts.logsumexp(1), torch.zeros(4), rtol=0, atol=1e-12)
    torch.testing.assert_close(model.log_prob(x).exp(), parts.exp().mean(0))
    assert (model.log_prob(x) <= parts.max(0).values).all()
    assert (model.log_prob(x) >= parts.max(0).values - math.log(4)).all()
    averaged = torch.stack([model.outputs(x, m) for m in range(4)]).mean(0)
    assert abs(model.law.log_prob(averaged, x).exp().sum() - 1) > 1e-4


def test_batches_are_learned_under_all_orderings(double):
    model, x = wild("made_orderings").train(), torch.rand(3, *SHAPE).round()
    losses = {round(model.loss({"x": x})["loss"].item(), 9) for _ in range(60)}
    assert losses == {round(-model.log_prob_under(x, m).mean().item(), 9) for m in range(4)}
    torch.testing.assert_close(model.eval().loss({"x": x})["loss"], -model.log_prob(x).mean())


# Samples


def under_one_seed(n: int, *draws) -> list[torch.Tensor]:
    samples = []
    for draw in draws:
        torch.manual_seed(1)
        samples.append(draw(n))
    return samples


@pytest.mark.parametrize("name", MODELS)
def test_samples_have_the_probabilities_of_the_model(name, double):
    model = wild(name)
    assert_frequencies(model, model.sample(20_000), model.log_prob(every_event(model)).exp())


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MODELS)
def test_cached_samples_are_the_naive_ones(name, precision):
    model = wild(name).to(precision)
    samples = under_one_seed(1000, model.sample, model.sample_naively)
    assert torch.equal(*samples)
    assert samples[0].dtype == precision


@pytest.mark.parametrize(
    "make", [FVSBN, partial(NADE, hidden=50), partial(MADE, hidden=(50, 40), orderings=3)]
)
def test_cached_samples_of_images_are_the_naive_ones(make):
    model = make((1, 12, 12))
    for p in model.parameters():
        torch.nn.init.normal_(p, 0.0, 0.3)
    assert torch.equal(*under_one_seed(100, model.sample, model.sample_naively))


# Imputations


def conditional(model, x, observed, log_p) -> torch.Tensor:
    """The probabilities of all events given what is observed of one, by counting."""
    agrees = (every_event(model) == x).logical_or(~observed).flatten(1).all(1)
    return log_p.masked_fill(~agrees, -math.inf).softmax(0)


@pytest.mark.parametrize("name", PREFIX)
def test_imputing_after_a_prefix_is_exact(name, double):
    model = wild(name, impute_particles=1)
    observed = torch.zeros(len(model.order), dtype=torch.bool)
    observed[model.order[: len(model.order) // 2]] = True
    observed = observed.view(model.shape)
    x = model.sample(1)[0]
    p = conditional(model, x, observed, model.log_prob(every_event(model)))
    filled_in = model.impute(x.expand(20_000, *model.shape), observed.expand(20_000, *model.shape))
    assert (filled_in[:, observed] == x[observed]).all()
    assert_frequencies(model, filled_in, p)


@pytest.mark.parametrize("name", ["made", "nade_colour", "pixelcnn_colour", "pixelcnn_mixture"])
def test_imputing_tends_to_the_conditional_as_particles_grow(name, double):
    """One particle ignores what is observed after a missing entry: its law is known as well."""
    model = wild(name)
    observed = torch.arange(len(model.order)).remainder(3).gt(0).view(model.shape)
    every = every_event(model)
    terms = model.law.terms(model.outputs(every), every)
    alone = terms.where(~observed, 0.0).flatten(1).sum(1)
    laws = [
        [conditional(model, x, observed, log_p) for log_p in (alone, model.log_prob(every))]
        for x in every
    ]
    distance = torch.stack([(q - p).abs().sum() / 2 for q, p in laws])
    x = every[chosen := (distance - 0.3).abs().argmin()]

    assert distance[chosen] > 0.1
    for model.impute_particles, p in zip((1, 60), laws[chosen], strict=True):
        n = (1000, *model.shape)
        assert_frequencies(model, model.impute(x.expand(n), observed.expand(n)), p)


def test_each_event_may_have_a_mask_of_its_own(double):
    model = wild("made_orderings")
    x, observed = model.sample(60), torch.rand(60, *SHAPE) < 0.5
    observed[:2], observed[2:4] = True, False
    filled_in = model.impute(x, observed)
    assert torch.equal(filled_in[observed], x[observed])
    assert torch.equal(filled_in[:2], x[:2])
    assert (filled_in != x).any()


def test_several_orderings_impute_exactly_under_one_in_which_the_observed_come_first(double):
    model = wild("made_orderings")
    x = model.sample(1)
    for observed in (model.orders[2].argsort() < 3, torch.arange(8) % 3 > 0):
        walk = model._walk_from(observed)(1)
        assert is_prefix(observed[walk.order][None])
        mask = observed.view(1, *SHAPE)
        steps = [k for k in range(8) if not observed[walk.order[k]]]
        p = torch.ones(256)
        every = every_event(model)
        walk = model._walk_from(observed)(256)
        for k, site in enumerate(walk.order):  # the product of conditionals, entry by entry
            value = every.flatten(1)[:, site]
            if k in steps:
                p = p * model.law.log_prob(walk.output(), value[:, None]).exp()
            walk.take(value)
        agrees = (every == x).logical_or(~mask).flatten(1).all(1)
        p = p.where(agrees, 0.0)
        assert p.sum() == pytest.approx(1)
        n = (20_000, *SHAPE)
        assert_frequencies(model, model.impute(x.expand(n), mask.expand(n)), p)
    number = model._walk_from(model.orders[2].argsort() < 3).keywords["number"]
    assert number == 2  # an ordering that it has learned


def test_resampling_follows_weights_and_keeps_what_is_balanced(double):
    weights = torch.tensor([[0.5, 0.0, 0.3, 0.2], [0.1, 0.1, 0.1, 0.1]])
    counts = torch.zeros(4)
    for _ in range(2000):
        rows, after = resampled(weights.log(), torch.tensor([True, False]))
        counts += torch.bincount(rows[:4], minlength=4)
        assert rows[4:].tolist() == [4, 5, 6, 7]
    torch.testing.assert_close(counts / 8000, weights[0], rtol=0, atol=4 * 0.5 / 8000**0.5)
    torch.testing.assert_close(after, torch.stack([torch.zeros(4), weights[1].log()]))


def test_a_full_mask_draws_nothing_and_an_empty_one_all(double):
    model = wild("pixelcnn")
    x = model.sample(5).flatten(1)
    everything = torch.ones(5, 8, dtype=torch.bool)
    assert torch.equal(filled(model.walk, model.law, x, everything, 3), x)
    n = 20_000
    drawn = filled(model.walk, model.law, torch.zeros(n, 8), everything[:1].repeat(n, 1) & False, 3)
    p = model.log_prob(every_event(model)).exp()
    assert_frequencies(model, drawn.view(-1, *SHAPE), p)


# Learning


def bars_and_stripes() -> torch.Tensor:
    """The 6 images of 2 x 2 pixels whose rows, or whose columns, are of one colour each."""
    rows = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)[..., None].expand(-1, 3, 3)
    return torch.cat([rows, rows[1:-1].mT])[:, None]


@pytest.mark.parametrize(
    "make",
    [
        partial(NADE, hidden=30),
        partial(MADE, hidden=(60,)),
        partial(MADE, hidden=(60, 60), orderings=2, direct=True),
        partial(PixelCNN, width=8, layers=2, **WINDOW),
    ],
)
def test_learning_reaches_the_entropy_of_bars_and_stripes(make):
    """No model has a lower loss on all 14 images than log 14."""
    x = bars_and_stripes()
    model = make((1, 3, 3))
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    for _ in range(250):
        optimizer.zero_grad()
        model.loss({"x": x})["loss"].backward()
        optimizer.step()
    loss = model.eval().loss({"x": x})["loss"].item()
    assert math.log(14) < loss < math.log(14) + 0.15


@pytest.mark.parametrize("make", [FVSBN, partial(NADE, hidden=9), partial(MADE, hidden=(20,))])
def test_learning_begins_at_the_means_of_the_data(make, tmp_path):
    model = make((1, 28, 28), optimizer=partial(torch.optim.SGD, lr=0.0))
    trainer = small.trainer(tmp_path, max_epochs=1)
    trainer.fit(model, datamodule=(data := small.digits("made")))
    bias = model.bias if isinstance(model, MADE) else model.b
    expected = data.mean.flatten().clamp(1e-3, 1 - 1e-3).logit()
    torch.testing.assert_close(bias.detach(), expected)
