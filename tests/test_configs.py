"""Every experiment that genlit ships parses, trains and validates, on one batch each.

All objects are made as the config says. Only then do some amounts shrink on which nothing that is
tested here depends: of data that are made, and of samples that are drawn when the batch is over.
"""

import lightning as L
import pytest
import yaml

from genlit.cli import lightning, main
from genlit.cli.shipped import names, shipped
from genlit.data import mnist
from tests.test_image_data import cifar, pictures

EXPERIMENTS = names("configs")


def like_cifar(folder):
    """Options that put a few random images in the place of CIFAR-10, and small networks."""
    data = ["--data.data_dir", str(cifar(folder)), "--data.validation=10", "--data.batch_size=10"]
    inner = "--model.discriminator.init_args.network.init_args.width=8"
    return [*data, "--model.generator.init_args.width=8", inner]


def like_pictures(folder):
    """Options that put a few pictures in the place of the user's."""
    return ["--data.path", str(pictures(folder)), "--data.batch_size=4"]


def from_nothing(folder):
    """Options of a model that is to begin with another run's."""
    return ["--model.init_from=null"]


OF_YOUR_OWN = {"cifar10": like_cifar, "pictures64": like_pictures}  # data that genlit does not have
OF_YOUR_OWN |= {"srgan": from_nothing, "next_frame_adversarial": from_nothing}


def shrink(thing, **most):
    """Lowers the attributes that a thing has to at most so many."""
    for name, value in most.items():
        if isinstance(vars(thing).get(name), int):
            setattr(thing, name, min(getattr(thing, name), value))


def shrink_data(data):
    """Fewer examples, also where these are in another set; enough for a few batches."""
    for inner in vars(data).values():
        if isinstance(inner, L.LightningDataModule):
            shrink_data(inner)
    shrink(data, n=4 * data.batch_size, held_out=20)


@pytest.fixture
def quick(monkeypatch):
    """Few digits are read, and few samples drawn, once all is built as the config says."""
    build = lightning.CLI.instantiate_classes
    for name in ("read_images", "read_labels"):
        read = getattr(mnist, name)
        monkeypatch.setattr(mnist, name, lambda path, read=read: read(path)[:12_000].clone())

    def build_and_shrink(cli):
        build(cli)
        shrink_data(cli.datamodule)
        shrink(cli.model, sample_steps=2)
        for callback in cli.trainer.callbacks:
            shrink(callback, n_val_samples=100)

    monkeypatch.setattr(lightning.CLI, "instantiate_classes", build_and_shrink)


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore:data.data_dir is not set")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_runs(name, tmp_path, monkeypatch):
    here, data = tmp_path / "here", tmp_path / "data"
    for folder in (here, data):
        folder.mkdir()
    options = OF_YOUR_OWN[name](data) if name in OF_YOUR_OWN else []
    monkeypatch.chdir(here)
    monkeypatch.setattr("sys.argv", ["genlit"])
    device = ["--trainer.accelerator", "cpu"]
    main(["fit", "-c", name, "--trainer.fast_dev_run", "true", *device, *options])
    assert not list(here.iterdir())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_tells_how_to_run_it(name):
    text = (shipped("configs") / f"{name}.yaml").read_text()
    assert f"genlit fit -c {name}" in text.split("\ndata:")[0]
    assert "callbacks" in yaml.safe_load(text)["trainer"]


@pytest.mark.filterwarnings("ignore:data.data_dir is not set")
def test_what_begins_with_another_run_asks_for_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["fit", "-c", "next_frame_adversarial", "--trainer.accelerator", "cpu",
              "--data.n=200"])  # fmt: skip
    assert "RUN_OF_MSE" in capsys.readouterr().err.splitlines()[-1]
