"""Films and the prediction of frames: motions, valid futures, measures, and a whole run."""

import math

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from genlit.cli import main
from genlit.cli.place import load_data, load_model, open_place
from genlit.data.bouncing_balls import (
    BOX,
    RADIUS,
    SPEED,
    BouncingBalls,
    beginnings,
    gaps,
    painted,
    trajectories,
)
from genlit.data.films import Films
from genlit.data.idx import DataError
from genlit.data.moving_mnist import ForkingDigits, MovingMNIST, digits_of, drawn, reflected
from genlit.data.solids import RotatingSolids, Solid, radius, render, slope
from genlit.data.video import cut
from genlit.protocols import Conditional, Unanswerable
from genlit.randomness import generator
from genlit.tasks import NextFrame
from genlit.tasks.comparison import Entrant, compare
from genlit.tasks.frames import gradient_ratio, moving, moving_error, squared_error
from genlit.tasks.pixels import CEILING, decibels
from genlit.tasks.prediction import rolled_out
from genlit.tasks.task import Problems
from genlit.tasks.valid import coverage, nearest_valid

SMALL = {"n": 12, "held_out": 10, "batch_size": 4}


def kinds() -> dict:
    return {
        "moving": MovingMNIST(32, past=3, future=2, frames=6, windows=2, **SMALL),
        "forking": ForkingDigits(32, **SMALL),
        "three ways": ForkingDigits(32, ways=3, **SMALL),
        "balls": BouncingBalls(15, frames=20, past=2, windows=3, **SMALL),
        "solids": RotatingSolids(16, **SMALL),
    }


@pytest.mark.parametrize("name", kinds())
def test_films_are_the_same_every_time_and_differ_between_splits(name):
    data, again = kinds()[name], kinds()[name]
    data.setup("fit")
    for split in ("train", "val", "test"):
        clips = data.clips(split)
        assert torch.equal(clips, again.clips(split))
        assert clips.dtype == torch.uint8
        assert clips.shape[1:] == (data.frames, *data.frame)
        assert clips.amax((1, 2, 3, 4)).min() > 100
    assert not torch.equal(data.clips("train")[:5], data.clips("test")[:5])
    batch = next(iter(data.train_dataloader()))
    assert batch["x"].shape[1:] == data.shape
    assert batch["condition"].shape[1:] == data.condition_shape
    n = SMALL["n"] * data.windows
    assert len(data.splits["train"]) == len(data.conditions["train"]) == n


@pytest.mark.parametrize("name", ["forking", "three ways", "solids"])
def test_what_follows_is_one_of_the_valid_futures(name):
    data = kinds()[name]
    clips, futures = data.clips("test"), data.futures("test")
    same = (futures == clips[:, None, data.past :]).flatten(2).all(2)
    assert (same.sum(1) == 1).all()
    assert same.any(0).all()  # and now the one, now the other


def test_windows_are_cut_out_of_clips_in_order():
    clips = torch.arange(10).view(1, 10, 1, 1, 1)
    before, after = cut(clips, 2, 3, windows=3)
    assert before.flatten(1).tolist() == [[0, 1], [2, 3], [5, 6]]
    assert after.flatten(1).tolist() == [[2, 3, 4], [4, 5, 6], [7, 8, 9]]


def test_settings_that_leave_no_clip_are_refused():
    with pytest.raises(ValueError, match="frames at least their sum"):
        MovingMNIST(past=10, future=11)
    with pytest.raises(ValueError, match="begin at 1 to 2 places"):
        MovingMNIST(past=9, future=10, windows=3)
    with pytest.raises(ValueError, match="goes 1 to 4 pixels"):
        ForkingDigits(32, speed=5)


# Digits


def test_digits_bounce_as_if_mirrored_and_keep_their_speed():
    line = torch.linspace(-30, 50, 801)
    places = reflected(line, 10.0)
    assert places.min() >= 0
    assert places.max() <= 10
    assert torch.allclose(places[300:401], line[300:401], atol=1e-5)  # inside, as they are
    steps = places.diff().abs()
    assert (steps - 0.1).abs().lt(1e-4).float().mean() > 0.99  # all but where they turn


