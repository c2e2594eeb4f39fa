"""A run that is stopped anywhere and resumed ends in the very state it would have ended in."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import lightning as L
import pytest
import torch

from genlit.callbacks import Checkpoints
from tests import small


class Stopped(Exception):
    """What `Stop` raises."""


class Stop(L.Callback):
    """Ends a run after so many batches, as a crash does; or lingers at each of them."""

    def __init__(self, after: int = -1, pause: float = 0.0) -> None:
        self.after, self.pause = after, pause

    def on_train_batch_end(self, trainer, *_):
        time.sleep(self.pause)
        if trainer.fit_loop.epoch_loop.total_batch_idx + 1 == self.after:
            raise Stopped


def train(name: str, folder: Path, seed: int, *callbacks: L.Callback, resume: bool = False) -> None:
    L.seed_everything(seed, verbose=False)
    trainer = small.trainer(folder, Checkpoints(every_n_batches=5), *callbacks)
    path = folder / "checkpoints" / "last.ckpt" if resume else None
    model, data = small.MODELS[name](), small.digits(name)
    trainer.fit(model, datamodule=data, ckpt_path=path, weights_only=resume or None)


def final(folder: Path) -> dict:
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {k: state[k] for k in ("state_dict", "optimizer_states", "genlit_ranks", "global_step")}


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


class Run(NamedTuple):
    """A model's run without interruption, with the seed 0."""

    name: str
    final: dict


@pytest.fixture(scope="module", params=small.MODELS)
def whole(request, tmp_path_factory) -> Run:
    """The run to compare with, made once for each model."""
    folder = tmp_path_factory.mktemp("whole")
    train(request.param, folder, 0)
    return Run(request.param, final(folder))


@pytest.mark.parametrize("after", [12, 17], ids=["at an epoch's end", "in mid-epoch"])
def test_a_resumed_run_is_the_uninterrupted_run(whole, after, tmp_path):
    with pytest.raises(Stopped):
        train(whole.name, tmp_path, 0, Stop(after + 1))
    train(whole.name, tmp_path, 999, resume=True)

    assert equal(final(tmp_path), whole.final)


def test_a_killed_run_is_the_uninterrupted_run(whole, tmp_path):
    child = os.fork()
    if child == 0:
        train(whole.name, tmp_path, 0, Stop(pause=0.05))
        os._exit(0)
    last = tmp_path / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 60
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)  # on the way to the next checkpoint
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert torch.load(last, weights_only=True)["loops"]["fit_loop"]["state_dict"] is not None
    train(whole.name, tmp_path, 999, resume=True)

    assert equal(final(tmp_path), whole.final)


def test_another_seed_is_another_run(whole, tmp_path):
    train(whole.name, tmp_path, 1)

    assert not equal(final(tmp_path)["state_dict"], whole.final["state_dict"])
