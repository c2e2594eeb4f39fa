"""Whether chains mix, what has been learned by heart, and the pictures of both."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from genlit.boltzmann import DBM, DBN, LateralBoltzmannMachine
from genlit.callbacks import ChainHealth, ChainPicture, Filters, Judge
from genlit.callbacks.filters import chosen_filters, scale_of
from genlit.callbacks.pictures import BLUE, RED, captioned, signed
from genlit.chains import (
    Mixing,
    autocorrelation_time,
    autocovariance,
    clamped,
    doubling,
    draw_states,
    snapshots,
)
from genlit.model import GenerativeModel
from genlit.protocols import (
    Batch,
    EnergyBased,
    HasFilters,
    MarkovChain,
    Samples,
    Tempered,
    Unanswerable,
)
from genlit.randomness import permutation
from tests import small


def ar1(rho: float, steps: int, chains: int) -> Tensor:
    """Stationary processes x' = ρ x + √(1 - ρ²) ε, whose τ is (1 + ρ) / (1 - ρ)."""
    x = torch.randn(chains, dtype=torch.float64)
    seen = []
    for noise in torch.randn(steps, chains, dtype=torch.float64):
        x = rho * x + (1 - rho**2) ** 0.5 * noise
        seen.append(x)
    return torch.stack(seen)


class Mute(GenerativeModel):
    """Can be asked nothing; its weight is a record of the random numbers in training."""

    def __init__(self, shape: tuple[int, ...] = (1, 28, 28)) -> None:
        super().__init__(shape, lambda p: torch.optim.SGD(p, 0.1))
        self.weight = nn.Parameter(torch.tensor(0.01))
        self.dropout = nn.Dropout()
        self.asked_in_training = False

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": (self.weight - self.dropout(torch.rand(9))).square().mean()}


class Walk(Mute, Samples, MarkovChain):
    """Pixels that all carry one AR(1) process, and no energy."""

    rho = 0.8

    def sample(self, n: int) -> Tensor:
        return torch.randn(n, 1, 1, 1).expand(n, *self.shape)

    def step(self, x: Tensor) -> Tensor:
        self.asked_in_training |= self.training
        noise = torch.randn(len(x), 1, 1, 1)
        return self.rho * x + (1 - self.rho**2) ** 0.5 * noise


class Energetic(Mute, EnergyBased, Tempered, HasFilters):
    """F(x) = Σx, five temperatures, and no chain that could be run."""

    def free_energy(self, x: Tensor) -> Tensor:
        self.asked_in_training |= self.training
        return x.flatten(1).sum(1)

    def path(self) -> Any:
        raise AssertionError("nobody asked for Z")

    def swap_rates(self) -> Tensor:
        return torch.tensor([0.5, 0.25, 0.75, 0.5]) + 0.1 * self.global_rank

    def filters(self) -> Tensor:
        ramp = torch.linspace(-1, 1, 28 * 28).view(1, *self.shape)
        return ramp * torch.tensor([1.0, 3.0, 2.0]).view(3, 1, 1, 1)


class Blinking(Mute, Samples, MarkovChain):
    """A chain that turns black into white and back."""

    def sample(self, n: int) -> Tensor:
        return torch.zeros(n, *self.shape)

    def step(self, x: Tensor) -> Tensor:
        return 1 - x


class Everything(Walk, Energetic):
    """All of it."""


def measured(model: GenerativeModel, folder: Path, judge: Judge, **options: Any) -> dict[str, Any]:
    torch.manual_seed(5)
    runner = small.trainer(folder, judge, **options)
    runner.test(model, datamodule=data(), verbose=False)
    return {m.name: m for m in judge.measurements}


def data() -> small.Digits:
    return small.Digits(20, eval_batch_size=10, binarize="threshold")


# The autocorrelation time


@pytest.mark.parametrize("rho", [0.95, 0.8, 0.5, 0.0, -0.5])
def test_the_time_of_a_known_process(rho):
    expected = (1 + rho) / (1 - rho)
    found = autocorrelation_time(ar1(rho, 3000, 40))
    assert found.closed
    assert 0 < found.stderr < 0.15 * expected
    assert abs(found.time - expected) < 4 * found.stderr
    assert found.independent == pytest.approx(120_000 / max(found.time, 1))