def test_moving_digits_are_of_the_right_size_and_speed():
    data = MovingMNIST(n=1, held_out=20, digits=1)
    frames = data.clips("test").float()[:, :, 0]
    weights = frames / frames.sum((2, 3), keepdim=True)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    centre = torch.stack([(weights * y).sum((2, 3)), (weights * x).sum((2, 3))], -1)
    moved = (centre[:, 2:] - centre[:, :-2]).norm(dim=-1) / 2
    assert moved.median() == pytest.approx(3.6, abs=0.4)  # places are whole pixels
    assert digits_of("test", (2, 1), 64, generator("a")).shape == (2, 1, 28, 28)


def test_the_brighter_digit_is_seen():
    digits = torch.tensor([100, 200], dtype=torch.uint8)[None, :, None, None].expand(1, 2, 2, 2)
    frame = drawn(digits, torch.tensor([[[[0, 0], [1, 1]]]]), 4)[0, 0, 0]
    expected = [[100, 100, 0, 0], [100, 200, 200, 0], [0, 200, 200, 0], [0, 0, 0, 0]]
    assert frame.tolist() == expected


@pytest.mark.parametrize("ways", [2, 3])
def test_a_digit_goes_straight_and_then_to_all_sides_alike(ways):
    data = ForkingDigits(32, ways=ways, speed=3, past=3, frames=5, n=1, held_out=200)
    _, places, way = data._motion("test")
    past = places[:, :, :3]
    assert (past == past[:, :1]).all()  # nothing tells where it will go
    old = past[:, 0].diff(dim=1)
    assert (old.abs().sum(-1) == 3).all()
    assert (old[:, 0] == old[:, 1]).all()
    new = places.diff(dim=2)[:, :, 2:]
    assert (new.abs().sum(-1) == 3).all()
    across = (new * old[:, None, :1]).sum(-1)
    assert (across[:, :2] == 0).all()  # by a right angle
    assert (new[:, 0] == -new[:, 1]).all()
    assert (across[:, 2:] == 9).all()  # straight on
    assert places.min() >= 0
    assert places.max() <= 32 - 14
    share = torch.bincount(way, minlength=ways) / 200
    assert (share - 1 / ways).abs().max() < 4 * math.sqrt(0.25 / 200)


# Balls


def test_balls_bounce_without_loss_and_stay_in_the_box():
    start = beginnings(50, 3, generator("balls"))
    assert gaps(start[0]).min() >= 0
    places, velocities = trajectories(*start, 200)
    energy = velocities.square().sum((2, 3))
    assert torch.allclose(energy, torch.full_like(energy, SPEED**2))
    slack = SPEED / 2 + 1e-9  # they bounce at the half step at which they touch
    assert places.min() > RADIUS - slack
    assert places.max() < BOX - RADIUS + slack
    assert gaps(places.flatten(0, 1)).min() > -2 * slack
    assert velocities[:, 0].sub(velocities[:, -1]).abs().amax((1, 2)).min() > 1e-6


def test_a_head_on_collision_exchanges_velocities():
    places = torch.tensor([[[3.0, 5.0], [6.0, 5.0]]], dtype=torch.float64)
    velocities = torch.tensor([[[0.4, 0.0], [-0.1, 0.2]]], dtype=torch.float64)
    after = trajectories(places, velocities, 4)[1][0, -1]
    total = velocities[0].sum(0)
    assert torch.allclose(after.sum(0), total)  # momentum
    assert after[0, 0] < 0.1
    assert after[1, 0] > 0.3
    straight = torch.tensor([[[0.4, 0.0], [-0.1, 0.0]]], dtype=torch.float64)
    exchanged = trajectories(places, straight, 4)[1][0, -1]
    assert torch.allclose(exchanged, straight[0].flip(0))


def test_a_ball_is_seen_where_it_is():
    frame = painted(torch.tensor([[[[7.5, 2.5]]]]), 60)[0, 0, 0].float()
    y, x = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    total = frame.sum()
    assert (frame * x).sum() / total / 6 == pytest.approx(7.5, abs=1e-3)
    assert (frame * y).sum() / total / 6 == pytest.approx(2.5, abs=1e-3)
    # ∫ exp(-(d/r)^8) over the plane is π r² Γ(5/4)
    area = math.pi * RADIUS**2 * math.gamma(1.25) * 36
    assert total / 255 == pytest.approx(area, rel=0.01)


# Solids


def boxes() -> Solid:
    return Solid(torch.tensor([[0.7, 0.5, 0.4]]), torch.tensor([[0.3, 0.3]]))


