"""The commands that use a trained model: what they write, and what they refuse."""

import csv
import io
import math
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlit.cli import lightning, main
from genlit.cli.asking import ask_for_imputations, prepared, refuse_levels
from genlit.cli.corruptions import corruption, spoilt
from genlit.cli.images import binarized, read_images
from genlit.cli.place import Place
from genlit.data.idx import DataError
from genlit.data.masks import observed
from genlit.data.toy import bars_and_stripes
from genlit.latent import lerp, slerp

SIDE = 3
SHAPE = (1, SIDE, SIDE)
DATA = ["--data=BarsAndStripes", f"--data.side={SIDE}", "--data.repeats=20"]
NETWORKS = {"vae": ("encoder", "decoder"), "gan": ("generator", "discriminator")}
QUICK = [
    "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"
]  # fmt: skip
MODELS = {
    "rbm": [
        "--model=RBM", "--model.hidden=6", "--model.sample_steps=20",
        "--model.sampler=genlit.boltzmann.PCD", "--model.sampler.particles=20",
    ],
    "rbm_pt": [
        "--model=RBM", "--model.hidden=6", "--model.sampler=ParallelTempering",
        "--model.sampler.particles=20", "--model.sampler.temperatures=4",
    ],
    "dbm": ["--model=DBM", "--model.layers=[4, 3]", "--model.sample_steps=20"],
    "vae": ["--model=VAE", "--model.latent=2"],
    "gan": ["--model=GAN", "--model.latent=2"],
}  # fmt: skip
WRITERS = [
    ("rbm", "sample"), ("rbm", "reconstruct"), ("rbm", "impute"), ("rbm", "denoise"),
    ("rbm", "chains"),
    ("vae", "sample"), ("vae", "reconstruct"), ("vae", "impute"), ("vae", "denoise"),
    ("vae", "interpolate"), ("gan", "sample"), ("gan", "interpolate"),
]  # fmt: skip
ASKED = [
    "sample", "reconstruct", "impute", "denoise", "interpolate", "chains", "filters", "likelihood"
]  # fmt: skip


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run of each model, as `genlit fit` makes it."""
    root, found = tmp_path_factory.mktemp("runs"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLIT_RUN_DIR", "")
        for name, arguments in MODELS.items():
            found[name] = root / name
            options = [*DATA, *arguments, *QUICK, "--run_dir", str(found[name])]
            for network in NETWORKS.get(name, ()):
                mlp = f"--model.{network}"
                options += [f"{mlp}=genlit.networks.MLP", f"{mlp}.hidden=[16]"]
            lightning.main("fit", options)
    return found


@pytest.fixture
def ask(runs, tmp_path):
    """Asks a model for something, and returns the array that was written."""

    def command(name: str, command: str, *args: object, out: str = "out") -> np.ndarray:
        place = tmp_path / out
        main([command, str(runs[name]), "--out", str(place), *map(str, args)])
        with Image.open(f"{place}.png") as picture:
            picture.load()
        return np.load(f"{place}.npy")

    return command


@pytest.fixture
def log_p(runs, capsys):
    """The lines of the CSV that `genlit likelihood` prints."""

    def command(name: str, *args: object) -> list[dict[str, str]]:
        capsys.readouterr()
        main(["likelihood", str(runs[name]), *map(str, args)])
        return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))

    return command


def refused(capsys, *args: object) -> str:
    """The one line with which a command refuses."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, args)])
    printed = capsys.readouterr()
    assert ended.value.code == 1
    assert printed.out == ""
    assert printed.err.startswith("genlit: error: ")
    assert printed.err.count("\n") == 1
    return printed.err


def every_event(folder: Path) -> Path:
    """A file of all images of three by three zeros and ones."""
    bits = (np.arange(2**9)[:, None] >> np.arange(9)) & 1
    np.save(folder / "all.npy", bits.reshape(-1, *SHAPE).astype(np.float32))
    return folder / "all.npy"


def digits(folder: Path, n: int = 6) -> tuple[Path, np.ndarray]:
    """A file of some images of zeros and ones, and the images."""
    x = (torch.rand(n, *SHAPE) < 0.5).float().numpy()
    np.save(folder / "x.npy", x)
    return folder / "x.npy", x


# What is written


