"""Flows as models: they learn, know what data they take, and bound probabilities of levels."""

import math
from functools import partial

import pytest
import torch

from genlit.cli.images import binarized
from genlit.data import TwoMoons
from genlit.flow import (
    NICE,
    DequantizedFlow,
    MaskedAutoregressiveFlow,
    NeuralSplineFlow,
    RealNVP,
    ResidualConv,
)
from genlit.flow.flow import Flow
from genlit.flow.noise import Noise
from genlit.flow.transformations import Affine, Composition, Reshape
from genlit.logmath import bits_per_dim
from genlit.networks import MLP
from tests import small

conv = partial(ResidualConv, width=4, blocks=1)
mlp = partial(MLP, hidden=(12,))
LEVELS = 3


def gaussian(shape) -> Flow:
    """Independent Gaussians around 0.4 of deviation 0.3: the probability of a cell is known."""
    affine = Affine(shape)
    affine.shift.data.fill_(-0.4)
    affine.log_scale.data.fill_(-math.log(0.3))
    return Flow(shape, Composition(affine, Reshape(shape, shape)))


def exact_log_probability(k: torch.Tensor) -> torch.Tensor:
    """Log-probability in nats of the cells with levels k (B, D) under `gaussian`."""
    cumulative = torch.distributions.Normal(0.4, 0.3).cdf
    cells = cumulative((k + 1) / LEVELS) - cumulative(k / LEVELS)
    return cells.log().sum(1)


def dequantized(couplings: int, shape=(2,)) -> DequantizedFlow:
    return DequantizedFlow(shape, gaussian, couplings, mlp, LEVELS)


def every_level() -> torch.Tensor:
    side = torch.arange(LEVELS, dtype=torch.get_default_dtype())
    return torch.cartesian_prod(side, side)


# Dequantization


def test_learned_noise_is_uniform_at_first():
    with torch.no_grad():
        u, log_q = Noise((1, 4, 4), 4, conv)(torch.rand(1000, 1, 4, 4))
    assert (log_q == 0).all()
    assert 0 <= u.min() <= u.max() <= 1
    assert abs(float(u.mean()) - 0.5) < 4 * (1 / 12 / u.numel()) ** 0.5


def test_the_law_of_noise_is_a_change_of_variables(double):
    law = Noise((1, 2, 4), 3, conv)
    for parameter in law.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    x, noise = torch.rand(5, 1, 2, 4), torch.randn(5, 1, 2, 4)
    u, log_q = law.transformed(noise, x)

    for k in range(5):

        def f(e, k=k):
            return law.transformed(e.view(1, 1, 2, 4), x[k : k + 1])[0].flatten()

        log_det = torch.autograd.functional.jacobian(f, noise[k].flatten()).slogdet()[1]
        log_base = (noise[k].sigmoid() * (-noise[k]).sigmoid()).log().sum()
        torch.testing.assert_close(log_q[k], log_base - log_det)
    other, _ = law.transformed(noise, 1 - x)
    assert (other != u).any()  # it depends on the event


@pytest.mark.parametrize("couplings", [0, 3])
def test_weights_of_noise_are_unbiased_and_bound_the_probability(couplings, double):
    """E[exp(log weight)] = P(x) under uniform and learned noise, and E[log weight] <= log P(x)."""
    model = dequantized(couplings)
    for parameter in model.noise.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    k, n = every_level(), 20_000
    expected = exact_log_probability(k)
    with torch.no_grad():
        log_w = model.log_weight((k / (LEVELS - 1)).repeat(n, 1)).view(n, -1)
        bound = model.log_prob_bound(k / (LEVELS - 1), 1000)
    ratio = (log_w - expected).exp()

    assert ((ratio.mean(0) - 1).abs() < 4.5 * ratio.std(0) / n**0.5).all()
    assert (log_w.mean(0) < expected).all()
    assert bound.dtype == torch.float64
    torch.testing.assert_close(bound, expected, rtol=0, atol=0.1)


def test_uniform_noise_gives_the_mean_log_density_of_a_cell(double):
    model, k = dequantized(0), torch.tensor([[0.0, 2.0]])
    with torch.no_grad():
        x = (k / (LEVELS - 1)).expand(100_000, -1)
        log_w = model.log_weight(x)
    places = (torch.arange(2000) + 0.5) / 2000
    normal = torch.distributions.Normal(0.4, 0.3)
    mean = sum(normal.log_prob((level + places) / LEVELS).mean() for level in (0, 2))
    expected = float(mean) - 2 * math.log(LEVELS)
    assert abs(float(log_w.mean()) - expected) < 4 * float(log_w.std()) / 100_000**0.5


