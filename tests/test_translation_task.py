"""Translating images: scores have their known values, baselines know what they say, and no more."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, jaccard_score

from genlit.cli import main
from genlit.cli.asking import open_model
from genlit.cli.place import load_data
from genlit.data import AerialMaps, Unpaired
from genlit.data.pictures import open_picture
from genlit.networks import MLP
from genlit.protocols import Unanswerable
from genlit.tasks import Translation
from genlit.tasks.comparison import Entrant, compare
from genlit.tasks.frames import gradient_ratio as of_frames
from genlit.tasks.label_maps import (
    IGNORED,
    class_accuracy,
    confusion,
    hues,
    in_colours,
    intersection_over_union,
    mean_of_classes,
    nearest_classes,
    pixel_accuracy,
)
from genlit.tasks.pixels import FAITHFUL, gradient_ratio
from genlit.tasks.superres import sharpness
from genlit.tasks.task import Score
from genlit.translation import Translator
from tests import small
from tests.test_translation import FewPairs, cycle, loaded

# Maps of classes


def test_scores_of_maps_are_scikit_learns():
    labels, answers = torch.randint(4, (6, 9, 7)), torch.randint(5, (6, 9, 7))
    counts = confusion(labels, answers, 6)
    for k in range(6):
        y, guess = labels[k].flatten().numpy(), answers[k].flatten().numpy()
        assert pixel_accuracy(counts)[k] == pytest.approx((y == guess).mean())
        with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
            balanced = balanced_accuracy_score(y, guess)
        assert class_accuracy(counts)[k] == pytest.approx(balanced)
        union = jaccard_score(y, guess, average="macro")
        assert intersection_over_union(counts)[k] == pytest.approx(union)


def test_ignored_pixels_count_for_nothing():
    labels, answers = torch.randint(3, (2, 8, 8)), torch.randint(3, (2, 8, 8))
    spoilt = torch.cat([labels, torch.full((2, 8, 2), IGNORED)], 2)
    more = torch.cat([answers, torch.randint(3, (2, 8, 2))], 2)
    assert torch.equal(confusion(labels, answers, 3), confusion(spoilt, more, 3))


def test_the_nearest_colour_is_the_class():
    palette, labels = torch.rand(5, 3), torch.randint(5, (4, 6, 6))
    images = palette[labels].movedim(-1, 1)
    half = torch.pdist(palette).min() / 2
    off = torch.randn(images.shape)
    off = off / off.norm(dim=1, keepdim=True) * half * 0.99
    assert torch.equal(nearest_classes(images + off, palette), labels)
    one_hot = torch.eye(5)[labels].movedim(-1, 1)
    assert torch.equal(nearest_classes(0.3 * one_hot + 0.1, torch.eye(5)), labels)
    torch.testing.assert_close(mean_of_classes(images, labels, 5), palette)
    alone = mean_of_classes(images, labels.clamp(max=3), 6)
    torch.testing.assert_close(alone[4], images.mean((0, 2, 3)))


def test_maps_are_shown_in_colours():
    labels = torch.randint(4, (2, 3, 3))
    maps, colours = torch.eye(4)[labels].movedim(-1, 1), torch.rand(4, 3)
    assert torch.equal(in_colours(maps, colours), colours[labels].movedim(-1, 1))
    assert in_colours(maps, None).shape == (2, 3, 3, 3)
    assert in_colours(maps[:, :3], colours) is not None
    assert torch.pdist(hues(12)).min() > 0.1


# The task


def maps(**options) -> AerialMaps:
    return loaded(AerialMaps(**({"size": 16, "n": 40, "held_out": 12} | options)))


def means(scores) -> dict:
    return {score.name: score.mean for score in scores}


def test_the_truth_is_the_best_answer():
    task, data = Translation(n=10), maps()
    problems = task.pose(data, "test", 0)
    assert len(problems) == 10
    best = task.score(problems, problems.truth)
    most = -10 * math.log10(FAITHFUL)  # dB
    assert all(score.distance == pytest.approx(-most if score.unit else 0) for score in best)
    assert means(best).keys() == {
        "absolute_error", "psnr", "gradient_ratio", "ssim", "pixel_accuracy", "class_accuracy",
        "iou",
    }  # fmt: skip
    off = means(task.score(problems, problems.truth * 0.5 + 0.25))
    assert off["gradient_ratio"] == pytest.approx(0.5, rel=1e-5)
    error = ((problems.truth - 0.5) / 2).double()
    assert off["absolute_error"] == pytest.approx(float(error.abs().mean()))
    of_each = -10 * error.square().flatten(1).mean(1).log10()
    assert off["psnr"] == pytest.approx(float(of_each.mean()))


def test_gradient_ratios_are_one_measure_of_all_tasks(double):
    x, y = torch.rand(2, 1, 6, 5), torch.rand(2, 1, 6, 5)
    y[1] = 0.5  # flat: there is nothing to compare with

    def slopes(image):
        return [image.diff(dim=d).abs().mean() for d in (-2, -1)]

    expected = float(sum(slopes(x[0])) / sum(slopes(y[0])))
    found = gradient_ratio(x, y)
    assert found[0].item() == pytest.approx(expected)
    assert found[1].isnan()
    assert of_frames(x[:, None, None], y[:, None])[:, 0].tolist()[0] == pytest.approx(expected)
    assert sharpness(x[0, 0], y[0, 0]) == pytest.approx(expected)
    # The spread of truths is in the standard error: answers half as steep are so in each problem.
    score = Score("", gradient_ratio(0.5 * x + 0.1, x), "", 1.0)
    assert score.mean == pytest.approx(0.5)
    assert score.stderr == pytest.approx(0, abs=1e-12)


def test_shares_of_problems_are_scored_as_parts_of_the_whole():
    task, data = Translation(n=9), maps()
    problems = task.pose(data, "test", 0)
    answers = torch.rand(problems.truth.shape)
    whole = task.score(problems, answers)
    for rank in range(2):
        for score, mine in zip(
            whole, task.score(problems.every(rank, 2), answers[rank::2]), strict=True
        ):
            torch.testing.assert_close(mine.values, score.values[rank::2])


def test_baselines_know_the_training_set():
    task, data = Translation(n=10, references=30), maps()
    solvers = task.baselines(data, 0)
    assert list(solvers) == ["training mean", "as it is", "nearest neighbour", "colours alone"]
    test = task.pose(data, "test", 0)
    mean = solvers["training mean"](test)
    torch.testing.assert_close(mean[0], data.splits["train"].float().mean(0) / 255)
    assert torch.equal(solvers["as it is"](test), test.given)
    known = task.pose(data, "train", 0)
    found = solvers["nearest neighbour"](known)
    right = (found == known.truth).flatten(1).all(1)
    every = Translation(n=10, references=40).baselines(data, 0)["nearest neighbour"]
    assert torch.equal(every(known), known.truth)  # all of them are among its references
    assert 0 < right.sum() < 10
    names = list(task.baselines(loaded(Unpaired(AerialMaps(16, n=40, held_out=5))), 0))
    assert names == ["training mean", "as it is"]


def test_the_rule_of_colours_gives_classes_their_mean_colour():
    task = Translation(n=5, references=40)
    for direction in ("map_to_aerial", "labels_to_aerial"):
        data = maps(direction=direction)
        problems = task.pose(data, "test", 0)
        answer = task.baselines(data, 0)["colours alone"](problems)
        palette = data.condition_palette
        labels = nearest_classes(data.conditions["train"] / 255, palette)
        pixels = data.splits["train"].movedim(1, -1)[labels == 2].float().mean(0) / 255
        water = nearest_classes(problems.given, palette) == 2
        torch.testing.assert_close(
            answer.movedim(1, -1)[water], pixels.expand(int(water.sum()), 3), rtol=1e-4, atol=1e-4
        )
    problems = task.pose(data := maps(), "test", 0)
    answer = task.baselines(data, 0)["colours alone"](problems)
    ours, theirs = (
        means(task.score(problems, x))["class_accuracy"]
        for x in (answer, task.baselines(data, 0)["training mean"](problems))
    )
    assert ours > theirs


def test_void_pixels_do_not_count():
    data = FewPairs()
    data.palette, data.void = torch.tensor([[0.0], [1.0]]), 1
    problems = Translation().pose(loaded(data), "test", 0)
    bright = problems.truth[:, 0] > 0.5
    assert torch.equal(problems.more["labels"] == IGNORED, bright)


def test_what_has_no_pairs_is_refused():
    data = small.digits("gan")
    data.setup("test")
    for ask in (
        lambda: Translation().pose(data, "test", 0),
        lambda: Translation().baselines(data, 0),
    ):
        with pytest.raises(ValueError, match=r"Digits has events of shape .* conditions of \(\)"):
            ask()
    with pytest.raises(Unanswerable, match="cannot be asked for translations"):
        Translation().require(small.gan())
    with pytest.raises(ValueError, match="both must be 1 or more"):
        Translation(n=0)


def test_pictures_have_a_column_for_each():
    task, data = Translation(n=6), loaded(FewPairs())
    problems = task.pose(data, "test", 0)  # conditions of two channels become colours
    picture = task.picture(problems, {"a": problems.truth, "b": problems.truth})
    assert picture is not None
    assert (picture.dtype, picture.shape[0]) == (torch.uint8, 3)
    assert picture.shape[1] > 6 * 60
    # Four columns below their names, with white between: images of 8 pixels, 12 times as large.
    side = picture.shape[1] // 6
    assert 4 * (side - 10) < picture.shape[2] < 4 * (side + 10)


def test_edges_become_digits_in_seconds(tmp_path, monkeypatch):
    """What configs/edges.yaml trains, on half as many batches."""
    monkeypatch.chdir(tmp_path)
    main(["fit", "-c", "edges", "--trainer.limit_train_batches=150", "--trainer.accelerator=cpu",
          "--trainer.limit_val_batches=0", "--run_dir", "run"])  # fmt: skip
    place, model = open_model(Path("run"), "cpu")
    data = load_data(place)
    rows = compare(Translation(200), [Entrant("u-net", model, {})], data, "test", 0).rows
    scores = {row.name: {score.name: score for score in row.scores} for row in rows}
    ours = scores.pop("u-net")
    for name, theirs in scores.items():
        for kind in ("absolute_error", "psnr", "ssim"):
            margin = 4 * np.hypot(ours[kind].stderr, theirs[kind].stderr)
            assert ours[kind].distance + margin < theirs[kind].distance, (name, kind)


# The command


def a_run(folder, monkeypatch, network: str = "UNet", **arguments):
    """A model of maps that was trained on four of them."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GENLIT_RUN_DIR", "")
    network = {"class_path": f"genlit.networks.{network}", "init_args": arguments}
    config = {
        "model": {"class_path": "Translator", "init_args": {"network": network}},
        "data": {"class_path": "AerialMaps", "init_args": {"size": 16, "n": 4, "batch_size": 2}},
        "trainer": {"accelerator": "cpu", "max_epochs": 1, "limit_val_batches": 0},
    }
    config["trainer"]["callbacks"] = [{"class_path": "genlit.callbacks.Checkpoints"}]
    Path("few.yaml").write_text(yaml.safe_dump(config))
    main(["fit", "-c", "few.yaml", "--run_dir", "run"])