@pytest.mark.parametrize(("name", "command"), WRITERS)
def test_the_same_seed_gives_the_same_files(name, command, ask, tmp_path):
    torch.manual_seed(1)  # whatever the state of torch's generator is
    one = ask(name, command, "--n", 4, "--seed", 5, out="one")
    torch.manual_seed(2)
    two = ask(name, command, "--n", 4, "--seed", 5, out="two")
    other = ask(name, command, "--n", 4, "--seed", 6, out="other")
    for kind in ("npy", "png"):
        files = [(tmp_path / f"{out}.{kind}").read_bytes() for out in ("one", "two", "other")]
        assert files[0] == files[1] != files[2]
    assert one.dtype == two.dtype == np.float32
    assert one.shape == other.shape
    assert one.shape[0] == 4
    assert one.shape[-3:] == SHAPE
    assert 0 <= one.min() <= one.max() <= 1


def test_nothing_is_ever_overwritten(runs, capsys):
    for number in (1, 2):
        main(["sample", str(runs["gan"]), "--n", "2", "--seed", str(number)])
        stem = runs["gan"] / "samples" / f"sample-{number}"
        assert capsys.readouterr().out == f"{stem}.png\n{stem}.npy\n"
    taken = [runs["gan"] / "samples" / name for name in ("sample-3.png", "sample-4.npy")]
    for file in taken:
        file.write_text("mine")
    main(["sample", str(runs["gan"]), "--n", "2"])
    assert [file.read_text() for file in taken] == ["mine"] * 2
    assert (runs["gan"] / "samples" / "sample-5.npy").exists()


@pytest.mark.parametrize("kind", ["png", "npy"])
def test_a_given_file_that_exists_is_refused(kind, runs, capsys, tmp_path):
    taken = tmp_path / f"mine.{kind}"
    taken.write_text("mine")
    for out in (tmp_path / "mine", tmp_path / "mine.npy", tmp_path / "mine.png"):
        message = refused(capsys, "sample", runs["gan"], "--out", out)
        assert f"{taken} exists and is not overwritten" in message
    assert taken.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [taken]


def test_a_name_with_a_dot_is_kept(ask, tmp_path):
    ask("gan", "sample", "--n", 1, out="lr0.1")
    assert {p.name for p in tmp_path.iterdir()} == {"lr0.1.png", "lr0.1.npy"}


def test_a_checkpoint_is_a_run_too(runs, tmp_path):
    for place in (runs["gan"], runs["gan"] / "checkpoints" / "last.ckpt"):
        main(["sample", str(place), "--n", "3", "--out", str(tmp_path / place.name)])
    a, b = (np.load(tmp_path / f"{stem}.npy") for stem in ("gan", "last.ckpt"))
    assert np.array_equal(a, b)


def test_many_events_are_asked_about_in_blocks(ask, runs, capsys):
    answer = ask("vae", "sample", "--n", 601)
    assert len(np.unique(answer.reshape(601, -1), axis=0)) == 601
    message = refused(capsys, "reconstruct", runs["vae"], "--n", 15)
    assert "the test set has 14 of the 15 events" in message


def test_a_split_gives_events_of_the_data(ask):
    known = {tuple(x.flatten().tolist()) for x in bars_and_stripes(SIDE)}
    mask = ["--mask", "random:0"]
    for split, n in (("test", 14), ("val", 3), ("train", 50)):
        answer = ask("rbm", "impute", "--split", split, "--n", n, *mask, out=split)
        assert {tuple(x.flatten().tolist()) for x in answer} <= known
    assert len(np.unique(ask("rbm", "impute", "--n", 14, *mask), axis=0)) == 14


def test_levels_of_a_split_become_fractions():
    levels, options = torch.tensor([0, 51, 255], dtype=torch.uint8), Namespace(binarize=None)
    x = prepared(levels, options, Namespace(binary=False))
    torch.testing.assert_close(x, torch.tensor([0, 0.2, 1]))


# Imputation


