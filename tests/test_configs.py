"""Every experiment that genlit ships parses, trains and validates, on one batch each."""

import pytest
import yaml

from genlit.cli import main
from genlit.cli.shipped import names, shipped

EXPERIMENTS = names("configs")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["genlit"])
    main(["fit", "-c", name, "--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_tells_how_to_run_it(name):
    text = (shipped("configs") / f"{name}.yaml").read_text()
    assert f"genlit fit -c {name}" in text.split("\ndata:")[0]
    assert "callbacks" in yaml.safe_load(text)["trainer"]
