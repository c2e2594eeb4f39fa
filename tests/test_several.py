"""Questions of which all right answers are known, and models whose law is known."""

import math
from functools import partial

import pytest
import torch

from genlit.data import Futures, InverseSinusoid
from genlit.data.futures import blobs, roots, sinusoid
from genlit.likelihoods import SharedNormal
from genlit.networks import MLP
from genlit.protocols import Unanswerable
from genlit.tasks import SeveralAnswers
from genlit.tasks.valid import coverage, distance_from_mean, nearest_valid
from genlit.translation import MixtureDensity
from genlit.translation.mixture import GaussianMixture, mixture
from genlit.vae import CVAE
from tests.small import trainer

NAN = math.nan


def small(inputs, outputs):
    return MLP(inputs, outputs, (64,))


def linear(inputs, outputs):
    return MLP(inputs, outputs, ())


# Whether answers are right

VALID = torch.tensor([[[0.0, 0.0], [4.0, 0.0]], [[0.0, 0.0], [0.0, 8.0]]])


def test_nearest_valid_is_the_least_mean_squared_error():
    answers = torch.tensor([[[1.0, 0.0], [3.0, 2.0]], [[0.0, 3.0], [0.0, 8.0]]])
    assert nearest_valid(answers, VALID).tolist() == [[0.5, 2.5], [4.5, 0.0]]


def test_the_mean_covers_nothing_and_all_answers_cover_all():
    mean = VALID.mean(1, keepdim=True)
    assert coverage(mean, VALID).tolist() == [0, 0]
    assert coverage(VALID, VALID).tolist() == [1, 1]
    assert coverage(VALID[:, :1].expand(-1, 8, -1), VALID).tolist() == [0.5, 0.5]
    assert distance_from_mean(mean, VALID).tolist() == [[0], [0]]
    assert distance_from_mean(VALID, VALID).tolist() == [[1, 1], [1, 1]]


def test_a_draw_covers_within_two_fifths_of_the_way():
    at = torch.tensor([[[1.59, 0.0]], [[0.0, 3.21]]])
    assert coverage(at, VALID).tolist() == [0.5, 0]


def test_missing_answers_count_for_nothing():
    valid = torch.tensor([[[0.0], [4.0], [NAN]], [[1.0], [NAN], [NAN]], [[NAN], [NAN], [NAN]]])
    answers = torch.tensor([[[0.1], [4.1]], [[1.0], [3.0]], [[0.0], [0.0]]])
    covered, nearest = coverage(answers, valid), nearest_valid(answers, valid)
    away = distance_from_mean(answers, valid)
    assert covered[0] == 1
    assert covered[1:].isnan().all()
    assert torch.allclose(nearest[:2], torch.tensor([[0.01, 0.01], [0.0, 4.0]]).double())
    assert nearest[2].isnan().all()
    assert away[0].tolist() == pytest.approx([1.9**2 / 4, 2.1**2 / 4], rel=1e-6)
    assert away[1:].isnan().all()


# Data


def test_futures_are_all_that_may_follow_and_the_event_is_one():
    data, again = Futures(directions=4, n=100), Futures(directions=4, n=100)
    data.setup("fit")
    again.setup("fit")
    x, first, valid = data.splits["train"], data.conditions["train"], data.valid("train")
    assert x.shape == first.shape == (100, 1, 16, 16)
    assert valid.shape == (100, 4, 1, 16, 16)
    assert (nearest_valid(x[:, None].float() / 255, valid) == 0).all()
    assert torch.equal(x, again.splits["train"])
    pixels = torch.arange(16) + 0.5
    light = valid[:, :, 0]
    across = (light.sum(2) * pixels).sum(2) / light.sum((2, 3))
    start = first[:, 0].float()
    before = (start.sum(1) * pixels).sum(1) / start.sum((1, 2))
    moved = (across - before[:, None]).median(0).values  # some are cut at the edges
    assert torch.allclose(moved, torch.tensor([4.0, 0.0, -4.0, 0.0]), atol=0.05)
    batch = next(iter(data.train_dataloader()))
    assert float(batch["condition"].max()) <= 1


