"""Images of one's own, and what becomes of grey levels."""

import numpy as np
import pytest
import torch

from genlit.data import MNIST, Arrays
from genlit.data.idx import DataError


def saved(tmp_path, **arrays):
    path = tmp_path / "images.npz"
    np.savez(path, **arrays)
    return path


def images(n: int = 50, channels: int | None = None) -> np.ndarray:
    shape = (n, 6, 4) if channels is None else (n, channels, 6, 4)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("channels", [None, 3])
def test_every_image_is_in_one_set(channels, tmp_path):
    x = images(channels=channels)
    data = Arrays(saved(tmp_path, faces=x), batch_size=5)
    data.setup("fit")

    assert data.shape == (channels or 1, 6, 4)
    assert {name: len(split) for name, split in data.splits.items()} == {
        "val": 5, "test": 5, "train": 40
    }  # fmt: skip
    together = torch.cat(list(data.splits.values())).flatten(1)
    order = lambda t: sorted(map(tuple, t.tolist()))  # noqa: E731
    assert order(together) == order(torch.from_numpy(x).flatten(1))


def test_mean_and_deviation_are_those_of_training_intensities(tmp_path):
    data = Arrays(saved(tmp_path, faces=images()), batch_size=5)
    data.setup("fit")
    x = data.splits["train"].double() / 255

    torch.testing.assert_close(data.mean.double(), x.mean(0), rtol=0, atol=1e-6)
    torch.testing.assert_close(data.std.double(), x.std(0, correction=0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("levels", [2, 4, 7])
def test_levels_are_the_nearest(levels, tmp_path):
    path = saved(tmp_path, faces=images())
    data = Arrays(path, batch_size=5, binarize="levels", levels=levels)
    data.setup("fit")
    x, grey = data.events("test"), data.splits["test"] / 255

    k = x * (levels - 1)
    torch.testing.assert_close(k, k.round())
    assert ((x - grey).abs() <= 0.5 / (levels - 1) + 1e-6).all()
    assert (data.protocol, x.shape) == (f"{levels}_levels", grey.shape)
    batch = next(iter(data.train_dataloader()))["x"]
    assert set((batch * (levels - 1)).round().unique().tolist()) <= set(range(levels))


def test_black_is_white(tmp_path):
    path = saved(tmp_path, faces=images())
    plain, inverted = Arrays(path), Arrays(path, invert=True, binarize="threshold")
    for data in (plain, inverted):
        data.setup("fit")
    assert (plain.splits["val"] == 255 - inverted.splits["val"]).all()
    assert (plain.protocol, inverted.protocol) == ("grey", "threshold_inverted")


def test_the_middle_of_digits_is_kept():
    whole, cropped = MNIST(), MNIST(crop=4, validation=100)
    for data in (whole, cropped):
        data.setup("test")
    assert (cropped.splits["test"] == whole.splits["test"][..., 12:16, 12:16]).all()
    assert (cropped.shape, cropped.protocol) == ((1, 4, 4), "dynamic_crop4")
    assert [len(cropped.splits[name]) for name in ("train", "val")] == [59_900, 100]


def test_what_is_no_image_is_refused(tmp_path):
    path = tmp_path / "no.npz"
    with pytest.raises(DataError, match="cannot be read"):
        _ = Arrays(path).shape
    path.write_text("nothing")
    with pytest.raises(DataError, match="cannot be read"):
        _ = Arrays(path).shape
    two = saved(tmp_path, a=images(), b=images())
    with pytest.raises(DataError, match=r"holds a, b: say which by data\.key"):
        _ = Arrays(two).shape
    assert Arrays(two, key="b").shape == (1, 6, 4)
    with pytest.raises(DataError, match="must leave some to train on"):
        Arrays(two, key="a", held_out=25).setup("fit")
    with pytest.raises(DataError, match="images are uint8"):
        _ = Arrays(saved(tmp_path, a=images() / 255)).shape