def test_pictures_of_ones_own_are_translated(tmp_path, monkeypatch, capsys):
    a_run(tmp_path, monkeypatch, width=4, depth=2)
    pictures = tmp_path / "mine"
    pictures.mkdir()
    for name, size in (("a", (31, 40)), ("b", (9, 17))):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, size, np.uint8)).save(
            pictures / f"{name}.png"
        )
    np.save(pictures / "c.npy", np.full((3, 12, 12), 255, np.uint8))
    for k in (1, 2):
        main(["translate", "run", str(pictures)])
        found = sorted((tmp_path / "run" / "samples" / f"translate-{k}").iterdir())
        assert [p.name for p in found] == ["a.png", "b.png", "c.png"]
        assert [open_picture(p, None).size for p in found] == [(40, 31), (17, 9), (12, 12)]
    first = tmp_path / "run" / "samples" / "translate-1" / "a.png"
    assert first.read_bytes() == found[0].read_bytes()
    main(["translate", "run", str(pictures / "a.png"), "--out", "out"])
    assert (tmp_path / "out" / "a.png").read_bytes() == first.read_bytes()
    capsys.readouterr()
    for args, message in (
        (["mine/a.png", "--out", "out"], "a.png exists and is not overwritten"),
        (["mine/a.png", "--back"], "Translator knows one way only"),
        (["nothing"], "there is no file nothing"),
        (["few.yaml"], "few.yaml is no PNG, JPEG or .npy file"),
    ):
        with pytest.raises(SystemExit):
            main(["translate", "run", *args])
        assert message in capsys.readouterr().err


