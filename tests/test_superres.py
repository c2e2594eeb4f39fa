"""Super-resolution: its data, the measures of papers, networks of any size, and the command."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import avg_pool2d, interpolate
from torchvision.models.vgg import cfgs, make_layers
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from genlit.cli import main
from genlit.data import SuperResolution
from genlit.data.idx import DataError
from genlit.data.patches import DRAWS, PatchLoader, patches
from genlit.data.photos import packaged, photo_of, read_test_set
from genlit.data.resizing import enlarged, shrunk
from genlit.losses import DigitLoss, FeatureLoss
from genlit.losses.features import vgg19
from genlit.networks import SRResNet
from genlit.networks.srresnet import factors
from genlit.protocols import Unanswerable
from genlit.tasks import SuperRes
from genlit.tasks.pixels import CEILING
from genlit.tasks.tiling import spans, tiled
from tests.test_superres_measures import noise, picture

# Networks and tiles


def trained_like(network: SRResNet) -> SRResNet:
    """With weights that an untrained network has at 0."""
    torch.nn.init.normal_(
        network.tail[-1 if isinstance(network.tail[-1], torch.nn.Conv2d) else 0].weight, 0, 0.05
    )
    return network.eval()


@pytest.mark.parametrize(("scale", "stepwise"), [(2, False), (3, True), (4, True), (4, False)])
def test_untrained_network_is_the_baseline_at_any_size(scale, stepwise):
    network = SRResNet((3, 8, 8), (3, 8 * scale, 8 * scale), 2, 8, stepwise)
    small = picture(11, 14)
    with torch.no_grad():
        found = network(small[None] / 255)[0]
    wanted = enlarged(small, scale).float()
    inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))

    assert found.shape == (3, 11 * scale, 14 * scale)
    assert (found * 255 - wanted)[inner].abs().max() <= 0.501  # of rounding
    assert not torch.equal(trained_like(network)(small[None] / 255)[0], found)


def test_network_takes_noise_beside_the_image():
    network = trained_like(SRResNet((5, 8, 8), (3, 32, 32), 1, 4, batch_norm=True))
    x = noise(2, 5, 6, 7)
    other = torch.cat([x[:, :3], 1 - x[:, 3:]], 1)

    assert network(x).shape == (2, 3, 24, 28)
    assert not torch.equal(network(x), network(other))
    assert factors(12) == [2, 2, 3]


@pytest.mark.parametrize(
    ("given", "of"),
    [((3, 8, 8), (3, 20, 20)), ((3, 8, 8), (3, 32, 16)), ((10,), (3, 8, 8))],
)
def test_network_refuses_what_is_no_enlargement(given, of):
    with pytest.raises(ValueError, match="SRResNet enlarges images"):
        SRResNet(given, of)


@settings(deadline=None)
@given(length=st.integers(1, 200), tile=st.integers(1, 40), share=st.floats(0, 0.49))
def test_tiles_keep_every_pixel_once(length, tile, share):
    kept, overlap = [], int(share * tile)
    for start, stop, first, last in spans(length, tile, overlap):
        assert stop - start == min(tile, length)
        assert first - start >= overlap or first == start == 0
        assert stop - last >= overlap or last == stop == length
        kept += range(first, last)
    assert kept == list(range(length))
    with pytest.raises(ValueError, match="less than half of a tile"):
        spans(length, 16, 8)


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 50), width=st.integers(1, 50), tile=st.integers(11, 30))
def test_tiles_make_the_picture_that_the_whole_would(height, width, tile):
    network = trained_like(SRResNet((3, 8, 8), (3, 32, 32), 1, 4))
    x = noise(3, height, width)
    with torch.no_grad():
        whole, seen = network(x[None])[0], 5  # five convolutions of 3 x 3
        torch.testing.assert_close(tiled(network, x, 4, 0, 0), whole)
        torch.testing.assert_close(tiled(network, x, 4, tile, seen), whole)


def test_tiles_that_overlap_too_little_show():
    network = trained_like(SRResNet((3, 8, 8), (3, 32, 32), 1, 4))
    x = noise(3, 41, 30)
    with torch.no_grad():
        assert (tiled(network, x, 4, 16, 1) - network(x[None])[0]).abs().max() > 1e-4
    with pytest.raises(ValueError, match=r"10 x 10 pixels in place of 164 x 120"):
        tiled(lambda x: torch.zeros(1, 3, 10, 10), x, 4, 0, 0)


# Data


@pytest.fixture(scope="module")
def photos():
    return [photo_of(f"{k}", picture(61 + 9 * k, 83, seed=k), 4) for k in range(3)]


def loader(photos, *args, batch_size=4):
    return PatchLoader(photos, 6, 24, batch_size, 3, *args)


def test_small_patches_are_what_large_ones_are_made_from(photos):
    high, low = patches(photos, 12, noise(40, DRAWS))

    assert (high.shape, low.shape) == ((40, 3, 48, 48), (40, 3, 12, 12))
    inner = (..., slice(2, -2), slice(2, -2))  # away from edges the rest of a photo has no say
    assert torch.equal(shrunk(high, 4)[inner], low[inner])


def test_patches_have_all_orientations(photos):
    low = photos[0].low[:, :12, :12]
    square = [photos[0]._replace(low=low, high=photos[0].high[:, :48, :48])]
    _, drawn = patches(square, 12, noise(100, DRAWS))
    assert len({tuple(x.flatten().tolist()) for x in drawn}) == 8


def test_batches_depend_on_seed_epoch_and_position_alone(photos):
    every = [b["x"] for b in loader(photos)]
    resumed = loader(photos)
    resumed.load_state_dict({"epoch": 0, "position": 2, "seed": 3})
    ranks = [loader(photos, rank, 2, batch_size=2) for rank in range(2)]
    following = loader(photos)
    following.set_epoch(1)

    assert len(every) == len(loader(photos)) == 6
    assert all(torch.equal(a, b["x"]) for a, b in zip(every[2:], resumed, strict=True))
    for whole, a, b in zip(every, *ranks, strict=True):
        assert torch.equal(whole, torch.cat([a["x"], b["x"]]))
    assert not torch.equal(next(iter(following))["x"], every[0])
    assert resumed.state_dict() == {"epoch": 0, "position": 6, "seed": 3}
    with pytest.raises(ValueError, match="does not fit into the 24 patches"):
        loader(photos, batch_size=25)


def write_set(folder, pairs: bool = True, scale: int = 4):
    folder.mkdir(parents=True)
    for k in range(2):
        x = picture(64 + 8 * k, 72, seed=k)
        name = f"img_00{k + 1}_SRF_{scale}"
        to_pil_image(x).save(folder / f"{name}{'_HR' if pairs else ''}.png")
        if pairs:
            to_pil_image(shrunk(x, scale)).save(folder / f"{name}_LR.png")
    return folder


@pytest.fixture
def folders(tmp_path):
    """A folder of photos, and one of test sets, one of which is of another scale."""
    (tmp_path / "photos").mkdir()
    for k in range(10):
        to_pil_image(picture(50, 70 + k, seed=k)).save(tmp_path / "photos" / f"{k}.png")
    write_set(tmp_path / "sets" / "Some_x4")
    write_set(tmp_path / "sets" / "Other_x2", scale=2)
    return tmp_path


def ready(**options):
    data = SuperResolution(patch=32, held_patches=5, **options)
    data.setup("fit")
    return data


def test_photos_of_a_folder_are_dealt_by_their_names(folders):
    data = ready(data_dir=folders / "photos", held_out=2)
    tested = ready(data_dir=folders / "photos", sets_dir=folders / "sets")
    names = {split: {p.name for p in photos} for split, photos in data.photos.items()}

    assert (data.shape, data.condition_shape) == ((3, 32, 32), (3, 8, 8))
    assert {split: len(found) for split, found in names.items()} == {
        "train": 6,
        "val": 2,
        "test": 2,
    }
    assert len(set.union(*names.values())) == 10
    assert {s: len(p) for s, p in tested.photos.items()} == {"train": 9, "val": 1, "test": 2}
    assert data.source == "photos of photos"
    batch = next(iter(data.test_dataloader()))
    assert batch["x"].shape == (5, 3, 32, 32)
    assert batch["condition"].shape == (5, 3, 8, 8)
    assert 0.5 < batch["x"].max() <= 1
    assert next(iter(data.train_dataloader()))["condition"].shape == (16, 3, 8, 8)


def test_test_sets_come_with_their_small_pictures_or_without(folders):
    given = read_test_set(folders / "sets" / "Some_x4", 4)
    alone = read_test_set(write_set(folders / "own", pairs=False), 4)

    assert [p.name for p in given] == ["img_001_SRF_4", "img_002_SRF_4"]
    for a, b in zip(given, alone, strict=True):
        assert torch.equal(a.high, b.high)
        assert torch.equal(a.low, b.low)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "sets/Some_x4/img_001_SRF_4_LR.png").unlink(), "LR.png is missing"),
        (lambda f: write_set(f / "sets/Wrong_x4", scale=2), "which is not 4 times less"),
        (lambda f: (f / "sets/Some_x4").rename(f / "gone"), "holds no folders of test pictures"),
        (lambda f: to_pil_image(picture(20, 90)).save(f / "photos/s.png"), "fewer than a patch"),
        (lambda f: [p.unlink() for p in (f / "photos").glob("[1-9].png")], "holds 1 PNG or JPEG"),
        (lambda f: [p.unlink() for p in (f / "photos").glob("*.png")], "photos holds no PNG or JP"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_photos_is_said(folders, spoil, message):
    spoil(folders)
    with pytest.raises(DataError, match=message):
        ready(data_dir=folders / "photos", sets_dir=folders / "sets")


def test_photos_of_packages_stand_in():
    with pytest.warns(UserWarning, match="data_dir is not set: these are photos of scikit-image"):
        data = ready()
    scenes = [p.name for photos in data.photos.values() for p in photos]

    assert len(scenes) == len(set(scenes)) == 10
    assert data.photos["test"][0].high.shape == (3, 512, 512)
    with pytest.raises(DataError, match=r"Set5_x4 is not here: set data\.sets_dir"):
        data.test_set("Set5_x4")
    with pytest.raises(ValueError, match=r"data\.patch 30 is to be a multiple of data\.scale 4"):
        SuperResolution(patch=30)


# The task


@pytest.fixture
def posed(folders):
    data = ready(data_dir=folders / "photos", sets_dir=folders / "sets")
    task = SuperRes("Some_x4")
    return task, data, task.pose(data, "test", 0)


def values(task, problems, answers):
    return {score.name: score.mean for score in task.score(problems, answers)}


def test_the_truth_is_the_best_answer(posed):
    task, data, problems = posed
    best = values(task, problems, problems.truth)

    assert task.name == "sr_y_shave4_some"
    assert problems.source == "Some_x4; NIQE left out for want of niqe_params"
    assert best == {
        "psnr": CEILING, "ssim": 1, "ssim_daala": 1, "patch_swd": 0, "gradient_ratio": 1
    }  # fmt: skip
    found = {n: values(task, problems, f(problems)) for n, f in task.baselines(data, 0).items()}
    assert found["bicubic"]["psnr"] > found["nearest"]["psnr"]
    assert all(scores["gradient_ratio"] < 1 for scores in found.values())
    for score in task.score(problems, problems.truth):
        assert score.distance <= min(
            other.distance
            for solve in task.baselines(data, 0).values()
            for other in task.score(problems, solve(problems))
            if other.name == score.name
        )


def test_whole_photos_are_those_of_all_sets_or_of_the_folder(folders):
    photos = folders / "photos"
    both, alone = ready(data_dir=photos, sets_dir=folders / "sets"), ready(data_dir=photos)
    sources = [SuperRes().pose(data, "test", 0).source.partition(";")[0] for data in (both, alone)]
    assert sources[0] == "Some_x4"  # Other_x2 is of another scale
    assert sources[1] == "photos of photos, test"
    assert SuperRes().pose(both, "val", 0).source.startswith("photos of photos, val")
    assert both.protocol == alone.protocol == "bicubic_x4"
    assert SuperResolution().protocol == "bicubic_x4_stand_in"


def test_niqe_is_measured_where_its_parameters_are(posed, tmp_path):
    _, data, _ = posed
    np.savez(tmp_path / "niqe.npz", mu_pris_param=np.ones((1, 36)), cov_pris_param=np.eye(36))
    task = SuperRes("Some_x4", niqe_params=tmp_path / "niqe.npz")
    problems = task.pose(data, "test", 0)
    score = task.score(problems, problems.truth)[-1]

    assert problems.source == "Some_x4"
    assert (score.name, score.n) == ("niqe", 0)  # too small for two blocks


def test_names_say_what_numbers_depend_on():
    assert SuperRes().name == "sr_y_shave4_photos"
    assert SuperRes("Set5_x4", tile=32).name == "sr_y_shave4_set5_tiles32"
    assert SuperRes("Set5_x3", 3).name == "sr_y_shave3_set5"
    assert {p.who for p in SuperRes("Set5_x4").published} == {"SRResNet", "SRGAN"}
    assert not SuperRes("Set5_x3", 3).published


class Conv(SimpleNamespace):
    """A model that is a network."""

    shape, condition_shape, device = (3, 32, 32), (3, 8, 8), "cpu"

    def sample_given(self, condition):
        return self.network(condition)


def test_models_are_asked_about_photos_of_any_size(posed):
    task, data, problems = posed
    model = Conv(network=SRResNet((3, 8, 8), (3, 32, 32), 1, 4))
    answers = task.solve(model, problems)
    bicubic_too = task.baselines(data, 0)["bicubic"](problems)

    task.require(model)
    assert [x.shape for x in answers] == [y.shape for y in problems.truth]
    ours, theirs = (values(task, problems, a)["psnr"] for a in (answers, bicubic_too))
    assert ours == pytest.approx(theirs, abs=0.2)  # untrained; edges and rounding aside
    with pytest.raises(Unanswerable, match="cannot be asked for high resolution"):
        task.require(object())
    with pytest.raises(ValueError, match="become 3 times as long and wide"):
        SuperRes(scale=3).require(model)
    with pytest.raises(ValueError, match="at scale 3 takes photos"):
        SuperRes(scale=3).pose(data, "test", 0)


def test_models_of_one_size_are_asked_about_tiles(posed):
    _, _, problems = posed

    def network(x):
        return interpolate(x.reshape(1, 3, 8, 8), scale_factor=4)

    answers = SuperRes("Some_x4", tile=8).solve(Conv(network=network), problems)
    for x, answer in zip(problems.given, answers, strict=True):
        torch.testing.assert_close(avg_pool2d(answer, 4), x)


def test_the_slide_has_the_original_bicubic_and_every_model(posed):
    task, data, problems = posed
    answers = {
        "mine": problems.truth,
        **{n: f(problems) for n, f in task.baselines(data, 0).items()},
    }
    task.shown = "img_002"
    slide = task.picture(problems, answers)

    height, width = problems.truth[1].shape[1:]
    assert slide.shape[1] == height + 2 * 18
    assert slide.dtype == torch.uint8
    assert torch.equal(slide[:, :height, :width].float(), problems.truth[1] * 255)
    assert slide.shape[2] < 4 * (width + 100)  # three panels, as wide as what is below them


# Losses of features


def test_vgg19_is_torchvisions():
    with torch.device("meta"):
        theirs = make_layers(cfgs["E"], False)
        ours, upto_relu = vgg19(5, 4, False), vgg19(2, 2, True)
    assert [str(layer) for layer in ours] == [
        str(k).replace(", inplace=True", "").replace("inplace=True", "") for k in theirs[:35]
    ]
    assert len(upto_relu) == 9


def test_features_are_compared_and_weights_never_downloaded(tmp_path):
    path = tmp_path / "vgg19.pth"
    network = vgg19(1, 2, False)
    torch.save({f"features.{k}": w for k, w in network.state_dict().items()}, path)
    loss = FeatureLoss(path, weight=0.5, group=1, convolution=2)
    x, y = noise(2, 3, 8, 8).requires_grad_(), noise(2, 3, 8, 8, seed=1)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    wanted = (network((x - mean) / std) - network((y - mean) / std)).square().mean()

    found = loss(x, y, y)
    torch.testing.assert_close(found, wanted)
    assert torch.autograd.grad(found, x)[0].abs().sum() > 0
    assert loss.name == "vgg19_1_2"
    assert not loss.state_dict()
    assert not list(loss.parameters())
    with pytest.raises(ValueError, match="does not hold the weights of torchvision's vgg19"):
        FeatureLoss(path)(x, y, y)
    with pytest.raises(ValueError, match=r"found no file none\.pth: set weights_path"):
        FeatureLoss("none.pth")(x, y, y)
    with pytest.raises(ValueError, match="VGG19 has no conv2_3"):
        FeatureLoss(path, group=2, convolution=3)


def test_digits_are_compared_by_what_a_classifier_sees():
    loss, x = DigitLoss(), noise(3, 1, 28, 28).requires_grad_()
    found = loss(x, x.detach().flip(2), x)

    assert loss(x, x.detach(), x).item() == 0
    assert torch.autograd.grad(found, x)[0].abs().sum() > 0
    assert not list(loss.parameters())


# Training, and photos of the user's own


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("superres") / "run"
    options = ["--run_dir", str(folder), "--trainer.accelerator=cpu"]
    with warnings.catch_warnings(action="ignore"):  # of photos that stand in
        main(["fit", "-c", "superres_fast", *options])
        main(["test", str(folder)])
    return folder


def test_seconds_of_training_beat_interpolation(run):
    document = json.loads((run / "results.json").read_text())
    found = {m["name"]: m["value"] for m in document["metrics"]}
    task = SuperRes()
    data = SimpleNamespace(scale=4, photos={"test": packaged("test", 4)}, source_of=str.upper)
    problems = task.pose(data, "test", 0)
    for name, solve in task.baselines(data, 0).items():
        scores = values(task, problems, solve(problems))
        assert found[f"{task.name}_psnr"] > scores["psnr"] + 0.2, name
        assert found[f"{task.name}_ssim"] > scores["ssim"] + 0.005, name


def upscale(run, photo, *options):
    main(["upscale", str(run), str(photo), *map(str, options)])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_photos_of_any_kind_become_larger(run, tmp_path, mode, capsys):
    small = Image.merge(
        "RGBA", [*to_pil_image(picture(21, 34)).split(), Image.new("L", (34, 21), 99)]
    )
    photo = tmp_path / "photo.png"
    (small if mode == "RGBA" else small.convert("RGB").convert(mode)).save(photo)
    out = tmp_path / "large.png"
    upscale(run, photo, "--out", out)

    with Image.open(out) as large, Image.open(photo) as before:
        assert large.size == (136, 84)
        assert large.mode == {"P": "RGB", "1": "L"}.get(mode, mode)
        alike = large.convert("RGB").resize(before.size, Image.Resampling.BOX)
        off = pil_to_tensor(alike).float() - pil_to_tensor(before.convert("RGB")).float()
        if mode == "RGBA":
            assert (pil_to_tensor(large)[3] == 99).all()
    assert off.abs().mean() < (40 if mode == "1" else 8)
    assert str(out) in capsys.readouterr().out


def test_tiles_of_a_photo_do_not_show(run, tmp_path):
    to_pil_image(picture(70, 90)).save(tmp_path / "photo.png")
    for tile in (0, 64):
        upscale(run, tmp_path / "photo.png", "--tile", tile, "--out", tmp_path / f"{tile}.png")
    a, b = (pil_to_tensor(Image.open(tmp_path / f"{tile}.png")).int() for tile in (0, 64))
    assert (a - b).abs().max() <= 1  # rounding


def test_nothing_is_overwritten_and_folders_are_gone_through(run, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(2):
        to_pil_image(picture(9, 8 + k)).save(folder / f"{k}.jpg")
    upscale(run, folder)
    upscale(run, folder / "0.jpg")
    (folder / "notes.txt").write_text("to be gone past")
    assert (run / "samples" / "upscale-1" / "1.png").is_file()
    assert (run / "samples" / "upscale-2" / "0.png").is_file()

    for file, options, message in [
        (folder, ["--out", run / "samples" / "upscale-1"], "exists and is not overwritten"),
        (tmp_path / "none.png", [], f"there is no file {tmp_path / 'none.png'}"),
        (folder / "notes.txt", [], "is no PNG or JPEG, nor a folder with any"),
        (folder / "0.jpg", ["--out", tmp_path / "big.jpg"], f"give --out {tmp_path / 'big.png'}"),
        (folder, ["--tile", "-3"], "is not a whole number of pixels"),
    ]:
        with pytest.raises(SystemExit):
            upscale(run, file, *options)
        assert message in capsys.readouterr().err
