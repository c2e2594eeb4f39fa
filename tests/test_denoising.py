"""Removing damage: what damage is, what restores it, and how that is measured."""

import math
from argparse import Namespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from genlit.cli import lightning, main
from genlit.cli.denoise import damage
from genlit.cli.place import load_data, load_model, open_place
from genlit.cli.restoring import odd_photos, restored
from genlit.corruptions import (
    Blur,
    Flips,
    GaussianNoise,
    Masking,
    Occlusion,
    SaltAndPepper,
)
from genlit.data import MNIST, TwoMoons
from genlit.data.idx import DataError
from genlit.networks import DnCNN
from genlit.protocols import Denoises, Unanswerable
from genlit.randomness import isolated
from genlit.tasks import Denoising
from genlit.tasks.comparison import Entrant, compare
from genlit.tasks.task import Problems
from genlit.translation import Restorer
from tests.small import MODELS, Digits

CORRUPTIONS = [
    GaussianNoise(0.2),
    Flips(0.2),
    SaltAndPepper(0.2),
    Masking(0.2),
    Occlusion(0.4),
    Occlusion(0.2, "lines", 1.0),
    Blur(0.8),
]
NOTHING = [
    GaussianNoise(0.0), Flips(0.0), SaltAndPepper(0.0), Masking(0.0), Occlusion(0.0),
    Occlusion(0.0, "lines"), Blur(0.0),
]  # fmt: skip
SIZES = st.tuples(*[st.integers(1, 4), st.integers(1, 3), st.integers(4, 15), st.integers(4, 15)])


@settings(max_examples=15, deadline=None)
@given(SIZES, st.integers(0, 6), st.integers(0, 99))
def test_damage_takes_images_of_any_size(size, k, seed):
    x = torch.rand(size)
    with isolated("damage", seed):
        spoilt = CORRUPTIONS[k](x)
    with isolated("damage", seed):
        assert torch.equal(CORRUPTIONS[k](x), spoilt)
    assert spoilt.shape == x.shape
    assert spoilt.dtype == x.dtype
    assert torch.equal(NOTHING[k](x), x)


def test_a_box_covers_as_much_of_each_image_wherever_there_is_room():
    x = torch.ones(4000, 2, 9, 7)
    covered = Occlusion(0.4)(x) == 0
    assert (covered.sum((2, 3)) == round(0.4 * 9) * round(0.4 * 7)).all()
    assert torch.equal(covered[:, 0], covered[:, 1])
    tops, lefts = (covered[:, 0].any(d).int().argmax(1) for d in (2, 1))
    for first, places in ((tops, 6), (lefts, 5)):
        share = torch.bincount(first, minlength=places) / len(x)
        assert len(share) == places
        assert ((share - 1 / places).abs() < 4 * (1 / places / len(x)) ** 0.5).all()
    assert (Occlusion(1.0, value=0.5)(x) == 0.5).all()


def test_lines_cover_whole_rows_and_columns():
    covered = Occlusion(0.3, "lines")(torch.ones(3000, 1, 8, 5))[:, 0] == 0
    rows, columns = covered.all(2), covered.all(1)
    assert torch.equal(covered, rows[:, :, None] | columns[:, None, :])
    some = ~columns.all(1)  # else all rows seem covered
    share = rows[some].float().mean()
    assert abs(share - 0.3) < 4 * (0.21 / rows[some].numel()) ** 0.5


def test_a_flip_turns_an_entry_into_the_other():
    x = torch.rand(100_000)
    spoilt = Flips(0.3)(x)
    flips = spoilt != x
    assert torch.equal(spoilt[flips], (1 - x)[flips])
    assert abs(flips.float().mean() - 0.3) < 4 * (0.21 / 1e5) ** 0.5


