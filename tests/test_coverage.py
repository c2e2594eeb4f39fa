"""Modes, neighbours and copies: samplers whose coverage is known, and the callbacks that ask."""

import math
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn

from genlit.callbacks import (
    Checkpoints,
    Memorization,
    ModeCoverage,
    SampleCoverage,
    SampleQuality,
    ScatterPlot,
)
from genlit.data import Ring, StackedMNIST
from genlit.data.images import ImageData
from genlit.data.mixtures import ring
from genlit.data.mnist import BUNDLED, find, read_images
from genlit.features import LeNetMNIST, Pixels
from genlit.features import neighbours as neighbours_module
from genlit.features.modes import balance, entropy
from genlit.features.neighbours import Neighbours, copying, neighbours
from genlit.model import GenerativeModel
from genlit.protocols import Batch, Samples
from genlit.randomness import permutation
from tests import small
from tests.test_processes import Witness

NAMES = Neighbours._fields


class Sampler(GenerativeModel, Samples):
    """Draws from given events at random, with noise; its weight only lets it be trained."""

    def __init__(self, events: Tensor, noise: float = 0.0) -> None:
        super().__init__(events.shape[1:], lambda p: torch.optim.SGD(p, 0.1))
        self.events, self.noise = events, noise
        self.weight = nn.Parameter(torch.ones(()))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": (self.weight - torch.rand(())).square()}

    def sample(self, n: int) -> Tensor:
        x = self.events[torch.randint(len(self.events), (n,))]
        x = x / 255 if x.dtype == torch.uint8 else x
        return x + self.noise * torch.randn(x.shape)


class Few(ImageData):
    """A few of MNIST's test digits, in three sets of one law."""

    shape = (1, 28, 28)

    def read(self) -> dict[str, Tensor]:
        images = read_images(find(BUNDLED, "t10k"))[permutation(10_000, "coverage")]
        return {"train": images[:600], "val": images[600:1000], "test": images[1000:1400]}


def ready(data):
    data.setup("fit")
    return data


@pytest.fixture(scope="module")
def few():
    return ready(Few(100, binarize="none"))


def judged(folder, model, data, *callbacks, **options):
    small.trainer(folder, *callbacks, **options).test(model, datamodule=data, verbose=False)
    return [{m.name: m for m in c.measurements} for c in callbacks if hasattr(c, "measurements")]


# Neighbours


def by_definition(real: Tensor, samples: Tensor, k: int, k_density: int) -> dict[str, float]:
    """Precision, recall, density and coverage, image by image."""

    def radius(x: Tensor, i: int, k: int) -> float:
        return sorted(float((x[i] - x[j]).norm()) for j in range(len(x)) if j != i)[k - 1]

    def inside(y: Tensor, x: Tensor, i: int, k: int) -> bool:
        return float((y - x[i]).norm()) <= radius(x, i, k) + 1e-9

    reals, fakes = range(len(real)), range(len(samples))
    dense = [[inside(samples[j], real, i, k_density) for i in reals] for j in fakes]
    return {
        "precision": sum(any(inside(y, real, i, k) for i in reals) for y in samples) / len(fakes),
        "recall": sum(any(inside(x, samples, j, k) for j in fakes) for x in real) / len(reals),
        "density": sum(map(sum, dense)) / (k_density * len(fakes)),
        "coverage": sum(any(row[i] for row in dense) for i in reals) / len(reals),
    }


@pytest.mark.parametrize("ks", [(3, 5), (5, 2), (1, 1)])
def test_neighbours_are_those_of_the_definitions(ks, monkeypatch):
    monkeypatch.setattr(neighbours_module, "BLOCK", 70)  # several blocks, the last one short
    real, samples = torch.randn(23, 3), 0.8 * torch.randn(17, 3) + 1.2
    samples[:4] = real[:4]  # so that some lie exactly on the surface of a ball
    found = neighbours(real, samples, *ks)

    assert [len(each) for each in found] == [17, 23, 17, 23]
    for name, value in by_definition(real.double(), samples.double(), *ks).items():
        assert float(getattr(found, name).mean()) == pytest.approx(value), name
    assert 0 < float(found.coverage.mean()) < 1