@pytest.mark.parametrize("rho", [0.7, 0.0])
def test_its_error_is_as_large_as_it_says(rho):
    """Over repetitions, deviations divided by their errors have the spread 1.

    Also where some chains move in wider ranges than others, as those in different modes do.
    """
    expected = (1 + rho) / (1 - rho)
    series = ar1(rho, 400, 200 * 40).view(400, 200, 40) * torch.linspace(1, 3, 40)
    found = [autocorrelation_time(series[:, k]) for k in range(200)]
    z = torch.tensor([(f.time - expected) / f.stderr for f in found])
    assert abs(z.std() - 1) < 4 / (2 * 200) ** 0.5 + 0.05  # and Student's tails
    assert abs(z.mean()) < 4 / 200**0.5 + 0.2  # and the window's small bias


def test_the_variance_of_a_mean_follows_from_it():
    series = ar1(0.8, 2000, 400)
    found = autocorrelation_time(series)
    variance = float(series.mean(0).var())
    assert variance / (found.time / 2000) == pytest.approx(1, abs=4 * (2 / 400) ** 0.5)


def test_chains_that_never_move_are_worth_one_sample_each():
    frozen = torch.randn(30).expand(401, 30)
    found = autocorrelation_time(frozen)
    assert not found.closed
    assert found.time == pytest.approx(401)
    assert found.independent == pytest.approx(30)
    assert autocorrelation_time(torch.ones(401, 30)) == Mixing(401, 0, 200, False, 401 * 30)


def test_chains_that_stay_each_in_a_corner_are_slow():
    """Though each, seen about its own mean, is white noise."""
    corner = 3 * (torch.arange(20) % 2)
    found = autocorrelation_time(torch.randn(500, 20) + corner)
    assert not found.closed
    assert found.time > 250
    assert autocorrelation_time(torch.randn(500, 20)).time < 1.5


def test_a_run_that_is_too_short_says_so():
    assert not autocorrelation_time(ar1(0.99, 200, 20)).closed
    with pytest.raises(ValueError, match="2 chains and 2 steps or more, not 1 and 9"):
        autocorrelation_time(torch.randn(9, 1))


def test_autocovariance_is_the_mean_product(double):
    series = torch.randn(7, 3) + 5
    d = series - series.mean()
    found = autocovariance(series, 4)
    for lag in range(4):
        direct = torch.stack([d[t] * d[t + lag] for t in range(7 - lag)]).mean(0)
        torch.testing.assert_close(found[lag], direct)


def test_chains_are_seen_when_they_should_be():
    assert doubling(1) == [0, 1]
    assert doubling(8) == [0, 1, 2, 4, 8]
    assert doubling(11) == [0, 1, 2, 4, 8, 11]
    seen = snapshots(lambda x: 2 * x, torch.ones(3, 2), [0, 1, 2, 4, 5])
    assert seen.shape == (3, 5, 2)
    assert seen[1, :, 1].tolist() == [1, 2, 4, 16, 32]
    held = clamped(lambda x: x + 1, torch.ones(1, 2), torch.tensor([[True, False]]), 3)
    assert held[0, 0] == 1


def test_grey_samples_of_a_binary_model_are_drawn():
    model = Walk()
    model.sample = lambda n: torch.full((n, 1, 100, 100), 0.3)  # pyright: ignore
    assert (draw_states(model, 1) == 0.3).all()
    model.binary = True  # pyright: ignore
    states = draw_states(model, 1)
    assert set(states.unique().tolist()) == {0, 1}
    assert abs(states.mean() - 0.3) < 4 * (0.21 / 1e4) ** 0.5


# What the callback measures


def test_the_time_of_a_models_chain(tmp_path):
    found = measured(Walk(), tmp_path, ChainHealth(chains=50, steps=800))
    assert set(found) == {"autocorrelation_time_intensity", "effective_samples"}
    time, worth = found["autocorrelation_time_intensity"], found["effective_samples"]
    assert abs(time.value - 9) < 4 * time.stderr < 3
    assert worth.value == pytest.approx(50 * 800 / time.value)
    assert worth.stderr / worth.value == pytest.approx(time.stderr / time.value)
    assert (time.unit, time.kind, time.n, time.split) == ("steps", "estimate", 40_000, "test")


TANH = math.tanh(4.5 / 4)  # the correlation of two spins that are coupled as those below are
SQUARE = TANH**2


