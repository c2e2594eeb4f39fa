"""A conditional VAE is a VAE for each class: on a grid, with one latent variable."""

import math
from functools import partial

import pytest
import torch

from genlit.likelihoods import SharedNormal
from genlit.networks import MLP, ConvDecoder, ConvEncoder
from genlit.vae import IWAE, ConditionalVAE
from genlit.vae.gaussian import log_normal
from tests import small
from tests.test_vae import mean_and_error

SMALL = partial(MLP, hidden=(8,))


def three_classes() -> ConditionalVAE:
    model = ConditionalVAE((1, 2, 2), 3, 1, SMALL, SMALL)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2)
    return model


def by_quadrature(model, x, condition) -> torch.Tensor:
    z = torch.linspace(-12, 12, 2001)[:, None, None].expand(-1, len(x), 1)
    log_joint = model.log_likelihood(x, condition, z) + log_normal(z, 0.0, 0.0)
    return (torch.logsumexp(log_joint, 0) + math.log(24 / 2000)).detach()


def events() -> torch.Tensor:
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).view(-1, 1, 2, 2)


def test_each_class_has_a_probability_of_all_events(double):
    model, x = three_classes(), events()
    found = [by_quadrature(model, x, c.expand(16, -1)) for c in torch.eye(3)]
    for log_p in found:
        torch.testing.assert_close(log_p.logsumexp(0).item(), 0.0, rtol=0.0, atol=1e-9)
    assert (found[0] - found[1]).abs().max() > 0.01  # and the class matters


def test_the_bound_is_of_the_mean_over_classes(double):
    model, x = three_classes(), events()[[3, 9]]
    exact = torch.stack([by_quadrature(model, x, c.expand(2, -1)) for c in torch.eye(3)])
    with torch.no_grad():
        given = [model.log_prob_bound_given(x, c.expand(2, -1), 100_000) for c in torch.eye(3)]
        every = model.log_prob_bound(x, 100_000)
    torch.testing.assert_close(torch.stack(given), exact, rtol=0, atol=0.02)
    torch.testing.assert_close(every, exact.logsumexp(0) - math.log(3), rtol=0, atol=0.02)


def test_the_loss_is_of_the_class_that_is_told(double):
    model, x = three_classes(), events()[[3]].expand(4000, -1, -1, -1)
    condition = torch.eye(3)[[1]].expand(4000, -1)
    model.objective = IWAE(1)
    with torch.no_grad():
        terms = model.terms(x, condition)
        z, log_q = terms.q.draw(1)
        weights = (terms.log_likelihood(z) + terms.log_prior(z) - log_q)[0].exp()
    mean, error = mean_and_error(weights)
    exact = by_quadrature(model, x[:1], condition[:1]).exp()
    assert (mean - exact).abs() < 4 * error
    torch.manual_seed(1)
    loss = model.loss({"x": x, "condition": condition})["loss"]
    torch.manual_seed(1)
    other = model.loss({"x": x, "condition": condition.roll(1, 1)})["loss"]
    assert loss != other


def test_what_is_filled_in_has_the_law_of_the_mean_over_classes(double):
    model, n = three_classes(), 6000
    model.impute_samples = 100
    x = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2).expand(n, -1, -1, -1)
    observed = torch.tensor([True, True, False, False]).view(1, 1, 2, 2).expand(n, -1, -1, -1)
    filled = model.impute(x, observed)
    assert torch.equal(filled[observed], x[observed])
    possible = events()[8:12]  # those that begin with 1, 0
    given = [by_quadrature(model, possible, c.expand(4, -1)) for c in torch.eye(3)]
    expected = torch.stack(given).logsumexp(0).softmax(0)
    code = (filled.flatten(1)[:, 2] * 2 + filled.flatten(1)[:, 3]).long()
    share = torch.bincount(code, minlength=4) / n
    error = (expected * (1 - expected) / n).sqrt()
    assert ((share - expected).abs() < 4 * error + 0.01 * expected).all()
    one_class = given[0].softmax(0)  # which the law is not that of
    assert ((share - one_class).abs() > 8 * error).any()


def test_the_code_of_an_event_has_its_most_probable_class(double):
    model = three_classes()
    with torch.no_grad():  # expected pixels of class c are far from those of the others
        model.decoder[0].weight[:, 1:].copy_(4 * torch.randn(8, 3))
    x = events()
    exact = torch.stack([by_quadrature(model, x, c.expand(16, -1)) for c in torch.eye(3)])
    clear = exact.sort(0).values.diff(dim=0)[1] > 0.5
    assert clear.sum() > 4
    code = model.encode(x)
    assert code.shape == (16, 4)
    assert torch.equal(code[clear, 1:].argmax(1), exact.argmax(0)[clear])
    assert (code[:, 1:].sum(1) == 1).all()
    torch.testing.assert_close(model.reconstruct(x), model.decode(code))
    torch.testing.assert_close(
        code[:, 0], model.recognition(x, code[:, 1:]).mean[:, 0], rtol=0, atol=1e-12
    )
    with pytest.raises(ValueError, match="impute_samples is 0"):
        ConditionalVAE((1, 2, 2), 3, 1, impute_samples=0)


@pytest.mark.parametrize("networks", [(SMALL, SMALL), (partial(ConvEncoder, width=4), SMALL)])
def test_samples_are_of_their_classes(networks):
    model = ConditionalVAE((2, 8, 8), 3, 4, *networks, likelihood=SharedNormal)
    samples = model.sample(7)
    assert samples.shape == (7, 2, 8, 8)
    x, condition = torch.rand(5, 2, 8, 8), torch.eye(3)[[0, 1, 2, 0, 1]]
    assert model.log_prob_bound(x, 3).shape == (5,)
    assert model.sample_given(condition).shape == (5, 2, 8, 8)
    with torch.no_grad():
        model.decoder[0].weight[:, :4].zero_()  # codes no longer matter, classes do
    alike = model.sample_given(condition)
    torch.testing.assert_close(alike[0], alike[3])
    assert not torch.equal(alike[0], alike[1])


@pytest.mark.parametrize("conditions", [{}, {"train": torch.eye(10).repeat(24, 1)}])
def test_data_without_these_classes_are_refused(conditions, tmp_path, monkeypatch):
    model = ConditionalVAE(small.Digits.shape, 7, 2, SMALL, SMALL)
    monkeypatch.setattr(small.Digits, "read_conditions", lambda self: conditions)
    with pytest.raises(ValueError, match="7 classes, and this data has others or none: set data"):
        small.trainer(tmp_path).fit(model, small.digits("vae"))


def test_decoders_take_codes_and_classes_side_by_side():
    model = ConditionalVAE((1, 8, 8), 3, 4, SMALL, partial(ConvDecoder, width=4))
    assert model.sample(2).shape == (2, 1, 8, 8)