@pytest.mark.parametrize("name", ["rbm", "vae"])
@pytest.mark.parametrize("mask", ["half", "box", "random:0.5", "file", "picture"])
def test_observed_pixels_stay_and_missing_ones_are_not_seen(name, mask, ask, tmp_path):
    file, x = digits(tmp_path, 40)
    known = (torch.rand(40, *SHAPE) < 0.5).numpy()
    if mask == "file":
        mask = tmp_path / "mask.npy"
        np.save(mask, known)
    elif mask == "picture":
        mask, known = tmp_path / "mask.png", np.broadcast_to(known[0], known.shape)
        Image.fromarray(255 * known[0, 0].astype(np.uint8)).save(mask)
    else:
        known = observed(mask, SHAPE, 40, seed=3).numpy()
    options = ["--mask", mask, "--draws", 2, "--seed", 3]
    answer = ask(name, "impute", "--file", file, *options)
    np.save(file, np.where(known, x, 1 - x))
    blind = ask(name, "impute", "--file", file, *options, out="blind")
    assert answer.shape == (40, 2, *SHAPE)
    assert np.array_equal(answer, blind)
    assert (answer == x[:, None])[np.broadcast_to(known[:, None], answer.shape)].all()
    assert not np.array_equal(answer[:, 0], answer[:, 1])


class Peeks:
    """A model that imputes what is there already, and lies about what is observed."""

    shape, device, lie = SHAPE, "cpu", 0.0

    def impute(self, x, observed):
        return torch.where(observed, x - self.lie, x)


def test_a_model_that_peeks_sees_nothing_and_one_that_lies_is_refused():
    model, x, known = Peeks(), torch.rand(5, *SHAPE), torch.rand(5, *SHAPE) < 0.5
    assert torch.equal(ask_for_imputations(model, x, known, 0, 0), x * known)
    model.lie = 0.1
    with pytest.raises(ValueError, match="Peeks changed pixels that are observed"):
        ask_for_imputations(model, x, known, 0, 0)


def test_imputations_follow_the_conditional_law(ask, log_p, tmp_path):
    """Of one missing pixel, against the ratio of exact probabilities."""
    x = np.zeros((2, *SHAPE), np.float32)
    x[:, 0, 0], x[1, 0, 1, 1] = 1, 1
    np.save(tmp_path / "two.npy", x)
    off, on = (float(row["log_prob"]) for row in log_p("rbm", tmp_path / "two.npy"))
    expected = 1 / (1 + math.exp(off - on))
    n = 2000
    np.save(tmp_path / "x.npy", np.repeat(x[:1], n, 0))
    mask = np.ones(SHAPE)
    mask[0, 1, 1] = 0
    np.save(tmp_path / "mask.npy", mask)
    filled = ask("rbm", "impute", "--file", tmp_path / "x.npy", "--mask", tmp_path / "mask.npy")
    assert abs(filled[:, 0, 1, 1].mean() - expected) < 4 * (expected * (1 - expected) / n) ** 0.5


def test_masks_hide_what_they_say():
    half, box = (observed(mask, (3, 8, 6), 2, 0) for mask in ("half", "box"))
    assert half[:, :, :4].all()
    assert not half[:, :, 4:].any()
    assert (~box).sum() == 2 * 3 * 4 * 3
    assert not box[:, :, 2:6, 1:4].any()
    mask = observed("random:0.3", (3, 50, 50), 3, 0)
    assert torch.equal(mask[:, 0], mask[:, 2])
    assert not torch.equal(mask[0], mask[1])
    assert abs(mask.float().mean() - 0.7) < 4 * (0.21 / 7500) ** 0.5
    assert observed("half", (5,), 2, 0).tolist() == [[True] * 3 + [False] * 2] * 2


def test_a_mask_may_be_for_one_event_or_all_with_or_without_channels(tmp_path):
    mask = torch.rand(3, 2, 4) < 0.5  # of three events, or of three channels: the latter is ours
    file = tmp_path / "mask.npy"
    for form, expected in (
        (mask, mask[None].expand(3, -1, -1, -1)),
        (mask[0], mask[0].expand(3, 3, -1, -1)),
        (mask[:, None], mask[:, None].expand(-1, 3, -1, -1)),
        (mask[:, None].expand(-1, 3, -1, -1), mask[:, None].expand(-1, 3, -1, -1)),
    ):
        np.save(file, form.numpy())
        assert torch.equal(observed(str(file), (3, 2, 4), 3, 0), expected)
    np.save(file, mask.numpy())
    assert torch.equal(observed(str(file), (1, 2, 4), 3, 0), mask[:, None])


# Noise, reconstruction, interpolation


