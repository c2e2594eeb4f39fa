"""The command line: what it makes, what it refuses, and in how many lines."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from genlit.cli import COMMANDS, main
from genlit.cli.catalogue import models, vocabulary
from genlit.cli.completion import script
from genlit.cli.place import load_model, open_place
from genlit.cli.shipped import names

BARS = """
data: {class_path: BarsAndStripes, init_args: {side: 3, repeats: 10, batch_size: 35}}
model:
  class_path: VAE
  init_args:
    latent: 2
    encoder: {class_path: genlit.networks.MLP, init_args: {hidden: [8]}}
    decoder: {class_path: genlit.networks.MLP, init_args: {hidden: [8]}}
trainer:
  max_epochs: 2
  accelerator: cpu
  callbacks:
    - class_path: Likelihood
      init_args: {estimator: {class_path: genlit.estimators.LowerBound, init_args: {samples: 5}}}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Every test has a folder and an environment of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLIT_RUN_DIR", "")
    monkeypatch.setattr("sys.argv", ["genlit"])
    (tmp_path / "bars.yaml").write_text(BARS)


@pytest.fixture
def run(tmp_path) -> Path:
    main(["fit", "-c", "bars.yaml", "--run_dir", "run"])
    return tmp_path / "run"


def refused(capsys, *args: str) -> str:
    """The one line on standard error of a command that fails."""
    with pytest.raises(SystemExit) as stopped:
        main(list(args))
    assert stopped.value.code != 0
    told = capsys.readouterr().err.splitlines()
    lines = [line for line in told if line and not line.startswith(("epoch", "run folder"))]
    assert len(lines) == 1, lines
    assert lines[0].startswith("genlit: error: ")
    return lines[0]


# Looking


@pytest.mark.parametrize("args", ["--help", "--version", "list", "completion bash"])
def test_looking_is_quick_and_without_torch(args):
    program = (
        "import sys; from genlit.cli import main; main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules and 'lightning' not in sys.modules"
    )
    spent = []
    while min(spent, default=1.0) >= 0.2 and len(spent) < 5:  # others may have been in the way
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", program, *args.split()], capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.2


