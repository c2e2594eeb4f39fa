"""Stacked digits, CIFAR-10 from its files, and folders of pictures."""

import os
import pickle
import tarfile

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_pil_image

from genlit.data import CIFAR10, MNIST, ImageFolder, StackedMNIST
from genlit.data.cifar import FOLDER
from genlit.data.idx import DataError
from genlit.features.modes import Modes, coverage


def ready(data):
    data.setup("fit")
    return data


@pytest.fixture(scope="module")
def stacked():
    return ready(StackedMNIST(n=3000))


def test_channels_are_digits_of_the_same_set(stacked):
    images = ready(MNIST(binarize="none")).splits

    assert stacked.shape == (3, 28, 28)
    assert stacked.protocol == "grey"
    for split, n in {"train": 3000, "val": 500, "test": 500}.items():
        x = stacked.splits[split]
        assert x.shape == (n, 3, 28, 28)
        assert x.dtype == torch.uint8
        chosen = stacked.chosen(split, n, len(images[split]))
        assert chosen.unique().numel() > n  # digits are chosen apart from each other
        for k in (0, 7, n - 1):
            for channel in range(3):
                assert torch.equal(x[k, channel], images[split][chosen[k, channel], 0])


def test_all_runs_share_the_same_stacks(stacked):
    torch.manual_seed(9)
    assert torch.equal(ready(StackedMNIST(n=3000)).splits["val"], stacked.splits["val"])


def test_classifier_tells_the_modes_of_stacks(stacked):
    data = ready(MNIST(binarize="none", labels=True))
    labels = data.conditions["test"].argmax(1)[stacked.chosen("test", 500, 10_000)]
    found = stacked.modes.assign(stacked.splits["test"])
    digits = torch.stack([found % 10, found // 10 % 10, found // 100], 1)

    assert isinstance(stacked.modes, Modes)
    assert (stacked.modes.count, stacked.modes.ceiling) == (1000, 1.0)
    assert (digits == labels).double().mean() > 0.98
    assert torch.equal(stacked.modes.assign(stacked.splits["test"] / 255), found)
    assert coverage(found, 1000).reverse_kl < 1.5 * 999 / (2 * 500)


def test_two_digits_have_a_hundred_modes():
    data = ready(StackedMNIST(2, n=600))

    assert data.shape == (2, 28, 28)
    assert data.modes.count == 100
    assert data.modes.name == "stacked-2_lenet-mnist-v1"
    with pytest.raises(ValueError, match="digits is 1 to 3"):
        StackedMNIST(4)


def cifar(folder, n: int = 20, name: str = FOLDER):
    """Writes files as CIFAR-10's are: pickles of bytes, in the protocol of their time."""
    inner = folder / name
    inner.mkdir(parents=True)
    for k, file in enumerate([*(f"data_batch_{b}" for b in range(1, 6)), "test_batch"]):
        data = torch.randint(0, 256, (n, 3072), dtype=torch.uint8).numpy()
        labels = [(k + i) % 10 for i in range(n)]
        data[:, 0] = labels  # the first pixel is red as the class says
        with (inner / file).open("wb") as opened:
            pickle.dump({b"data": data, b"labels": labels}, opened, protocol=2)
    return folder


def test_cifar_is_read_from_its_folder_and_from_the_archive(tmp_path):
    cifar(tmp_path / "a")
    data = ready(CIFAR10(tmp_path / "a", labels=True, batch_size=5))

    assert {k: v.shape for k, v in data.splits.items()} == {
        "train": (90, 3, 32, 32), "val": (10, 3, 32, 32), "test": (20, 3, 32, 32)
    }  # fmt: skip
    for split, images in data.splits.items():
        assert torch.equal(images[:, 0, 0, 0], data.conditions[split].argmax(1))
    batch = next(iter(data.train_dataloader()))
    assert batch["condition"].shape == (5, 10)
    assert torch.equal((batch["x"][:, 0, 0, 0] * 255).round(), batch["condition"].argmax(1).float())

    archive = tmp_path / "b" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "a" / FOLDER, FOLDER)
    for place in (archive.parent, archive, tmp_path / "a" / FOLDER):
        assert torch.equal(ready(CIFAR10(place)).splits["val"], data.splits["val"])
    assert not ready(CIFAR10(archive)).conditions
    assert len(ready(CIFAR10(archive, validation=3)).splits["val"]) == 3


def test_absent_or_broken_cifar_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"no CIFAR-10 in .*: get cifar-10-python.tar.gz from http"):
        ready(CIFAR10(tmp_path / "none"))
    cifar(tmp_path)
    broken = tmp_path / FOLDER / "data_batch_3"
    broken.write_bytes(broken.read_bytes()[:500])
    with pytest.raises(DataError, match=r"data_batch_3 is not a file of CIFAR-10"):
        ready(CIFAR10(tmp_path))
    broken.unlink()
    with pytest.raises(DataError, match=r"cannot read CIFAR-10 .*data_batch_3.*get it anew"):
        ready(CIFAR10(tmp_path))


