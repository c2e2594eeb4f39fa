"""Autoencoders against losses in closed form, and chains against enumerated transitions."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from genlit.corruptions import GaussianNoise, Masking, SaltAndPepper
from genlit.likelihoods import Bernoulli, Categorical, Normal, SharedNormal
from genlit.networks import MLP
from genlit.protocols import Samples
from genlit.vae import Autoencoder, DenoisingAutoencoder
from tests import small
from tests.test_gsn import events, floor, frequencies, spoiling, stationary

SMALL = partial(MLP, hidden=(8,))
KINDS = [Autoencoder, DenoisingAutoencoder]


def model(kind=Autoencoder, shape=(1, 2, 2), **arguments):
    made = kind(shape, 3, SMALL, SMALL, **arguments)
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(3)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_in_nats_an_event(kind):
    made = kind((1, 28, 28), 5, SMALL, SMALL)
    for p in made.coder.decoder.parameters():
        nn.init.zeros_(p)
    for batch in (1, 7):
        loss = made.loss({"x": torch.rand(batch, 1, 28, 28).round()})["loss"]
        assert loss.item() == pytest.approx(784 * math.log(2), rel=1e-6)


def test_loss_of_real_numbers_is_a_squared_error(double):
    """Under a shared Gaussian of given width, -log p is that, over 2σ², plus log(σ√2π) a pixel."""
    made = model(likelihood=partial(SharedNormal, std=0.2, learned=False))
    x = torch.rand(6, 1, 2, 2)
    output = made.coder.decoder(made.encode(x))
    squares = (x - output).square().sum((1, 2, 3)).mean()
    expected = squares / (2 * 0.04) + 4 * math.log(0.2 * math.sqrt(2 * math.pi))
    torch.testing.assert_close(made.loss({"x": x})["loss"], expected)
    torch.testing.assert_close(made.reconstruct(x), output.clamp(0, 1))


@pytest.mark.parametrize("corruption", [SaltAndPepper, Masking, GaussianNoise])
def test_without_noise_it_is_an_autoencoder(corruption, double):
    plain = model()
    noisy = model(DenoisingAutoencoder, corruption=partial(corruption, 0.0))
    noisy.load_state_dict(plain.state_dict())
    x = torch.rand(6, 1, 2, 2).round()
    torch.testing.assert_close(noisy.loss({"x": x})["loss"], plain.loss({"x": x})["loss"])


def test_loss_is_of_the_clean_event_given_the_spoilt_one(double):
    made, x = model(DenoisingAutoencoder), torch.rand(6, 1, 2, 2).round()
    spoilt = torch.rand(6, 1, 2, 2).round()
    made.corruption = lambda _: spoilt
    p = made.reconstruct(spoilt)
    expected = -torch.where(x > 0, p, 1 - p).log().sum((1, 2, 3)).mean()
    torch.testing.assert_close(made.loss({"x": x})["loss"], expected)


@pytest.mark.parametrize("answer", ["step", "sample"])
def test_chain_has_the_law_of_its_transitions(answer, double):
    made = model(DenoisingAutoencoder, corruption=partial(SaltAndPepper, 0.4), sample_steps=40)
    n, x = 50_000, events(4)
    p = made.reconstruct(x.view(16, 1, 2, 2)).flatten(1)[:, None]
    law = stationary(spoiling(4) @ torch.where(x > 0, p, 1 - p).prod(-1))
    if answer == "sample":
        grey = made.sample(n)
        chains = (torch.rand_like(grey) < grey).double()
    else:
        chains = torch.zeros(n, 1, 2, 2)
        for _ in range(30):
            chains = made.step(chains)
    assert (frequencies(chains) - law).abs().sum() / 2 < 4 * floor(law, n)


@pytest.mark.parametrize(
    "likelihood", [Bernoulli, Normal, SharedNormal, partial(Categorical, levels=4)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_answers_have_their_shapes_and_ranges(kind, likelihood):
    made = model(kind, (1, 4, 4), likelihood=likelihood)
    x = torch.randint(0, 4, (5, 1, 4, 4)) / 3
    assert made.encode(x).shape == (5, 3)
    answers = [made.reconstruct(x), made.decode(torch.randn(5, 3))]
    if kind is DenoisingAutoencoder:
        made.sample_steps = 3
        answers += [made.sample(5), made.denoise(x)]
        assert made.step(x).shape == x.shape
    else:
        assert not isinstance(made, Samples)
    for y in answers:
        assert y.shape == x.shape
        assert ((y >= 0) & (y <= 1)).all()
        assert not y.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_the_law_is_not_made_for_is_refused(kind, tmp_path):
    with pytest.raises(ValueError, match=f"{kind.__name__} learns probabilities of zeros and ones"):
        small.trainer(tmp_path).fit(kind((1, 28, 28)), small.Digits(20, 10, binarize="none"))
    made = kind((1, 28, 28), likelihood=partial(Categorical, levels=16))
    with pytest.raises(ValueError, match="gives probabilities to 16 grey levels"):
        small.trainer(tmp_path).fit(made, small.Digits(20, 10, binarize="levels"))


@pytest.mark.parametrize("kind", KINDS)
def test_learning_finds_a_code(kind):
    """Four events fit into two numbers."""
    torch.manual_seed(1)
    data = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]).view(4, 1, 2, 2)
    settings = {} if kind is Autoencoder else {"corruption": partial(GaussianNoise, 0.2)}
    made = kind((1, 2, 2), 2, SMALL, SMALL, **settings)
    optimizer = torch.optim.Adam(made.parameters(), 2e-2)
    for _ in range(300):
        optimizer.zero_grad()
        made.loss({"x": data.repeat(8, 1, 1, 1)})["loss"].backward()
        optimizer.step()
    assert torch.equal(made.reconstruct(data).round(), data)
    if kind is DenoisingAutoencoder:
        noisy = data + 0.2 * torch.randn(50, 4, 1, 2, 2)
        clean = data.expand(50, -1, -1, -1, -1)
        error = (made.denoise(noisy.flatten(0, 1)) - clean.flatten(0, 1)).square().mean()
        assert error < 0.5 * (noisy - clean).square().mean()
