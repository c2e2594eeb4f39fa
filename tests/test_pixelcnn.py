"""What a gated PixelCNN sees, and that it is sampled as it is defined."""

from functools import partial

import pytest
import torch

from genlit.autoregressive import MADE, PixelCNN
from genlit.autoregressive.gated import channels_of
from genlit.likelihoods import Bernoulli, Categorical, LogisticMixture, Normal
from tests import small

LEVELS = partial(Categorical, levels=3)
MIXTURE = partial(LogisticMixture, components=2, levels=5)


def wild(shape, **arguments):
    settings = {"width": 6, "layers": 3, "first_kernel": 5, "kernel": 3, "head": 6} | arguments
    model = PixelCNN(shape, **settings)
    for p in model.parameters():
        torch.nn.init.normal_(p, 0.0, 1 / max(1, p[0].numel()) ** 0.5)
    return model.requires_grad_(False)


def seen(model, channel: int, row: int, column: int) -> torch.Tensor:
    """Which entries of x the outputs of one entry depend on, for some x; the shape of an event."""
    x = torch.rand(20, *model.shape, requires_grad=True)
    outputs = model.outputs(x).unflatten(1, (model.law.numbers, -1))
    outputs[:, :, channel, row, column].square().sum().backward()
    return (x.grad != 0).any(0)


def receptive(side: int, row: int, column: int, first: int, later: int, layers: int):
    """The pixels before one in a window: rows above reach to both sides, its own to the left."""
    reach = first // 2 + (layers - 1) * (later // 2)
    r, c = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    near = (r >= row - reach) & ((c - column).abs() <= reach)
    return near & ((r < row) | ((r == row) & (c < column)))


@pytest.mark.parametrize(("layers", "first", "later"), [(1, 5, 3), (3, 3, 3), (3, 5, 3), (2, 3, 5)])
def test_there_is_no_blind_spot(layers, first, later, double):
    """Every earlier pixel of the window matters, those above and to the right of it too."""
    model = wild((1, 11, 11), layers=layers, first_kernel=first, kernel=later)
    for row, column in [(0, 0), (0, 6), (5, 5), (10, 2), (6, 10), (10, 10)]:
        window = receptive(11, row, column, first, later, layers)
        assert torch.equal(seen(model, 0, row, column)[0], window), (row, column)


@pytest.mark.parametrize("law", [Bernoulli, LEVELS, MIXTURE])
def test_red_comes_before_green_before_blue(law, double):
    model = wild((3, 5, 5), width=20, head=40, likelihood=law)  # so that no ReLU hides one
    before = torch.arange(25).view(5, 5) < 12
    for channel in range(3):
        mask = seen(model, channel, 2, 2)
        assert mask[:, before].all()  # all channels of all pixels before, within reach
        at = mask[:, 2, 2].tolist()
        assert at == [c < channel for c in range(3)]
        mask[:, 2, 2] = False
        assert not mask[:, ~before].any()


def test_every_channel_has_features():
    assert channels_of(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert channels_of(4, 2, 2).tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert channels_of(3, 3).tolist() == [0, 1, 2]


def test_first_layer_has_no_residual_connection(double):
    """One would show each pixel to its own output: with all other weights 0, outputs know it."""
    model = wild((1, 4, 4), width=1, layers=1)
    for p in model.net.layers.parameters():
        p.zero_()
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(*model.outputs(x))


@pytest.mark.parametrize("shape", [(1, 6, 7), (3, 4, 3), (2, 1, 5), (1, 5, 1)])
@pytest.mark.parametrize("law", [Bernoulli, LEVELS, MIXTURE])
def test_walk_gives_the_outputs_of_the_network(shape, law, double):
    """Along given events, to the rounding of sums: first rows, edges and channels included."""
    model = wild(shape, likelihood=law)
    x = torch.rand(4, *shape)
    whole = model.outputs(x).view(4, model.law.numbers, -1)
    walk = model.walk(4)
    for site in walk.order:
        torch.testing.assert_close(walk.output(), whole[:, :, site], rtol=1e-10, atol=1e-12)
        walk.take(x.flatten(1)[:, site])


def test_walk_may_go_on_with_some_events(double):
    model, x = wild((2, 4, 4)), torch.rand(3, 2, 4, 4)
    kept = torch.tensor([2, 0, 0, 1, 2])
    for turn in (1, 9, 17, 31):
        walk = model.walk(3)
        for k, site in enumerate(walk.order):
            if k == turn:
                walk.pick(kept)
                x_now = x[kept]
            elif k < turn:
                x_now = x
            whole = model.outputs(x_now).flatten(1)[:, site]
            torch.testing.assert_close(walk.output()[:, 0], whole)
            walk.take(x_now.flatten(1)[:, site])


@pytest.mark.parametrize("law", [Bernoulli, LEVELS, MIXTURE])
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_cached_images_are_the_naive_ones(law, precision):
    model, samples = wild((3, 6, 6), likelihood=law).to(precision), []
    for draw in (model.sample, model.sample_naively):
        torch.manual_seed(1)
        samples.append(draw(50))
    assert torch.equal(*samples)


def test_impossible_sizes_are_refused():
    for shape, arguments, text in [
        ((8,), {}, "PixelCNN needs images"),
        ((1, 4, 4), {"kernel": 4}, "kernel is 4: it must be odd"),
        ((1, 4, 4), {"first_kernel": 1}, "first_kernel is 1"),
        ((1, 4, 4), {"layers": 0}, "layers is 0"),
        ((3, 4, 4), {"width": 2}, "width is 2: each of 3 channels"),
    ]:
        with pytest.raises(ValueError, match=text):
            PixelCNN(shape, **arguments)


def test_impossible_particles_and_orderings_are_refused():
    for arguments, text in [
        ({"impute_particles": 0}, "impute_particles is 0"),
        ({"orderings": 0}, "orderings is 0"),
    ]:
        with pytest.raises(ValueError, match=text):
            MADE((1, 4, 4), **arguments)


def test_data_with_other_values_is_refused(tmp_path):
    assert PixelCNN((1, 4, 4)).binary
    assert not PixelCNN((1, 4, 4), likelihood=Normal).binary
    for law, text in [
        (Bernoulli, "PixelCNN learns probabilities of zeros and ones"),
        (LEVELS, r"gives probabilities to 3 grey levels.*levels to 3"),
    ]:
        trainer = small.trainer(tmp_path, max_epochs=1)
        with pytest.raises(ValueError, match=text):
            trainer.fit(PixelCNN((1, 28, 28), 4, 1, likelihood=law), datamodule=small.digits("gan"))