@pytest.mark.parametrize("std", [0.4, 1.0, 2.3])
def test_blur_is_a_gaussian_filter(std, double):
    x = torch.rand(2, 3, 9, 14)
    reach = math.ceil(3 * std)
    expected = gaussian_filter(x.numpy(), std, mode="nearest", radius=reach, axes=(2, 3))
    torch.testing.assert_close(Blur(std)(x), torch.as_tensor(expected))


def test_settings_are_in_the_names_of_damage():
    every = [*CORRUPTIONS, *NOTHING]
    assert len({c.name for c in every}) == len(every)
    assert SaltAndPepper(0.3).name == "salt_and_pepper_0.3"


def test_impossible_damage_is_refused():
    for bad in (lambda: Flips(1.1), lambda: Occlusion(-0.1), lambda: Masking(2.0)):
        with pytest.raises(ValueError, match="a probability is from 0 to 1"):
            bad()
    with pytest.raises(ValueError, match="form is dot: an occlusion is a box or lines"):
        Occlusion(form="dot")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="std is -1: a standard deviation is 0 or more"):
        Blur(-1)
    with pytest.raises(ValueError, match=r"Blur spoils images .* of shape \(5,\): take Gaussian"):
        Blur(1.0)(torch.rand(2, 5))


# Networks and models


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(1, 13), st.integers(1, 13))
def test_dncnn_takes_off_what_it_finds_from_images_of_any_size(channels, height, width):
    shape = (channels, height, width)
    network, x = DnCNN(shape, shape, width=4, depth=3).eval(), torch.rand(2, *shape)
    assert torch.equal(network(x), x)  # nothing is found at first
    with torch.no_grad():
        network.layers[-1].bias.fill_(0.25)  # pyright: ignore[reportCallIssue]
    torch.testing.assert_close(network(x), x - 0.25)


def test_dncnn_refuses_what_is_no_image_of_the_same_size():
    for inputs in ((4,), (1, 4, 5), (2, 4, 4)):
        with pytest.raises(ValueError, match="DnCNN makes an image of one of the same size"):
            DnCNN(inputs, (3, 4, 4))
    with pytest.raises(ValueError, match="depth is 1: DnCNN has 2 convolutions or more"):
        DnCNN((1, 4, 4), (1, 4, 4), depth=1)


def restorer(shape) -> Restorer:
    model = Restorer(shape, network=lambda a, b: DnCNN(a, b, 4, 3))
    torch.nn.init.normal_(model.network.layers[-1].weight, std=0.3)  # pyright: ignore
    return model.eval()


ASKED = {name: make for name, make in MODELS.items() if issubclass(type(make()), Denoises)}
del ASKED["conditional_vae"]  # it guesses the class of an image by drawing
ASKED["dncnn"] = lambda: restorer(Digits.shape)


@pytest.mark.parametrize("name", ASKED)
def test_an_image_is_restored_the_same_in_whatever_company(name):
    model, x = ASKED[name]().eval(), torch.rand(5, *Digits.shape).round()
    together = model.denoise(x)
    assert together.shape == x.shape
    assert ((together >= 0) & (together <= 1)).all()
    torch.testing.assert_close(torch.cat([model.denoise(one) for one in x.split(1)]), together)
    assert torch.equal(model.denoise(x), together)


@pytest.mark.parametrize("shape", [(1, 7, 11), (3, 9, 5)])
def test_a_restorer_takes_odd_sizes_and_colours(shape):
    x = 3 * torch.randn(4, *shape)
    answer = restorer(shape).denoise(x)
    assert answer.shape == x.shape
    assert ((answer >= 0) & (answer <= 1)).all()


# The task


class Exact(Denoises):
    """Knows the answer: its images are what is asked about, plus a shift."""

    shape = (1, 28, 28)
    device = torch.device("cpu")

    def __init__(self, clean: torch.Tensor) -> None:
        self.clean = clean

    def denoise(self, x: torch.Tensor) -> torch.Tensor:
        assert len(x) == len(self.clean)
        return self.clean