def test_learned_noise_comes_closer_than_uniform():
    """The model's gap to log P(x) is what uniform noise loses; learning q alone closes most."""
    model = dequantized(3)
    x = every_level() / (LEVELS - 1)
    expected = exact_log_probability(every_level()).mean()

    def gap() -> float:
        with torch.no_grad():
            return float(expected - model.log_weight(x.repeat(2000, 1)).mean())

    before = gap()
    optimizer = torch.optim.Adam(model.noise.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss({"x": x.repeat(30, 1)})["loss"].backward()
        optimizer.step()
    assert 0 < gap() < before / 2


def test_samples_and_decoded_events_are_levels():
    model = dequantized(2)
    x = model.sample(500) * (LEVELS - 1)
    torch.testing.assert_close(x, x.round())
    assert set(x.round().unique().tolist()) == {0.0, 1.0, 2.0}
    k = every_level() / (LEVELS - 1)
    torch.testing.assert_close(model.decode(model.encode(k)), k)


def test_images_of_8_bits_are_dequantized_as_asked():
    k = torch.arange(256).float().view(1, 1, 16, 16).repeat(50, 1, 1, 1)
    y = binarized(k / 255, "dequantize", 3)
    torch.testing.assert_close((y * 256).floor(), k)
    u = y * 256 - k
    assert abs(float(u.mean()) - 0.5) < 4 * (1 / 12 / u.numel()) ** 0.5
    assert y.equal(binarized(k / 255, "dequantize", 3))
    assert not y.equal(binarized(k / 255, "dequantize", 4))
    with pytest.raises(ValueError, match="leave it out if they are dequantized already"):
        binarized(y, "dequantize", 3)


# Learning


def flow(name: str):
    shape = small.Digits.shape
    return {
        "nice": lambda: NICE(shape, 2, small.mlp, lr_decay=True),
        "realnvp": lambda: RealNVP(shape, 3, 1, partial(conv, fold=2), lr_decay=True),
        "maf": lambda: MaskedAutoregressiveFlow(shape, 2, (8,)),
        "dequantized": lambda: DequantizedFlow(
            shape, partial(NICE, couplings=2, network=small.mlp), 1, conv, lr_decay=True
        ),
    }[name]()


def data(binarize: str, levels: int = 256):
    return small.Digits(20, eval_batch_size=10, binarize=binarize, levels=levels)


@pytest.mark.parametrize("name", ["nice", "realnvp", "maf", "dequantized"])
def test_flows_train_on_images_and_say_their_bits(name, tmp_path):
    model = flow(name)
    trainer = small.trainer(tmp_path, max_epochs=2, enable_checkpointing=False)
    trainer.fit(model, datamodule=data("levels" if name == "dequantized" else "dequantized"))

    seen = trainer.callback_metrics
    nats, bits = -float(seen["val/loss"]), float(seen["val/bits_per_dim"])
    assert bits == pytest.approx(bits_per_dim(nats, 784, 1 if name == "dequantized" else 256))
    images = model.sample(3)
    assert images.shape == (3, 1, 28, 28)
    assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.parametrize(("name", "binarize", "levels", "remedy"), [
    ("nice", "dynamic", 4, "set data.binarize to dequantized"),
    ("nice", "levels", 256, "set data.binarize to dequantized"),
    ("realnvp", "none", 4, "set data.binarize to dequantized"),
    ("dequantized", "dequantized", 4, "set data.binarize to levels and data.levels to 256"),
    ("dequantized", "levels", 16, "set data.binarize to levels and data.levels to 256"),
])  # fmt: skip
def test_other_data_is_refused(name, binarize, levels, remedy, tmp_path):
    trainer = small.trainer(tmp_path, enable_checkpointing=False)
    with pytest.raises(ValueError, match=remedy):
        trainer.fit(flow(name), datamodule=data(binarize, levels))


def test_a_rate_that_falls_needs_an_end(tmp_path):
    trainer = small.trainer(tmp_path, max_epochs=-1, enable_checkpointing=False)
    with pytest.raises(ValueError, match="lr_decay needs a run that ends"):
        trainer.fit(flow("nice"), datamodule=data("dequantized"))


@pytest.mark.parametrize("kind", [NeuralSplineFlow, MaskedAutoregressiveFlow])
def test_two_moons_are_learned_far_better_than_by_a_gaussian(kind, tmp_path):
    moons = TwoMoons(4000)
    model = kind((2,), lr_decay=True, optimizer=partial(torch.optim.Adam, lr=5e-3))
    trainer = small.trainer(tmp_path, max_epochs=8, enable_checkpointing=False)
    trainer.fit(model, datamodule=moons)
    x = moons.events("test")
    train = moons.events("train")
    gaussian = torch.distributions.MultivariateNormal(train.mean(0), train.T.cov())
    with torch.no_grad():
        gain = model.log_prob(x) - gaussian.log_prob(x)
    assert float(gain.mean()) > 0.6
