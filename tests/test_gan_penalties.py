"""Penalties on discriminators whose slopes are known."""

import pytest
import torch
from torch import nn

from genlit.gan import DRAGAN, GAN, R1, R2, GradientPenalty, HingeCost, NonSaturatingCost
from genlit.gan.discriminator import Discriminator
from genlit.gan.penalties import Seen, squared_slopes, squared_slopes_at
from genlit.networks import MLP, DCGANDiscriminator
from tests.test_gan import Watched, play, tiny

W = torch.tensor([[3.0, -4.0, 12.0]])  # of length 13


def linear(x):
    return (x.flatten(1) @ W.to(x).T)[:, 0]


def quadratic(x):
    """Its slope at x is ‖x‖, so that every event has one of its own."""
    return x.flatten(1).square().sum(1) / 2


def seen(critic, x):
    x = x.detach().requires_grad_()
    return Seen(x, critic(x), critic)


def both(critic, n=5, m=4):
    return seen(critic, torch.randn(n, 3)), seen(critic, torch.randn(m, 3) + 1)


def test_slopes_of_a_linear_discriminator_are_the_length_of_its_weights(double):
    real, fake = both(linear, 5, 5)
    expected = {
        R1(2.0): 169.0,
        R2(3.0): 3 * 169 / 2,
        GradientPenalty(1.0): 12.0**2,
        GradientPenalty(1.0, target=0.0): 169.0,
        GradientPenalty(1.0, target=15.0): 4.0,
        GradientPenalty(1.0, target=15.0, one_sided=True): 0.0,
        GradientPenalty(1.0, target=11.0, one_sided=True): 4.0,
        DRAGAN(10.0): 1440.0,
    }
    for penalty, number in expected.items():
        torch.testing.assert_close(penalty(real, fake), torch.tensor(number), msg=str(penalty))


def test_slopes_are_of_one_event_each(double):
    """A mean over events of what each has, so that no batch size enters, and no other event."""
    real, fake = both(quadratic)
    torch.testing.assert_close(squared_slopes(real), real.x.square().sum(1))
    torch.testing.assert_close(R1(2.0)(real, fake), real.x.square().sum(1).mean())
    torch.testing.assert_close(R2(2.0)(real, fake), fake.x.square().sum(1).mean())
    twice = seen(quadratic, torch.cat([real.x, real.x]))
    torch.testing.assert_close(R1(2.0)(twice, fake), R1(2.0)(real, fake))


def test_the_places_of_the_penalty_lie_between_real_and_generated_events(double):
    asked = []

    def critic(x):
        asked.append(x.detach())
        return quadratic(x)

    a, b = torch.zeros(1000, 3), torch.ones(1000, 3) * torch.tensor([1.0, 2.0, 4.0])
    GradientPenalty(1.0)(seen(critic, a), seen(critic, b))
    share = asked[-1] / torch.tensor([1.0, 2.0, 4.0])
    torch.testing.assert_close(share[:, 0], share[:, 1])  # on the line
    torch.testing.assert_close(share[:, 0], share[:, 2])
    assert share.min() >= 0
    assert share.max() <= 1
    assert abs(share[:, 0].mean() - 0.5) < 4 / (12 * 1000) ** 0.5
    assert share[:, 0].unique().numel() == 1000  # each has its own
    x = torch.randn(1000, 3)
    DRAGAN(1.0, scale=0.5)(seen(critic, x), seen(critic, x))
    moved = asked[-1] - x
    assert moved.min() >= 0
    assert moved.max() <= 0.5 * x.std()


@pytest.mark.parametrize("penalty", [R1(2.0), R2(0.5), GradientPenalty(3.0), DRAGAN(1.0)])
def test_gradients_by_the_parameters_are_finite_differences(double, penalty):
    network = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1))
    x, y = torch.randn(4, 3), torch.randn(4, 3)

    def cost():
        torch.manual_seed(0)
        critic = lambda x: network(x)[:, 0]  # noqa: E731
        return penalty(seen(critic, x), seen(critic, y))

    gradient = torch.autograd.grad(cost(), network[0].weight)[0]
    for place in ((0, 0), (4, 2)):
        found = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                network[0].weight[place] += step
            found.append(cost().detach())
            with torch.no_grad():
                network[0].weight[place] -= step
        difference = (found[0] - found[1]) / 2e-6
        torch.testing.assert_close(difference, gradient[place], rtol=1e-5, atol=1e-7)


def test_penalties_have_a_gradient_where_the_slope_is_zero():
    w = torch.zeros(3, requires_grad=True)
    critic = lambda x: x @ w  # noqa: E731
    GradientPenalty()(seen(critic, torch.rand(4, 3)), seen(critic, torch.rand(4, 3))).backward()
    assert torch.isfinite(w.grad).all()


