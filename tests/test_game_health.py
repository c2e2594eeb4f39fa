"""Numbers about games whose slopes, steps and samples are known."""

import csv
import re
import warnings
from itertools import pairwise
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms.functional import pil_to_tensor

from genlit.callbacks import GameHealth, LogitHistogram
from genlit.callbacks.game_health import diversity, mean_distance
from genlit.callbacks.logit_histogram import histogram
from genlit.cli.record import MetricsFile
from genlit.gan import GAN
from genlit.model import GenerativeModel
from genlit.protocols import Plays, Samples, Unanswerable, Verdict
from tests import small


class Game(GenerativeModel, Samples, Plays):
    """Players of weights (3, 4) and (0, 5) that grow by a tenth and a fifth in the first round.

    Args:
        spread: The deviation of samples of each round, of which the last holds on.
    """

    def __init__(self, spread=(1.0,)):
        super().__init__((2,))
        self.automatic_optimization = False
        self.spread, self.judged = spread, []
        self.discriminator, self.generator = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, False)
        with torch.no_grad():
            self.discriminator.weight.copy_(torch.tensor([[3.0, 4.0]]))
            self.generator.weight.copy_(torch.tensor([[0.0, 5.0]]))

    @property
    def players(self):
        return {"discriminator": self.discriminator, "generator": self.generator}

    def loss(self, batch):
        return {}

    def training_step(self, batch, batch_idx):
        self.round = self.trainer.fit_loop.epoch_loop.total_batch_idx
        with torch.no_grad():
            self.discriminator.weight += torch.tensor([[0.3, 0.4]])
            self.generator.weight += torch.tensor([[1.0, 0.0]])

    def validation_step(self, batch, batch_idx):
        pass

    def sample(self, n):
        spread = self.spread[min(self.round, len(self.spread) - 1)]
        return spread * torch.randn(n, 2) + 7

    def judge(self, batch):
        x = batch["x"]
        self.judged.append(len(x))
        return Verdict(x[:, 0], x[:, 0], x[:, 1], x[:, 1])


class Mute(GenerativeModel):
    def loss(self, batch):
        return {}


class Noted(L.Callback):
    """What each process knows at the end of training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer, pl_module):
        numbers = {k: float(v) for k, v in trainer.callback_metrics.items()}
        torch.save(numbers, self.folder / f"rank-{trainer.global_rank}.pt")


def loader(rounds, batch=200):
    x = torch.randn(rounds * batch, 2)
    return DataLoader([{"x": part} for part in x.split(batch)], batch_size=None)


def play(model, folder, *callbacks, rounds=1, **options):
    made = small.trainer(folder, *callbacks, **({"max_epochs": 1} | options))
    made.fit(model, loader(rounds))
    return made


def alarms(*args, **options):
    """What a run warns of that is not Lightning's."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        play(*args, **options)
    return [str(w.message) for w in told if "collapsed" in str(w.message)]


def rows(folder):
    """The numbers of metrics.csv by name: [(step, value), ...]."""
    found = {}
    for line in csv.DictReader((folder / "metrics.csv").read_text().splitlines()):
        found.setdefault(line["name"], []).append((int(line["step"]), float(line["value"])))
    return found


# The numbers


def test_mean_distance_is_that_of_pairs():
    x = torch.tensor([0.0, 3.0, 4.0]).view(3, 1, 1)
    assert float(mean_distance(x)) == pytest.approx((3 + 4 + 1) / 3)
    assert float(diversity(x / 2 + 9, x)) == pytest.approx(0.5)
    assert float(diversity(torch.full((50, 3), 0.1), torch.rand(50, 3))) == 0
    assert diversity(x, torch.zeros(5, 1)).isfinite()


def test_diversity_of_a_perfect_sampler_is_one():
    ratios = torch.stack([diversity(torch.randn(100, 5), torch.randn(100, 5)) for _ in range(50)])
    stderr = ratios.std() / 50**0.5
    assert abs(ratios.mean() - 1) < 4 * stderr < 0.05


def test_a_collapse_to_half_of_the_modes_shows_as_their_distance():
    """Samples of k equally frequent points have two of one point once in k pairs."""
    points = torch.eye(8)
    real, fake = points.repeat(50, 1), points[:2].repeat(200, 1)
    expected = (1 - 1 / 2) / (1 - 1 / 8)
    assert float(diversity(fake, real)) == pytest.approx(expected, rel=1e-2)


