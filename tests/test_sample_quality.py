"""The callbacks that look at samples: what they measure, and that they leave no trace."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from genlit.callbacks import SampleGrid, SampleQuality
from genlit.callbacks.sampling import draw
from genlit.data.images import Binarize, ImageData
from genlit.data.mnist import BUNDLED, find, read_images
from genlit.features import FeatureExtractor, Features, LeNetMNIST
from genlit.model import GenerativeModel, evaluating
from genlit.protocols import Batch, Samples, Unanswerable
from genlit.randomness import permutation

SMALL: dict[str, Any] = {"kid_subsets": 2, "kid_subset_size": 100, "n_val_samples": 200}


@pytest.fixture(scope="module")
def images() -> Tensor:
    return read_images(find(BUNDLED, "t10k"))[permutation(10_000, "tests")][:2000]


class Few(ImageData):
    """A few of MNIST's images."""

    shape = (1, 28, 28)

    def __init__(self, images: Tensor, binarize: Binarize = "dynamic") -> None:
        super().__init__(100, 100, binarize)
        self.images = images

    def read(self) -> dict[str, Tensor]:
        train, val, test = self.images.split((len(self.images) - 200, 100, 100))
        return {"train": train, "val": val, "test": test}


class Copies(GenerativeModel, Samples):
    """Draws real images with noise; its weight is a record of the random numbers in training."""

    def __init__(self, images: Tensor, noise: float = 0.0, rate: float = 0.1) -> None:
        super().__init__(images.shape[1:], lambda p: torch.optim.SGD(p, rate))
        self.images, self.noise = images, noise
        self.weight = nn.Parameter(torch.tensor(0.01))
        self.dropout = nn.Dropout()
        self.frozen = nn.Dropout().eval()
        self.modes: list[bool] = []

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": (self.weight - self.dropout(torch.rand(9))).square().mean()}

    def sample(self, n: int) -> Tensor:
        self.modes.append(self.dropout.training)
        some = self.images[torch.randint(len(self.images), (n,))] / 255
        return (some + (self.noise + self.weight) * torch.randn(some.shape)).clamp(0, 1)


class Mute(GenerativeModel):
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": torch.zeros(())}


class Blind(FeatureExtractor):
    """Has no logits."""

    name, dim = "blind", 49

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()), requires_grad=False)

    def accept(self, shape: Sequence[int]) -> None: ...

    def forward(self, images: Tensor) -> Features:
        return Features(images.flatten(1).float() * self.weight, None)


def trainer(folder: Path, *callbacks: L.Callback, epochs: int = 2) -> L.Trainer:
    return L.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=folder,
        callbacks=list(callbacks), limit_train_batches=3, num_sanity_val_steps=1,
    )  # fmt: skip


def measured(folder: Path, model: GenerativeModel, data: ImageData, **options: Any) -> list:
    judge = SampleQuality(cache_dir=folder / "cache", **{"n_samples": 600, **SMALL, **options})
    trainer(folder, judge).test(model, datamodule=data, verbose=False)
    return judge.measurements


def fit(folder: Path, images: Tensor, *callbacks: L.Callback, rate: float = 0.1) -> Copies:
    torch.manual_seed(3)
    model = Copies(images, rate=rate)
    trainer(folder, *callbacks).fit(model, datamodule=Few(images))
    return model


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def test_callbacks_change_no_run_and_need_no_network(
    images: Tensor, tmp_path: Path, offline: None
) -> None:
    alone = fit(tmp_path / "alone", images)
    state = torch.get_rng_state()
    quality = SampleQuality(cache_dir=tmp_path / "cache", every_n_epochs=1, **SMALL)
    judged = fit(tmp_path / "judged", images, quality, SampleGrid(n=4))
    assert torch.equal(judged.weight, alone.weight)
    assert torch.equal(torch.get_rng_state(), state)
    assert judged.modes
    assert not any(judged.modes)
    assert judged.dropout.training
    assert not judged.frozen.training
    names = [m.name for m in quality.measurements]
    assert len(names) == 2 * 4  # two epochs, and none of it in the sanity check
    assert {m.split for m in quality.measurements} == {"val"}


def test_numbers_say_what_they_are(images: Tensor, tmp_path: Path) -> None:
    fid, limit, kid, score = measured(tmp_path, Copies(images), Few(images))
    extractor = "lenet-mnist-v1"
    assert [m.name for m in (fid, limit, kid, score)] == [
        f"fid_{extractor}", f"fid_inf_{extractor}", f"kid_{extractor}",
        f"classifier_score_{extractor}",
    ]  # fmt: skip
    assert {(m.kind, m.unit, m.n, m.protocol, m.split) for m in (fid, limit, kid, score)} == {
        ("estimate", "", 600, "grey", "test")
    }
    assert "600 samples against all 1800 train images" in fid.method
    assert LeNetMNIST().fingerprint() in fid.method
    assert fid.details["n_reference"] == 1800
    assert 0 < fid.value < 2 * fid.details["floor"]  # copies are as good as chance allows
    assert limit.value < fid.value
    assert abs(kid.value) < 4 * kid.stderr
    assert 8 < score.value < 10
    static = measured(tmp_path, Copies(images), Few(images, "static"))
    assert {m.protocol for m in static} == {"static"}


