"""With one latent variable, p(x) is an integral that a fine grid does exactly."""

import math
from functools import partial
from itertools import islice

import pytest
import torch
from torch import nn

from genlit.callbacks.likelihood import refuse_grey
from genlit.networks import MLP, ConvDecoder, ConvEncoder
from genlit.vae import VAE, PseudoGibbs
from genlit.vae import vae as vae_module
from genlit.vae.gaussian import kl_to_standard, log_normal

SMALL = partial(MLP, hidden=(8,))


def small(latent: int = 1, shape=(1, 2, 2)) -> VAE:
    """A tiny VAE whose latent variables matter: random weights, made larger."""
    model = VAE(shape, latent=latent, encoder=SMALL, decoder=SMALL)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2)
    return model


def by_quadrature(model: VAE, x: torch.Tensor) -> torch.Tensor:
    """Log p(x) by the trapezoidal rule, whose error is far below 1e-9 here."""
    z = torch.linspace(-12, 12, 4001)[:, None, None].expand(-1, len(x), 1)
    log_joint = model.log_likelihood(x, z) + log_normal(z, 0.0, 0.0)
    return torch.logsumexp(log_joint, 0) + math.log(24 / 4000)


def mean_and_error(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return values.mean(0), values.std(0) / len(values) ** 0.5


def test_log_normal_is_the_density_of_a_gaussian(double):
    z, mean, log_std = torch.randn(3, 7, 4)
    expected = torch.distributions.Normal(mean, log_std.exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(log_normal(z, mean, log_std), expected)


def test_kl_is_the_mean_log_ratio(double):
    mean, log_std = torch.randn(2, 5)
    z = mean + log_std.exp() * torch.randn(200_000, 5)
    ratio, error = mean_and_error(log_normal(z, mean, log_std) - log_normal(z, 0.0, 0.0))
    assert (ratio - kl_to_standard(mean, log_std)).abs() < 4 * error
    assert kl_to_standard(torch.zeros(5), torch.zeros(5)) == 0


def test_probabilities_of_all_events_sum_to_one(double):
    events = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).view(-1, 1, 2, 2)
    torch.testing.assert_close(
        by_quadrature(small(), events).logsumexp(0), torch.tensor(0.0), rtol=0, atol=1e-9
    )


def test_loss_is_the_negative_elbo(double):
    """ELBO = log p(x) - KL(q || posterior), with the divergence on the same grid."""
    model, x = small(), torch.rand(1, 1, 2, 2).round()
    z = torch.linspace(-12, 12, 4001)[:, None, None]
    mean, log_std = model.recognition(x)
    log_q = log_normal(z, mean, log_std)
    log_joint = model.log_likelihood(x, z) + log_normal(z, 0.0, 0.0)
    elbo = (log_q.exp() * (log_joint - log_q)).sum() * 24 / 4000
    assert elbo < by_quadrature(model, x) - 1e-4
    batch = {"x": x.expand(50, -1, -1, -1)}
    losses, error = mean_and_error(
        torch.stack([model.loss(batch)["loss"].detach() for _ in range(100)])
    )
    assert (losses + elbo).abs() < 4 * error


def test_bound_tightens_to_the_exact_likelihood(double):
    model, x = small(), torch.rand(3, 1, 2, 2).round()
    exact = by_quadrature(model, x)
    draws = {1: 4000, 4: 4000, 16: 2000, 128: 1000}
    with torch.no_grad():
        bounds = [
            mean_and_error(model.log_prob_bound(x.repeat(n, 1, 1, 1), k).view(n, 3))
            for k, n in draws.items()
        ]
        tight = model.log_prob_bound(x, 400_000)
    assert bounds[0][0].dtype == torch.float64
    for (low, e1), (high, e2) in zip(bounds, [*bounds[1:], (exact, 0.0)], strict=True):
        assert (low.mean() < high.mean()).all()
        assert (low < high + 3 * (e1**2 + e2**2) ** 0.5).all()
    torch.testing.assert_close(tight, exact, rtol=0.0, atol=0.005)


def test_importance_weights_have_the_likelihood_as_their_mean(double):
    """The bound is loose, but exp(bound) is not: its expectation is p(x) for any number."""
    model, x = small(), torch.rand(1, 1, 2, 2).round().expand(20_000, -1, -1, -1)
    with torch.no_grad():
        weight, error = mean_and_error(model.log_prob_bound(x, 3).exp())
    assert (weight - by_quadrature(model, x[:1]).exp()).abs() < 4 * error


def test_bound_does_not_depend_on_the_chunks(monkeypatch, double):
    model, x, noise = small(latent=3), torch.rand(5, 1, 2, 2).round(), torch.randn(23, 5, 3)
    q = model.recognition(x)
    z = q.mean + q.log_std.exp() * noise
    log_joint = model.log_likelihood(x, z) + log_normal(z, 0.0, 0.0)
    whole = (log_joint - q.log_prob(z)).logsumexp(0) - math.log(23)
    for chunk in (1, 3 * x.numel(), 7 * x.numel() + 1, 2**21):
        draws = iter(noise)
        monkeypatch.setattr(vae_module, "CHUNK", chunk)
        monkeypatch.setattr(
            torch, "randn", lambda s, *_, draws=draws, **__: torch.stack([*islice(draws, s)])
        )
        torch.testing.assert_close(model.log_prob_bound(x, 23), whole, rtol=0, atol=1e-12)
        assert next(draws, None) is None


def test_float32_bound_agrees_with_double(monkeypatch):
    model, x = VAE((1, 28, 28), latent=5), torch.rand(4, 1, 28, 28).round()
    noise = torch.randn(50, 4, 5)
    monkeypatch.setattr(torch, "randn", lambda *_, **__: noise)
    single = model.log_prob_bound(x, 50)
    double = model.double().log_prob_bound(x.double(), 50)
    torch.testing.assert_close(single, double, rtol=0, atol=2e-3)


def test_loss_is_in_nats_an_event():
    """A decoder that says 1/2 everywhere pays log 2 for each pixel, whatever the batch."""
    model = VAE((1, 4, 4), latent=2, encoder=SMALL, decoder=SMALL)
    for p in model.decoder.parameters():
        nn.init.zeros_(p)
    for batch in (1, 7):
        terms = model.loss({"x": torch.rand(batch, 1, 4, 4).round()})
        torch.testing.assert_close(terms["reconstruction"].item(), 16 * math.log(2), rtol=1e-6,
                                   atol=0.0)  # fmt: skip
        assert terms["loss"] == terms["reconstruction"] + terms["kl"]


def test_gradient_is_that_of_the_mean_over_events(double):
    """The output bias has gradient Σ_pixel mean_batch (p - x): no mean over pixels hides in it."""
    model, x = small(latent=2, shape=(1, 3, 3)), torch.rand(6, 1, 3, 3).round()
    torch.manual_seed(1)
    model.loss({"x": x})["loss"].backward()
    torch.manual_seed(1)
    mean, log_std = model.recognition(x)
    p = model.decode(mean + log_std.exp() * torch.randn_like(mean))
    bias = model.decoder[-2].bias
    torch.testing.assert_close(bias.grad, (p - x).mean(0).flatten())


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [(SMALL, SMALL), (partial(ConvEncoder, width=4), partial(ConvDecoder, width=4))],
    ids=["mlp", "conv"],
)
def test_answers_have_their_shapes_and_ranges(encoder, decoder):
    model = VAE(
        (1, 8, 8), latent=3, encoder=encoder, decoder=decoder, imputation=partial(PseudoGibbs, 3)
    )
    x, observed = torch.rand(5, 1, 8, 8).round(), torch.rand(5, 1, 8, 8) < 0.5
    assert model.encode(x).shape == (5, 3)
    assert model.log_prob_bound(x, 2).shape == (5,)
    greys = [model.sample(5), model.reconstruct(x), model.denoise(x)]
    z = torch.randn(5, 3, requires_grad=True)
    decoded = model.decode(z)
    for grey in [*greys, decoded]:
        assert grey.shape == x.shape
        assert ((grey > 0) & (grey < 1)).all()
    filled = model.impute(x, observed)
    assert (filled[observed] == x[observed]).all()
    assert (filled[~observed] != x[~observed]).any()
    for binary in (filled, model.step(x)):
        assert binary.shape == x.shape
        assert ((binary == 0) | (binary == 1)).all()
    assert not any(y.requires_grad for y in [*greys, filled])
    assert torch.autograd.grad(decoded.sum(), z)[0].all()  # one can search for codes