def test_updates_are_relative_to_the_weights_before(tmp_path):
    made = play(Game(), tmp_path, GameHealth())
    numbers = made.callback_metrics
    assert numbers["train/discriminator_update_ratio"] == pytest.approx(0.5 / 5)
    assert numbers["train/generator_update_ratio"] == pytest.approx(1 / 5)


def test_slopes_are_means_over_the_events_that_are_judged(tmp_path):
    game = Game()
    torch.manual_seed(3)
    made = play(game, tmp_path, GameHealth(n=50), rounds=2)
    torch.manual_seed(3)
    x = torch.randn(400, 2)[200:250]
    assert game.judged == [50]
    assert made.callback_metrics["train/real_slope"] == pytest.approx(float(x[:, 0].mean()))
    assert made.callback_metrics["train/fake_slope"] == pytest.approx(float(x[:, 1].mean()))


def linear(inputs, outputs):
    return nn.Linear(inputs[0], outputs[0])


def test_the_slope_of_a_linear_discriminator_is_its_weight(tmp_path):
    gan = GAN((2,), 3, linear, linear, bounded=False)
    made = play(gan, tmp_path, GameHealth(2), rounds=5)
    (weight,) = (p.detach() for p in gan.discriminator.parameters() if p.dim() == 2)
    norm = float(weight.norm())
    assert made.callback_metrics["train/real_slope"] == pytest.approx(norm)
    assert made.callback_metrics["train/fake_slope"] == pytest.approx(norm)


def test_every_look_is_logged_once(tmp_path):
    """Whatever the Trainer's logging steps are; the last round of an epoch is looked at, too."""
    options = {"logger": MetricsFile(tmp_path), "log_every_n_steps": 2, "max_epochs": 2}
    play(Game(), tmp_path, GameHealth(3), rounds=8, **options)
    found = rows(tmp_path)
    assert set(found) == {
        f"train/{name}" for name in ("real_slope", "fake_slope", "discriminator_update_ratio",
                                     "generator_update_ratio", "diversity")
    }  # fmt: skip
    for values in found.values():
        assert [step for step, _ in values] == [2, 5, 7, 8, 11, 14, 15]
    ratios = [value for _, value in found["train/discriminator_update_ratio"]]
    assert ratios == pytest.approx([0.5 / (5 + 0.5 * k) for k in (2, 5, 7, 8, 11, 14, 15)])
    values = [value for _, value in found["train/diversity"]]
    assert all(a == pytest.approx(b, rel=0.3) for a, b in pairwise(values))


def test_data_of_a_datamodule_is_what_samples_are_compared_with(tmp_path):
    data = small.digits("gan")
    made = small.trainer(tmp_path, GameHealth(n=240), max_epochs=1)
    made.fit(small.gan(), datamodule=data)
    real = data.events("train") / 255
    model = made.lightning_module
    from genlit.callbacks.sampling import draw_events

    samples = draw_events(model, 240, "diversity", 0)
    expected = float(diversity(samples, real.float()))
    assert made.callback_metrics["train/diversity"] == pytest.approx(expected, rel=1e-3)
    assert 0 < expected < 0.5


# The alarm


def test_the_alarm_is_given_once(tmp_path):
    (text,) = alarms(Game((1.0, 1.0, 0.01)), tmp_path, GameHealth(1, patience=3), rounds=12)
    assert re.search(r"Game seems to have collapsed: 3 times in a row, at round 5 the last", text)
    assert all(way in text for way in ("genlit.gan.R1", "R2", "model.packing", "lower rate"))
    assert "\n" not in text


def test_an_interruption_of_low_looks_begins_anew(tmp_path):
    low, high = (0.01, 0.01), (1.0,)
    assert not alarms(Game(low + high + low + high), tmp_path, GameHealth(1, patience=3), rounds=9)
    lenient = GameHealth(1, threshold=0.001, patience=2)
    assert not alarms(Game((0.01,)), tmp_path, lenient, rounds=9)


def test_a_resumed_run_remembers_the_alarm(tmp_path):
    first, second = GameHealth(1, patience=2), GameHealth(1, patience=2)
    assert len(alarms(Game((0.01,)), tmp_path, first, rounds=2)) == 1
    second.load_state_dict(first.state_dict())
    assert not alarms(Game((0.01,)), tmp_path, second, rounds=9)