def coupled(model: GenerativeModel, couples: Callable[[GenerativeModel], Any]) -> GenerativeModel:
    """Couples pairs of single units, and makes either state of each as probable as the other."""
    with torch.no_grad():
        for W, b, c in couples(model):
            W.fill_(4.5)
            b -= 2.25
            c -= 2.25
    return model


def dbm() -> DBM:
    """One unit in each layer; the upper one is alone."""
    model = DBM((1,), (1, 1), sample_steps=1)
    model.deep.W[1].data.zero_()
    return model


def dbn() -> DBN:
    """One unit in each layer, of which the lowest is drawn given the others."""
    model = DBN((1,), (1, 1), (1, 1), sample_steps=1)
    model.stack.stage.fill_(1)
    return model


def lateral() -> LateralBoltzmannMachine:
    """A pixel, and two hidden units, of which one has to do with it."""
    model = LateralBoltzmannMachine((1,), 2, visible_couplings=False, sample_steps=1)
    model.layer.W.data.zero_()
    return model


@pytest.mark.parametrize(
    ("model", "couples", "expected"),
    [
        # Chains live on h, and v is drawn given h: correlations t², t⁴, ... of h, t² less of v.
        (dbm, lambda m: [(m.deep.W[0], m.deep.b[0], m.deep.b[1])],
         1 + 2 * SQUARE**2 / (1 - SQUARE)),
        (dbn, lambda m: [(x.W, x.b, x.c) for x in m.stack.layers],
         1 + 2 * SQUARE**2 / (1 - SQUARE)),
        (lateral, lambda m: [(m.layer.W[:, :1], m.layer.b, m.layer.c[:1])],
         (1 + SQUARE) / (1 - SQUARE)),
    ],
    ids=["dbm", "dbn", "lateral"],
)  # fmt: skip
def test_the_time_of_a_chain_with_hidden_layers(model, couples, expected, tmp_path):
    judge = ChainHealth(chains=200, steps=1000)
    found = measured(coupled(model(), couples), tmp_path, judge)
    assert set(found) == {"autocorrelation_time_intensity", "effective_samples"}
    time = found["autocorrelation_time_intensity"]
    assert abs(time.value - expected) < 4 * time.stderr < 0.3 * expected
    assert abs(time.value - (1 + SQUARE) / (1 - SQUARE) * SQUARE) > 4 * time.stderr


@pytest.mark.parametrize("name", ["dbm", "dbn", "bm_lateral"])
def test_chains_with_hidden_layers_are_drawn_from_samples(name, tmp_path):
    model = small.MODELS[name]()
    told = f"^the chains of {type(model).__name__} .* begin at samples: set the start of ChainP"
    with pytest.raises(Unanswerable, match=told):
        small.trainer(tmp_path, ChainPicture()).fit(model, datamodule=data())
    callbacks = ChainPicture(3, 5, start="samples", every_n_epochs=3), ChainHealth(3, 9)
    small.trainer(tmp_path, *callbacks).fit(model, datamodule=data())
    (path,) = (tmp_path / "samples").iterdir()
    assert picture(path).shape == (3 * 58 + 2 + 18, 5 * 58 + 2, 3)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of Lightning, and raised again here
def test_a_short_run_gives_a_bound_and_a_warning(tmp_path):
    model = Walk()
    model.rho = 0.999
    with pytest.warns(UserWarning, match="20 steps are too few to tell the autocorrelation time"):
        found = measured(model, tmp_path, ChainHealth(chains=9, steps=20))
    time, worth = found["autocorrelation_time_intensity"], found["effective_samples"]
    assert (time.kind, time.stderr) == ("lower bound", None)
    assert (worth.kind, worth.stderr) == ("upper bound", None)


def test_the_gap_and_the_swaps(tmp_path):
    found = measured(Energetic(), tmp_path, ChainHealth())
    assert set(found) == {"swap_rate_mean", "swap_rate_min", "free_energy_gap_threshold"}
    assert (found["swap_rate_mean"].value, found["swap_rate_min"].value) == (0.5, 0.25)
    assert found["swap_rate_min"].details["swap_rate_2"] == 0.75
    digits = data()
    digits.setup("test")
    train = digits.events("train")[permutation(240, "gap", 0)[:45]]
    means = [x.flatten(1).sum(1).double() for x in (digits.events("test"), train)]
    gap = found["free_energy_gap_threshold"]
    assert gap.value == pytest.approx(float(means[0].mean() - means[1].mean()))
    expected = sum(float(m.var()) * 44 / 45 / 44 for m in means) ** 0.5
    assert gap.stderr == pytest.approx(expected, rel=1e-6)
    assert (gap.n, gap.unit, gap.protocol) == (45, "nats", "threshold")