def test_help_names_every_command(capsys):
    main(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


def test_list_tells_what_each_model_can_be_asked(capsys):
    main(["list"])
    text = capsys.readouterr().out
    assert {"RBM", "VAE", "GAN"} <= {e.path.rpartition(".")[2] for e in models()}
    assert "Samples, Bounded" in text
    assert all(name in text for name in ("MNIST", "rbm", "vae", "gan"))


def test_completion_offers_what_there_is():
    text = script()
    assert all(word in text for word in ("fetch-inception", "VAE", "MNIST", *names("configs")))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_help_of_a_model_is_its_docstring(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--model.help", "VAE"])
    assert not stopped.value.code
    printed = capsys.readouterr().out
    assert "The number of latent variables" in printed
    assert all(name in printed for name in ("genlit.networks.ConvEncoder", "genlit.vae.IAF"))
    assert "torch.nn" not in printed  # of which thousands of lines would be listed


# Running


def test_a_run_leaves_a_folder_with_everything(run):
    assert (run / "config.yaml").is_file()
    header, *lines = (run / "metrics.csv").read_text().splitlines()
    assert header == "epoch,step,seconds,name,value"
    assert any(line.split(",")[3] == "val/loss" for line in lines)
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_a_run_can_be_repeated_from_its_config(run):
    main(["fit", "-c", str(run / "config.yaml"), "--run_dir", "again"])

    first, second = (open_place(Path(p) / "checkpoints/last.ckpt") for p in (run, "again"))
    assert first.config == second.config == yaml.safe_load((run / "config.yaml").read_text())
    one, two = (load_model(place).state_dict() for place in (first, second))
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_testing_needs_no_model_and_writes_what_it_measured(run, capsys):
    main(["test", str(run)])
    main(["test", str(run / "checkpoints" / "last.ckpt")])

    document = json.loads((run / "results.json").read_text())
    (metric,) = document["metrics"]
    assert metric["name"] == "log_likelihood_bound_threshold"
    assert (metric["kind"], metric["unit"], metric["n"]) == ("lower bound", "nats", 14)
    assert document["model"] == "genlit.vae.VAE"
    assert document["checkpoint"] == "best.ckpt"
    assert json.loads((run / "results-2.json").read_text())["checkpoint"] == "last.ckpt"
    assert f"{metric['value']:.4f}" in capsys.readouterr().out


@pytest.fixture
def two_states(run) -> Path:
    """A run whose best state is not its last: what is monitored falls, and the most is wanted."""
    most = '[{"class_path": "Checkpoints", "init_args": {"mode": "max"}}]'
    config = str(run / "config.yaml")
    main(["fit", "-c", config, "--run_dir", "two", "--trainer.callbacks+", most])
    return Path("two")


def measured(folder: Path) -> list[tuple]:
    """What each results file of a run is about, the oldest first."""
    paths = sorted(folder.glob("results*.json"), key=lambda p: (len(p.name), p.name))
    documents = [json.loads(path.read_text()) for path in paths]
    return [(d["checkpoint"], d["epoch"], d["metrics"][0]["value"]) for d in documents]


def test_the_best_and_the_last_state_are_measured_and_told_apart(two_states, capsys):
    capsys.readouterr()
    main(["test", "two"])
    told = "measured best.ckpt of epoch 1; last.ckpt is of epoch 2: genlit test two --which last"
    assert told in capsys.readouterr().out.splitlines()
    main(["test", "two", "--which", "last"])
    told = "measured last.ckpt of epoch 2; best.ckpt is of epoch 1: genlit test two --which best"
    assert told in capsys.readouterr().out.splitlines()
    (*best, low), (*last, high) = measured(two_states)
    assert (best, last) == (["best.ckpt", 1], ["last.ckpt", 2])
    assert low != high

    main(["test", "two", "--which=both"])
    assert measured(two_states)[2:] == [(*best, low), (*last, high)]
    lines = capsys.readouterr().out.splitlines()
    assert "measured best.ckpt of epoch 1" in lines
    assert "measured last.ckpt of epoch 2" in lines


def test_a_report_has_both_states_of_a_run(two_states, run, capsys):
    main(["test", "two", "--which", "both"])
    main(["test", str(run)])
    (_, _, low), (_, _, high) = measured(two_states)
    ((_, _, other),) = measured(run)
    capsys.readouterr()
    main(["report", "two", str(run)])
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if "lower bound" in line]
    assert [(row[0], row[-3:]) for row in rows[1:3]] == [
        ("two", ["best.ckpt,", "epoch", "1"]), ("two", ["last.ckpt,", "epoch", "2"]),
    ]  # fmt: skip
    assert [float(row[1]) for row in rows[1:3]] == pytest.approx([low, high], abs=0.01)
    assert "ckpt" not in " ".join(rows[3])  # of a run with one state there is nothing to tell
    differences = [line for line in printed.splitlines() if "−" in line]
    assert len(differences) == 1  # the best state is compared
    assert float(differences[0].split()[3]) == pytest.approx(abs(other - low), abs=0.01)
    page = Path("report.html").read_text()
    assert "<td>best.ckpt, epoch 1; last.ckpt, epoch 2</td>" in page
    assert page.count("lower bound, last.ckpt, epoch 2</small>") == 1


def test_one_state_is_one_state(run, capsys):
    capsys.readouterr()
    main(["test", str(run)])  # which became better with every epoch
    assert "measured" not in capsys.readouterr().out
    assert [m[:2] for m in measured(run)] == [("best.ckpt", 2)]
    last = str(run / "checkpoints" / "last.ckpt")
    assert "is one checkpoint: leave" in refused(capsys, "test", last, "--which", "best")
    assert "--which worst: it may be best, last" in refused(capsys, "test", "run", "--which=worst")
    (run / "checkpoints" / "best.ckpt").unlink()
    told = refused(capsys, "test", str(run), "--which", "both")
    assert "has no best state, since its checkpoints monitor nothing: leave --which out" in told


def test_the_command_line_beats_configs_and_these_the_checkpoint(run, tmp_path):
    other = {"data": {"init_args": {"batch_size": 10, "repeats": 3}}}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    main(["fit", "-c", str(run / "config.yaml"), "-c", "other.yaml", "--data.batch_size", "7",
          "--run_dir", "third"])  # fmt: skip

    data = yaml.safe_load(Path("third/config.yaml").read_text())["data"]["init_args"]
    assert data == {"side": 3, "repeats": 3, "batch_size": 7}

    seven = [{"class_path": "Likelihood", "init_args": {"estimator": {
        "class_path": "genlit.estimators.LowerBound", "init_args": {"samples": 7}}}}]  # fmt: skip
    main(["test", "third", "--trainer.callbacks", json.dumps(seven)])
    assert "samples=7" in json.loads(Path("third/results.json").read_text())["metrics"][0]["method"]


def test_fit_of_a_run_goes_on_in_its_folder(run):
    before = (run / "metrics.csv").read_text()
    main(["fit", str(run), "--trainer.max_epochs", "4"])

    after = (run / "metrics.csv").read_text()
    assert after.startswith(before)
    assert [x for x in after.splitlines() if x.startswith("3,")]
    seconds = [float(line.split(",")[2]) for line in after.splitlines()[1:]]
    assert seconds == sorted(seconds)


def test_a_run_without_checkpoint_begins_again(run):
    whole = load_model(open_place(run)).state_dict()
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    main(["fit", str(run)])

    again = load_model(open_place(run)).state_dict()
    assert all(torch.equal(whole[k], again[k]) for k in whole)


def test_a_run_that_was_done_says_so(run, capsys):
    main(["fit", str(run)])
    assert "had done all of its epochs" in capsys.readouterr().out


def test_ctrl_c_tells_how_to_go_on(tmp_path):
    told = tmp_path / "told"
    fit = os.fork()  # a process of its own that need not import everything again
    if fit == 0:
        heed_ctrl_c()
        try:
            with told.open("w") as sys.stderr:
                os.dup2(sys.stderr.fileno(), 2)
                main(["fit", "-c", "bars.yaml", "--run_dir", "run", "--trainer.max_epochs=100000"])
        except SystemExit as ended:
            os._exit(ended.code)
        finally:
            os._exit(1)
    while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists():
        assert os.waitpid(fit, os.WNOHANG) == (0, 0)
        time.sleep(0.05)
    os.kill(fit, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(fit, 0)[1]) == 130
    assert told.read_text().rstrip().endswith("to go on: genlit fit run")


def heed_ctrl_c():
    """As on a terminal; processes that a shell starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_relative_data_and_several_configs_compose(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bars.yaml").write_text("class_path: BarsAndStripes\n")
    (tmp_path / "mine.yaml").write_text("data: data/bars.yaml\nmodel: {class_path: VAE}\n")
    main(["fit", "-c", "mine.yaml", "--model.latent", "3", "--trainer.fast_dev_run", "true"])
    assert not (tmp_path / "runs").exists()


def test_wandb_works_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    main(["fit", "-c", "bars.yaml", "--run_dir", "run", "--trainer.logger", "WandbLogger"])
    import wandb

    wandb.finish()
    (binary,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    deadline = time.monotonic() + 30  # another process of W&B's writes it, at its leisure
    while b"val/loss" not in binary.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert b"val/loss" in binary.read_bytes()
    assert (tmp_path / "run" / "metrics.csv").is_file()
    assert not (tmp_path / "wandb").exists()


# Refusing


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ("fot", "did you mean fit?"),
        ("fit -c vea", "did you mean vae"),
        ("fit --model VEA --data MNIST", "did you mean VAE"),
        ("fit --model VAE --data MNITS", "did you mean MNIST"),
        ("fit -c bars.yaml --model.latnet 3", "did you mean latent"),
        ("fit -c bars.yaml --trainer.max_epoch 3", "did you mean trainer.max_epochs"),
        ("fit -c bars.yaml --model.latent many", "latent is many: it may be a whole number"),
        ("fit -c bars.yaml --trainer.max_epochs two", "it may be a whole number or null"),
        ("fit -c rbm --data.binarize dynamc", "binarize is dynamc: did you mean dynamic?"),
        ("fit -c bars.yaml --model.encoder MLP", "its whole path here, as in genlit.networks.MLP"),
        (
            "fit -c rbm --model.sampler PCDD",
            "there is no class PCDD for this: did you mean PCD or CD",
        ),
        ("fit -c rbm --model.sampler Gibbs", "may be CD, FastPCD, PCD, ParallelTempering or T"),
        ("fit -c rbm --model.sampler genlit.boltzman.PCD", "write PCD or its whole path"),
        ("fit -c rbm --model.sampler Sampler", "Sampler is a base class of others: it may be CD,"),
        (
            "fit -c rbm --model.gradient Fancy",
            "for this: it may be Centred, Enhanced or Ordinary",
        ),
        ("fit", "say what to train"),
        ("fit --model VAE", "say what to train"),
        ("fit --data MNIST --model VAE --model.prior LearnedPrior", "density is required, too"),
        ("fit --model VAE --data MNIST --data.binarize none", "set data.binarize to dynamic"),
        ("test", "genlit test RUN"),
        ("test nowhere", "there is no run or checkpoint nowhere"),
        ("test bars.yaml", "is no checkpoint, or a damaged one"),
        ("fit -c bars.yaml --data.batch_size 999", "make it smaller"),
        ("fit --model VAE --data MNIST --data.data_dir .", "train-images-idx3-ubyte"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(args, told, capsys):
    assert told in refused(capsys, *args.split())
    assert not Path("runs").exists() or not any(Path("runs").rglob("config.yaml"))


def test_a_folder_without_checkpoint_is_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert "empty holds no checkpoint" in refused(capsys, "test", "empty")


def test_a_run_is_never_overwritten(run, capsys):
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert "never overwritten" in refused(capsys, "fit", "-c", "bars.yaml", "--run_dir", "run")
    assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


def test_a_shape_that_does_not_fit_is_named(run, capsys):
    told = refused(capsys, "test", str(run), "--data.side", "4")
    assert "(1, 3, 3)" in told
    assert "(1, 4, 4)" in told
    encoder = ("--model.encoder", "genlit.networks.ConvEncoder")
    assert "multiples of 4" in refused(capsys, "fit", "-c", "bars.yaml", *encoder)


def test_a_loss_that_is_not_finite_stops_the_run(capsys):
    checkpoints = '[{"class_path": "Checkpoints", "init_args": {"every_n_batches": 1}}]'
    told = refused(
        capsys, "fit", "-c", "bars.yaml", "--run_dir", "run", "--model.optimizer.lr", "1e30",
        "--trainer.callbacks", checkpoints,
    )  # fmt: skip
    assert "diverged at training step 2 (epoch 0)" in told
    assert "reconstruction" in told
    last = Path("run/checkpoints/last.ckpt")
    assert str(last) in told
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert all(torch.isfinite(w).all() for w in weights.values())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_leaves_what_was_written(run, capsys):
    (run / "results.partial").symlink_to("/dev/full")
    told = refused(capsys, "test", str(run))
    assert "the disk is full" in told
    assert not (run / "results.json").exists()
    assert load_model(open_place(run)).codes == 2


def test_half_a_checkpoint_is_refused(run, capsys):
    best = run / "checkpoints" / "best.ckpt"
    best.write_bytes(best.read_bytes()[:1000])
    assert "damaged" in refused(capsys, "test", str(run))


def test_every_word_of_the_vocabulary_is_public():
    assert {"VAE", "RBM", "GAN", "latent", "hidden"} <= vocabulary()