class Evil:
    def __reduce__(self):
        return os.system, ("touch harmed",)


def test_a_pickle_that_would_run_code_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cifar(tmp_path)
    (tmp_path / FOLDER / "test_batch").write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(DataError, match=r"test_batch is not .*: it asks for \w+\.system"):
        ready(CIFAR10(tmp_path))
    assert not (tmp_path / "harmed").exists()


def pictures(folder, n: int = 20, kind: str = "png", value=lambda k: k):
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        image = torch.full((3, 12, 20), value(k), dtype=torch.uint8)
        image[:, :, :4] = image[:, :, 16:] = 255  # what is cut off
        to_pil_image(image).save(folder / f"{k}.{kind}")
    return folder


def test_the_middle_of_every_picture_is_in_one_set(tmp_path):
    pictures(tmp_path / "deep" / "er")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._1.png").write_text("hidden")
    data = ready(ImageFolder(tmp_path, 6, batch_size=4))

    assert data.shape == (3, 6, 6)
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 16, "val": 2, "test": 2}
    x = torch.cat(list(data.splits.values()))
    assert x.dtype == torch.uint8
    assert sorted(x[:, 0, 3, 3].tolist()) == list(range(20))
    assert (x[:, :, :, 2:4] == x[:, :1, 3:4, 3:4]).all()
    assert (x[:, :, :, 0] < 40).all()  # of the white sides, no more than smoothing takes in


def test_grey_and_oblong(tmp_path):
    data = ready(ImageFolder(pictures(tmp_path, kind="JPG"), [3, 5], colour=False))
    assert data.splits["train"].shape == (16, 1, 3, 5)


def test_a_file_stays_in_its_set_when_others_come(tmp_path):
    def split():
        data = ImageFolder(tmp_path, 4, held_out=5)
        return {path.name: split for split, files in data.files.items() for path in files}

    pictures(tmp_path, 40)
    before = split()
    to_pil_image(torch.zeros(3, 12, 20)).save(tmp_path / "new.png")
    after = split()
    assert sum(before[name] != after[name] for name in before) <= 2
    assert split() == after


def test_folders_are_classes(tmp_path):
    for c, name in enumerate(("cat", "dog", "emu")):
        pictures(tmp_path / name / "in", 10, value=lambda k, c=c: 50 * c)
    data = ready(ImageFolder(tmp_path, 12, labels=True))

    assert data.classes == ["cat", "dog", "emu"]
    for split, images in data.splits.items():
        assert data.conditions[split].shape == (len(images), 3)
        assert torch.equal(data.conditions[split].argmax(1) * 50, images[:, 0, 6, 6].long())
    pictures(tmp_path, 1)
    with pytest.raises(DataError, match=r"labels are the folders in .*, and 0.png lies in none"):
        ready(ImageFolder(tmp_path, 4, labels=True))


def test_a_turned_photograph_stands_upright(tmp_path):
    image = Image.new("RGB", (8, 8))
    image.paste((255, 255, 255), (0, 0, 8, 4))  # white above, until it is turned a quarter
    exif = Image.Exif()
    exif[0x0112] = 6
    for k in range(3):
        image.save(tmp_path / f"{k}.jpg", exif=exif, quality=100)
    x = ready(ImageFolder(tmp_path, 8, held_out=1)).splits["train"][0, 0].float()

    assert x[:, 4:].mean() > 200
    assert x[:, :4].mean() < 50


def test_what_cannot_be_read_is_named(tmp_path):
    pictures(tmp_path, 30)
    for k in range(7):
        (tmp_path / f"{k}.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        ready(ImageFolder(tmp_path, 4))
    said = str(caught.value)
    assert said.count("cannot read") == 5
    assert said.endswith("and 2 more: take them out of the folder")
    assert "\n" not in said
    with pytest.raises(DataError, match=r"there is no folder .*none: set data\.path to one"):
        ready(ImageFolder(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no PNG or JPEG pictures.*set data\.path"):
        ready(ImageFolder(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"data\.batch_size is 0: it must be 1 or more"):
        ready(StackedMNIST(n=600, batch_size=0)).train_dataloader()
    with pytest.raises(ValueError, match="give pixels a side"):
        ImageFolder(tmp_path, [3, 4, 5])