def test_a_network_of_one_size_says_so(tmp_path, monkeypatch, capsys):
    a_run(tmp_path, monkeypatch, "MLP", hidden=[4])
    Image.new("L", (16, 16)).save("right.png")
    Image.new("L", (20, 16)).save("wrong.png")
    main(["translate", "run", "right.png", "--out", "out", "--draws", "2"])
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["right-1.png", "right-2.png"]
    printed = capsys.readouterr().out
    assert "Translator gives one answer only: all 2 draws are equal" in printed
    with pytest.raises(SystemExit):
        main(["translate", "run", "wrong.png"])
    error = capsys.readouterr().err
    assert "16 x 20 pixels, which this model's network does not take" in error
    assert error.count("\n") == 1


def test_maps_of_classes_are_taken_and_cycles_go_back(tmp_path, monkeypatch):
    from genlit.cli.translate import condition_in, way, written

    labels = np.arange(20, dtype=np.uint8).reshape(4, 5) % 7
    Image.fromarray(labels).save(tmp_path / "map.png")
    given = condition_in(tmp_path / "map.png", (7, 64, 64))
    assert given.shape == (1, 7, 4, 5)
    assert np.array_equal(given[0].argmax(0).numpy(), labels)
    model = cycle()
    for back, ask in ((False, model.sample_given), (True, model.sample_condition)):
        assert way(model, back) == (ask, (1, 12, 12))
    path = written(torch.rand(7, 4, 5), tmp_path / "out" / "x")
    assert np.load(path).shape == (7, 4, 5)
    with pytest.raises(ValueError, match="takes models that make images from images"):
        way(Translator((3,), (2,), MLP), False)
