"""Looking at a run does not change it."""

import lightning as L
import pytest
import torch

from genlit.callbacks import (
    ChainHealth,
    ChainPicture,
    Checkpoints,
    Filters,
    GameHealth,
    Likelihood,
    LogitHistogram,
    Progress,
    SampleGrid,
    SampleQuality,
)
from genlit.protocols import Plays, Samples
from tests import small


def judges(name: str, folder) -> list:
    """Every callback, at every epoch."""
    sizes = {"n_samples": 100, "n_val_samples": 100, "kid_subsets": 4, "kid_subset_size": 20}
    model = small.MODELS[name]()
    looks: list[L.Callback] = [Checkpoints(every_n_batches=5), Progress()]
    if isinstance(model, Samples):
        cache = folder / "cache"
        looks += [SampleGrid(9), SampleQuality(every_n_epochs=1, cache_dir=cache, **sizes)]
    if name in ("rbm", "dbm", "dbn", "bm_lateral"):
        start = "val" if name == "rbm" else "samples"
        looks += [ChainHealth(10, 20, every_n_epochs=1), ChainPicture(3, 8, start), Filters(9)]
    if isinstance(model, Plays):
        looks += [GameHealth(5, patience=1000), LogitHistogram(50)]
    if way := small.estimator(model):
        looks.append(Likelihood(way, 1))
    return looks


def trained(name: str, folder, *callbacks, **options) -> dict:
    torch.manual_seed(0)
    model = small.MODELS[name]()
    trainer = small.trainer(folder, *callbacks, enable_checkpointing=bool(callbacks), **options)
    trainer.fit(model, datamodule=small.digits(name))
    return {"weights": model.state_dict(), "next": torch.rand(5)}


@pytest.mark.parametrize("name", small.MODELS)
def test_weights_are_the_same_with_and_without_callbacks(name, tmp_path):
    alone = trained(name, tmp_path, limit_val_batches=0)
    watched = trained(name, tmp_path, *judges(name, tmp_path), enable_progress_bar=True)

    drawn = list((tmp_path / "samples").glob("*.png"))
    assert bool(drawn) == isinstance(small.MODELS[name](), Samples)
    assert (alone["next"] == watched["next"]).all()
    for key, value in alone["weights"].items():
        assert torch.equal(value, watched["weights"][key]), key