def test_noise_and_a_narrow_choice_are_seen(images: Tensor, tmp_path: Path) -> None:
    data = Few(images)
    good, noisy, narrow = (
        measured(tmp_path, model, data)
        for model in (Copies(images), Copies(images, noise=0.3), Copies(images[:20]))
    )
    for k in (0, 1, 2):
        assert noisy[k].value > good[k].value + 5 * good[k].stderr
        assert narrow[k].value > good[k].value + 5 * good[k].stderr
    assert noisy[3].value < good[3].value


def test_cache_gives_the_same_numbers_and_a_broken_one_is_rebuilt(
    images: Tensor, tmp_path: Path
) -> None:
    def again(images: Tensor = images) -> list[float]:
        return [m.value for m in measured(tmp_path, Copies(images), Few(images))]

    first = again()
    (file,) = (tmp_path / "cache").iterdir()
    stamp = file.stat().st_mtime_ns
    assert again() == first
    assert file.stat().st_mtime_ns == stamp
    file.write_bytes(file.read_bytes()[:1000])
    assert again() == first
    assert file.stat().st_size > 1000
    again(images.flip(0))
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_samples_depend_on_seed_and_block_alone(images: Tensor) -> None:
    model = Copies(images)
    first = draw(model, 5, "quality", 0, 1)
    torch.manual_seed(9)
    assert torch.equal(draw(model, 5, "quality", 0, 1), first)
    assert not torch.equal(draw(model, 5, "quality", 0, 2), first)
    assert first.dtype == torch.uint8


def test_evaluating_puts_every_part_back(images: Tensor) -> None:
    model = Copies(images)
    with evaluating(model):
        assert not any(part.training for part in model.modules())
    assert model.dropout.training
    assert not model.frozen.training


def test_score_without_logits_is_refused() -> None:
    with pytest.raises(ValueError, match="blind has no logits, and without them there is no"):
        SampleQuality(Blind(), score=True)
    assert not SampleQuality(Blind()).score


def test_without_logits_there_is_no_score(images: Tensor, tmp_path: Path) -> None:
    small = images[:500, :, ::4, ::4].contiguous()
    found = measured(tmp_path, Copies(small), Few(small), extractor=Blind(), n_samples=200)
    assert [m.name for m in found] == ["fid_blind", "fid_inf_blind", "kid_blind"]


def test_what_cannot_be_judged_is_refused_before_training(images: Tensor, tmp_path: Path) -> None:
    colour = images[:300].expand(-1, 3, -1, -1)
    judge = SampleQuality(cache_dir=tmp_path)
    with pytest.raises(ValueError, match=r"not on events of shape \(3, 28, 28\)"):
        trainer(tmp_path, judge).fit(Copies(colour), datamodule=Few(colour))
    with pytest.raises(Unanswerable, match="Mute cannot be asked for samples"):
        trainer(tmp_path, judge).fit(Mute((1, 28, 28)), datamodule=Few(images))
    with pytest.raises(ValueError, match="SampleGrid draws images"):
        SampleGrid().setup(None, Copies(images[:9].flatten(1)), "fit")  # pyright: ignore
    with pytest.raises(ValueError, match="n_samples and n_val_samples of 100 or more"):
        SampleQuality(n_samples=10)
    with pytest.raises(ValueError, match="a run without a datamodule holds none"):
        trainer(tmp_path, judge).test(Copies(images), [0])


def test_averaged_weights_that_would_be_missed_are_refused(images: Tensor, tmp_path: Path) -> None:
    judge = SampleQuality(cache_dir=tmp_path, every_n_epochs=1, **SMALL)
    with pytest.raises(ValueError, match="list it before WeightAveraging"):
        fit(tmp_path, images, WeightAveraging(), judge)
    fit(tmp_path, images, judge, WeightAveraging())


def test_broken_samples_are_named(images: Tensor) -> None:
    model = Copies(images, noise=torch.nan)
    with pytest.raises(ValueError, match="Copies drew samples that are not finite"):
        draw(model, 3, "test")
    model.shape = (1, 14, 56)
    with pytest.raises(ValueError, match=r"of shape \(3, 1, 28, 28\) where \(3, 1, 14, 56\)"):
        draw(model, 3, "test")


def test_grid_shows_the_same_noise_and_overwrites_nothing(images: Tensor, tmp_path: Path) -> None:
    fit(tmp_path, images, SampleGrid(n=4), rate=0.0)
    first, second = sorted((tmp_path / "samples").iterdir())
    assert (first.name, second.name) == ("epoch-0001.png", "epoch-0002.png")
    assert first.read_bytes() == second.read_bytes()
    before = first.read_bytes()
    fit(tmp_path, images.flip(0), SampleGrid(n=4, every_n_epochs=3))
    names = sorted(p.name for p in (tmp_path / "samples").iterdir())
    assert names == ["epoch-0001.png", "epoch-0002-2.png", "epoch-0002.png"]  # and after the last
    assert first.read_bytes() == before == second.read_bytes()


def test_loggers_that_take_images_get_them(images: Tensor, tmp_path: Path) -> None:
    class Wandb(L.pytorch.loggers.CSVLogger):
        seen: list[Any] = []  # noqa: RUF012

        def log_image(self, key: str, images: list[Any]) -> None:
            self.seen.append((key, images[0].size))

    runner = trainer(tmp_path, SampleGrid(n=4))
    runner.loggers = [Wandb(tmp_path), L.pytorch.loggers.CSVLogger(tmp_path)]
    runner.fit(Copies(images), datamodule=Few(images))
    assert Wandb.seen == [("samples", (62, 62))] * 2