def test_chain_leaves_the_model_as_it_is(double):
    """With the exact posterior, x -> z -> x keeps p(x); here z says nothing, so q = p(z | x)."""
    model = small()
    nn.init.zeros_(model.decoder[0].weight)
    for p in model.encoder.parameters():
        nn.init.zeros_(p)
    n = 20_000
    x = model.step(torch.zeros(n, 1, 2, 2))
    p = model.decode(torch.zeros(1, 1))
    error = (p * (1 - p) / n).sqrt()
    assert ((x.mean(0) - p[0]).abs() < 4 * error[0]).all()


def test_learning_raises_the_exact_likelihood(double):
    x = torch.tensor([[0.0, 0, 1, 1], [1, 1, 0, 0]]).view(2, 1, 2, 2)  # at best -log 2 nats
    model = VAE((1, 2, 2), latent=1, encoder=SMALL, decoder=SMALL)
    optimizer = torch.optim.Adam(model.parameters(), 3e-2)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss({"x": x.repeat(16, 1, 1, 1)})["loss"].backward()
        optimizer.step()
    assert -0.95 < by_quadrature(model, x).mean() < -math.log(2)


def test_grey_events_are_refused():
    assert small().binary
    refuse_grey(torch.tensor([0.0, 1.0]), "VAE")
    with pytest.raises(ValueError, match=r"VAE gives probabilities to zeros and ones only.*data\."):
        refuse_grey(torch.tensor([0.0, 0.5]), "VAE")