def test_a_full_turn_gives_the_frame_again_and_half_a_turn_too():
    frames = [render(boxes(), torch.tensor([0.3 + turn]), 24) for turn in (0, math.pi, 2 * math.pi)]
    assert torch.allclose(frames[0], frames[2], atol=0.01)
    assert torch.allclose(frames[0], frames[1], atol=0.01)  # as superquadrics are symmetric
    assert (frames[0] - render(boxes(), torch.tensor([0.3 + math.pi / 2]), 24)).abs().max() > 0.3


def test_a_ball_is_lit_as_lambert_says():
    ball = Solid(torch.full((1, 3), 0.8), torch.ones(1, 2))
    frame = render(ball, torch.tensor([1.0]), 64)[0]
    assert torch.allclose(frame, render(ball, torch.tensor([2.0]), 64)[0], atol=0.01)
    at = (torch.arange(64) + 0.5) * (2.5 / 64) - 1.25
    x, y = at.expand(64, 64), -at[:, None].expand(64, 64)
    inside = x**2 + y**2 < 0.75**2
    normal = torch.stack([x, y, (0.64 - x**2 - y**2).clamp(min=0).sqrt()]) / 0.8
    lit = torch.einsum("chw,c->hw", normal, torch.tensor([-0.48, 0.64, 0.6])).clamp(min=0)
    assert torch.allclose(frame[inside], (0.15 + 0.85 * lit)[inside], atol=0.01)
    assert frame[x**2 + y**2 > 0.9**2].max() == 0