def means(real: Tensor, samples: Tensor) -> list[float]:
    return [float(each.mean()) for each in neighbours(real, samples)]


def test_a_collapsed_and_a_scattered_sampler():
    real = torch.randn(1000, 4)
    collapsed = real[:1] * 0 + 1e-4 * torch.randn(1000, 4)
    precision, recall, density, coverage = means(real, collapsed)
    assert (precision, recall) == (1.0, 0.0)
    assert coverage < 0.05
    assert density > 0.5

    scattered = 1e3 * torch.randn(1000, 4)
    precision, recall, density, coverage = means(real, scattered)
    assert precision == density == coverage == 0.0
    assert recall > 0.5  # its balls are huge: what density and coverage were made for


def test_half_the_law_has_full_precision_and_half_the_recall():
    real = torch.randn(2000, 2) + 20 * (torch.arange(2000) % 2)[:, None]
    precision, recall, density, coverage = means(real, torch.randn(2000, 2))

    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.05)
    assert coverage == pytest.approx(0.5, abs=0.05)
    assert density == pytest.approx(1, abs=0.05)  # where samples are, they are as dense


def test_coverage_of_a_perfect_sampler_is_as_the_law_says():
    n, m, k = 1500, 1000, 5
    found = neighbours(torch.randn(m, 3), torch.randn(n, 3), k_density=k)
    none = math.prod((m - 1 - j) / (m + n - 1 - j) for j in range(k))  # k reals before any sample

    assert float(found.coverage.mean()) == pytest.approx(1 - none, abs=0.01)
    assert float(found.density.mean()) == pytest.approx(1, abs=0.1)


def test_too_few_have_no_neighbours():
    with pytest.raises(ValueError, match="5 samples and 9 images have no neighbour number 5"):
        neighbours(torch.randn(9, 2), torch.randn(5, 2))


# Copies


@pytest.mark.parametrize("held_out", [300, 100])
def test_copies_of_training_images_are_all_nearer(held_out):
    train, others = torch.randn(300, 8), torch.randn(held_out, 8)
    copies = train[torch.randint(300, (500,))]

    found = copying(copies, train, others)
    assert found.fraction == 1.0
    assert found.z > 5
    assert found.ratio == 0.0 if held_out == 300 else found.ratio < 1
    noisy = copying(copies + 0.1 * torch.randn(500, 8), train, others)
    assert 0.9 < noisy.fraction <= 1.0
    backwards = copying(others[torch.randint(held_out, (500,))], train, others)
    assert backwards.fraction == 0.0
    assert backwards.z < -5


@pytest.mark.parametrize(("train", "held_out", "dims"), [(200, 200, 2), (300, 60, 2), (80, 80, 60)])
def test_fresh_data_is_fair_within_its_error(train, held_out, dims):
    """In many dimensions some images are the nearest of many samples: √(p(1-p)/n) would not do."""
    runs = [
        copying(torch.randn(400, dims), torch.randn(train, dims), torch.randn(held_out, dims))
        for _ in range(200)
    ]
    z = torch.tensor([found.z for found in runs])
    ratio = torch.tensor([found.ratio for found in runs]).double()

    assert abs(float(z.mean())) < 4 / 200**0.5
    assert float(z.std()) == pytest.approx(1, abs=4 / 400**0.5)
    errors = torch.tensor([(found.fraction - 0.5) / found.stderr for found in runs])
    assert float(errors.std()) == pytest.approx(1, abs=0.3)
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / 200**0.5 + 0.005)


def test_error_of_copying_is_that_of_all_choices():
    """Enumerated: every way to call 3 of 5 images training images."""
    images, samples = torch.randn(5, 2), torch.randn(7, 2)
    owner = torch.cdist(samples, images).argmin(1)
    shares = []
    for chosen in torch.combinations(torch.arange(5), 3):
        train = (owner[:, None] == chosen).any(1).double().mean()
        shares.append(float(train))
        rest = [i for i in range(5) if i not in chosen.tolist()]
        found = copying(samples, images[chosen], images[rest])
        assert found.fraction == pytest.approx((train / 3) / (train / 3 + (1 - train) / 2))
        assert found.z == pytest.approx(float((train - 3 / 5) / (found.stderr * 24 / 25)))
    spread = torch.tensor(shares).double()
    assert float(spread.mean()) == pytest.approx(3 / 5)
    assert found.stderr * 24 / 25 == pytest.approx(float(spread.std(correction=0)))