def test_slopes_are_taken_in_float32_where_the_run_is_not():
    network = MLP((3,), (1,), (64,))
    critic = lambda x: network(x)[:, 0]  # noqa: E731
    x = torch.randn(50, 3)
    exact = squared_slopes_at(critic, x)
    with torch.autocast("cpu", torch.bfloat16):
        shown = seen(critic, x)
        assert shown.logits.dtype == torch.bfloat16
        found = squared_slopes(shown)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact)
    with torch.autocast("cpu", torch.bfloat16):
        rough = torch.autograd.grad(critic(shown.x).sum(), shown.x)[0].flatten(1).square().sum(1)
    assert not torch.allclose(rough, exact, rtol=1e-5)


def test_a_lazy_penalty_counts_as_often_as_it_is_left_out():
    """Each time so many times as heavily: the sum over steps is that of an eager one."""
    real, fake = both(quadratic)
    eager, lazy = R1(2.0), R1(2.0, every=4)
    torch.testing.assert_close(lazy(real, fake), 4 * eager(real, fake))
    assert [step for step in range(9) if lazy.due(step)] == [0, 4, 8]
    asked = []

    class Noted(R1):
        def mean(self, real, fake):
            asked.append(int(gan.discriminator_updates))
            return super().mean(real, fake)

    gan = tiny(Watched, penalties=[Noted(1.0, every=4)], discriminator_steps=2)
    play(gan, rounds=5)
    assert asked == [0, 4, 8]
    for wrong in ({"weight": -1.0}, {"every": 0}):
        with pytest.raises(ValueError, match="a penalty's weight is"):
            R1(**wrong)


def test_penalties_leave_the_generator_alone_and_join_the_cost(double):
    torch.manual_seed(0)
    gan = tiny(penalties=[R1(2.0), R2(4.0)], cost=HingeCost())
    x = torch.rand(20, 3)
    torch.manual_seed(1)
    terms = gan.loss({"x": x})
    torch.manual_seed(1)
    bare = tiny(cost=HingeCost())
    bare.load_state_dict(gan.state_dict())
    torch.manual_seed(1)
    plain = bare.loss({"x": x})
    torch.manual_seed(1)
    fake = gan.generator(torch.randn(20, 2)).sigmoid().detach()
    critic = lambda x: gan.discriminator(x).logits  # noqa: E731
    added = squared_slopes_at(critic, x).mean() + 2 * squared_slopes_at(critic, fake).mean()
    torch.testing.assert_close(terms["discriminator_loss"] - plain["discriminator_loss"], added)
    torch.testing.assert_close(terms["generator_loss"], plain["generator_loss"])
    terms["discriminator_loss"].backward()
    assert all(p.grad is None for p in gan.generator.parameters())


@pytest.mark.parametrize(
    ("penalties", "of_real", "of_fake"),
    [([], False, False), ([R1()], True, False), ([R2()], False, True), ([R1(), R2()], True, True),
     ([GradientPenalty()], False, False), ([DRAGAN()], False, False)],
)  # fmt: skip
def test_only_what_a_penalty_looks_at_is_differentiated(penalties, of_real, of_fake, monkeypatch):
    asked = []
    seen = Discriminator.seen

    def noted(self, x, condition, slopes):
        asked.append(slopes)
        return seen(self, x, condition, slopes)

    monkeypatch.setattr(Discriminator, "seen", noted)
    terms = tiny(penalties=penalties).discriminator_terms({"x": torch.rand(6, 3)})
    terms["discriminator_loss"].backward()
    assert asked == [of_real, of_fake]


def test_batch_normalization_under_a_penalty_is_warned_of():
    with pytest.warns(UserWarning, match="take a network without batch normalization"):
        GAN((1, 8, 8), 2, MLP, DCGANDiscriminator, NonSaturatingCost(), [R1()])


def test_a_game_in_bfloat16_takes_penalties_in_float32():
    kinds = []

    class Noted(R1):
        def mean(self, real, fake):
            found = squared_slopes(real)
            kinds.extend([real.logits.dtype, found.dtype])
            return found.mean() / 2

    gan = tiny(penalties=[Noted(1.0), GradientPenalty(1.0)])
    before = [p.detach().clone() for p in gan.parameters()]
    play(gan, rounds=2, precision="bf16-mixed")
    assert kinds == [torch.bfloat16, torch.float32] * 2
    for old, new in zip(before, gan.parameters(), strict=True):
        assert new.dtype == torch.float32
        assert torch.isfinite(new).all()
        assert not torch.equal(old, new)