def test_normals_of_solids_are_the_slopes_of_their_radius(double):
    solids = Solid(torch.tensor([[0.5, 0.7, 0.6]]), torch.tensor([[0.4, 0.7]]))
    points = torch.randn(1, 20, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(radius(solids, points).sum(), points)
    expected = torch.nn.functional.normalize(gradient, dim=-1)
    assert torch.allclose(slope(solids, points), expected, atol=1e-3)
    assert torch.allclose(radius(solids, 2 * points), 2 * radius(solids, points))


def test_two_frames_tell_which_way_a_solid_turns():
    data = RotatingSolids(16, past=2, frames=3, **SMALL)
    assert data.futures("test").shape[1] == 1
    assert torch.equal(data.futures("test")[:, 0], data.clips("test")[:, 2:])


# Films


def write_film(path, frames: Tensor) -> None:
    """Writes (T, height, width) uint8 in grey."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for frame in frames:
            pixels = frame[:, :, None].expand(-1, -1, 3).contiguous().numpy()
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def film(tmp_path):
    """A film whose k-th frame has the brightness 4 k, and a brighter right half."""
    frames = (torch.arange(60) * 4).byte()[:, None, None].repeat(1, 32, 48)
    frames[:, :, 24:] += 15
    path = tmp_path / "film.mp4"
    write_film(path, frames)
    return path, frames


def test_a_film_is_read_as_it_was_written(film):
    path, frames = film
    data = Films(path, size=(32, 48), past=2, frames=4, stride=2, held_out=0.2)
    assert data.films[0].shape == (30, 1, 32, 48)
    assert (data.films[0][:, 0].int() - frames[::2].int()).abs().float().mean() < 3
    small = Films(path, size=(8, 12), channels=3, past=2, held_out=0.1)
    assert small.shape == (3, 8, 12)
    assert small.condition_shape == (6, 8, 12)


def test_splits_of_a_film_share_no_frame(film):
    data = Films(film[0], size=(8, 8), past=2, frames=4, held_out=0.2)
    data.setup("fit")
    seen = {s: data.clips(s).float().mean((2, 3, 4)) for s in ("train", "val", "test")}
    assert seen["train"].max() < seen["val"].min()
    assert seen["val"].max() < seen["test"].min()
    assert len(seen["train"]) == 36 - 4 + 1
    assert torch.allclose(seen["train"].diff(dim=1), torch.tensor(4.0), atol=1.5)


def test_what_is_no_film_is_refused(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    for path in (tmp_path / "none.mp4", tmp_path / "broken.mp4"):
        with pytest.raises(DataError, match="cannot be read as a film"):
            Films(path).clips("train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no films"):
        Films(tmp_path / "empty").clips("train")


# Measures


def test_errors_of_frames():
    truth = torch.zeros(1, 2, 1, 2, 2)
    truth[0, 0, 0, 0, 0] = truth[0, 1, 0, 0, 1] = 1.0
    answers = torch.stack([truth, torch.full_like(truth, 0.5)], 1)
    assert squared_error(answers, truth).tolist() == [[[0, 0], [1, 1]]]
    last = torch.zeros(1, 1, 2, 2)
    assert moving(truth, last).flatten().tolist() == [True, *[False] * 3, True, True, False, False]
    assert moving_error(answers, truth, last).tolist() == [[0, 0.25]]
    assert moving_error(answers, torch.zeros_like(truth), last).isnan().all()
    assert decibels(torch.tensor([0.01, 0.0])).tolist() == pytest.approx([20.0, CEILING])


def test_gradient_ratios_of_halved_copies_and_of_blur():
    truth = torch.zeros(1, 1, 1, 8, 12)
    truth[..., 2:4] = 1.0  # a bar
    copies = (truth + truth.roll(5, -1)) / 2
    blurred = (truth + truth.roll(1, -1)) / 2
    answers = torch.stack([truth, copies, blurred, 0 * truth], 1)
    assert gradient_ratio(answers, truth).tolist() == [[1, 1, 1, 0]]
    assert gradient_ratio(answers, truth, 2.0).tolist() == [[1, 0.5, 0.5, 0]]
    assert gradient_ratio(answers, 0 * truth).isnan().all()


def test_valid_answers_are_told_from_their_mean():
    valid = torch.randn(5, 2, 1, 4, 4)
    mean = valid.mean(1, keepdim=True)
    apart = (valid[:, 0] - valid[:, 1]).double().square().mean((1, 2, 3))
    assert torch.allclose(nearest_valid(mean, valid)[:, 0], apart / 4)
    assert nearest_valid(valid.flip(1), valid).max() == 0
    assert coverage(mean.expand(-1, 7, -1, -1, -1), valid).tolist() == [0] * 5
    assert coverage(valid[:, :1], valid).tolist() == [0.5] * 5
    for share, covered in ((0.75, 1), (0.85, 0)):
        assert coverage(torch.lerp(valid, mean, share), valid).tolist() == [covered] * 5
    assert coverage(valid[:, :1], valid[:, :1]).isnan().all()


def test_what_was_predicted_is_given_for_the_next_prediction():
    def next_two(past: Tensor) -> Tensor:
        last, before = past[:, 1:], past[:, :1]
        return torch.cat([2 * last - before, 3 * last - 2 * before], 1)

    line = torch.tensor([3.0, 5.0]).view(1, 2, 1, 1)
    found = rolled_out(next_two, line, 1, 5).flatten().tolist()
    assert found == [7, 9, 11, 13, 15]


# The task


class Repeats(Conditional):
    """Predicts the last frame."""

    device = torch.device("cpu")

    def sample_given(self, condition):
        return condition[:, -1:]


class Knows(Conditional):
    """Predicts each of two futures of a digit at random, from where it was and is."""

    device = torch.device("cpu")

    def __init__(self, data):
        self.clips, self.futures = data.clips("test"), data.futures("test")

    def sample_given(self, condition):
        known = (self.clips[:, :2, 0] / 255)[None]
        which = (condition[:, None] - known).abs().flatten(2).sum(2).argmin(1)
        way = torch.randint(2, (len(condition),))
        return self.futures[which, way, 0] / 255


def scores(task, problems, answers) -> dict[str, float]:
    return {score.name: score.mean for score in task.score(problems, answers)}


def test_scores_of_models_whose_answers_are_known():
    data, task = ForkingDigits(32, **SMALL), NextFrame(draws=16)
    data.setup("test")
    problems = task.pose(data, "test", 0)
    baselines = {k: solve(problems) for k, solve in task.baselines(data, 0).items()}
    oracles = {k: solve(problems) for k, solve in task.oracles(data, 0).items()}
    repeats = scores(task, problems, task.solve(Repeats(), problems))
    assert repeats == pytest.approx(scores(task, problems, baselines["last frame"]))
    given, truth = torch.as_tensor(problems.given), torch.as_tensor(problems.truth)
    known = (given[:, 1] - truth[:, 0, 0]).square().sum((1, 2)).mean()
    assert repeats["squared_error"] == pytest.approx(float(known), rel=1e-5)
    knows = scores(task, problems, task.solve(Knows(data), problems))
    mean = scores(task, problems, oracles["mean of the futures"])
    assert knows["coverage"] == 1
    assert knows["nearest_valid_psnr"] == pytest.approx(CEILING)
    assert knows["best_draw_psnr"] == pytest.approx(CEILING)
    assert knows["gradient_energy_ratio"] == pytest.approx(1, abs=0.1)
    assert mean["coverage"] == 0
    assert mean["gradient_energy_ratio"] < 0.7
    assert mean["psnr"] > knows["psnr"]
    assert mean["nearest_valid_psnr"] == pytest.approx(mean["psnr"], abs=1e-4)
    assert task.picture(problems, baselines | oracles) is not None


def test_several_steps_are_scored_one_by_one():
    data, task = MovingMNIST(32, past=2, future=1, frames=6, windows=4, **SMALL), NextFrame(3, 1)
    data.setup("test")
    problems = task.pose(data, "test", 0)
    assert len(problems) == 20  # clips have two places for 2 + 3 frames
    found = scores(task, problems, task.solve(Repeats(), problems))
    assert found["psnr_at_1"] > found["psnr_at_2"] > found["psnr_at_3"]
    mean = (found["psnr_at_1"] + found["psnr_at_2"] + found["psnr_at_3"]) / 3
    assert found["psnr"] == pytest.approx(mean)
    assert task.picture(problems, {"last": task.solve(Repeats(), problems)}) is not None


def test_what_cannot_be_asked_is_refused():
    data = ForkingDigits(32, **SMALL)
    data.setup("test")
    with pytest.raises(ValueError, match="lower steps"):
        NextFrame(3).pose(data, "test", 0)
    with pytest.raises(ValueError, match="is about films"):
        NextFrame().pose(object(), "test", 0)
    with pytest.raises(Unanswerable, match="next frames"):
        NextFrame().require(object())


def test_published_numbers_stand_beside_their_own_protocol_only():
    for side, n in ((30, 5), (15, 0)):
        data, task = BouncingBalls(side, frames=8, windows=2, **SMALL), NextFrame()
        task.pose(data, "test", 0)
        assert len(task.published) == n


def test_problems_pass_through_turns():
    data, task = ForkingDigits(32, **SMALL), NextFrame()
    problems = task.pose(data, "test", 0)
    part = problems.every(1, 3)
    assert isinstance(part, Problems)
    assert torch.equal(
        torch.as_tensor(part.more["futures"]), torch.as_tensor(problems.more["futures"])[1::3]
    )


def test_a_small_run_beats_the_last_frame_and_black(tmp_path, monkeypatch, capsys):
    """A network under a sigmoid, or one that diverges early, makes all frames black here."""
    monkeypatch.chdir(tmp_path)
    main(["fit", "-c", "next_frame_fast", "--run_dir", "run", "--trainer.accelerator", "cpu"])
    place = open_place(tmp_path / "run")
    model, data, task = load_model(place), load_data(place), NextFrame(n=300)
    found = compare(task, [Entrant("U-Net", model, {"run": "run"})], data, "test", 0)
    error = {row.name: row.scores[0] for row in found.rows}
    assert error["U-Net"].name == "squared_error"
    for name in ("black", "last frame", "mean of training frames"):
        assert error["U-Net"].mean < 0.8 * error[name].mean, name
    # Between the least that can be reached, half the error of a guess, and the guess itself.
    assert error["U-Net"].mean < 0.9 * error["one of the futures"].mean
    assert error["U-Net"].mean > 0.9 * error["mean of the futures"].mean
    capsys.readouterr()
    main(["rollout", "run", "--n", "3"])
    out = capsys.readouterr().out
    assert "step 2:" in out
    with Image.open(tmp_path / "run/samples/rollout-1.gif") as film:
        assert film.n_frames == 4
        assert film.size == (3 * (64 + 2) + 2, 2 * (64 + 2) + 2 + 18)
    assert np.load(tmp_path / "run/samples/rollout-1.npy").shape == (3, 2, 1, 16, 16)
    assert (tmp_path / "run/samples/rollout-1.png").is_file()
    goes_on_beyond_the_end(tmp_path / "run", capsys)


def goes_on_beyond_the_end(run, capsys) -> None:
    """Rolls a run out for longer than its clips, which have two frames after the given ones."""
    capsys.readouterr()
    main(["rollout", str(run), "--n", "3", "--steps", "4"])
    out = capsys.readouterr().out
    assert "step 2: " in out
    assert "step 3: " not in out
    assert "steps 3 to 4: beyond the end of the clips" in out
    short, long = (np.load(run / f"samples/rollout-{k}.npy") for k in (1, 2))
    assert long.shape == (3, 4, 1, 16, 16)
    np.testing.assert_array_equal(long[:, :2], short)
    with (
        Image.open(run / "samples/rollout-2.gif") as film,
        Image.open(run / "samples/rollout-1.gif") as other,
    ):
        assert film.n_frames == other.n_frames + 2
