"""What the players minimize, against closed forms, and the game where its outcome is known."""

import math

import lightning as L
import pytest
import torch
from torch import nn
from torch.nn import functional as nnf
from torch.utils.data import DataLoader

from genlit.gan import (
    GAN,
    R1,
    Cost,
    HingeCost,
    LeastSquaresCost,
    MinimaxCost,
    NonSaturatingCost,
    RelativisticAverageCost,
    RelativisticCost,
    WassersteinCost,
)
from genlit.gan.costs import value
from genlit.networks import MLP

REAL, FAKE = torch.tensor([1.5, -0.5, 0.2]), torch.tensor([-2.0, 0.7, 0.4])


def sigma(x):
    return 1 / (1 + (-x).exp())


CLOSED = {  # by hand: what the discriminator and what the generator minimize
    MinimaxCost: (
        lambda r, f: -(sigma(r).log()).mean() - (1 - sigma(f)).log().mean(),
        lambda r, f: (1 - sigma(f)).log().mean(),
    ),
    NonSaturatingCost: (
        lambda r, f: -(sigma(r).log()).mean() - (1 - sigma(f)).log().mean(),
        lambda r, f: -sigma(f).log().mean(),
    ),
    LeastSquaresCost: (
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    WassersteinCost: (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    HingeCost: (
        lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(),
        lambda r, f: -f.mean(),
    ),
    RelativisticCost: (
        lambda r, f: -sigma(r - f).log().mean(),
        lambda r, f: -sigma(f - r).log().mean(),
    ),
    RelativisticAverageCost: (
        lambda r, f: -sigma(r - f.mean()).log().mean() - (1 - sigma(f - r.mean())).log().mean(),
        lambda r, f: -sigma(f - r.mean()).log().mean() - (1 - sigma(r - f.mean())).log().mean(),
    ),
}


@pytest.mark.parametrize("family", CLOSED, ids=lambda c: c.__name__)
def test_costs_are_their_closed_forms(double, family):
    real, fake = REAL.double(), FAKE.double()
    cost: Cost = family()
    torch.testing.assert_close(cost.discriminator(real, fake), CLOSED[family][0](real, fake))
    torch.testing.assert_close(cost.generator(fake, real), CLOSED[family][1](real, fake))
    if not cost.compares:
        torch.testing.assert_close(cost.generator(fake), cost.generator(fake, real + 1))


@pytest.mark.parametrize("family", CLOSED, ids=lambda c: c.__name__)
def test_players_pull_logits_of_generated_events_apart(family):
    """The generator wants every one of them higher, the discriminator none of them."""
    cost, fake = family(), FAKE.clone().requires_grad_()
    (up,) = torch.autograd.grad(cost.generator(fake, REAL), fake)
    (down,) = torch.autograd.grad(cost.discriminator(REAL, fake), fake)
    if isinstance(cost, LeastSquaresCost):
        return  # which wants them at a place
    assert (up < 0).all()
    assert (down >= 0).all()
    assert (down > 0).any()
    extreme = torch.tensor([-1e4, 1e4])
    assert torch.isfinite(cost.generator(extreme, extreme))
    assert torch.isfinite(cost.discriminator(extreme, extreme))


def test_a_relativistic_generator_gains_nothing_by_raising_all_logits():
    for cost in (RelativisticCost(), RelativisticAverageCost()):
        found = cost.generator(FAKE, REAL)
        torch.testing.assert_close(cost.generator(FAKE + 3, REAL + 3), found)
        assert cost.generator(FAKE + 3, REAL) < found
        with pytest.raises(ValueError, match="takes logits of real events"):
            cost.generator(FAKE)
    for cost in (NonSaturatingCost(), HingeCost(), WassersteinCost()):
        assert cost.generator(FAKE + 3, REAL + 3) < cost.generator(FAKE, REAL)


@pytest.mark.parametrize("cost", [RelativisticCost(), RelativisticAverageCost(), WassersteinCost()])
def test_costs_that_fix_no_zero_know_whether_kinds_are_told_apart(cost):
    real, fake = torch.tensor([-10.0, -11.0, -9.0]), torch.tensor([-20.0, -19.0, -21.0])
    assert cost.accuracies(real, fake) == (1, 1)
    assert cost.accuracies(fake, real) == (0, 0)
    torch.testing.assert_close(
        torch.stack(cost.accuracies(REAL + 7, FAKE + 7)), torch.stack(cost.accuracies(REAL, FAKE))
    )


def test_accuracy_is_of_pairs_of_means_or_of_the_middle():
    real, fake = torch.tensor([3.0, 0.0, 1.0]), torch.tensor([2.0, 1.0, 0.0])  # means 4/3 and 1
    third = 1 / 3
    for cost, expected in [
        (RelativisticCost(), (2 * third, 2 * third)),
        (RelativisticAverageCost(), (third, 2 * third)),
        (NonSaturatingCost(), (2 * third, 0.0)),
        (LeastSquaresCost(), (2 * third, third)),
    ]:
        torch.testing.assert_close(cost.accuracies(real, fake), tuple(map(torch.tensor, expected)))


def test_aims_of_least_squares_that_say_nothing_are_refused():
    assert LeastSquaresCost(-1, 1, 0).middle == 0
    assert LeastSquaresCost().middle == 0.5
    with pytest.raises(ValueError, match="fake and real are both 1"):
        LeastSquaresCost(1.0, 1.0)


class Dirac(nn.Module):
    """A law at one place, which it learns; or a discriminator that is linear."""

    def __init__(self, start: float, linear: bool) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[start]]))
        self.linear = linear

    def forward(self, x):
        return x * self.w if self.linear else self.w.expand(len(x), 1)


