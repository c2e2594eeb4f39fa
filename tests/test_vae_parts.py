"""The parts of a VAE, where the answer is known: linear Gaussian models, grids, enumeration."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from genlit.likelihoods import Categorical, SharedNormal
from genlit.logmath import log_mean_exp
from genlit.networks import MLP
from genlit.protocols import Unanswerable
from genlit.vae import (
    ELBO,
    IAF,
    IWAE,
    VAE,
    DiagonalGaussian,
    DoublyReparameterized,
    ImportanceResampling,
    LearnedPrior,
    MetropolisWithinGibbs,
    Plain,
    PseudoGibbs,
    StandardNormal,
    StickingTheLanding,
    StochasticLayer,
    VampPrior,
)
from genlit.vae.gaussian import log_normal
from genlit.vae.objectives import log_weights
from tests.test_vae import by_quadrature, mean_and_error

pytestmark = pytest.mark.usefixtures("double")

SMALL = partial(MLP, hidden=(8,))
D, NOISE = 5, 0.4  # entries of the linear model's events, and its noise


def linear(inputs, outputs):
    return nn.Linear(math.prod(inputs), math.prod(outputs))


def linear_gaussian(off: float = 0.0, **parts) -> VAE:
    """x = W z + b + noise, with W'W diagonal, so that the true posterior is in the family.

    Args:
        off: By how much the encoder is wrong.
        **parts: Of the VAE.
    """
    law = partial(SharedNormal, std=NOISE, learned=False)
    model = VAE((D,), 2, linear, linear, law, **parts).eval()
    basis = torch.linalg.qr(torch.randn(D, 2)).Q * torch.tensor([1.0, 0.5])
    precision = 1 + basis.square().sum(0) / NOISE**2
    with torch.no_grad():
        model.decoder.weight.copy_(basis)
        back = basis.mT / NOISE**2 / precision[:, None]
        model.encoder.weight.copy_(torch.cat([back, torch.zeros(2, D)]))
        shift = torch.cat([-back @ model.decoder.bias, -0.5 * precision.log()])
        model.encoder.bias.copy_(shift + off)
    return model


def exact(model: VAE, x: torch.Tensor) -> torch.Tensor:
    W = model.decoder.weight
    covariance = W @ W.mT + NOISE**2 * torch.eye(D)
    law = torch.distributions.MultivariateNormal(model.decoder.bias, covariance)
    return law.log_prob(x).detach()


# Bounds


def test_with_the_true_posterior_every_weight_is_the_likelihood():
    model, x = linear_gaussian(), torch.randn(7, D)
    for objective in (ELBO(), IWAE(3), IWAE(3, StickingTheLanding)):
        torch.manual_seed(1)
        if isinstance(objective, IWAE):
            loss = objective(model.terms(x), None)["loss"]
            torch.testing.assert_close(loss, -exact(model, x).mean())
    torch.testing.assert_close(model.log_prob_bound(x, 2), exact(model, x))


def test_bounds_rise_with_samples_towards_the_likelihood():
    model, x = linear_gaussian(off=0.3), torch.randn(1, D)
    losses = {}
    with torch.no_grad():
        many = model.terms(x.expand(4000, D))
        losses[0] = mean_and_error(log_weights(many, *many.q.draw(1))[0])
        for k in (2, 8, 64):
            losses[k] = mean_and_error(log_mean_exp(log_weights(many, *many.q.draw(k))))
        tight = model.log_prob_bound(x, 200_000)
    found = [*losses.values(), (exact(model, x)[0], 0.0)]
    for (low, e1), (high, e2) in pairwise(found):
        assert low < high + 3 * (e1**2 + e2**2) ** 0.5
    assert found[0][0] < found[1][0] - 4 * found[0][1]
    torch.testing.assert_close(tight, exact(model, x), rtol=0, atol=0.01)


@pytest.mark.parametrize("gradient", [Plain, StickingTheLanding, DoublyReparameterized])
def test_the_loss_is_the_bound_itself(gradient):
    model, x = linear_gaussian(off=0.3), torch.randn(6, D)
    terms = model.terms(x)
    torch.manual_seed(2)
    loss = IWAE(4, gradient)(terms, 0)
    torch.manual_seed(2)
    bound = log_mean_exp(log_weights(terms, *terms.q.draw(4))).mean()
    torch.testing.assert_close(loss["loss"], -bound)
    assert loss.keys() == {"loss"}


def test_elbo_is_reconstruction_less_divergence_whatever_is_minimized():
    model, x = linear_gaussian(off=0.2), torch.randn(200, D)
    for objective in (ELBO(), ELBO(beta=4.0), ELBO(free_bits=2.0), ELBO(warm_up=10)):
        torch.manual_seed(3)
        found = objective(model.terms(x), 5)
        torch.testing.assert_close(found["elbo"], -found["reconstruction"] - found["kl"])
        torch.manual_seed(3)
        held_out = objective(model.terms(x), None)
        torch.testing.assert_close(
            held_out["loss"], found["reconstruction"] + objective.beta * found["kl"]
        )


def test_free_bits_forgive_each_variable_and_warm_up_delays():
    model, x = linear_gaussian(off=0.2), torch.randn(50, D)
    each = model.recognition(x).divergence().mean(0).detach()
    least = each.mean().item()
    assert each.min() < least < each.max()

    def paid(objective, step):
        found = objective(model.terms(x), step)
        return found["loss"] - found["reconstruction"]

    torch.testing.assert_close(paid(ELBO(free_bits=least), 0), each.max() + least)
    torch.testing.assert_close(paid(ELBO(beta=3.0, warm_up=10), 4), 0.4 * 3 * each.sum())
    assert paid(ELBO(warm_up=10), 0) == 0
    torch.testing.assert_close(paid(ELBO(warm_up=10), 11), each.sum())


def test_divergence_without_a_closed_form_has_the_same_mean():
    model, x = linear_gaussian(off=0.2), torch.randn(1, D)
    terms = model.terms(x.expand(20_000, D))
    sampled = terms._replace(standard=False)
    z, log_q = terms.q.draw(1)
    kl, error = mean_and_error((log_q - terms.log_prior(z))[0])
    closed = ELBO()(terms, 0)["kl"]
    assert (kl - closed).abs() < 4 * error
    assert (ELBO()(sampled, 0)["kl"] - closed).abs() < 5 * error


def test_estimated_divergences_below_zero_are_not_cut_off():
    """They would bias the loss, and stop the gradient."""
    model, x = linear_gaussian(), torch.randn(1, D)
    terms = model.terms(x)._replace(standard=False, log_prior=lambda z: z.new_full(z.shape[:2], 99))
    found = ELBO()(terms, 0)
    assert found["kl"] < 0
    torch.testing.assert_close(found["loss"], -found["elbo"])


@pytest.mark.parametrize("bad", [{"beta": -1}, {"free_bits": -1}, {"warm_up": -1}, {"samples": 0}])
def test_impossible_bounds_are_refused(bad):
    with pytest.raises(ValueError, match="ELBO needs"):
        ELBO(**bad)
    with pytest.raises(ValueError, match="samples is 0"):
        IWAE(0)


# Gradients


def gradients(model, x, gradient, k) -> torch.Tensor:
    """Of the encoder's output for each event, (B, 4)."""
    output = model.encoder(x).detach().requires_grad_()
    terms = model.terms(x)._replace(q=model.posterior(output))
    loss = IWAE(k, gradient)(terms, 0)["loss"]
    return torch.autograd.grad(loss, output)[0] * len(x)