def test_first_frames_do_not_tell_which_way():
    """Blobs are as often on one side as on the other, whichever way they go."""
    data = Futures(n=4_000)
    data.setup("fit")
    x, valid = data.splits["train"].float() / 255, data.valid("train")
    right = (x - valid[:, 0]).abs().flatten(1).amax(1) == 0
    at = data.conditions["train"].flatten(1).argmax(1) % 16
    assert abs(right.float().mean() - 0.5) < 4 * 0.5 / 4_000**0.5
    left_half = (at < 8).float()
    difference = left_half[right].mean() - left_half[~right].mean()
    assert abs(difference) < 4 * (0.5 * 2 / 4_000**0.5)


def test_blobs_peak_where_they_are():
    (image,) = blobs(torch.tensor([[4.5, 9.5]]), torch.tensor([[1.0]]), 16)
    assert image[9, 4] == 255
    assert image[9, 5] == image[9, 3] == image[8, 4] == round(255 * math.exp(-0.5))


def test_roots_solve_the_equation():
    c = torch.tensor([0.5, 0.1, 0.48, 0.9, -0.2, 1.3])
    found = roots(c)
    assert found.isfinite().sum(1).tolist() == [3, 1, 3, 1, 0, 0]
    there = found.isfinite()
    assert torch.allclose(sinusoid(found)[there], c[:, None].expand(-1, 3)[there], atol=1e-5)
    assert found[0, 1] == pytest.approx(0.5, abs=1e-5)


def test_true_density_of_the_sinusoid_is_normalized():
    data = InverseSinusoid(noise=0.05)
    x = torch.linspace(0, 1, 4_001)[:, None]
    for c in (0.5, 0.1, 1.05):
        density = data.true_log_prob(x, torch.full_like(x, c)).exp()
        assert torch.trapezoid(density, x[:, 0].double()).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("settings", [{"side": 8}, {"directions": 0}, {"n": 1}, {"step": 0.0}])
def test_impossible_futures_are_refused(settings):
    with pytest.raises(ValueError, match="Futures needs"):
        Futures(**settings)


# Mixture density networks


def test_density_of_a_mixture_is_that_of_torch(double):
    output = torch.randn(6, 3 * 9)
    law = mixture(output, 3, math.log(0.1))
    assert (law.log_std > math.log(0.1)).all()
    d = torch.distributions
    parts = d.Independent(d.Normal(law.mean, law.log_std.exp()), 1)
    same = d.MixtureSameFamily(d.Categorical(logits=law.log_weight), parts)
    x = torch.randn(6, 4)
    assert torch.allclose(law.log_prob(x), same.log_prob(x))


def test_draws_of_a_mixture_have_its_moments():
    weight = torch.tensor([0.25, 0.75]).log().expand(20_000, 2)
    mean = torch.tensor([[-1.0], [1.0]]).expand(20_000, 2, 1)
    law = GaussianMixture(weight, mean, torch.full_like(mean, math.log(0.1)))
    drawn, still = law.draw(), law.draw(0.0)
    assert drawn.mean().item() == pytest.approx(0.5, abs=4 * (0.76 / 20_000) ** 0.5)
    assert drawn.var().item() == pytest.approx(0.75 + 0.01, abs=0.03)
    assert set(still.unique().tolist()) == {-1.0, 1.0}


def test_mixture_density_network_approaches_the_true_density():
    """Of Bishop's problem, whose least possible loss is computed by quadrature."""
    data = InverseSinusoid(noise=0.05, n=5_000)
    data.setup("fit")
    data.seed = 0
    model = MixtureDensity((1,), (1,), 5, partial(MLP, hidden=(32, 32)))
    adam = torch.optim.Adam(model.parameters(), 1e-2)
    x, condition = data.splits["train"], data.conditions["train"]
    for k in range(1_000):
        adam.param_groups[0]["lr"] = 1e-2 * (1 - k / 1_000)
        chosen = torch.randint(5_000, (200,))
        adam.zero_grad()
        model.loss({"x": x[chosen], "condition": condition[chosen]})["loss"].backward()
        adam.step()
    x, condition = data.splits["test"], data.conditions["test"]
    with torch.no_grad():
        behind = data.true_log_prob(x, condition) - model.log_prob_given(x, condition)
    error = float(behind.std()) / len(behind) ** 0.5
    assert -4 * error < float(behind.mean()) < 4 * error + 0.1


