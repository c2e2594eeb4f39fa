"""Pairs of images are what they are said to be, and exact where that is promised."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlit.data import AerialMaps, CamVid, EdgesToDigits, PairedFolder
from genlit.data.aerial_maps import PALETTE, landscapes
from genlit.data.edges_to_digits import gradients
from genlit.data.fitting import middle_of
from genlit.data.idx import DataError
from genlit.data.street_plan import CLASSES
from genlit.tasks.label_maps import nearest_classes
from tests.test_translation import FewPairs


def loaded(data):
    data.setup("fit")
    return data


def test_batches_are_pairs_in_the_unit_interval():
    data = loaded(FewPairs())
    places = []
    for batch in data.train_dataloader():
        x = (batch["x"] * 255).round().byte()
        place = (x[:, None] == data.splits["train"]).flatten(2).all(2).int().argmax(1)
        assert torch.equal(batch["condition"], data.conditions["train"][place] / 255)
        places += place.tolist()
    assert sorted(places) == list(range(60))


def test_mirrored_pairs_stay_pairs():
    plain, both = loaded(FewPairs()), FewPairs()
    both.mirror = True
    loaded(both)
    for kind in ("splits", "conditions"):
        images, twice = (getattr(data, kind)["train"] for data in (plain, both))
        assert torch.equal(twice, torch.cat([images, images.flip(-1)]))
        assert torch.equal(getattr(both, kind)["test"], getattr(plain, kind)["test"])


# Landscapes


def test_maps_tell_the_class_of_every_pixel():
    labels, views = landscapes(30, 32, 48, "test")
    assert views.shape == (30, 3, 32, 48)
    kinds = {
        direction: loaded(AerialMaps(32, direction, n=5, held_out=5))
        for direction in ("aerial_to_map", "map_to_aerial", "labels_to_aerial")
    }
    palette = torch.tensor(PALETTE) / 255
    labels, views = landscapes(5, 32, 32, "test")
    for direction, data in kinds.items():
        x, given = data.splits["test"], data.conditions["test"]
        assert (x.shape[1:], given.shape[1:]) == (data.shape, data.condition_shape)
        aerial, drawn = (given, x) if direction == "aerial_to_map" else (x, given)
        assert torch.equal(aerial, views)
        colours = torch.eye(len(CLASSES)) if direction == "labels_to_aerial" else palette
        assert torch.equal(nearest_classes(drawn / 255, colours), labels)
        known = data.palette if direction == "aerial_to_map" else data.condition_palette
        assert torch.equal(known, colours)


def test_landscapes_are_the_same_for_the_same_name_alone():
    first = landscapes(3, 16, 16, "train")
    assert torch.equal(first[1], landscapes(3, 16, 16, "train")[1])
    assert torch.equal(first[1], landscapes(5, 16, 16, "train")[1][:3])
    for other in (landscapes(3, 16, 16, "val"), landscapes(3, 16, 16, "train", world=1)):
        assert not torch.equal(first[1], other[1])


def test_landscapes_have_all_there_is():
    labels, views = landscapes(100, 64, 64, "train")
    shares = torch.bincount(labels.flatten(), minlength=len(CLASSES)) / labels.numel()
    assert (shares > 0.02).all()
    assert shares.max() < 0.6
    have = torch.stack([(labels == k).flatten(1).any(1) for k in range(len(CLASSES))])
    assert (have.float().mean(1) > 0.3).all()
    spread = views.float().flatten(1).std(1)
    assert (spread > 10).all()


def test_flat_colours_lie_apart():
    colours = torch.tensor(PALETTE) / 255
    assert torch.pdist(colours).min() > 0.15


def test_what_is_too_small_is_refused():
    with pytest.raises(ValueError, match="size of 16 or more and n and held_out of 1 or more"):
        AerialMaps(size=8)


# Digits


def test_edges_are_sobels():
    from scipy.ndimage import sobel

    images = torch.randint(256, (3, 1, 9, 7), dtype=torch.uint8)
    found = gradients(images)
    for image, mine in zip(images[:, 0].double().numpy(), found[:, 0], strict=True):
        expected = np.hypot(sobel(image, 0, mode="nearest"), sobel(image, 1, mode="nearest"))
        np.testing.assert_allclose(mine.numpy(), expected, rtol=1e-5)


def test_edges_know_whether_there_is_one_and_not_of_what():
    data = EdgesToDigits(threshold=0.4)
    assert data.protocol == "grey_edges0.4"
    with pytest.raises(ValueError, match="threshold is 1: a share"):
        EdgesToDigits(threshold=1)
    from genlit.data.edges_to_digits import edges

    image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    image[..., 4:] = 200
    found = edges(image, 0.5)
    assert torch.equal(found, edges(255 - image, 0.5))
    assert found.unique().tolist() == [0, 255]
    assert (found[0, 0] == 255).any(0).tolist() == [False] * 3 + [True] * 2 + [False] * 3


# Folders


def painted(*size: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(sum(size)).integers(0, 256, size, dtype=np.uint8))


def two_folders(folder, n: int = 12):
    for name in ("a", "b"):
        (folder / name).mkdir()
    for k in range(n):
        painted(10 + k, 14, 3).save(folder / "a" / f"{k:02}.png")
        classes = np.arange(140, dtype=np.uint8).reshape(10, 14) % 5
        image = Image.fromarray(classes)
        if k % 2:  # with a palette, whose colours mean nothing
            image = image.convert("P")
            image.putdata(classes.flatten().tolist())
        image.save(folder / "b" / f"{k:02}.png")
    return folder / "a", folder / "b"


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_picture_of_both_is_cut_in_halves(side, tmp_path):
    halves = {}
    for k in range(12):
        both = painted(8, 20 + k % 2, 3)  # of 21 pixels the middle one belongs to neither
        both.save(tmp_path / f"{k}.png")
        image = torch.from_numpy(np.array(both)).permute(2, 0, 1)
        halves[k] = image[..., :10], image[..., -10:]
    data = loaded(PairedFolder(tmp_path, condition_side=side, size=(8, 10), held_out=2))
    assert {split: len(x) for split, x in data.splits.items()} == dict(train=8, val=2, test=2)
    for split, files in data.files.items():
        for at, path in enumerate(files):
            given, x = halves[int(path.stem)] if side == "left" else halves[int(path.stem)][::-1]
            assert torch.equal(data.conditions[split][at], given)
            assert torch.equal(data.splits[split][at], x)


def test_two_folders_are_paired_by_name(tmp_path):
    of, given = two_folders(tmp_path)
    data = loaded(PairedFolder(of, given, size=(10, 14), classes=5, held_out=1))
    assert (data.shape, data.condition_shape) == ((3, 10, 14), (5, 10, 14))
    labels = torch.arange(140).view(10, 14) % 5
    for split, maps in data.conditions.items():
        assert (maps.float().div(255).sum(1) == 1).all()
        assert (maps.argmax(1) == labels).all(), split
    small = loaded(PairedFolder(of, given, size=(5, 7), classes=5, held_out=1))
    nearest = small.conditions["train"].argmax(1)
    assert (nearest == labels[1::2, 1::2]).all()


def test_channels_may_be_many(tmp_path):
    arrays = {}
    for name, channels in (("a", 1), ("b", 7)):
        (tmp_path / name).mkdir()
        for k in range(6):
            array = torch.randint(256, (channels, 9, 9), dtype=torch.uint8)
            arrays[name, k] = array
            np.save(tmp_path / name / f"{k}.npy", array.numpy())
    options = {"channels": 1, "held_out": 1, "size": 9}
    data = loaded(PairedFolder(tmp_path / "a", tmp_path / "b", condition_channels=7, **options))
    for split, files in data.files.items():
        for at, path in enumerate(files):
            assert torch.equal(data.splits[split][at], arrays["a", int(path.stem)])
            assert torch.equal(data.conditions[split][at], arrays["b", int(path.stem)])
    wrong = PairedFolder(tmp_path / "a", tmp_path / "b", condition_channels=4, **options)
    with pytest.raises(DataError, match=r"npy has 7 channels, and not 4.*: mend them"):
        wrong.setup("fit")


def test_what_is_missing_or_wrong_is_said(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        PairedFolder(tmp_path / "none").setup("fit")
    of, given = two_folders(tmp_path)
    (given / "03.png").unlink()
    with pytest.raises(DataError, match=r"there is no file .*03\.\* that 03 is made from"):
        PairedFolder(of, given, classes=5).setup("fit")
    painted(4, 4).save(given / "03.png")
    with pytest.raises(DataError, match="a map of 5 classes has one channel and numbers up to 4"):
        PairedFolder(of, given, classes=5).setup("fit")
    with pytest.raises(ValueError, match="give pixels a side, or height and width"):
        PairedFolder(of, size=(1, 2, 3))


def test_the_middle_has_the_form_of_the_size():
    image = torch.arange(60).view(1, 6, 10)
    assert torch.equal(middle_of(image, 3, 3), image[..., 2:8])
    assert torch.equal(middle_of(image, 2, 10), image[:, 2:4])
    assert torch.equal(middle_of(image, 12, 20), image)


# CamVid


def test_camvid_reads_the_tutorials_folder(tmp_path):
    for split in ("train", "val", "test"):
        for folder in (split, f"{split}annot"):
            (tmp_path / folder).mkdir()
        for k in range(3):
            painted(12, 16, 3).save(tmp_path / split / f"{k}.jpg")
            labels = np.full((12, 16), k + 9, dtype=np.uint8)
            Image.fromarray(labels).save(tmp_path / f"{split}annot" / f"{k}.png")
    data = loaded(CamVid(tmp_path, size=12, batch_size=2))
    assert (data.source, data.protocol) == ("CamVid", "grey_labels_to_photo")
    assert data.splits["train"].shape == (6, 3, 12, 12)  # mirrored, too
    assert data.conditions["test"].argmax(1).flatten(1).unique(dim=1).T.tolist() == [[9, 10, 11]]
    back = loaded(CamVid(tmp_path, size=12, direction="photo_to_labels"))
    assert torch.equal(back.splits["test"], data.conditions["test"])
    assert torch.equal(back.palette, torch.eye(12))
    (tmp_path / "valannot" / "0.png").unlink()
    with pytest.raises(DataError, match=r"there is no file .*valannot.0"):
        CamVid(tmp_path).setup("fit")
    with pytest.raises(DataError, match="or leave it out, and landscapes by a generator stand in"):
        CamVid(tmp_path / "none").setup("fit")


def test_without_camvid_landscapes_stand_in_and_say_so():
    data = CamVid(size=16)
    with pytest.warns(UserWarning, match="data_dir is not set: these are landscapes by a"):
        data.setup("fit")
    assert data.source == "landscapes by a generator, in place of CamVid"
    assert "stand_in" in data.protocol
    labels, views = landscapes(100, 16, 16, "test")
    assert torch.equal(data.conditions["test"].argmax(1), labels)
    assert torch.equal(data.splits["test"], views)