def test_diversity_can_stop_a_run(tmp_path):
    stop = EarlyStopping("train/diversity", stopping_threshold=0.5, patience=99)
    made = play(Game((1.0, 1.0, 1.0, 0.1)), tmp_path, GameHealth(10, patience=99), stop, rounds=2,
                max_epochs=9)  # fmt: skip
    assert made.current_epoch == 2


# What it leaves


@pytest.mark.parametrize("name", ["gan", "gan_penalized", "gan_conditional"])
def test_nothing_leaves_a_trace(name, tmp_path):
    def trained(*callbacks):
        torch.manual_seed(0)
        model = small.MODELS[name]()
        made = small.trainer(tmp_path, *callbacks, max_epochs=2)
        made.fit(model, datamodule=small.digits(name))
        return model.state_dict(), torch.rand(5)

    alone, after = trained()
    watched, then = trained(GameHealth(2, patience=999), LogitHistogram(50))
    assert torch.equal(after, then)
    assert all(torch.equal(alone[key], watched[key]) for key in alone)
    drawn = sorted(p.name for p in (tmp_path / "samples").iterdir())
    assert drawn == [f"logits-epoch-000{k}.png" for k in (1, 2)]


def test_two_processes_tell_what_one_does(tmp_path):
    """The batches of two, joined, are those of one; the noise of samples is the same."""
    numbers = []
    for processes in (2, 1):
        kind = {"devices": 2, "strategy": "ddp_fork"} if processes == 2 else {}
        torch.manual_seed(5)
        data = small.digits("gan", 10 if processes == 2 else 20)
        made = small.trainer(tmp_path, GameHealth(5), Noted(tmp_path), max_epochs=1, **kind)
        made.fit(Pixels(), datamodule=data)
        numbers += [torch.load(tmp_path / f"rank-{r}.pt") for r in range(processes)]
    first, second, alone = numbers
    assert first == second
    assert first == pytest.approx(alone)
    assert alone["train/real_slope"] > 0


class Pixels(Game):
    """The same, of digits: slopes are mean intensities."""

    def __init__(self):
        super().__init__()
        self.shape = (1, 28, 28)

    def sample(self, n):
        return torch.rand(n, *self.shape)

    def judge(self, batch):
        means = batch["x"].flatten(1).mean(1)
        return Verdict(means, means, means, means.square())


# Logits


def test_what_does_not_play_is_refused(tmp_path):
    questions = {
        GameHealth(): "the health of its game",
        LogitHistogram(): "logits of real and generated events",
    }
    for callback, question in questions.items():
        told = f"^Mute cannot be asked for {question}: it does not implement Plays; "
        with pytest.raises(Unanswerable, match=told):
            small.trainer(tmp_path, callback).fit(Mute((2,)), loader(1))
    with pytest.raises(ValueError, match="judges held-out events, and this run has none"):
        play(Game(), tmp_path, LogitHistogram())
    for wrong in ({"every_n_rounds": 0}, {"n": 1}, {"threshold": -1}, {"patience": 0}):
        with pytest.raises(ValueError, match="GameHealth needs every_n_rounds and patience"):
            GameHealth(**wrong)
    with pytest.raises(ValueError, match="LogitHistogram needs n"):
        LogitHistogram(0)


class Sure(Pixels):
    """Says 5 of real events and -5 of generated ones."""

    def judge(self, batch):
        self.judged.append(len(batch["x"]))
        logits = torch.full((len(batch["x"]),), 5.0)
        return Verdict(logits, logits, -logits, logits)


def test_histograms_are_of_as_many_held_out_events_as_asked_for(tmp_path):
    model = Sure()
    small.trainer(tmp_path, LogitHistogram(25), max_epochs=1).fit(
        model, datamodule=small.digits("gan")
    )
    assert model.judged == [10, 10, 5]
    (path,) = (tmp_path / "samples").iterdir()
    with Image.open(path) as image:
        colours = pil_to_tensor(image.convert("RGB")).permute(1, 2, 0).int()
    blue = (colours[..., 2] > colours[..., 0] + 40).nonzero()[:, 1].float()
    grey = (colours == 193).all(-1).nonzero()[:, 1].float()  # 0.6 under an opacity of 0.6
    half = colours.shape[1] / 2
    assert len(blue) > 500 < len(grey)
    assert blue.median() < half < grey.median()


def test_logits_that_are_one_or_none():
    assert histogram(torch.ones(5), torch.ones(3)).shape == (3, 350, 500)
    with pytest.raises(ValueError, match="not finite numbers: it has diverged"):
        histogram(torch.tensor([torch.nan]), torch.ones(3))