def test_a_model_without_several_temperatures_has_no_swaps(tmp_path):
    model = Energetic()
    model.swap_rates = lambda: torch.zeros(0)  # pyright: ignore
    assert set(measured(model, tmp_path, ChainHealth())) == {"free_energy_gap_threshold"}


class Witness(L.Callback):
    def __init__(self, folder: Path, judge: Judge) -> None:
        self.folder, self.judge = folder, judge

    def on_test_end(self, trainer, pl_module):
        found = {m.name: (m.value, m.stderr, m.n) for m in self.judge.measurements}
        torch.save(found, self.folder / f"rank-{trainer.global_rank}.pt")


def test_two_processes_measure_what_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr("genlit.callbacks.chain_health.BLOCK", 10)
    numbers = []
    for processes in (2, 1):
        judge = ChainHealth(chains=10, steps=300)
        kind = {"devices": 2, "strategy": "ddp_fork"} if processes == 2 else {}
        torch.manual_seed(5)
        runner = small.trainer(tmp_path, judge, Witness(tmp_path, judge), **kind)
        runner.test(Everything(), datamodule=data(), verbose=False)
        numbers += [torch.load(tmp_path / f"rank-{r}.pt") for r in range(processes)]
    first, second, alone = numbers
    assert first == second
    assert set(first) == set(alone)
    for name in first:
        shift = 0.05 if name.startswith("swap") else 0  # the second process swaps more often
        assert first[name][0] == pytest.approx(alone[name][0] + shift), name
        assert first[name][1:] == pytest.approx(alone[name][1:]), name


def test_numbers_can_be_monitored_and_nothing_leaves_a_trace(tmp_path):
    def trained(*callbacks: L.Callback) -> tuple[Everything, dict, Tensor]:
        torch.manual_seed(3)
        model = Everything()
        runner = small.trainer(tmp_path, *callbacks, max_epochs=2)
        runner.fit(model, datamodule=data())
        return model, runner.callback_metrics, torch.rand(3)

    judge = ChainHealth(4, 200, every_n_epochs=1)
    alone, _, after = trained()
    watched, metrics, then = trained(judge, ChainPicture(3, 4), Filters())
    assert torch.equal(alone.weight, watched.weight)
    assert torch.equal(after, then)
    assert not watched.asked_in_training
    assert watched.dropout.training
    assert len(judge.measurements) == 2 * 5
    assert {
        "val/autocorrelation_time_free_energy", "val/effective_samples", "val/swap_rate_mean",
        "val/swap_rate_min", "val/free_energy_gap_threshold",
    } <= set(metrics)  # fmt: skip


def test_what_cannot_be_asked_is_refused_before_training(tmp_path):
    for callback, message in (
        (ChainHealth(), "Mute cannot be asked for the health of its chains: it does not implement"),
        (ChainPicture(), "Mute cannot be asked for a picture of its chains"),
        (Filters(), "Mute cannot be asked for filters"),
    ):
        with pytest.raises(Unanswerable, match=message):
            small.trainer(tmp_path, callback).fit(Mute(), datamodule=data())
    for callback, model in ((ChainPicture(), Walk((9,))), (Filters(), Energetic((9,)))):
        with pytest.raises(ValueError, match=rf"{type(callback).__name__} draws images"):
            small.trainer(tmp_path, callback).fit(model, datamodule=data())
    with pytest.raises(ValueError, match="no datamodule that holds them: set its start to samples"):
        small.trainer(tmp_path, ChainPicture()).fit(Walk(), [{"x": torch.zeros(1)}])
    for callback in (ChainHealth, ChainPicture):
        with pytest.raises(ValueError, match=f"{callback.__name__} needs chains, steps and"):
            callback(steps=0)
    with pytest.raises(ValueError, match="Filters needs n"):
        Filters(n=0)


def test_broken_chains_and_weights_are_named(tmp_path):
    model = Everything()
    model.free_energy = lambda x: x.new_full((len(x),), torch.nan)  # pyright: ignore
    with pytest.raises(ValueError, match="the chains of Everything came to numbers that are not"):
        measured(model, tmp_path, ChainHealth(4, 20))
    model.filters = lambda: torch.full((2, 1, 3, 3), torch.inf)  # pyright: ignore
    with pytest.raises(ValueError, match="Everything has weights that are not finite"):
        chosen_filters(model, 2, largest=True)