def test_classes_are_compared():
    labels = torch.arange(4).repeat(100)
    even = balance(labels, labels, 4)
    assert even.entropy == pytest.approx(math.log(4))
    assert even.distance == even.distance_stderr == 0
    half = balance(labels % 2, labels, 4)
    assert half.entropy == pytest.approx(math.log(2))
    assert half.distance == pytest.approx(0.5)
    assert float(entropy(torch.tensor([1.0, 0.0]))) == 0.0

    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])
    runs = [
        balance(torch.multinomial(p, 900, True), torch.multinomial(q, 500, True), 3)
        for _ in range(300)
    ]
    distances = torch.tensor([found.distance for found in runs])
    entropies = torch.tensor([found.entropy for found in runs])
    middle = runs[0]
    assert float(distances.std()) == pytest.approx(middle.distance_stderr, rel=0.2)
    assert float(entropies.std()) == pytest.approx(middle.entropy_stderr, rel=0.2)
    same = [
        balance(torch.multinomial(p, 900, True), torch.multinomial(p, 500, True), 3)
        for _ in range(300)
    ]
    chance = torch.tensor([found.distance for found in same])
    assert float(chance.mean()) == pytest.approx(same[0].floor, rel=0.15)


# Callbacks


def test_modes_of_a_ring_are_counted(tmp_path):
    data = ready(Ring(n=5000))
    perfect, half = Sampler(data.splits["train"]), Sampler(ring(8, 2.0)[:3], 0.1)
    (found,) = judged(tmp_path, perfect, data, ModeCoverage())
    modes, quality, divergence = found.values()

    assert list(found) == ["modes_ring-8", "high_quality_ring-8", "reverse_kl_ring-8"]
    assert (modes.value, modes.details["of"], modes.n, modes.protocol) == (8, 8, 2500, "real")
    assert quality.value == pytest.approx(quality.details["ceiling"], abs=4 * quality.stderr)
    assert quality.details["real"] == pytest.approx(0.989, abs=0.02)
    assert divergence.unit == "nats"
    assert abs(divergence.value - divergence.details["chance"]) < 4 * divergence.stderr
    assert divergence.details["chance"] == 7 / (2 * divergence.n)
    assert divergence.n == round(2500 * quality.value)
    (found,) = judged(tmp_path, half, data, ModeCoverage(n_samples=1000))
    assert found["modes_ring-8"].value == 3
    assert found["reverse_kl_ring-8"].value == pytest.approx(math.log(8 / 3), abs=0.01)
    (found,) = judged(tmp_path, Sampler(torch.zeros(1, 2), 0.1), data, ModeCoverage(1000))
    assert [m.value for m in found.values()] == [0, 0, pytest.approx(math.log(8))]


def test_modes_of_stacked_digits_are_counted(tmp_path):
    data = ready(StackedMNIST(2, n=3000))
    zeros = data.splits["train"][data.modes.assign(data.splits["train"]) < 10]
    (found,) = judged(tmp_path, Sampler(zeros), data, ModeCoverage(n_samples=400))

    assert list(found) == ["modes_stacked-2_lenet-mnist-v1", "reverse_kl_stacked-2_lenet-mnist-v1"]
    modes, divergence = found.values()
    assert modes.value == 10
    assert divergence.value == pytest.approx(math.log(10), abs=0.1)
    assert modes.details["real"] > 90
    assert LeNetMNIST().fingerprint() in modes.method
    assert (modes.protocol, divergence.n) == ("grey", 400)


