"""Two processes train one model: the same parameters, different noise, the numbers of one."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import lightning as L
import pytest
import torch

from genlit.callbacks import Checkpoints, Likelihood, SampleQuality
from genlit.protocols import Samples
from tests import small

models = pytest.mark.parametrize("name", small.MODELS)


def validation(trainer: L.Trainer) -> dict:
    return {k: v for k, v in trainer.callback_metrics.items() if k.startswith("val/")}


class Witness(L.Callback):
    """Writes what each process has at the end of training, and what it measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer, pl_module):
        state = {k: v.clone() for k, v in pl_module.state_dict().items()}
        seen = {"state": state, "noise": torch.rand(5), "val": validation(trainer)}
        torch.save(seen, self.folder / f"rank-{trainer.global_rank}.pt")

    def on_test_end(self, trainer, pl_module):
        judged = [
            m for c in trainer.callbacks if hasattr(c, "measurements") for m in c.measurements
        ]
        numbers = {m.key: (m.value, m.stderr, m.n) for m in judged}
        torch.save(numbers, self.folder / f"test-{trainer.global_rank}.pt")


class StopAfterOne(L.Callback):
    """Ends a run after its first epoch, whatever its length was to be."""

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = True


def run(folder: Path, model, data, processes: int, *callbacks: L.Callback, resume=None, **options):
    """Trains in so many processes and returns what each of them had at the end."""
    folder.mkdir(exist_ok=True)
    kind = "ddp_fork_find_unused_parameters_true"
    strategy = {"devices": processes, "strategy": kind} if processes > 1 else {}
    trainer = small.trainer(folder, Witness(folder), *callbacks, **(strategy | options))
    trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=bool(resume) or None)
    return [torch.load(folder / f"rank-{r}.pt") for r in range(processes)]


class Together(NamedTuple):
    """What two processes had in the end, which trained a model for two epochs."""

    name: str
    ranks: list[dict]


def train_together(name: str, folder: Path, *callbacks: L.Callback, resume=None) -> list[dict]:
    torch.manual_seed(0)
    model, data = small.MODELS[name](), small.digits(name, 10)
    return run(folder, model, data, 2, Checkpoints(), *callbacks, resume=resume, max_epochs=2)


@pytest.fixture(scope="module", params=small.MODELS)
def together(request, tmp_path_factory) -> Together:
    """A run to compare with, made once for each model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PL_GLOBAL_SEED", raising=False)  # as in conftest.py for a test
        found = train_together(request.param, tmp_path_factory.mktemp("together"))
    return Together(request.param, found)


def test_parameters_agree_and_noise_does_not(together):
    one, two = together.ranks
    per_rank = small.MODELS[together.name]().per_rank

    for key, value in one["state"].items():
        if key.endswith("particles"):
            assert (value != two["state"][key]).any()
        elif key not in per_rank:
            torch.testing.assert_close(value, two["state"][key], rtol=0, atol=0)
    assert (one["noise"] != two["noise"]).all()
    assert one["val"] == two["val"]


def quality(folder: Path) -> SampleQuality:
    sizes = {"n_samples": 230, "batch_size": 50, "kid_subsets": 4, "kid_subset_size": 20}
    return SampleQuality(cache_dir=folder / "cache", **sizes)


def without_noise(monkeypatch):
    """Every random number becomes a constant."""

    def constant(value):
        return lambda *size, **_: torch.full(
            size[0] if isinstance(size[0], tuple | torch.Size) else size, value
        )

    uniform = torch.Tensor.uniform_  # with an interval, it is how layers are initialized

    def steady(x, *interval, **options):
        return uniform(x, *interval, **options) if interval else x.fill_(0.5)

    monkeypatch.setattr(torch.Tensor, "uniform_", steady)
    for module, value in (("rand", 0.5), ("randn", 0.3)):
        monkeypatch.setattr(torch, module, constant(value))
        monkeypatch.setattr(torch, f"{module}_like", lambda x, v=value: torch.full_like(x, v))


@models
def test_two_processes_are_one_with_twice_the_batch(name, tmp_path, monkeypatch):
    options = {"optimizer": partial(torch.optim.SGD, lr=small.RATES.get(name, 1e-3))}
    if name in small.GANS:  # without batch statistics, which two halves of a batch differ in
        descent = partial(torch.optim.SGD, lr=small.RATES.get(name, 0.1))
        options = dict.fromkeys(("discriminator_optimizer", "generator_optimizer"), descent)
        options |= {"discriminator_steps": 1}
        monkeypatch.setattr(small, "dcgan_generator", small.mlp)
        monkeypatch.setattr(small, "dcgan_discriminator", small.mlp)
    torch.manual_seed(0)
    start = small.MODELS[name](**options).state_dict()
    without_noise(monkeypatch)

    states = []
    for processes, batch in ((2, 10), (1, 20)):
        torch.manual_seed(0)
        model = small.MODELS[name](**options)
        model.load_state_dict(start)
        data = small.digits(name, batch)
        states.append(
            run(tmp_path / str(processes), model, data, processes, max_epochs=2)[0]["state"]
        )

    for key in start:
        if key not in model.per_rank:
            torch.testing.assert_close(states[0][key], states[1][key], rtol=1e-6, atol=1e-6)
    assert any((states[0][key] != start[key]).any() for key in start)


@models
def test_metrics_are_those_of_one_process(name, tmp_path):
    torch.manual_seed(0)
    model = small.MODELS[name]()
    numbers = []
    for processes in (2, 1):
        judges: list[L.Callback] = [quality(tmp_path)] if isinstance(model, Samples) else []
        if way := small.estimator(model):
            judges.append(Likelihood(way))
        kind = {"devices": 2, "strategy": "ddp_fork"} if processes == 2 else {}
        trainer = small.trainer(tmp_path, *judges, Witness(tmp_path), **kind)
        trainer.test(model, datamodule=small.digits(name), verbose=False)
        numbers.append(torch.load(tmp_path / "test-0.pt"))

    assert numbers[0].keys() == numbers[1].keys()
    for key, (value, stderr, n) in numbers[0].items():
        assert n == numbers[1][key][2]
        assert value == pytest.approx(numbers[1][key][0], rel=1e-6, abs=1e-9)
        assert stderr == pytest.approx(numbers[1][key][1], rel=1e-5, abs=1e-9)


def test_both_processes_go_on_exactly(together, tmp_path):
    train_together(together.name, tmp_path, StopAfterOne())
    last = tmp_path / "checkpoints" / "last.ckpt"
    parts = train_together(together.name, tmp_path, resume=last)

    for ended, resumed in zip(together.ranks, parts, strict=True):
        assert (ended["noise"] == resumed["noise"]).all()
        for key, value in ended["state"].items():
            torch.testing.assert_close(value, resumed["state"][key], rtol=0, atol=0)
