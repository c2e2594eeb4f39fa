"""Networks have the shapes that were asked for, compute what they say, and say what they cannot."""

from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from torch import nn

from genlit.cli import main
from genlit.cli.asking import open_model
from genlit.model import GenerativeModel
from genlit.networks import (
    MLP,
    ConvDecoder,
    ConvEncoder,
    DCGANDiscriminator,
    DCGANGenerator,
    MinibatchDiscrimination,
    MinibatchStd,
    ResNetDiscriminator,
    ResNetGenerator,
    SpectralNormalized,
)
from genlit.networks.dcgan import shrink_weights
from genlit.networks.minibatch import closeness, mean_std

GENERATORS = [DCGANGenerator, ResNetGenerator]
DISCRIMINATORS = [DCGANDiscriminator, ResNetDiscriminator]


@pytest.mark.parametrize("hidden", [(), (5,), (5, 6, 7)])
@pytest.mark.parametrize("inputs", [(4,), (1, 8, 12)])
@pytest.mark.parametrize("outputs", [(3,), (2, 4, 4)])
def test_mlp_joins_any_two_shapes(inputs, outputs, hidden):
    network = MLP(inputs, outputs, hidden)
    assert network(torch.rand(6, *inputs)).shape == (6, *outputs)
    assert sum(isinstance(layer, nn.Linear) for layer in network) == len(hidden) + 1


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12)])
def test_convolutions_keep_sides_apart(shape):
    x = torch.rand(2, *shape)
    code = ConvEncoder(shape, (10,), width=4)(x)
    assert code.shape == (2, 10)
    assert ConvDecoder((10,), shape, width=4)(code).shape == x.shape


@pytest.mark.parametrize("network", [MLP, ConvEncoder, ResNetDiscriminator])
def test_events_of_a_batch_do_not_see_each_other(network):
    network, x = network((1, 8, 8), (5,)), torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]))


@pytest.mark.parametrize("shape", [(1, 27, 28), (1, 28, 30), (784,)])
def test_sides_that_cannot_be_halved_twice_are_refused(shape):
    for build in (lambda: ConvEncoder(shape, (5,)), lambda: ConvDecoder((5,), shape)):
        with pytest.raises(ValueError, match=r"multiples of 4, not \(.*\): take MLP"):
            build()


# Of adversarial training


@pytest.mark.parametrize(
    ("shape", "depth"),
    [((1, 28, 28), 2), ((3, 32, 20), 3), ((2, 27, 5), 1), ((1, 13, 30), 4), ((1, 3, 3), 2)],
)
def test_adversarial_networks_fit_any_ends(shape, depth):
    z = torch.randn(4, 3, 2)
    for generator in GENERATORS:
        images = generator((3, 2), shape, width=2, depth=depth)(z)
        assert images.shape == (4, *shape)
        for discriminator in DISCRIMINATORS:
            answer = discriminator(shape, (1, 2), width=2, depth=depth)(images)
            assert answer.shape == (4, 1, 2)


@pytest.mark.parametrize("depth", [1, 3, 4])
@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
def test_every_pixel_of_an_odd_image_is_seen(discriminator, depth, double):
    network = discriminator((1, 11, 7), (1,), width=3, depth=depth).eval()
    x = torch.rand(2, 1, 11, 7, requires_grad=True)
    network(x).sum().backward()
    assert x.grad is not None
    assert (x.grad.abs() > 1e-12).all()


@pytest.mark.parametrize("generator", GENERATORS)
def test_every_pixel_of_an_odd_image_depends_on_the_code(generator, double):
    network = generator((4,), (1, 11, 7), width=3, depth=3).eval()
    assert (network(torch.randn(9, 4)).std(0) > 1e-12).all()


