"""With few pixels, the law of the chain is known by enumerating its transitions."""

import math
from functools import partial
from itertools import islice, product

import pytest
import torch
from torch import nn

from genlit.corruptions import GaussianNoise, Masking, SaltAndPepper
from genlit.gsn import GSN, walk
from tests import small

RATE = 0.4


def events(pixels: int) -> torch.Tensor:
    return torch.tensor([*product([0.0, 1.0], repeat=pixels)])


def gsn(shape=(1, 1, 3), hidden=(5,), rate=RATE, scale=2.0, **arguments) -> GSN:
    """A tiny network of random weights, made larger so that pixels depend on each other."""
    model = GSN(shape, hidden, corruption=partial(SaltAndPepper, rate), **arguments)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(scale * torch.randn_like(p))
    return model


def spoiling(pixels: int, rate: float = RATE) -> torch.Tensor:
    """C(x̃ | x) of all events, (from, to)."""
    differ = (events(pixels)[:, None] != events(pixels)).sum(-1)
    return (rate / 2) ** differ * (1 - rate / 2) ** (pixels - differ)


def transitions(model: GSN, pixels: int) -> torch.Tensor:
    """P(x' | x) of one step of a network with one hidden layer, (from, to)."""
    x = events(pixels)
    hidden = (model.b[1] + x @ model.W[0]).tanh()
    p = (model.b[0] + hidden @ model.W[0].mT).sigmoid()[:, None]
    given_spoilt = torch.where(x > 0, p, 1 - p).prod(-1)
    return spoiling(pixels) @ given_spoilt


def stationary(matrix: torch.Tensor) -> torch.Tensor:
    return torch.linalg.matrix_power(matrix, 2**20)[0]


def frequencies(x: torch.Tensor) -> torch.Tensor:
    """The share of each event among some, (2**pixels,)."""
    bits = 2 ** torch.arange(x[0].numel()).flip(0)
    index = (x.flatten(1) * bits).sum(1).long()
    return torch.bincount(index, minlength=2 ** x[0].numel()) / len(x)


def floor(law: torch.Tensor, n: int) -> torch.Tensor:
    """The expected total variation between a law and the frequencies of n draws from it."""
    return (2 * law * (1 - law) / (math.pi * n)).sqrt().sum() / 2


def denoiser(means: torch.Tensor) -> GSN:
    """The network whose p(x | x̃) is right for independent pixels with given means.

    logit p(x = 1 | x̃) = logit mean ± log((1 - r/2) / (r/2)), and a pixel with a hidden unit of its
    own gets b ± w tanh(w / 2).
    """
    wanted = math.log((1 - RATE / 2) / (RATE / 2))
    low, high = 0.0, 10.0
    for _ in range(100):
        w = (low + high) / 2
        low, high = (w, high) if w * math.tanh(w / 2) < wanted else (low, w)
    model = gsn((1, 1, len(means)), (len(means),))
    with torch.no_grad():
        model.W[0].copy_(w * torch.eye(len(means)))
        model.b[1].fill_(-w / 2)
        model.b[0].copy_(means.logit())
    return model


def test_chain_of_the_right_denoiser_has_the_law_of_the_data(double):
    means = torch.tensor([0.2, 0.6, 0.9])
    law = torch.where(events(3) > 0, means, 1 - means).prod(-1)
    model, n = denoiser(means), 50_000
    matrix = transitions(model, 3)
    torch.testing.assert_close(law @ matrix, law, rtol=0, atol=1e-12)

    x = torch.zeros(n, 1, 1, 3)
    for _ in range(5):  # of `walkback` steps each, which forget the zeros
        x = model.step(x)
    assert (frequencies(x) - law).abs().sum() / 2 < 4 * floor(law, n)


@pytest.mark.parametrize("answer", ["step", "sample", "impute"])
def test_chain_has_the_law_of_its_transitions(answer, double):
    """Of any network: here pixels depend on each other."""
    model, n = gsn(sample_steps=30, impute_steps=30), 30_000
    law = stationary(transitions(model, 3))
    grey = model.sample(n)
    independent = torch.where(events(3) > 0, grey.mean(0).flatten(), 1 - grey.mean(0).flatten())
    assert (law - independent.prod(-1)).abs().sum() / 2 > 10 * floor(law, n)

    if answer == "sample":
        x = (torch.rand_like(grey) < grey).double()
    elif answer == "step":
        x = torch.zeros(n, 1, 1, 3)
        for _ in range(8):
            x = model.step(x)
    else:
        x = model.impute(torch.zeros(n, 1, 1, 3), torch.zeros(n, 1, 1, 3, dtype=torch.bool))
    assert (frequencies(x) - law).abs().sum() / 2 < 4 * floor(law, n)