# Pictures


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_chains_are_drawn_in_rows_and_nothing_is_overwritten(tmp_path):
    for start in ("samples", "val"):
        callback = ChainPicture(chains=3, steps=5, start=start, every_n_epochs=2)
        small.trainer(tmp_path, callback).fit(Blinking(), datamodule=data())
    names = ["chains-epoch-0002", "chains-epoch-0002-2", "chains-epoch-0003", "chains-epoch-0003-2"]
    assert sorted(p.stem for p in (tmp_path / "samples").iterdir()) == names
    cell = 2 * 28 + 2  # enlarged, and a border
    levels = [0, 255, 0, 0, 255]  # after 0, 1, 2, 4 and 5 steps
    drawn = picture(tmp_path / "samples" / "chains-epoch-0002.png")
    assert drawn.shape == (3 * cell + 2 + 18, 5 * cell + 2, 3)
    for row in range(3):
        for column, level in enumerate(levels):
            image = drawn[row * cell + 2 :, column * cell + 2 :][: cell - 2, : cell - 2]
            assert (image == level).all()
    from_images = picture(tmp_path / "samples" / "chains-epoch-0002-2.png")[: 3 * cell, :, 0]
    first, second = from_images[2:cell, 2:cell], from_images[2:cell, cell + 2 : 2 * cell]
    assert (first == 255 - second).all()
    assert set(np.unique(first)) == {0, 255}
    shown = torch.from_numpy(first[::2, ::2] // 255).float()
    digits = data()
    digits.setup("fit")
    assert (digits.events("val") == shown).flatten(1).all(1).any()


def test_filters_are_drawn_on_one_scale(tmp_path):
    small.trainer(tmp_path, Filters(every_n_epochs=3)).fit(Energetic(), datamodule=data())
    (path,) = (tmp_path / "samples").iterdir()
    assert path.name == "filters-epoch-0003.png"
    drawn, cell = picture(path), 58
    assert drawn.shape == (2 * cell + 2 + 18, max(2 * cell + 2, drawn.shape[1]), 3)
    assert tuple(drawn[cell - 1, cell - 1]) == RED  # 3, the largest, comes first
    assert tuple(drawn[2, 2]) == BLUE
    middle = drawn[cell - 1, 2 * cell - 1].astype(int)  # 2 of 3
    assert all(RED[c] < middle[c] < 255 for c in range(3))


def test_weights_have_the_colour_of_their_sign():
    weights = torch.tensor([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0]).view(6, 1, 1, 1)
    colours = signed(weights, 2).flatten(1).tolist()
    assert colours[0] == colours[1] == list(BLUE)
    assert colours[3] == [255] * 3
    assert colours[5] == list(RED)
    for half, end in ((colours[2], BLUE), (colours[4], RED)):
        assert all(abs(h - (255 + e) / 2) <= 0.5 for h, e in zip(half, end, strict=True))
    rgb = signed(weights.expand(-1, 3, -1, -1), 2)[:, 0].flatten().tolist()
    assert rgb == [0, 0, 64, 128, 191, 255]


def test_filters_are_chosen_by_norm_or_by_place():
    model = Energetic()
    norms = [round(float(f.abs().max())) for f in chosen_filters(model, 2, largest=True)]
    assert norms == [3, 2]
    assert torch.equal(chosen_filters(model, 2, largest=False), model.filters()[:2])
    weights = torch.cat([torch.linspace(-1, 1, 1001), torch.tensor([100.0])])
    assert 0.98 < scale_of(weights) <= 1
    assert scale_of(torch.zeros(5)) == 1
    assert scale_of(torch.eye(50)) == 1  # but one in two hundred


def test_a_caption_widens_a_narrow_picture():
    black = torch.zeros(3, 10, 10, dtype=torch.uint8)
    long, short = captioned(black, "after 0, 1, 2 steps"), captioned(black.repeat(1, 1, 50), "a")
    assert long.shape[1] == short.shape[1] == 28
    assert long.shape[2] > 60
    assert short.shape[2] == 500
    assert (long[:, :10, :10] == 0).all()
    assert (long[:, :10, 10:] == 255).all()
    assert (long[:, 10:] < 128).any()