def test_plain_gradient_is_that_of_the_weights_by_their_shares():
    model, x = linear_gaussian(off=0.3), torch.randn(3, D)
    terms = model.terms(x)
    torch.manual_seed(4)
    IWAE(5)(terms, 0)["loss"].backward()
    by_autograd = model.decoder.weight.grad.clone()
    model.zero_grad()
    torch.manual_seed(4)
    terms = model.terms(x)
    log_w = log_weights(terms, *terms.q.draw(5))
    (-(log_w.softmax(0).detach() * log_w).sum(0).mean()).backward()
    torch.testing.assert_close(model.decoder.weight.grad, by_autograd)


@pytest.mark.parametrize(
    ("gradient", "k"),
    [(StickingTheLanding, 1), (DoublyReparameterized, 1), (DoublyReparameterized, 4)],
)
def test_other_gradients_have_the_plain_ones_expectation(gradient, k):
    model = linear_gaussian(off=0.3)
    x = torch.randn(1, D).expand(20_000, D)
    plain, e1 = mean_and_error(gradients(model, x, Plain, k))
    other, e2 = mean_and_error(gradients(model, x, gradient, k))
    assert ((plain - other).abs() < 4 * (e1**2 + e2**2) ** 0.5).all()
    assert (plain.abs() > 6 * e1).any()
    assert e2.sum() < e1.sum()  # what they are for