def test_imputation_holds_what_is_observed(double):
    """The chain with a pixel put back has the transitions with that pixel put back."""
    model, n = gsn(impute_steps=30), 30_000
    x = torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 1, 3).expand(n, -1, -1, -1)
    observed = torch.tensor([True, False, False]).view(1, 1, 1, 3).expand(n, -1, -1, -1)
    matrix = transitions(model, 3)
    held = torch.zeros(8, 8)
    held[:, 4:] = matrix[:, :4] + matrix[:, 4:]  # the first pixel becomes 1 again

    filled = model.impute(x, observed)
    assert (filled[observed] == x[observed]).all()
    law = stationary(held)
    assert (frequencies(filled) - law).abs().sum() / 2 < 4 * floor(law, n)


def test_walk_of_two_layers_is_the_published_one(double):
    """Odd layers, then the event and even layers, written out."""
    model = gsn((1, 2, 2), (3, 4), rate=0.0)
    model.stds = [0.0, 0.0]
    x, (first, second), (b0, b1, b2) = torch.rand(6, 4).round(), model.W, model.b
    steps = model.walk(x, then=lambda logits: (logits > 0).double())
    h1 = torch.tanh(x @ first + b1)
    torch.testing.assert_close(next(steps), h1 @ first.T + b0)
    for _ in range(3):
        h2 = torch.tanh(h1 @ second + b2)
        x = (h1 @ first.T + b0 > 0).double()
        h1 = torch.tanh(x @ first + h2 @ second.T + b1)
        torch.testing.assert_close(next(steps), h1 @ first.T + b0)


def test_three_layers_move_in_turns(double):
    model = gsn((1, 2, 2), (3, 4, 5), rate=0.0)
    model.stds = [0.0] * 3
    x, (u, v, w), (b0, b1, b2, b3) = torch.rand(6, 4).round(), model.W, model.b
    second = next(islice(model.walk(x, then=lambda logits: x), 1, None))
    h1, h3 = torch.tanh(x @ u + b1), torch.tanh(b3).expand(6, -1)
    h2 = torch.tanh(h1 @ v + h3 @ w.T + b2)
    torch.testing.assert_close(second, torch.tanh(x @ u + h2 @ v.T + b1) @ u.T + b0)


def test_noise_comes_before_and_after_the_activation(double):
    total, n = torch.full((200_000,), 0.3), 200_000
    units, noise = walk.excited(total, 0.5), 0.5 * torch.randn(1_000_000)
    inside = (0.3 + noise).tanh()
    error = units.std() / n**0.5
    assert (units.mean() - inside.mean()).abs() < 4 * error
    variance = inside.var() + 0.25
    assert (units.var() - variance).abs() < 4 * variance * (2 / n) ** 0.5
    assert (walk.excited(total, 0.0) == total.tanh()).all()


def test_first_layer_has_noise_only_if_told():
    assert GSN((4,), (3, 3), noise=2.0).stds == [0.0, 2.0]
    assert GSN((4,), (3, 3), noise=1.0, noisy_first=True).stds == [1.0, 1.0]


def test_without_noise_everything_is_determined():
    model = gsn((1, 2, 2), (3, 4), rate=0.0, noise=0.0)
    x = torch.rand(5, 1, 2, 2).round()
    one, two = (next(islice(model.walk(x.flatten(1), torch.sigmoid), 3, None)) for _ in range(2))
    assert torch.equal(one, two)
    still = gsn((1, 2, 2), (3, 4))
    assert torch.equal(still.reconstruct(x), still.reconstruct(x))
    assert torch.equal(still.decode(still.encode(x)), still.denoise(x))


def test_reconstruction_is_the_noiseless_walk_with_the_event_held(double):
    model = gsn((1, 2, 2), (3, 4), rate=0.0, noise=0.0)
    x = torch.rand(5, 1, 2, 2).round()
    logits = next(islice(model.walk(x.flatten(1), lambda _: x.flatten(1)), 3, None))
    torch.testing.assert_close(model.reconstruct(x), logits.sigmoid().view_as(x))


def test_loss_is_in_nats_an_event():
    """A network of zeros pays log 2 for each pixel, whatever the batch, the walk and the noise."""
    model = GSN((1, 28, 28), (7, 6), walkback=3)
    for p in model.parameters():
        nn.init.zeros_(p)
    for batch in (1, 5):
        terms = model.loss({"x": torch.rand(batch, 1, 28, 28).round()})
        assert terms["loss"].item() == pytest.approx(784 * math.log(2), rel=1e-6)
        assert terms["last_step"].item() == pytest.approx(784 * math.log(2), rel=1e-6)