def test_adversarial_networks_of_28_pixels_are_the_recorded_ones():
    """Two halvings: the layers, names and random numbers that results were measured with."""
    networks = {
        partial(DCGANGenerator, (7,), (3, 28, 20), 6): lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(7, 12 * 35, bias=False), nn.Unflatten(1, (12, 7, 5)),
            nn.BatchNorm2d(12), nn.ReLU(), nn.ConvTranspose2d(12, 6, 4, 2, 1, bias=False),
            nn.BatchNorm2d(6), nn.ReLU(), nn.ConvTranspose2d(6, 3, 4, 2, 1),
        ),
        partial(DCGANDiscriminator, (3, 28, 20), (2,), 6): lambda: nn.Sequential(
            nn.Conv2d(3, 6, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(6, 12, 4, 2, 1, bias=False),
            nn.BatchNorm2d(12), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(12 * 35, 2),
            nn.Unflatten(1, (2,)),
        ),
    }  # fmt: skip
    for build, recorded in networks.items():
        torch.manual_seed(5)
        expected = recorded()
        shrink_weights(expected)
        torch.manual_seed(5)
        network = build()
        found = network.state_dict()
        assert list(found) == list(expected.state_dict())
        assert all(torch.equal(found[name], w) for name, w in expected.state_dict().items())
        x = torch.rand(4, 7) if build.func is DCGANGenerator else torch.rand(4, 3, 28, 20)
        assert torch.equal(network(x), expected(x))