def test_the_landing_sticks_where_the_posterior_is_true():
    model, x = linear_gaussian(), torch.randn(3, D)
    for gradient in (StickingTheLanding, DoublyReparameterized):
        assert gradients(model, x, gradient, 1).abs().max() < 1e-12
    assert gradients(model, x, Plain, 1).abs().max() > 0.1


def test_gradients_without_the_score_refuse_what_they_cannot_do():
    x = torch.randn(2, D)
    deep = linear_gaussian(prior=StochasticLayer)
    with pytest.raises(ValueError, match="one layer of latent variables: set objective"):
        IWAE(2, DoublyReparameterized)(deep.terms(x), 0)
    bent = VAE((D,), 2, SMALL, SMALL, posterior=IAF)
    with pytest.raises(ValueError, match="IAF has a density of its own samples only"):
        IWAE(2, StickingTheLanding)(bent.terms(x), 0)


# Posteriors


@pytest.mark.parametrize("family", [DiagonalGaussian, partial(IAF, steps=3, hidden=16, context=4)])
@pytest.mark.parametrize("latent", [1, 4])
def test_samples_know_their_density(family, latent):
    posterior = family(latent)
    q = posterior(torch.randn(6, *posterior.outputs))
    z, log_q = q.draw(5)
    assert z.shape == (5, 6, latent)
    torch.testing.assert_close(q.log_prob(z), log_q, rtol=0, atol=1e-9)
    assert q.mean.shape == (6, latent)


def test_bent_density_is_by_change_of_variables():
    posterior = IAF(4, steps=2, hidden=16, context=3)
    q = posterior(torch.randn(1, *posterior.outputs))
    z0, log_q0 = q.base.draw(1)
    jacobian = torch.autograd.functional.jacobian(lambda z: q._bend(z)[0].flatten(), z0)
    log_det = jacobian.view(4, 4).det().abs().log()
    torch.testing.assert_close(q._bend(z0)[1].view(()), log_det)
    torch.testing.assert_close(q.log_prob(q._bend(z0)[0]), log_q0 - log_det)


def test_bent_density_integrates_to_one():
    posterior = IAF(2, steps=2, hidden=16, context=3)
    output = torch.randn(1, *posterior.outputs)
    output[:, :4] *= 0.3
    line = torch.linspace(-7, 7, 281)
    grid = torch.cartesian_prod(line, line)[:, None]
    mass = posterior(output).log_prob(grid).exp().sum() * (14 / 280) ** 2
    torch.testing.assert_close(mass.item(), 1.0, rtol=0, atol=1e-4)


def test_steps_depend_on_earlier_variables_alone():
    step = IAF(5, steps=1, hidden=32, context=3).steps[0]
    z, context = torch.randn(1, 1, 5), torch.randn(1, 3)
    for part in (0, 1):
        jacobian = torch.autograd.functional.jacobian(lambda z, k=part: step(z, context)[k], z)
        seen = jacobian.view(5, 5) != 0
        assert torch.equal(seen, torch.ones(5, 5).tril(-1).bool())