def test_learning_sets_out_from_the_means_of_pixels(tmp_path):
    model = GSN(small.Digits.shape, (4,), optimizer=partial(torch.optim.SGD, lr=0.0))
    data = small.digits("gsn")
    small.trainer(tmp_path, max_epochs=1, limit_train_batches=1).fit(model, datamodule=data)
    torch.testing.assert_close(model.b[0].sigmoid(), data.mean.flatten(), rtol=0, atol=2e-3)


def test_every_step_learns_to_give_back_the_clean_event(double):
    """With one hidden layer its mean loss is known by enumeration, at every step of the walk."""
    model, n = gsn(walkback=3), 20_000
    x = torch.tensor([1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    hidden = (model.b[1] + events(3) @ model.W[0]).tanh()
    logits = model.b[0] + hidden @ model.W[0].mT
    cost = nn.functional.softplus(-logits * (2 * x.flatten() - 1)).sum(1)  # of each x̃
    law = torch.eye(8)[5]
    wanted = []
    for _ in range(3):
        wanted.append((law @ spoiling(3) @ cost).item())
        law = law @ transitions(model, 3)
    losses = torch.stack(
        [-model.log_prob_given(step, x)[:, 0] for step in islice(model.walk(
            x.flatten(1).expand(n, -1)), 3)]
    )  # fmt: skip
    for each, loss in zip(losses, wanted, strict=True):
        assert (each.mean() - loss).abs() < 4 * each.std() / n**0.5
    assert max(wanted) - min(wanted) > 20 * losses.std() / n**0.5
    terms = model.loss({"x": x.expand(n, -1, -1, -1)})
    error = losses.mean(0).std() / n**0.5
    assert (terms["loss"] - sum(wanted) / 3).abs() < 4 * error
    assert (terms["last_step"] - wanted[-1]).abs() < 4 * losses[-1].std() / n**0.5


def test_walkback_is_the_number_of_steps():
    model, seen = gsn(hidden=(3, 3), walkback=7), []
    corrupt = model.corruption
    model.corruption = lambda x: (seen.append(x), corrupt(x))[1]
    model.loss({"x": torch.ones(2, 1, 1, 3)})
    assert len(seen) == 7
    model.step(torch.ones(2, 1, 1, 3))
    assert len(seen) == 14
    model.impute_steps = 3
    model.impute(torch.ones(2, 1, 1, 3), torch.zeros(2, 1, 1, 3, dtype=torch.bool))
    assert len(seen) == 17
    model.sample_steps = 5
    model.sample(2)
    assert len(seen) == 22


def test_gradients_flow_through_hidden_layers_from_step_to_step(double):
    """What layers say goes down by two of them in a step."""
    for steps in (1, 2, 3):
        model = gsn((1, 1, 3), (3, 4, 5, 6), walkback=steps)
        model.loss({"x": torch.rand(4, 1, 1, 3).round()})["loss"].backward()
        felt = [w.grad is not None and bool(w.grad.any()) for w in model.W]
        assert felt == [k < 2 * steps - 1 for k in range(4)]


def test_gradient_is_that_of_the_walk_with_its_events_given(double):
    """Finite differences of a loss whose drawn events and noise are held: none flows through x."""
    model = gsn((1, 1, 3), (4, 5), walkback=3, scale=0.5)
    x, drawn = torch.rand(6, 3).round(), iter([])
    spoilt = [torch.rand(6, 3).round() for _ in range(3)]

    def loss() -> torch.Tensor:
        nonlocal drawn
        drawn = iter(spoilt)
        model.corruption = lambda _: next(drawn)
        torch.manual_seed(3)  # the same noise in hidden units, and other events drawn
        return model.loss({"x": x.view(6, 1, 1, 3)})["loss"]

    loss().backward()
    for p in model.parameters():
        flat, grad = p.data.view(-1), p.grad.view(-1)
        for i in (0, len(flat) - 1):
            before, eps = flat[i].item(), 1e-6
            flat[i] = before + eps
            up = loss()
            flat[i] = before - eps
            slope = (up - loss()) / (2 * eps)
            flat[i] = before
            torch.testing.assert_close(slope, grad[i], rtol=1e-6, atol=1e-8)


def test_weights_are_tied():
    model = GSN((1, 2, 2), (3, 5))
    assert [tuple(w.shape) for w in model.W] == [(4, 3), (3, 5)]
    assert [len(b) for b in model.b] == [4, 3, 5]
    assert sum(p.numel() for p in model.parameters()) == 12 + 15 + 4 + 3 + 5
    assert model.filters().shape == (3, 1, 2, 2)
    assert torch.equal(model.filters()[1].flatten(), model.W[0][:, 1])


def test_conditional_sums_to_one_over_all_events(double):
    states, x = 3 * torch.randn(7, 3), events(3).view(8, 1, 1, 3)
    log_p = gsn().log_prob_given(states, x)
    assert log_p.shape == (7, 8)
    torch.testing.assert_close(log_p.logsumexp(1), torch.zeros(7), rtol=0, atol=1e-12)
    p = states.sigmoid()[:, None]
    torch.testing.assert_close(log_p.exp(), torch.where(events(3) > 0, p, 1 - p).prod(-1))


def test_salt_and_pepper_has_its_rates():
    n, p = 200_000, 0.4
    for value, flipped in ((0.0, 1.0), (1.0, 0.0)):
        x = SaltAndPepper(p)(torch.full((n,), value))
        assert ((x == value) | (x == flipped)).all()
        error = (p / 2 * (1 - p / 2) / n) ** 0.5
        assert abs((x == flipped).float().mean() - p / 2) < 4 * error
    grey = SaltAndPepper(p)(torch.full((n,), 0.5))
    for value, share in ((0.0, p / 2), (0.5, 1 - p), (1.0, p / 2)):
        assert abs((grey == value).float().mean() - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_other_corruptions_have_their_rates(double):
    n = 200_000
    x = Masking(0.3)(torch.ones(n))
    assert ((x == 0) | (x == 1)).all()
    assert abs((x == 0).double().mean() - 0.3) < 4 * (0.21 / n) ** 0.5
    noisy = GaussianNoise(0.5)(torch.ones(n))
    assert abs(noisy.mean() - 1) < 4 * 0.5 / n**0.5
    assert abs(noisy.var() - 0.25) < 4 * 0.25 * (2 / n) ** 0.5


@pytest.mark.parametrize("corruption", [SaltAndPepper, Masking, GaussianNoise])
def test_corruption_of_rate_zero_changes_nothing(corruption):
    x = torch.rand(20)
    before = torch.get_rng_state()
    assert torch.equal(corruption(0)(x), x)
    assert torch.equal(torch.get_rng_state(), before)
    corruption(0.5)(x)
    assert not torch.equal(x, corruption(0.5)(x))
    with pytest.raises(ValueError, match="is -1"):
        corruption(-1)


def test_answers_have_their_shapes_and_ranges():
    model = GSN((1, 4, 4), (6, 5), sample_steps=3, impute_steps=3)
    x, observed = torch.rand(5, 1, 4, 4).round(), torch.rand(5, 1, 4, 4) < 0.5
    assert model.encode(x).shape == (5, 6)
    greys = [model.sample(5), model.decode(torch.randn(5, 6)), model.reconstruct(x)]
    for grey in greys:
        assert grey.shape == x.shape
        assert ((grey > 0) & (grey < 1)).all()
    for binary in (model.step(x), model.impute(x, observed)):
        assert binary.shape == x.shape
        assert ((binary == 0) | (binary == 1)).all()
    states = model.states(4)
    assert [next(states).shape for _ in range(3)] == [(4, 16)] * 3
    assert not any(y.requires_grad for y in [*greys, model.step(x), next(states)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": ()}, "name the size of 1 layer or more"),
        ({"walkback": 0}, "walkback is 0"),
        ({"noise": -1.0}, "noise is -1.0"),
    ],
)
def test_senseless_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GSN((4,), **arguments)


def test_learning_makes_the_chain_that_of_the_data(double):
    """Two layers and noise: of 256 events the chain comes to know the two that there are."""
    data = torch.tensor([[1.0] * 4 + [0.0] * 4, [0.0] * 4 + [1.0] * 4]).view(2, 1, 2, 4)
    model = GSN((1, 2, 4), (8, 8), corruption=partial(SaltAndPepper, 0.3), noise=0.5,
                sample_steps=50)  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        model.loss({"x": data.repeat(20, 1, 1, 1)})["loss"].backward()
        optimizer.step()
    grey = model.sample(2000)
    drawn = frequencies((torch.rand_like(grey) < grey).double())[[15, 240]]
    assert drawn.sum() > 0.85
    assert drawn.min() > 0.3