def test_mixture_density_network_takes_images():
    model = MixtureDensity((1, 4, 4), (2, 4, 4), 3, small)
    x, condition = torch.rand(5, 1, 4, 4), torch.rand(5, 2, 4, 4)
    assert model.log_prob_given(x, condition).shape == (5,)
    assert model.sample_given(condition).shape == x.shape
    with pytest.raises(ValueError, match="1 component or more"):
        MixtureDensity((1,), (1,), 0)


# Conditional variational autoencoders


def gaussian_cvae(prior=None):
    """A CVAE that is linear and Gaussian, so that p(x | c) is known; q is N(0, 1.2²) throughout."""
    likelihood = partial(SharedNormal, std=0.5, learned=False)
    model = CVAE((2,), (3,), 2, linear, linear, likelihood, prior=prior)
    with torch.no_grad():
        model.encoder[0].weight.zero_()
        model.encoder[0].bias.copy_(torch.tensor([0.0, 0.0, math.log(1.2), math.log(1.2)]))
        if prior:
            model.prior[0].weight.mul_(0.2)
    return model


@pytest.mark.parametrize("prior", [None, linear])
def test_bound_approaches_the_known_log_density(double, prior):
    """With x = W z + V c + b + noise and z ~ N(m, s²) it is a Gaussian's."""
    model = gaussian_cvae(prior).double()
    x, condition = torch.randn(4, 2), torch.randn(4, 3)
    (layer,) = model.decoder
    w, v, b = layer.weight[:, :2], layer.weight[:, 2:], layer.bias
    mean, log_std = model.prior_of(condition)
    center = condition @ v.T + b + mean @ w.T
    s = log_std.exp()
    covariance = w @ torch.diag_embed(s**2) @ w.T + 0.25 * torch.eye(2)
    exact = torch.distributions.MultivariateNormal(center, covariance).log_prob(x)
    with torch.no_grad():
        bound = torch.stack([model.log_prob_bound_given(x, condition, 20_000) for _ in range(4)])
    assert torch.allclose(bound.mean(0), exact, atol=0.1)
    few = torch.stack([model.log_prob_bound_given(x, condition, 1) for _ in range(400)])
    assert (few.mean(0) < exact).all()
    assert torch.isfinite(model.loss({"x": x, "condition": condition})["loss"])


def test_code_and_condition_are_told_apart():
    """As vectors one after the other, or as channels of an image; both reach the networks."""
    flat = CVAE((1, 4, 4), (2, 4, 4), 3, small, small)
    maps = CVAE((1, 4, 4), (2, 4, 4), 3, small, small, maps=True)
    z, c = torch.randn(5, 3), torch.rand(5, 2, 4, 4)
    assert flat.joined(z, c).shape == (5, 3 + 32)
    both = maps.joined(z, c)
    assert both.shape == (5, 5, 4, 4)
    assert torch.equal(both[:, :3, 2, 1], z)
    assert torch.equal(both[:, 3:], c)
    for model in (flat, maps):
        x = torch.rand(5, 1, 4, 4)
        assert torch.isfinite(model.loss({"x": x, "condition": c})["loss"])
        assert model.sample_given(c).shape == x.shape
    with pytest.raises(ValueError, match=r"model\.maps needs"):
        CVAE((1, 4, 4), (1, 8, 8), 3, small, small, maps=True)


def test_draws_differ_by_the_code_alone():
    model = gaussian_cvae()
    c = torch.randn(1, 3).expand(50, 3)
    answers = model.sample_given(c)
    assert answers.unique(dim=0).shape[0] > 1
    with torch.no_grad():
        model.decoder[0].weight[:, :2] = 0
    assert model.sample_given(c).unique(dim=0).shape[0] == 1