def dirac_game(cost, penalties, rounds, rate=0.1, start=(0.01, 0.02)) -> torch.Tensor:
    """What became of (ψ, θ), the discriminator's slope and the place of generated events."""
    descent = lambda p: torch.optim.SGD(p, lr=rate)  # noqa: E731
    gan = GAN(
        (1,), 1, lambda *_: Dirac(start[1], False), lambda *_: Dirac(start[0], True), cost,
        penalties, bounded=False, discriminator_optimizer=descent, generator_optimizer=descent,
    )  # fmt: skip
    data = DataLoader([{"x": torch.zeros(1, 1)}] * rounds, batch_size=None)
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    L.Trainer(accelerator="cpu", devices=1, max_epochs=1, **dict.fromkeys(quiet, False)).fit(
        gan, data
    )
    return torch.stack([next(p.parameters()).detach().flatten()[0] for p in gan.players.values()])


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_r1_makes_the_game_of_points_converge_at_the_rate_of_its_theory(double, weight):
    """Mescheder et al. (2018): eigenvalues of a round have the modulus √(1 - hγ).

    Near 0 a round is ψ' = (1 - hγ) ψ - h θ / 2, θ' = θ + h ψ' / 2, whose determinant is 1 - hγ.
    """
    rate, rounds = 0.1, 150
    descent = torch.tensor([[1 - rate * weight, -rate / 2], [0.0, 1.0]])
    ascent = torch.tensor([[1.0, 0.0], [rate / 2, 1.0]])
    step = ascent @ descent
    modulus = torch.linalg.eigvals(step).abs()
    torch.testing.assert_close(modulus, torch.full((2,), (1 - rate * weight) ** 0.5))
    start = torch.tensor([0.01, 0.02])
    expected = torch.linalg.matrix_power(step, rounds) @ start
    found = dirac_game(NonSaturatingCost(), [R1(weight)] if weight else [], rounds, rate)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=1e-6)
    shrunk = float(found.norm() / start.norm())
    assert (shrunk > 0.5) if weight == 0 else (shrunk < 0.05)


def test_the_wasserstein_game_of_points_goes_in_circles(double):
    found = dirac_game(WassersteinCost(), [], 300)
    assert 0.5 < float(found.norm() / torch.tensor([0.01, 0.02]).norm()) < 2


def test_the_discriminator_finds_the_ratio_of_densities():
    """With the generator at rest: logits tend to log p / q, and V to 2 JSD - log 4."""
    mean, std = 1.0, 0.7
    torch.manual_seed(0)

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rest = nn.Parameter(torch.zeros(()))

        def forward(self, z):
            return mean + std * z + self.rest

    gan = GAN(
        (1,), 1, lambda *_: Fixed(), lambda i, o: MLP(i, o, (32, 32)), NonSaturatingCost(),
        bounded=False, lr_decay=True,
        discriminator_optimizer=lambda p: torch.optim.Adam(p, lr=5e-3),
        generator_optimizer=lambda p: torch.optim.SGD(p, lr=0.0),
    )  # fmt: skip
    batches = [{"x": torch.randn(500, 1)} for _ in range(500)]
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    L.Trainer(accelerator="cpu", devices=1, max_epochs=1, **dict.fromkeys(quiet, False)).fit(
        gan, DataLoader(batches, batch_size=None)
    )
    x = torch.linspace(-6, 8, 4001)[:, None]
    log_p = torch.distributions.Normal(0, 1).log_prob(x)[:, 0]
    log_q = torch.distributions.Normal(mean, std).log_prob(x)[:, 0]
    p, q, dx = log_p.exp(), log_q.exp(), float(x[1, 0] - x[0, 0])
    with torch.no_grad():
        found = gan.discriminator(x).logits
    middle = (p + q) / 2
    gap = ((found - (log_p - log_q)).abs() * middle).sum() * dx
    before = ((log_p - log_q).abs() * middle).sum() * dx
    assert gap < 0.1 < 1 < before
    jsd = ((p * (p / middle).log() + q * (q / middle).log()) / 2).nan_to_num().sum() * dx
    best = 2 * jsd - math.log(4)
    reached = (p * nnf.logsigmoid(found) + q * nnf.logsigmoid(-found)).sum() * dx
    assert best - 0.01 < reached <= best + 1e-5
    torch.testing.assert_close(value(log_p[:1] * 0, log_p[:1] * 0), torch.tensor(-math.log(4)))