# Priors


class Shifted(nn.Module):
    """N(1, 1) as a density."""

    def __init__(self, shape) -> None:
        super().__init__()
        self.shape = shape
        self.middle = nn.Parameter(torch.ones(shape))

    def log_prob(self, x):
        return log_normal(x, self.middle, 0.0)

    def log_density(self):
        return self.log_prob

    def require_tractable(self) -> None:
        pass

    def sample(self, n):
        return self.middle + torch.randn(n, *self.shape)


PRIORS = {
    "standard": StandardNormal,
    "vamp": partial(VampPrior, pseudo_inputs=3),
    "learned": partial(LearnedPrior, density=Shifted),
    "layer": partial(StochasticLayer, units=1, encoder=SMALL, decoder=SMALL),
    "two layers": partial(
        StochasticLayer, units=2, encoder=SMALL, decoder=SMALL,
        prior=partial(StochasticLayer, units=1, encoder=SMALL, decoder=SMALL),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRIORS)
def test_priors_integrate_to_one(name):
    """One that is estimated does so on average."""
    model = VAE((1, 2, 2), 1, SMALL, SMALL, prior=PRIORS[name])
    n, (low, high) = (400 if "layer" in name else 1), (-9.0, 9.0)
    z = torch.linspace(low, high, 1001).view(-1, 1, 1).expand(-1, n, 1)
    with torch.no_grad():
        masses = model.log_prior(z).exp().sum(0) * (high - low) / 1000
    tolerance = 4 * float(masses.std()) / n**0.5 if n > 1 else 1e-6
    assert (masses.mean() - 1).abs() < tolerance


@pytest.mark.parametrize("name", PRIORS)
def test_priors_have_the_density_of_their_samples(name):
    """The mean density at samples is the integral of its square."""
    model = VAE((1, 2, 2), 1, SMALL, SMALL, prior=PRIORS[name])
    with torch.no_grad():
        z = model.prior.sample(4000, model.recognition)
        assert z.shape == (4000, 1)
        n = 200 if "layer" in name else 1
        grid = torch.linspace(-9, 9, 901).view(-1, 1, 1).expand(-1, n, 1)
        density = model.log_prior(grid).exp().mean(1)
        at = ((z[:, 0] + 9) / 18 * 900).round().long().clamp(0, 900)
        mean, error = mean_and_error(density[at])
        expected = density.square().sum() * 18 / 900
    assert (mean - expected).abs() < 4 * error + 0.005 * expected


def test_two_layers_have_the_likelihood_as_their_mean_weight():
    """By a grid over both."""
    model = VAE((1, 2, 2), 1, SMALL, SMALL, prior=PRIORS["layer"])
    x = torch.rand(1, 1, 2, 2).round()
    layer, line = model.prior, torch.linspace(-9, 9, 721)
    z, y = torch.cartesian_prod(line, line).split(1, 1)
    log_p = layer.below(y).log_prob(z) + log_normal(y, 0.0, 0.0)
    log_joint = log_p + model.log_likelihood(x, z[:, None])[:, 0]
    likelihood = log_joint.logsumexp(0) + 2 * math.log(18 / 720)
    with torch.no_grad():
        weight, error = mean_and_error(model.log_prob_bound(x.expand(20_000, -1, -1, -1), 2).exp())
    assert (weight - likelihood.exp()).abs() < 4 * error


@pytest.mark.parametrize("family", [DiagonalGaussian, partial(IAF, hidden=8, context=2)])
def test_the_density_of_each_law_is_that_of_one_after_the_other(family, double):
    posterior = family(3)
    law = posterior(torch.randn(5, *posterior.outputs))
    z = torch.randn(2, 4, 3)
    with torch.no_grad():
        found = law.log_prob_of_each(z)
        expected = [law.log_prob(z[:, [i]].expand(-1, 5, -1)) for i in range(4)]
    torch.testing.assert_close(found, torch.stack(expected, 1))


def test_pseudo_inputs_begin_at_the_data_and_learn():
    model = VAE((1, 2, 2), 2, SMALL, SMALL, prior=PRIORS["vamp"])
    model.prior.begin(torch.full((1, 2, 2), 0.5))
    assert (model.prior.inputs - 0.5).abs().max() < 0.5
    model.loss({"x": torch.rand(4, 1, 2, 2).round()})["loss"].backward()
    assert model.prior.inputs.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="pseudo_inputs is 0"):
        VampPrior(2, (1,), 0)