# The task


class Knowing(torch.nn.Module):
    """A model that answers by a rule."""

    device = torch.device("cpu")

    def __init__(self, rule):
        super().__init__()
        self.sample_given = rule


def test_scores_of_answers_that_are_known():
    data = Futures(n=200)
    data.setup("test")
    task = SeveralAnswers(draws=8)
    problems = task.pose(data, "test", 0)
    scores = {}
    for name, solve in (task.baselines(data, 0) | task.oracles(data, 0)).items():
        scores[name] = {s.name: s for s in task.score(problems, solve(problems))}
    mean, right = scores["mean of right answers"], scores["one right answer"]
    assert mean["coverage"].mean == mean["all_covered"].mean == mean["from_mean"].mean == 0
    assert right["nearest_valid"].mean == pytest.approx(0, abs=1e-12)
    assert right["from_mean"].mean == pytest.approx(1)
    assert right["all_covered"].mean > 1 - 2 * 0.5**8 - 4 * (2 * 0.5**8 / 20) ** 0.5
    assert mean["error"].mean < right["error"].mean  # the blurred answer has the lower error
    assert mean["nearest_valid"].mean > 100 * right["nearest_valid"].mean
    assert scores["condition"]["all_covered"].mean == 0
    solved = task.solve(Knowing(lambda c: c.clone()), problems)
    assert torch.equal(solved, problems.given[:, None].expand(-1, 8, -1, -1, -1))
    assert task.picture(problems, {"condition": solved}).dtype == torch.uint8


def test_vectors_with_differently_many_answers_have_scores():
    data = InverseSinusoid(noise=0.02, n=2_000)
    data.setup("test")
    task = SeveralAnswers(draws=8)
    problems = task.pose(data, "test", 0)
    for solve in (task.baselines(data, 0) | task.oracles(data, 0)).values():
        by = {s.name: s for s in task.score(problems, solve(problems))}
        several = torch.as_tensor(problems.more["valid"]).isfinite().all(-1).sum(1) > 1
        assert by["coverage"].n == by["from_mean"].n == int(several.sum()) > 20
        assert by["error"].n == len(problems)
    assert task.picture(problems, {}) is None


def test_data_and_models_that_do_not_fit_are_refused():
    from genlit.data import TwoMoons

    with pytest.raises(ValueError, match="TwoMoons does not know all right answers"):
        SeveralAnswers().pose(TwoMoons(), "test", 0)
    with pytest.raises(Unanswerable, match="does not implement Conditional"):
        SeveralAnswers().require(torch.nn.Linear(1, 1))


def test_a_few_seconds_of_training_tell_mean_and_answers_apart(tmp_path):
    """Of least squares and of a conditional VAE."""
    from genlit.losses import MSE
    from genlit.translation import Translator

    data = Futures(n=4_000)
    adam = partial(torch.optim.Adam, lr=3e-3)
    wide, shapes = partial(MLP, hidden=(100, 100)), (data.shape, data.condition_shape)
    models = {
        "cvae": CVAE(*shapes, 2, wide, wide, lr_decay=True, optimizer=adam),
        "mse": Translator(*shapes, wide, [MSE()], lr_decay=True, optimizer=adam),
    }
    task = SeveralAnswers(n=200)
    found = {}
    for name, model in models.items():
        trainer(tmp_path / name, max_epochs=10).fit(model, data)
        problems = task.pose(data, "test", 0)
        torch.manual_seed(0)
        answers = task.solve(model.eval(), problems)
        found[name] = {s.name: s.mean for s in task.score(problems, answers)}
    assert found["cvae"]["all_covered"] > 0.8
    assert found["mse"]["all_covered"] < 0.2
    assert found["mse"]["error"] < found["cvae"]["error"]
    assert found["mse"]["nearest_valid"] > found["cvae"]["nearest_valid"]
    assert found["mse"]["from_mean"] < 0.1
