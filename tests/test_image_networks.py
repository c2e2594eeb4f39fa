"""Networks between images take every size and judge patches of the size that they say."""

from functools import partial

import pytest
import torch
from torch import nn

from genlit.networks import PatchDiscriminator, SpectralNormalized, UNet
from genlit.networks.norms import InstanceNorm, normalization

NORMS = ["instance", "batch", "group", "none"]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("shape", "depth"),
    [((1, 28, 28), 4), ((12, 33, 47), 6), ((3, 5, 7), 3), ((2, 2, 2), 1), ((4, 1, 9), 4)],
)
def test_a_u_net_joins_images_of_any_size_and_channels(shape, depth, norm):
    for interpolate in (False, True):
        network = UNet(shape, (3, *shape[1:]), 4, depth, norm, interpolate=interpolate)
        assert network(torch.rand(2, *shape)).shape == (2, 3, *shape[1:])
        for other in ((1, 1), (13, 50), (64, 65)):
            assert network.eval()(torch.rand(2, shape[0], *other)).shape == (2, 3, *other)


def test_interpolation_leaves_no_checkerboard(double):
    """Of a constant image the inside of the answer is constant, whatever the weights are."""
    for interpolate in (False, True):
        network = UNet((1, 64, 64), (1, 64, 64), 4, 2, "none", interpolate=interpolate)
        inside = network(torch.full((1, 1, 64, 64), 0.3))[..., 24:40, 24:40]
        assert (inside.std() < 1e-12) == interpolate


def test_a_u_net_looks_far_and_keeps_details(double):
    """At a depth that halves all away, every pixel matters everywhere; most the one beneath."""
    network = UNet((2, 11, 7), (1, 11, 7), 3, 4, "none")
    x = torch.rand(1, 2, 11, 7, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0, 0, 5, 3], x)
    assert (gradient.abs() > 1e-15).all()
    for p in network.up[-1].parameters():
        p.data.zero_()  # what is left goes straight across: two convolutions of 3 x 3
    (gradient,) = torch.autograd.grad(network(x)[0, 0, 5, 3], x)
    seen = gradient.abs().sum((0, 1)) > 0
    assert seen.nonzero().min(0).values.tolist() == [3, 1]
    assert seen.nonzero().max(0).values.tolist() == [7, 5]


@pytest.mark.parametrize("norm", NORMS)
def test_images_of_a_batch_do_not_see_each_other_at_test_time(norm, double):
    network, x = UNet((2, 12, 20), (1, 12, 20), 4, 2, norm), torch.rand(5, 2, 12, 20)
    network(x)
    torch.testing.assert_close(network.eval()(x)[2:3], network(x[2:3]))


def test_dropout_is_noise_where_it_is_asked_for():
    x = torch.rand(2, 1, 16, 16)
    kinds = {
        noise: UNet((1, 16, 16), (1, 16, 16), 4, 2, dropout=0.5, noise=noise)
        for noise in (False, True)
    }
    for noise, network in kinds.items():
        assert not torch.equal(network(x), network(x))
        network.eval()
        assert torch.equal(network(x), network(x)) == (not noise)


def test_dropout_is_in_the_inner_half():
    network = UNet((1, 32, 32), (1, 32, 32), 4, 4, dropout=0.5)
    assert [isinstance(up[-1], nn.Dropout) for up in network.up] == [True, True, False, False]


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 3, 1, 1)])
def test_instance_norm_is_torchs_and_takes_single_pixels(shape, double):
    norm, x = InstanceNorm(3), torch.rand(shape)
    with torch.no_grad():
        for p in norm.parameters():
            p.copy_(torch.rand(3))
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    expected = (x - mean) / (variance + 1e-5).sqrt()
    weight, bias = (p[:, None, None] for p in norm.parameters())
    torch.testing.assert_close(norm(x), expected * weight + bias)


def test_groups_divide_the_channels():
    assert [normalization("group", n)[0].num_groups for n in (6, 7, 16, 24)] == [6, 7, 8, 8]
    assert normalization("none", 5) == []


# Patches


@pytest.mark.parametrize(("depth", "patch"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_sees_a_patch_of_the_size_that_is_said(depth, patch, double):
    side = 3 * patch
    network = PatchDiscriminator((2, side, side), (1,), 2, depth)
    x = torch.rand(1, 2, side, side, requires_grad=True)
    logits = network(x)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], x)
    seen = (gradient.abs().sum((0, 1)) > 0).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [patch, patch]


@pytest.mark.parametrize(("side", "logits"), [(24, 1), (28, 1), (32, 2), (64, 6), (70, 6)])
def test_there_is_a_map_of_logits(side, logits):
    network = PatchDiscriminator((4, side, side), (2,), width=4)
    assert network(torch.rand(3, 4, side, side)).shape == (3, 2, logits, logits)


def test_every_pixel_is_judged(double):
    x = torch.rand(2, 1, 27, 31, requires_grad=True)
    PatchDiscriminator((1, 27, 31), (1,), 3)(x).sum().backward()
    assert x.grad is not None
    assert (x.grad.abs() > 1e-15).all()


@pytest.mark.parametrize(("norm", "alone"), [("none", True), ("instance", True), ("batch", False)])
def test_without_batch_norm_each_image_is_judged_alone(norm, alone, double):
    network, x = PatchDiscriminator((1, 16, 16), (1,), 4, 2, norm), torch.rand(4, 1, 16, 16)
    assert torch.allclose(network(x)[1:2], network(x[1:2])) == alone


def test_patches_go_with_spectral_normalization(double):
    network = SpectralNormalized((3, 28, 28), (1,), partial(PatchDiscriminator, width=4), steps=50)
    assert network(torch.rand(2, 3, 28, 28)).shape == (2, 1, 1, 1)
    for layer in network.network:
        if isinstance(layer, nn.Conv2d):
            largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
            assert largest == pytest.approx(1, rel=0.1)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="sides of 24 pixels or more, not 23 x 64: set depth to 2"):
        PatchDiscriminator((3, 23, 64))
    with pytest.raises(ValueError, match="not 5 x 5: take DCGANDiscriminator"):
        PatchDiscriminator((3, 5, 5), depth=1)
    with pytest.raises(ValueError, match=r"UNet keeps height and width, .*\(3, 32, 32\) from"):
        UNet((3, 16, 16), (3, 32, 32))
    with pytest.raises(ValueError, match="16 x 16 pixels 5 times: set depth from 1 to 4"):
        UNet((3, 16, 16), (3, 16, 16), depth=5)
    for options in ({"dropout": 1.0}, {"noise": True}):
        with pytest.raises(ValueError, match=r"dropout is .*: a share from 0"):
            UNet((3, 16, 16), (3, 16, 16), depth=2, **options)