def test_a_learned_prior_must_be_a_density():
    with pytest.raises(Unanswerable, match="Linear cannot be asked for a prior"):
        LearnedPrior(2, (1,), lambda shape: nn.Linear(2, 2))


# Missing entries


def binary_vae() -> VAE:
    """Of four pixels, with one latent variable that matters and a recognition that is wrong."""
    model = VAE((1, 2, 2), 1, SMALL, SMALL)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2)
    return model


def test_observed_entries_alone_make_the_bound():
    model, x = binary_vae(), torch.rand(1, 1, 2, 2).round()
    observed = torch.tensor([True, False, False, True]).view(1, 1, 2, 2)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).view(-1, 1, 2, 2)
    agree = ((every == x) | ~observed).flatten(1).all(1)
    marginal = by_quadrature(model, every[agree]).logsumexp(0)
    terms = model.terms(x, observed)
    with torch.no_grad():
        found = log_mean_exp(log_weights(terms, *terms.q.draw(200_000)))
    torch.testing.assert_close(found[0], marginal, rtol=0, atol=0.02)
    batch = {"x": torch.where(observed, x, 1 - x), "observed": observed}
    losses = []
    for given in (batch, {"x": x, "observed": observed}):
        torch.manual_seed(5)
        losses.append(model.loss(given)["loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "imputation", [partial(MetropolisWithinGibbs, 60), partial(ImportanceResampling, 400, 150)]
)
def test_imputations_have_the_conditional_as_their_law(imputation):
    model, n = binary_vae(), 6000
    model.imputation = imputation()
    x = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2).expand(n, -1, -1, -1)
    observed = torch.tensor([True, True, False, False]).view(1, 1, 2, 2).expand(n, -1, -1, -1)
    filled = model.impute(x, observed)
    assert torch.equal(filled[observed], x[observed])
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 2)
    events = torch.cat([torch.tensor([1.0, 0.0]).expand(4, 2), every], 1).view(4, 1, 2, 2)
    expected = by_quadrature(model, events).softmax(0).detach()
    code = (filled.flatten(1)[:, 2] * 2 + filled.flatten(1)[:, 3]).long()
    share = torch.bincount(code, minlength=4) / n
    error = (expected * (1 - expected) / n).sqrt()
    assert ((share - expected).abs() < 4 * error + 0.01 * expected).all()


def test_pseudo_gibbs_keeps_what_is_observed():
    model, x = binary_vae(), torch.rand(5, 1, 2, 2).round()
    model.imputation, observed = PseudoGibbs(3), torch.rand(5, 1, 2, 2) < 0.5
    filled = model.impute(x, observed)
    assert torch.equal(filled[observed], x[observed])
    assert ((filled == 0) | (filled == 1)).all()
    with pytest.raises(ValueError, match="samples is 0"):
        ImportanceResampling(0)


# Laws of pixels


def test_a_vae_of_levels_takes_levels_alone():
    model = VAE((1, 2, 2), 1, SMALL, SMALL, partial(Categorical, levels=3))
    assert not model.binary
    x = torch.randint(3, (5, 1, 2, 2)) / 2
    assert set(model.step(x).unique().tolist()) <= {0.0, 0.5, 1.0}
    line = torch.tensor([0.0, 0.5, 1.0])
    every = torch.cartesian_prod(line, line, line, line).view(-1, 1, 2, 2)
    torch.testing.assert_close(by_quadrature(model, every).logsumexp(0).item(), 0.0, atol=1e-9,
                               rtol=0.0)  # fmt: skip