def test_samples_of_real_images_are_covered_and_few_are_not(few, tmp_path):
    judge = SampleCoverage(n_samples=400)
    (found,) = judged(tmp_path, Sampler(few.splits["val"]), few, judge)
    names = [*NAMES, "class_entropy", "class_distance"]
    assert list(found) == [f"{name}_lenet-mnist-v1" for name in names]
    for name in NAMES:
        m = found[f"{name}_lenet-mnist-v1"]
        assert m.value == pytest.approx(m.details["real"], abs=6 * m.stderr), name
        assert (m.n, m.details["n_real"], m.kind) == (400, 400, "estimate")
    assert found["class_entropy_lenet-mnist-v1"].value == pytest.approx(math.log(10), abs=0.1)
    distance = found["class_distance_lenet-mnist-v1"]
    assert distance.value < 3 * distance.details["floor"]

    one = few.splits["val"][:1]
    (found,) = judged(tmp_path, Sampler(one, 1e-3), few, judge)
    values = {name.split("_lenet")[0]: m.value for name, m in found.items()}
    assert values["precision"] == 1
    assert values["recall"] < 0.02
    assert values["coverage"] < 0.05
    assert values["class_entropy"] == 0
    assert values["class_distance"] > 0.8


def test_copies_are_reported_and_honest_samples_are_not(few, tmp_path):
    judges = Memorization(n_samples=300), Memorization(Pixels(), n_samples=300)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        found = judged(tmp_path, Sampler(few.splits["train"]), few, *judges)
    alarms = [str(w.message) for w in said if "nearer to training images" in str(w.message)]
    assert [text.partition("features of ")[2].split(":")[0] for text in alarms] == [
        "lenet-mnist-v1", "pixels"
    ]  # fmt: skip
    for one, name in zip(found, ("lenet-mnist-v1", "pixels"), strict=True):
        m = one[f"memorization_{name}"]
        assert m.value == 1.0
        assert m.details["z"] > 5
        assert "300 samples against 600 train and 400 val images" in m.method

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="samples are nearer")
        found = judged(tmp_path, Sampler(few.splits["test"], 0.02), few, *judges)
    for one, name in zip(found, ("lenet-mnist-v1", "pixels"), strict=True):
        m = one[f"memorization_{name}"]
        assert abs(m.value - 0.5) < 3 * m.stderr
        assert one[f"memorization_ratio_{name}"].value == pytest.approx(1, abs=0.1)


def judges(folder: Path) -> list[L.Callback]:
    sizes = {"n_samples": 230, "n_val_samples": 110, "batch_size": 50, "every_n_epochs": 1}
    return [SampleCoverage(**sizes), Memorization(**sizes), Memorization(Pixels(), **sizes)]