def test_dcgan_of_64_pixels_is_the_one_of_the_paper():
    layers = list(DCGANGenerator((100,), (3, 64, 64), width=128, depth=4))
    convolutions = [m for m in layers if isinstance(m, nn.ConvTranspose2d)]
    assert layers[2].unflattened_size == (1024, 4, 4)
    assert [m.in_channels for m in convolutions] == [1024, 512, 256, 128]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == 4
    layers = list(DCGANDiscriminator((3, 64, 64), (1,), width=64, depth=4))
    convolutions = [m for m in layers if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [64, 128, 256, 512]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == 3


@pytest.mark.parametrize("discriminator", [
    ResNetDiscriminator, partial(DCGANDiscriminator, batch_norm=False)
])  # fmt: skip
def test_a_discriminator_without_batch_norm_judges_each_event_alone(discriminator):
    network, x = discriminator((1, 9, 8), (1,), width=3), torch.rand(4, 1, 9, 8)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    torch.testing.assert_close(network(x)[2:3], network(x[2:3]))


def test_a_residual_network_begins_with_outputs_as_large_as_its_inputs():
    """Each weight has the variance that Glorot's rule gives it, twice that inside a residual."""
    network = ResNetDiscriminator((3, 32, 32), (1,), width=64)
    inside = network[1].residual[1].weight
    around = network[1].around[1].weight
    for w, gain, fans in ((inside, 2, 2 * 64 * 9), (around, 1, 2 * 64)):
        variance = gain * 2 / fans
        error = variance * (0.8 / w.numel()) ** 0.5  # of a uniform law's variance
        assert abs(w.var() - variance) < 5 * error
    assert all((p == 0).all() for name, p in network.named_parameters() if "bias" in name)


def test_blocks_that_do_nothing_leave_the_way_around(double):
    """With residuals of 0 and ways around of 1 an image is averaged, and blown up again."""
    discriminator = ResNetDiscriminator((1, 8, 8), (1,), width=1, depth=3)
    generator = ResNetGenerator((4,), (1, 8, 8), width=1, depth=2)
    x = torch.rand(5, 1, 8, 8)
    with torch.no_grad():
        for network in (discriminator, generator):
            for name, p in network.named_parameters():
                p.fill_(0.0 if "residual" in name or "bias" in name else 1.0)
        torch.testing.assert_close(discriminator(x)[:, 0], x.mean((1, 2, 3)))  # x is positive
        blown_up = x[:, :, :2, :2].repeat_interleave(4, -1).repeat_interleave(4, -2)
        blocks = nn.Sequential(*list(generator)[3:5])
        torch.testing.assert_close(blocks(x[:, :, :2, :2]), blown_up)


@pytest.mark.parametrize("network", [*GENERATORS, *DISCRIMINATORS])
def test_what_cannot_be_halved_is_refused(network):
    with pytest.raises(
        ValueError, match=r"needs images .*, not events of shape \(784,\): take MLP"
    ):
        network((784,), (784,))
    for depth in (0, 4):
        with pytest.raises(ValueError, match=rf"8 x 6 pixels {depth} times: set depth from 1 to 3"):
            network((1, 8, 6), (1, 8, 6), depth=depth)


# Spectral normalization


def matrices(network: nn.Module) -> list[torch.Tensor]:
    """The weights of each layer as a matrix of one row for each channel that comes out."""
    return [
        m.weight.transpose(0, 1).flatten(1) if isinstance(m, nn.ConvTranspose2d)
        else m.weight.flatten(1)
        for m in network.modules()
        if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]  # fmt: skip


@pytest.mark.parametrize("network", [
    partial(DCGANDiscriminator, width=4), partial(DCGANGenerator, width=4), MLP,
])  # fmt: skip
def test_the_largest_singular_value_becomes_one(network, double):
    torch.manual_seed(3)
    plain = network((1, 8, 8), (1, 8, 8))
    torch.manual_seed(3)
    normalized = SpectralNormalized((1, 8, 8), (1, 8, 8), network)
    x = torch.rand(3, 1, 8, 8)
    for _ in range(1000):  # each takes one step of the power iteration
        for layer in normalized.modules():
            if torch.nn.utils.parametrize.is_parametrized(layer):
                layer.weight  # noqa: B018 - looking at it in training is what moves it on
    for found, weight in zip(matrices(normalized), matrices(plain), strict=True):
        singular = torch.linalg.svdvals(weight)
        torch.testing.assert_close(found, weight / singular[0], rtol=1e-4, atol=1e-8)
    assert normalized(x).shape == (3, 1, 8, 8)


def test_evaluation_leaves_the_norm_where_it_is_and_training_moves_it():
    network, x = SpectralNormalized((1, 8, 8), (1,), DCGANDiscriminator), torch.rand(4, 1, 8, 8)
    network.eval()
    assert torch.equal(network(x), network(x))
    before = {name: b.clone() for name, b in network.named_buffers()}
    network(x)
    assert all(torch.equal(b, before[name]) for name, b in network.named_buffers())
    network.train()(x)
    moved = [n for n, b in network.named_buffers() if not torch.equal(b, before[n])]
    assert sum(name.endswith("_u") for name in moved) >= 2


def test_a_normalized_network_is_saved_and_copied_whole():
    build = partial(SpectralNormalized, (1, 8, 8), (1,), DCGANDiscriminator)
    network, other, x = build(), build(), torch.rand(4, 1, 8, 8)
    network(x)
    other.load_state_dict(network.state_dict())
    assert torch.equal(network.eval()(x), other.eval()(x))
    assert torch.equal(network.train()(x), other.train()(x))  # one step of the iteration on
    assert torch.equal(network.eval()(x), other.eval()(x))


def test_a_network_without_layers_to_normalize_is_refused():
    with pytest.raises(ValueError, match="no linear layer or convolution in Identity"):
        SpectralNormalized((1,), (1,), lambda i, o: nn.Identity())


# What a batch is like


def as_it_is(inputs, outputs):
    return nn.Flatten()


def test_deviations_and_closeness_are_known(double):
    x = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    assert mean_std(x).item() == pytest.approx((1 + 1e-4) / 2)
    x = torch.tensor(
        [[[0.0, 0.0], [7.0, 7.0]], [[1.0, -2.0], [7.0, 7.0]], [[1.0, 1.0], [9.0, 7.0]]]
    )
    near = torch.tensor([-3.0, -2.0, -3.0, -2.0]).exp()
    expected = [[near[0] + near[1], 1 + near[3]], [near[0] + near[2], 1 + near[3]],
                [near[1] + near[2], 2 * near[3]]]  # fmt: skip
    torch.testing.assert_close(closeness(x), torch.tensor(expected))


def test_the_deviation_is_of_each_group(double):
    network = MinibatchStd((2,), (1,), as_it_is, features=2, group=2)
    with torch.no_grad():
        for name, p in network.named_parameters():
            p.fill_(0.0)
            if name == "head.0.weight":
                p[0, -1] = 1.0  # the answer is the deviation
        x = torch.tensor([[1.0, 1.0], [1.0, 3.0], [1.0, 2.0], [0.0, 0.0], [2.0, 4.0]])
        found = network(x).flatten()
    three = (2 / 3) ** 0.5 / 2  # of 5 events the first group has three
    assert found.tolist() == pytest.approx([three] * 3 + [1.5] * 2, abs=1e-4)


@pytest.mark.parametrize("network", [MinibatchStd, MinibatchDiscrimination])
def test_the_order_of_a_batch_does_not_matter_and_its_variety_does(network, double):
    body = partial(DCGANDiscriminator, width=3, batch_norm=False)
    network, x = network((1, 8, 8), (2,), body, features=5), torch.rand(6, 1, 8, 8)
    order = torch.randperm(6)
    torch.testing.assert_close(network(x[order]), network(x)[order])
    poor = torch.cat([x[:1].expand(5, -1, -1, -1), x[5:]])
    assert not torch.allclose(network(poor)[0], network(x)[0], atol=1e-6)
    assert network(x[:1]).isfinite().all()
    x = x[:1].repeat(6, 1, 1, 1).requires_grad_()  # events that are equal have gradients, too
    (gradient,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert gradient.isfinite().all()
    assert second.isfinite().all()


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="group is 1: a deviation takes 2 events or more"):
        MinibatchStd((2,), (1,), MLP, group=1)


# In a config


def spec(name: str, **arguments) -> dict:
    return {"class_path": f"genlit.networks.{name}", "init_args": arguments}


def parsed(discriminator: dict) -> nn.Module:
    """The outermost network of this module's in a GAN that a config describes."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(GenerativeModel, "model")
    arguments = {"shape": [1, 28, 28], "latent": 3, "discriminator": discriminator}
    model = {"class_path": "genlit.gan.GAN", "init_args": arguments}
    gan = parser.instantiate_classes(parser.parse_object({"model": model})).model
    return next(m for m in gan.modules() if isinstance(m, SpectralNormalized))


NESTED = spec(
    "SpectralNormalized",
    network=spec("MinibatchStd", network=spec("ResNetDiscriminator", width=4), features=7),
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # jsonargparse's own, of its methods
def test_networks_nest_in_a_config():
    body = spec("DCGANDiscriminator", width=3, depth=3, batch_norm=False)
    plain = parsed(spec("SpectralNormalized", network=body, steps=2))
    assert isinstance(plain.network, DCGANDiscriminator)
    assert [m.out_channels for m in plain.network if isinstance(m, nn.Conv2d)] == [3, 6, 12]
    nested = parsed(NESTED)
    assert nested.network.head[0].in_features == 8
    assert len(matrices(nested)) == sum("original" in n for n, _ in nested.named_parameters()) == 12
    assert nested(torch.rand(2, 1, 28, 28)).shape == (2, 1)


def test_nested_networks_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLIT_RUN_DIR", "")
    generator = spec("ResNetGenerator", width=4)
    model = {"latent": 3, "generator": generator, "discriminator": NESTED, "ema_decay": 0.9}
    config = {
        "model": {"class_path": "GAN", "init_args": model},
        "data": {"class_path": "BarsAndStripes", "init_args": {"side": 5, "batch_size": 8}},
        "trainer": {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": 3},
    }
    Path("nested.yaml").write_text(yaml.safe_dump(config))
    main(["fit", "-c", "nested.yaml", "--run_dir", "run"])
    place, trained = open_model(Path("run"), "cpu")
    assert place.step == 6
    with torch.no_grad():
        assert trained.sample(4).shape == (4, 1, 5, 5)