@pytest.fixture(scope="module")
def digits() -> MNIST:
    data = MNIST(binarize="none")
    data.setup("test")
    return data


def by_name(task, problems, answers) -> dict:
    return {score.name: score for score in task.score(problems, answers)}


def test_what_is_as_it_was_scores_best_and_what_is_as_it_is_scores_the_noise(digits):
    task = Denoising(GaussianNoise(0.2), n=60)
    problems = task.pose(digits, "test", 0)
    assert problems.source == "MNIST, test"
    perfect = by_name(task, problems, task.solve(Exact(torch.as_tensor(problems.truth)), problems))
    assert perfect["psnr"].mean == pytest.approx(20 * math.log10(255) + 10 * math.log10(12))
    assert perfect["ssim"].mean == pytest.approx(1)
    assert perfect["recognized"].mean > 0.95
    noisy = by_name(task, problems, problems.given)
    assert abs(noisy["psnr"].mean + 20 * math.log10(0.2)) < 0.1  # a mean over 784 pixels each
    assert noisy["psnr"].distance > perfect["psnr"].distance
    assert noisy["ssim"].mean < 0.8
    again = task.pose(digits, "test", 0)
    assert torch.equal(torch.as_tensor(again.given), torch.as_tensor(problems.given))


def test_other_data_has_no_digits_to_recognize(digits):
    task, cropped = Denoising(Blur(1.0), n=5), MNIST(binarize="none", crop=9)
    cropped.setup("test")
    problems = task.pose(cropped, "val", 0)
    assert set(by_name(task, problems, problems.truth)) == {"psnr", "mse"}
    with pytest.raises(ValueError, match=r"Denoising takes images .* TwoMoons has events of shape"):
        task.pose(TwoMoons(), "test", 0)
    with pytest.raises(ValueError, match="n is 0"):
        Denoising(n=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_do_what_they_are_known_for(channels):
    """A median removes lone grains from what is smooth, and means remove Gaussian noise."""
    ramp = torch.linspace(0.2, 0.8, 31)[None, None, None].expand(2, channels, 31, 31)
    for kind, best in ((SaltAndPepper(0.05), "median filter"), (GaussianNoise(0.1), "non-local")):
        task, spoilt = Denoising(kind), kind(ramp)
        problems = Problems(spoilt, ramp, "a ramp")
        found = {
            name: by_name(task, problems, solve(problems))["psnr"].mean
            for name, solve in task.baselines(None, 0).items()
        }
        assert max(found, key=lambda name: found[name]).startswith(best)
        assert min(found, key=lambda name: found[name]) == "as it is"


def test_the_picture_has_a_column_for_each(digits):
    task = Denoising(n=3)
    problems = task.pose(digits, "test", 0)
    picture = task.picture(problems, {"a": problems.given, "b": problems.truth})
    assert picture is not None
    assert picture.dtype == torch.uint8
    # Below four headings of one line, with white between: 28 pixels, three times as large.
    side = 3 * 28 + 4
    assert picture.shape == (3, 3 * (side - 2) + 2 + 19, 4 * side + 3 * 6)
    gaps = [side + k for k in range(6)]
    assert (picture[:, :, gaps] == 255).all()
    assert torch.equal(picture[:, 19:, :side], picture[:, 19:, -side:])  # the truth, in its place
    two = torch.rand(3, 2, 28, 28)
    assert task.picture(Problems(two, two, "two channels"), {}) is None


def test_a_model_that_cannot_restore_is_refused():
    with pytest.raises(Unanswerable, match="cannot be asked for denoised events"):
        Denoising().require(MODELS["made"]())


def test_a_network_learns_in_seconds_to_beat_filters(tmp_path, capsys):
    run = tmp_path / "run"
    lightning.main("fit", ["-c", "dncnn_fast", "--run_dir", str(run), "--trainer.accelerator=cpu",
                           "--trainer.enable_progress_bar=false"])  # fmt: skip
    place = open_place(run)
    entrant = Entrant("dncnn", load_model(place), {})
    found = compare(Denoising(GaussianNoise(0.3), n=60), [entrant], load_data(place), "test", 0)
    psnr = {row.name: row.scores[0].mean for row in found.rows}
    assert max(psnr, key=lambda name: psnr[name]) == "dncnn"
    assert psnr["dncnn"] > psnr["as it is"] + 6
    photos_are_restored_whatever_their_size(run, tmp_path, capsys)


def photos_are_restored_whatever_their_size(run, folder, capsys) -> None:
    """Has a run of noise 0.3 restore photos of several sizes."""
    photos = folder / "photos"
    photos.mkdir()
    rows, columns = torch.arange(77)[:, None], torch.arange(101)
    picture = (0.5 + 0.5 * torch.sin(rows / 9) * torch.cos(columns / 7)) * torch.ones(3, 1, 1)
    to_pil_image(picture).save(photos / "odd.png")
    to_pil_image(picture[:, :40, :31]).save(photos / "small.jpg")

    def denoise(*options: object) -> str:
        capsys.readouterr()
        main(["denoise", str(run), *map(str, options)])
        return capsys.readouterr().out

    def pixels(path) -> torch.Tensor:
        with Image.open(path) as image:
            assert image.mode == "L"
            return pil_to_tensor(image).float() / 255

    for tile in (0, 48):  # more than the network sees beyond a pixel
        out = folder / f"tile{tile}.png"
        printed = denoise("--file", photos / "odd.png", "--out", out, "--tile", tile)
        assert "gaussian_noise_0.3, which Restorer has learned to undo, 1 photo\n" in printed
    whole, tiled = pixels(folder / "tile0.png"), pixels(folder / "tile48.png")
    spoilt = pixels(folder / "tile0-spoilt.png")
    assert (whole - tiled).abs().max() < 1.5 / 255
    grey = picture[:1]
    assert (whole - grey).square().mean() < 0.8 * (spoilt - grey).square().mean()
    assert "2 photos" in denoise("--file", photos, "--corruption", "masking:0.2")
    assert {p.name for p in (run / "samples" / "denoise-1").iterdir()} == {
        "odd.png", "odd-spoilt.png", "small.png", "small-spoilt.png"
    }  # fmt: skip
    assert "PSNR" not in denoise("--file", photos / "odd.png", "--noise", 0)  # as they come
    assert [p.name for p in (run / "samples" / "denoise-2").iterdir()] == ["odd.png"]
    assert "gaussian_noise_0.3, which Restorer has learned to undo, 3 images" in denoise("--n", 3)
    assert "gaussian:0.1, 3 images" in denoise("--n", 3, "--noise", 0.1)


def test_the_damage_that_a_model_has_learned_is_the_default():
    none = Namespace(noise=None, corruption=None)
    own = Restorer((1, 4, 4), corruption=Masking(0.2))
    assert damage(none, own, None, False) == (
        own.corruption, "masking_0.2, which Restorer has learned to undo"
    )  # fmt: skip
    assert damage(none, MODELS["vae"](), None, True)[1] == "flips:0.1"
    assert damage(Namespace(noise=0.0, corruption=None), own, None, False)[1] == ""


def test_a_model_of_one_size_says_so(tmp_path):
    to_pil_image(torch.rand(1, 9, 40)).save(tmp_path / "odd.png")
    model, options = MODELS["vae"](), Namespace(seed=0, tile=256)
    files = odd_photos(tmp_path / "odd.png", tuple(model.shape))
    assert files == [tmp_path / "odd.png"]
    with pytest.raises(DataError, match=r"odd.png has 9 x 40 pixels, and the model's .* scale it"):
        restored(model, torch.rand(1, 1, 9, 40), files[0], options, 0)
    assert not odd_photos(tmp_path / "odd.png", (1, 9, 40))
    assert not odd_photos(tmp_path / "x.npy", (1, 4, 4))
