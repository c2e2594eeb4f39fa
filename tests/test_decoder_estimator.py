"""Annealing from prior to posterior, where log p(x) and the posterior are known: linear models."""

import pytest
import torch

from genlit.annealing import forward_weights, ladder, reverse_weights
from genlit.decoder_path import DecoderPath, tuned
from genlit.estimators import AnnealedDecoder, Exact
from genlit.logmath import log_mean_exp
from genlit.protocols import Unanswerable
from genlit.vae import VAE, StochasticLayer
from tests.test_vae import mean_and_error
from tests.test_vae_parts import NOISE, D, exact, linear_gaussian

pytestmark = pytest.mark.usefixtures("double")


def posterior(model: VAE, x: torch.Tensor, beta: float) -> torch.distributions.Normal:
    """p_β of each event: W'W is diagonal, so that its entries are independent."""
    W, b = model.decoder.weight.detach(), model.decoder.bias.detach()
    precision = 1 + beta * W.square().sum(0) / NOISE**2
    return torch.distributions.Normal(beta * (x - b) @ W / NOISE**2 / precision, precision**-0.5)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_moves_leave_exact_samples_exact(beta):
    model, x = linear_gaussian(), torch.randn(3, D)
    law, n = posterior(model, x, beta), 20_000
    path = DecoderPath(model, x, lambda beta: 0.4, leapfrogs=3)
    state = path.at(law.sample((n,)))
    for _ in range(3):
        state = path.move(state, beta)
    assert 0.5 < path.accepted < 0.999  # so that refusing matters
    scaled = (state.z - law.mean) / law.stddev
    assert (scaled.mean(0).abs() < 4.5 / n**0.5).all()
    assert ((scaled.square().mean(0) - 1).abs() < 4.5 * (2 / n) ** 0.5).all()
    torch.testing.assert_close(state.log_likelihood, model.log_likelihood(x, state.z))


def test_a_chain_forgets_where_it_began():
    model, x = linear_gaussian(), torch.randn(2, D)
    law = posterior(model, x, 1.0)
    path = DecoderPath(model, x, lambda beta: 0.25, leapfrogs=5)
    state = path.at(torch.full((1000, 2, 2), 1.0))
    for _ in range(40):
        state = path.move(state, 1.0)
    assert ((state.z.mean(0) - law.mean).abs() < 4.5 * law.stddev / 1000**0.5).all()


def test_weights_have_the_likelihood_as_their_mean():
    """With few temperatures they differ much; in both directions the mean is right."""
    model, x = linear_gaussian(), torch.randn(2, D)
    rungs, n = ladder(8), 20_000
    path = DecoderPath(model, x, lambda beta: 0.3, leapfrogs=3)
    forward = forward_weights(path, rungs, n * 2).view(n, 2)
    weight, error = mean_and_error((forward - exact(model, x)).exp())
    assert ((weight - 1).abs() < 4 * error).all()
    assert forward.mean(0).lt(exact(model, x) - 0.05).all()
    state = path.at(posterior(model, x, 1.0).sample((n,)))
    back = reverse_weights(path, rungs[::-1], state).view(n, 2)
    weight, error = mean_and_error((back + exact(model, x)).exp())
    assert ((weight - 1).abs() < 4 * error).all()


def test_the_sandwich_closes_on_the_likelihood():
    model = linear_gaussian()
    z = model.draw_codes(40)
    x = model.draw(z)
    found = {}
    for steps in (4, 100):
        estimator = AnnealedDecoder(steps, chains=4, leapfrogs=3, events=0, simulated=40)
        rungs = ladder(steps)
        sizes = tuned(model, x, rungs, 4, 3)
        path = DecoderPath(model, x, sizes, 3)
        lower = estimator._lower(path, rungs)
        upper = estimator._sandwich(model, x, z, rungs, sizes) + estimator._lower(path, rungs)
        middle, e1 = mean_and_error(lower - exact(model, x))
        above, e2 = mean_and_error(upper - exact(model, x))
        assert middle < 3 * e1
        assert above > -3 * e2
        found[steps] = above - middle
    assert 0 < found[100] + 0.02 < 0.1 < found[4]


def test_estimator_tells_the_likelihood_and_its_gap():
    model = linear_gaussian()
    x = model.draw(model.draw_codes(30))
    density = AnnealedDecoder(60, chains=8, leapfrogs=3, events=4, simulated=20)(model)
    assert density.events == 4
    assert density.stderr is None
    gap, error = density.details["bidirectional_gap"], density.details["bidirectional_gap_stderr"]
    assert -3 * error < gap < 0.3
    low, own_error = mean_and_error(density.log_prob(x) - exact(model, x))
    assert -4 * own_error - gap < low < 4 * own_error
    assert "nats, on 20 events" in density.details["summary"]


def test_it_answers_inside_inference_mode():
    """Which is where Lightning tests, and where gradients are off."""
    model = linear_gaussian()
    with torch.inference_mode():
        x = model.draw(model.draw_codes(2))
        density = AnnealedDecoder(50, chains=8, leapfrogs=3, simulated=5)(model)
        torch.testing.assert_close(density.log_prob(x), exact(model, x), rtol=0, atol=0.3)


def test_pilot_finds_steps_that_are_accepted():
    model, x = linear_gaussian(), torch.randn(5, D)
    sizes = tuned(model, x, ladder(150), 10, 3)
    path = DecoderPath(model, x, sizes, 3)
    state, shares = path.start(50), []
    for _ in range(50):
        state = path.move(state, 1.0)
        shares.append(path.accepted)
    assert 0.5 < sum(shares) / 50 < 0.9


def test_what_it_cannot_do_is_refused():
    deep = VAE((D,), 2, prior=StochasticLayer)
    with pytest.raises(ValueError, match="StochasticLayer only estimates log p"):
        AnnealedDecoder().check(deep)
    with pytest.raises(Unanswerable, match="Linear cannot be asked"):
        AnnealedDecoder().check(torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="2 simulated events"):
        AnnealedDecoder(simulated=1)
    with pytest.raises(Unanswerable):
        Exact().check(deep)


def test_mean_of_weights_is_over_the_chains_of_one_event():
    """Chains that are B apart belong together."""
    model, x = linear_gaussian(), torch.randn(3, D)
    path = DecoderPath(model, x, lambda beta: 0.3, leapfrogs=2)
    z = torch.randn(4, 3, 2)
    rise = path.rise(path.at(z), 0.2, 0.5).view(4, 3)
    torch.testing.assert_close(rise, 0.3 * model.log_likelihood(x, z).double())
    assert log_mean_exp(rise).shape == (3,)