def numbers(folder: Path, model, data, processes: int, *callbacks) -> dict:
    folder.mkdir(exist_ok=True)
    kind = {"devices": 2, "strategy": "ddp_fork"} if processes == 2 else {}
    trainer = small.trainer(folder, *callbacks, Witness(folder), **kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.test(model, datamodule=data, verbose=False)
    found = [torch.load(folder / f"test-{r}.pt") for r in range(processes)]
    assert all(one == found[0] for one in found)
    return found[0]


def test_two_processes_measure_what_one_does(few, tmp_path):
    ring_8, digits = ready(Ring(n=1000)), Sampler(few.splits["val"], 0.1)
    points = Sampler(ring_8.splits["train"])
    both = []
    for w in (1, 2):
        modes = ModeCoverage(n_samples=230, batch_size=50)
        found = numbers(tmp_path / "a", points, ring_8, w, modes)
        found |= numbers(tmp_path / "b", digits, few, w, *judges(tmp_path))
        both.append(found)

    assert both[0].keys() == both[1].keys()
    assert len(both[0]) == 3 + 6 + 2 + 2
    for key, (value, stderr, n) in both[0].items():
        assert both[1][key][2] == n
        assert both[1][key][0] == pytest.approx(value, rel=1e-6, abs=1e-9), key
        again = both[1][key][1]
        assert again == (stderr and pytest.approx(stderr, rel=1e-5, abs=1e-9)), key


@pytest.mark.filterwarnings("ignore:val/reverse_kl_ring-8 was never measured")
def test_checkpoints_can_monitor_them_and_runs_do_not_change(tmp_path):
    def weights(folder: Path, *callbacks: L.Callback) -> Tensor:
        torch.manual_seed(1)
        model = Sampler(torch.randn(500, 2))
        best = Checkpoints("val/reverse_kl_ring-8")
        small.trainer(folder, *callbacks, best).fit(model, datamodule=Ring(n=1000))
        assert (best.best is None) == (not callbacks)
        assert (folder / "checkpoints" / "best.ckpt").exists() == bool(callbacks)
        return model.weight.detach()

    modes = ModeCoverage(n_val_samples=200, every_n_epochs=1)
    alone, watched = weights(tmp_path / "a"), weights(tmp_path / "b", modes, ScatterPlot(100))
    assert torch.equal(alone, watched)
    assert len(modes.measurements) == 3 * 3
    names = [p.name for p in sorted((tmp_path / "b" / "samples").iterdir())]
    assert names == [f"scatter-epoch-000{k}.png" for k in (1, 2, 3)]


def test_a_monitor_that_is_never_measured_is_told():
    trainer: Any = SimpleNamespace(callback_metrics={"val/ring": 1.0, "train/loss": 1.0})
    with pytest.warns(UserWarning, match=r"val/rign was never measured.*Checkpoints to val/ring$"):
        Checkpoints("val/rign").on_train_end(trainer, Sampler(torch.zeros(1, 2)))
    for monitor in (None, "val/loss"):  # which nobody has to ask for
        Checkpoints(monitor).on_train_end(trainer, Sampler(torch.zeros(1, 2)))


def test_callbacks_of_lightning_can_monitor_them(tmp_path):
    best = ModelCheckpoint(tmp_path, "best", monitor="val/reverse_kl_ring-8", mode="min")
    stop = EarlyStopping("val/reverse_kl_ring-8", stopping_threshold=99.0, patience=9)
    modes = ModeCoverage(n_val_samples=200, every_n_epochs=1)
    trainer = small.trainer(tmp_path, modes, best, stop, enable_checkpointing=True, max_epochs=3)
    trainer.fit(Sampler(torch.randn(500, 2)), datamodule=Ring(n=1000))
    assert trainer.current_epoch == 1  # it was below the threshold at once
    assert best.best_model_score == trainer.callback_metrics["val/reverse_kl_ring-8"]
    assert (tmp_path / "best.ckpt").exists()


def test_image_judges_leave_no_trace(few, tmp_path):
    def weights(*callbacks: L.Callback) -> Tensor:
        torch.manual_seed(1)
        model = Sampler(few.splits["test"], 0.1)
        trainer = small.trainer(tmp_path, *callbacks, enable_checkpointing=False, max_epochs=2)
        trainer.fit(model, datamodule=Few(100, binarize="none"))
        assert all(f"val/{name}_lenet-mnist-v1" in trainer.callback_metrics
                   for name in ("precision", "memorization") if callbacks)  # fmt: skip
        return model.weight.detach()

    assert torch.equal(weights(), weights(*judges(tmp_path)))


def test_what_cannot_be_judged_is_refused_in_time(few, tmp_path):
    images, points = Sampler(few.splits["val"]), Sampler(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="Few does not say what its modes are: train on Ring"):
        judged(tmp_path, images, few, ModeCoverage())
    for judge in (SampleCoverage(Pixels()), Memorization(Pixels())):
        with pytest.raises(ValueError, match=r"compares with train images, and Ring holds none"):
            judged(tmp_path, points, Ring(n=100), judge)
    with pytest.raises(ValueError, match=r"ScatterPlot draws points in the plane, not events of"):
        judged(tmp_path, images, few, ScatterPlot())
    with pytest.raises(ValueError, match="SampleCoverage needs n_samples"):
        SampleCoverage(n_samples=3)
    with pytest.raises(ValueError, match="n_real is 1"):
        Memorization(n_real=1)


def test_two_judges_of_one_seed_see_the_same_samples(few, tmp_path):
    model = Sampler(few.splits["val"], 0.1)
    seen: list[list[float]] = []

    def sample(n: int) -> Tensor:
        x = Sampler.sample(model, n)
        seen[-1].append(float(x.sum()))
        return x

    model.sample = sample
    quality = SampleQuality(n_samples=100, kid_subset_size=20, cache_dir=tmp_path)
    for judge in (quality, SampleCoverage(n_samples=100), Memorization(n_samples=100)):
        seen.append([])
        judged(tmp_path, model, few, judge)
    assert seen[0] == seen[1] == seen[2] != []