def test_noise_is_as_strong_as_it_says():
    x = (torch.rand(100, 100) < 0.5).float()
    flips = (spoilt(x, corruption("flips:0.3"), 0) != x).float().mean()
    assert abs(flips - 0.3) < 4 * (0.21 / 1e4) ** 0.5
    grey = torch.full((1, 1, 100, 100), 0.5)
    noisy = spoilt(grey, corruption("gaussian:0.05"), 0)
    assert abs((noisy - grey).std() / 0.05 - 1) < 4 / (2e4) ** 0.5
    assert spoilt(grey, corruption("gaussian:1"), 0).aminmax() == (0, 1)
    for nonsense in ("gaussian", "fog:0.1", "blur:much", "gaussian:0.1:2"):
        with pytest.raises(ValueError, match=f"no corruption {nonsense}: it is one of gaussian"):
            corruption(nonsense)


def test_denoising_reports_what_it_did(ask, capsys, tmp_path):
    file, x = digits(tmp_path, 50)
    capsys.readouterr()
    answer = ask("vae", "denoise", "--file", file, "--noise", 0.3, "--seed", 4)
    noisy = spoilt(torch.from_numpy(x), corruption("flips:0.3"), 4).numpy()
    printed = capsys.readouterr().out
    before, after = (-10 * math.log10(((y - x) ** 2).mean()) for y in (noisy, answer))
    assert "flips:0.3, 50 images" in printed
    assert f"PSNR noisy {before:.2f} ± " in printed
    assert f" dB, denoised {after:.2f} ± " in printed


def test_reconstructing_reports_its_error(ask, capsys, tmp_path):
    file, x = digits(tmp_path)
    answer = ask("rbm", "reconstruct", "--file", file)
    errors = ((answer - x) ** 2).mean((1, 2, 3))
    stderr = errors.std(ddof=1) / len(x) ** 0.5
    printed = capsys.readouterr().out
    assert f"mean squared error {errors.mean():.4g} ± {stderr:.2g} per pixel, 6 images" in printed


def test_a_walk_begins_and_ends_at_reconstructions(ask, tmp_path):
    file, _ = digits(tmp_path)
    ends = ask("vae", "reconstruct", "--file", file, out="ends")
    for options in ([], ["--slerp"]):
        walk = ask("vae", "interpolate", "--file", file, "--steps", 5, *options, out=str(options))
        assert walk.shape == (3, 5, *SHAPE)
        np.testing.assert_allclose(walk[:, 0], ends[::2], atol=1e-5)
        np.testing.assert_allclose(walk[:, -1], ends[1::2], atol=1e-5)
        assert (np.abs(np.diff(walk, axis=1)).max((0, 2, 3, 4)) > 0).all()


def test_an_arc_keeps_the_distance_and_turns_evenly(double):
    a, b = torch.randn(2, 7, 4)
    b = b * (a.norm(dim=1) / b.norm(dim=1))[:, None]
    arc = slerp(a, b, 9)
    torch.testing.assert_close(arc.norm(dim=-1), a.norm(dim=-1)[:, None].expand(-1, 9))
    steps = (arc[:, 1:] - arc[:, :-1]).norm(dim=-1)
    torch.testing.assert_close(steps, steps[:, :1].expand(-1, 8))
    line = lerp(a, b, 9)
    torch.testing.assert_close(line[:, 4], (a + b) / 2)
    for other in (2 * a, -a, 0 * a):  # where there is no arc
        assert slerp(a, other, 9).isfinite().all()
    torch.testing.assert_close(slerp(a, -a, 9), lerp(a, -a, 9))


# Chains and filters


def test_chains_are_seen_after_ever_more_steps(ask, tmp_path):
    file, x = digits(tmp_path, 300)  # several blocks
    seen = ask("rbm", "chains", "--file", file, "--steps", 3)
    assert seen.shape == (300, 4, *SHAPE)  # after 0, 1, 2 and 3 steps
    assert np.array_equal(seen[:, 0], x)
    assert all((seen[:, t] != seen[:, t - 1]).any() for t in (1, 2, 3))
    assert set(np.unique(seen)) == {0, 1}
    for n, options in ((10, []), (3, ["--n", 3])):
        drawn = ask("rbm", "chains", "--from-samples", *options, out=f"samples-{n}")
        assert drawn.shape == (n, 10, *SHAPE)
        assert set(np.unique(drawn[:, 0])) == {0, 1}  # states, where `sample` gives grey levels


def test_chains_with_hidden_layers_begin_at_samples(ask, runs, capsys):
    seen = ask("dbm", "chains", "--from-samples", "--n", 300, "--steps", 3)
    assert seen.shape == (300, 4, *SHAPE)
    assert set(np.unique(seen)) == {0, 1}
    assert all((seen[:, t] != seen[:, t - 1]).any() for t in (1, 2, 3))
    said = refused(capsys, "chains", runs["dbm"])
    assert said.endswith("no event tells, and so begin at samples: add --from-samples\n")


def test_chains_begin_at_one_place_only(runs, capsys):
    with pytest.raises(SystemExit):
        main(["chains", str(runs["rbm"]), "--from-samples", "--file", "x.npy"])
    assert "--from-samples and --file say both where" in capsys.readouterr().err


def test_filters_are_the_weights(ask, runs, capsys):
    state = torch.load(runs["rbm"] / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    (W,) = (v for k, v in state.items() if k.rpartition(".")[2] == "W")
    weights = W.T.reshape(-1, *SHAPE).numpy()
    assert np.array_equal(ask("rbm", "filters", "--first", "--n", 4), weights[:4])
    largest = ask("rbm", "filters", out="largest")
    assert len(largest) == len(weights) == 6
    norms = (largest**2).sum((1, 2, 3))
    assert (np.diff(norms) <= 0).all()
    assert sorted(map(tuple, largest.reshape(6, -1))) == sorted(map(tuple, weights.reshape(6, -1)))


# Likelihoods


@pytest.mark.parametrize("options", [[], ["--method", "exact"]])
def test_exact_probabilities_of_all_events_sum_to_one(options, log_p, tmp_path):
    rows = log_p("rbm", every_event(tmp_path), *options)
    values = torch.tensor([float(row["log_prob"]) for row in rows], dtype=torch.float64)
    assert abs(values.logsumexp(0)) < 1e-5
    assert [row["index"] for row in rows] == [str(i) for i in range(512)]
    assert {(row["kind"], row["stderr"], row["method"]) for row in rows} == {
        ("exact", "0", "Exact()")
    }


def test_annealing_agrees_with_the_exact_answer_within_its_error(log_p, tmp_path):
    file, _ = digits(tmp_path)
    exact = log_p("rbm", file)
    annealed = log_p("rbm", file, "--method", "ais", "--steps", 20, "--chains", 50)
    shifts = [
        float(a["log_prob"]) - float(e["log_prob"]) for a, e in zip(annealed, exact, strict=True)
    ]
    assert max(shifts) - min(shifts) < 1e-5
    stderr = float(annealed[0]["stderr"])
    assert stderr > 0
    assert abs(shifts[0]) < 4 * stderr
    assert annealed[0]["kind"] == "estimate"
    assert annealed[0]["method"] == "Annealed(schedule=Ladder(steps=20), chains=50, reverse=True)"


def test_weights_of_the_bound_are_unbiased(log_p, tmp_path):
    """The mean of exp(bound), summed over all events, is one."""
    file = every_event(tmp_path)
    sums = []
    for seed in range(8):
        rows = log_p("vae", file, "--samples", 100, "--seed", seed)
        sums.append(sum(math.exp(float(row["log_prob"])) for row in rows))
    assert abs(np.mean(sums) - 1) < 4 * np.std(sums, ddof=1) / 8**0.5
    assert {(row["kind"], row["stderr"]) for row in rows} == {("lower bound", "")}


def test_a_machine_too_large_for_the_exact_sum_is_annealed(log_p, monkeypatch):
    from genlit.boltzmann import partition

    monkeypatch.setattr(partition, "LARGEST", 3)
    rows = log_p("rbm", "--n", 2, "--steps", 20, "--chains", 10)
    assert [row["kind"] for row in rows] == ["estimate"] * 2


def test_the_ladder_of_tempered_chains_agrees_with_the_exact_answer(log_p, runs, capsys):
    exact, bennett = (log_p("rbm_pt", "--n", 3, "--method", m) for m in ("exact", "bennett"))
    for one, other in zip(exact, bennett, strict=True):
        shift = float(other["log_prob"]) - float(one["log_prob"])
        assert 1e-6 < abs(shift) < 4 * float(other["stderr"])
    assert (other["kind"], other["method"]) == ("estimate", "Bennett(steps=1000)")
    said = refused(capsys, "likelihood", runs["rbm"], "--method", "bennett")
    assert "those of PCD have one: set sampler to genlit.boltzmann.ParallelTempering" in said


def test_the_mean_goes_to_standard_error_and_lines_to_a_file(runs, capsys, tmp_path):
    out = tmp_path / "p.csv"
    main(["likelihood", str(runs["rbm"]), "--split", "val", "--out", str(out)])
    values = np.array([float(r["log_prob"]) for r in csv.DictReader(io.StringIO(out.read_text()))])
    printed = capsys.readouterr()
    stderr = values.std(ddof=1) / len(values) ** 0.5
    assert printed.out == ""
    assert f"mean log p(x) {values.mean():.3f} ± {stderr:.2g} nats, exact" in printed.err
    assert "14 events" in printed.err
    assert "is not overwritten" in refused(capsys, "likelihood", runs["rbm"], "--out", out)


# The user's own images


def test_grey_images_are_binarized_as_asked(runs, log_p, capsys, tmp_path):
    grey, file = torch.rand(5, *SHAPE).numpy(), tmp_path / "grey.npy"
    np.save(file, grey)
    message = refused(capsys, "likelihood", runs["rbm"], file)
    assert "RBM gives probabilities to zeros and ones only" in message
    assert "--binarize threshold or --binarize sample" in message
    by_hand = tmp_path / "by_hand.npy"
    np.save(by_hand, (grey > 0.5).astype(np.uint8))
    assert log_p("rbm", file, "--binarize", "threshold") == log_p("rbm", by_hand)
    often = binarized(torch.full((10_000,), 0.3), "sample", 0)
    assert abs(often.mean() - 0.3) < 4 * (0.21 / 1e4) ** 0.5


def test_levels_are_not_taken_for_a_density_of_real_numbers(tmp_path):
    place = Place(Path("c"), Path("run"), {"data": {"init_args": {"binarize": "dequantized"}}},
                  SHAPE, (), 0, 1)  # fmt: skip
    options = Namespace(file=Path("x.npy"), binarize=None)
    levels = torch.randint(0, 256, (2, *SHAPE))
    for x in (levels.byte(), levels / 255):
        with pytest.raises(ValueError, match="add --binarize dequantize"):
            refuse_levels(x, options, place)
    refuse_levels((levels + torch.rand(levels.shape)) / 256, options, place)
    refuse_levels(levels.byte(), Namespace(file=Path("x.npy"), binarize="dequantize"), place)


def test_images_are_read_from_every_form(tmp_path):
    levels = torch.randint(256, (3, 3, 4, 5), dtype=torch.uint8)
    expected = levels / 255
    forms = {"own": levels, "last": levels.permute(0, 2, 3, 1), "flat": levels.flatten(1)}
    for name, form in forms.items():
        np.save(tmp_path / f"{name}.npy", form.numpy())
        assert torch.equal(read_images(tmp_path / f"{name}.npy", (3, 4, 5)), expected)
    np.savez(tmp_path / "x.npz", images=expected.double().numpy(), labels=np.zeros(3))
    torch.testing.assert_close(read_images(tmp_path / "x.npz", (3, 4, 5)), expected)
    np.save(tmp_path / "one.npy", levels[0, 0].numpy())
    assert torch.equal(read_images(tmp_path / "one.npy", (1, 4, 5)), expected[:1, :1])
    (tmp_path / "folder").mkdir()
    for i in (2, 0, 1):
        image = Image.fromarray(levels[i].permute(1, 2, 0).numpy())
        image.save(tmp_path / "folder" / f"{i}.png")
    assert torch.equal(read_images(tmp_path / "folder", (3, 4, 5)), expected)
    assert torch.equal(read_images(tmp_path / "folder" / "1.png", (3, 4, 5)), expected[1:2])
    np.save(tmp_path / "bits.npy", (levels > 127).byte().numpy())
    assert torch.equal(read_images(tmp_path / "bits.npy", (3, 4, 5)), (levels > 127).float())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((2, *SHAPE), np.nan), "from nan to nan, not in [0, 1]"),
        (np.full((2, *SHAPE), 255.0), "from 255.0 to 255.0, not in [0, 1]: scale them"),
        (np.full((2, *SHAPE), -1), "from -1 to -1"),
        (np.zeros((2, 1, 4, 3)), "shape (2, 1, 4, 3), and the model's events have the shape "
                                 "(1, 3, 3): make it (n, 1, 3, 3)"),
        (np.zeros((0, *SHAPE)), "holds no events"),
        (np.full((2, *SHAPE), "a"), "not of numbers"),
        (np.full((2, *SHAPE), {}), "cannot read"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_events_are_refused(array, message, runs, capsys, tmp_path):
    np.save(tmp_path / "x.npy", array)
    assert message in refused(capsys, "reconstruct", runs["vae"], "--file", tmp_path / "x.npy")


def test_pictures_of_another_size_or_depth_are_refused(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "wide.png")
    Image.new("I;16", (3, 3)).save(tmp_path / "deep.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "wide.png").read_bytes()[:40])
    for name, message in (("wide", "3 x 4 pixels"), ("deep", "8 bits"), ("torn", "cannot read")):
        with pytest.raises(DataError, match=message):
            read_images(tmp_path / f"{name}.png", SHAPE)


# Refusals


@pytest.mark.parametrize("command", [c for c in ASKED[1:] if c != "interpolate"])
def test_a_model_that_cannot_be_asked_is_named(command, runs, capsys):
    message = refused(capsys, command, runs["gan"])
    assert "GAN cannot be asked for " in message
    assert "it does not implement " in message
    if command == "likelihood":
        protocols = "Density, EnergyBased, EnergyBounded, Bounded or LatentMixture"
        assert f"log p(x): it does not implement {protocols}; `genlit list` says" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["impute", "--mask", "top"], "there is no mask top: it is half, box, random:P"),
        (["impute", "--mask", "random:2"], "there is no mask random:2"),
        (["impute", "--mask", "no.npy"], "there is no mask no.npy"),
        (["sample", "--device", "nowhere"], "there is no device nowhere here"),
        (["denoise", "--file", "no.npy"], "there is no file no.npy"),
        (["interpolate", "--n", "8"], "the test set has 14 of the 16 events"),
        (["likelihood", "--method", "exact"], "VAE cannot be asked for log p(x)"),
        (["likelihood", "--method", "bennett"], "by bennett: it does not implement Laddered"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, message, runs, capsys):
    command, *options = arguments
    assert message in refused(capsys, command, runs["vae"], *options)


def test_a_mask_that_does_not_fit_is_refused(runs, capsys, tmp_path):
    file = tmp_path / "mask.npy"
    for mask, message in (
        (np.ones((5, *SHAPE)), "has the shape (5, 1, 3, 3): make it that of one event, (1, 3, 3)"),
        (np.full(SHAPE, 0.5), "it has other values than 0 (missing) and 1 (observed)"),
    ):
        np.save(file, mask)
        assert message in refused(capsys, "impute", runs["vae"], "--mask", file)


def test_a_place_that_is_no_run_is_refused(capsys, tmp_path):
    assert "there is no run" in refused(capsys, "sample", tmp_path / "none")
    assert "holds no checkpoint" in refused(capsys, "likelihood", tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("denoise RUN --corupt gaussian:0.3", "no option --corupt: did you mean --corruption"),
        ("denoise RUN --noise 3", "--noise: '3' is not a number from 0 to 1"),
        ("denoise RUN --splt=val", "no option --splt: did you mean --split"),
        ("rollout RUN --data.frames 8", "there is no option --data.frames: genlit rollout --help"),
        ("impute", "RUN is missing: genlit impute --help explains"),
        ("report RUN --uot x.html", "no option --uot: did you mean --out"),
        ("sweep vae --cout 3", "no option --cout: did you mean --count"),
        ("film RUN MORE", "genlit film has no use for MORE"),
        ("film RUN --seconds", "--seconds: expected one argument"),
    ],
)
def test_a_slip_in_an_option_is_told_in_one_line(line, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("genlit: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err


def test_manuals_are_printed_without_torch():
    code = f"""
import contextlib, io, sys
from genlit.cli import main
for command in {ASKED}:
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        main([command, "--help"])
    assert f"usage: genlit {{command}}" in text.getvalue() and "--seed" in text.getvalue()
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
