"""The bundled images are the published ones, and who sees which of them when never changes."""

import gzip
import hashlib
import lzma
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genlit.data import MNIST, BarsAndStripes, mnist
from genlit.data.idx import LABELS, DataError, parse, read_bytes
from genlit.data.images import dequantized, sampled, scaled, thresholded
from genlit.data.loader import EvaluationLoader, TrainLoader
from genlit.data.mnist import BUNDLED, find, read_images
from genlit.data.toy import bars_and_stripes
from genlit.randomness import generator

PUBLISHED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


# Files


@pytest.mark.parametrize(("name", "md5"), PUBLISHED.items(), ids=str)
def test_bundled_files_are_the_published_ones(name, md5):
    raw = read_bytes(BUNDLED / f"{name}.xz")
    assert hashlib.md5(raw).hexdigest() == md5


def test_bundled_labels_are_digits():
    path = BUNDLED / "t10k-labels-idx1-ubyte.xz"
    labels = parse(read_bytes(path), LABELS, path)
    assert labels.shape == (10_000,)
    assert labels.unique().tolist() == list(range(10))


def idx(images: torch.Tensor) -> bytes:
    header = struct.pack(f">{1 + images.dim()}I", 0x800 + images.dim(), *images.shape)
    return header + images.numpy().tobytes()


COMPRESS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def folder_of(tmp_path: Path, suffix: str = "", train: int = 12, prefix: str = "") -> Path:
    """A folder in MNIST's form whose images are random."""
    for split, n in {"train": train, "t10k": 4}.items():
        raw = idx(torch.randint(256, (n, 28, 28), dtype=torch.uint8))
        (tmp_path / f"{prefix}{split}-images-idx3-ubyte{suffix}").write_bytes(COMPRESS[suffix](raw))
    return tmp_path


@pytest.mark.parametrize("suffix", COMPRESS)
def test_own_files_are_read_plain_or_compressed(tmp_path, suffix):
    images = torch.randint(256, (5, 28, 28), dtype=torch.uint8)
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(COMPRESS[suffix](idx(images)))
    assert (read_images(path) == images.unsqueeze(1)).all()


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("harm", ["truncated", "corrupt", "empty", "no bytes", "labels", "long"])
def test_harmed_file_is_named_in_one_line(tmp_path, suffix, harm):
    raw = idx(torch.randint(256, (5, 28, 28), dtype=torch.uint8))
    packed = COMPRESS[suffix](raw)
    harmed = {
        "truncated": packed[: len(packed) // 2],
        "corrupt": b"\xff" * 40 + packed[40:],
        "empty": COMPRESS[suffix](idx(torch.zeros(0, 28, 28, dtype=torch.uint8))),
        "no bytes": b"",
        "labels": COMPRESS[suffix](idx(torch.zeros(5, dtype=torch.uint8))),
        "long": COMPRESS[suffix](raw + b"\0"),
    }
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(harmed[harm])
    with pytest.raises(DataError) as caught:
        read_images(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_of_another_size_are_refused(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(idx(torch.zeros(2, 20, 30, dtype=torch.uint8)))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte holds images of 20 x 30 pixels"):
        read_images(path)


def test_missing_and_ambiguous_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere has no file train-images-idx3-ubyte"):
        find(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match=r"cannot read .*gone"):
        read_bytes(tmp_path / "gone")
    folder_of(tmp_path)
    folder_of(tmp_path, ".gz")
    with pytest.raises(DataError, match=r"several files of train images \(train-images-idx3-ubyte, "
                                        r"train-images-idx3-ubyte\.gz\): keep one"):  # fmt: skip
        find(tmp_path, "train")


def test_emnist_is_turned_upright(tmp_path):
    images = torch.randint(256, (3, 28, 28), dtype=torch.uint8)
    path = tmp_path / "emnist-digits-test-images-idx3-ubyte"
    path.write_bytes(idx(images))
    assert find(tmp_path, "t10k", "test") == path
    assert (read_images(path) == images.mT.unsqueeze(1)).all()


# Splits


def test_split_of_mnist_is_fixed_disjoint_and_complete(monkeypatch):
    numbers = {"train": torch.arange(60_000), "t10k": torch.arange(60_000, 70_000)}
    monkeypatch.setattr(mnist, "read_images", lambda path: numbers[path.name.split("-")[0]])
    split = MNIST().read()
    assert {name: len(which) for name, which in split.items()} == {
        "train": 50_000, "val": 10_000, "test": 10_000
    }  # fmt: skip
    assert torch.cat(list(split.values())).sort().values.tolist() == list(range(70_000))
    assert (split["test"] >= 60_000).all()
    # Every number ever measured is about this split.
    digest = hashlib.md5(split["val"].numpy().tobytes()).hexdigest()
    assert digest == "7d3adb019916649e3c9bdf53520d644f"


def test_split_does_not_depend_on_the_seed(tmp_path):
    folder_of(tmp_path)
    first = splits(tmp_path, seed=1)
    second = splits(tmp_path, seed=2)
    assert len(first["val"]) == 2
    assert all((first[name] == second[name]).all() for name in first)


def splits(folder: Path, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    data = MNIST(folder, batch_size=2)
    data.setup("fit")
    assert data.seed == seed
    return data.splits


# Binarization


def test_sampled_pixels_are_unbiased():
    images = torch.arange(256, dtype=torch.uint8).repeat(4000, 1)
    p = torch.arange(256) / 255
    events = sampled(images, generator("a"))
    z = (events.mean(0) - p)[1:-1] / (p * (1 - p) / 4000).sqrt()[1:-1]
    assert z.abs().max() < 4.5
    assert z.mean().abs() < 4 / 254**0.5
    assert (events[:, 0] == 0).all()
    assert (events[:, 255] == 1).all()


def test_threshold_and_grey_levels():
    images = torch.tensor([0, 127, 128, 255], dtype=torch.uint8)
    assert thresholded(images, generator()).tolist() == [0, 0, 1, 1]
    assert scaled(images, generator()).tolist() == pytest.approx([0, 127 / 255, 128 / 255, 1])


def mnist_like(tmp_path: Path, binarize: str, seed: int = 0) -> MNIST:
    if not list(tmp_path.iterdir()):
        folder_of(tmp_path, train=60)
    torch.manual_seed(seed)
    data = MNIST(tmp_path, batch_size=50, binarize=binarize)
    data.setup("fit")
    return data


def visits(data: MNIST) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over images of what two epochs show; the order does not matter to it."""
    loader, seen = data.train_dataloader(), []
    for epoch in (0, 1):
        loader.set_epoch(epoch)
        seen.append(torch.cat([b["x"] for b in loader]).sum(0))
    return seen[0], seen[1]


def test_dynamic_binarization_is_fresh_in_training_only(tmp_path):
    data, other = mnist_like(tmp_path, "dynamic", 0), mnist_like(tmp_path, "dynamic", 1)
    first, second = visits(data)
    assert (first != second).any()
    for split in ("val", "test"):
        assert (data.events(split) == data.events(split)).all()
        assert (data.events(split) == other.events(split)).all()
        assert set(data.events(split).unique().tolist()) == {0, 1}
    batches = [torch.cat([b["x"] for b in d.test_dataloader()]) for d in (data, other)]
    assert (batches[0] == batches[1]).all()


@pytest.mark.parametrize("binarize", ["static", "threshold"])
def test_other_binarizations_are_made_once_for_all_seeds(tmp_path, binarize):
    data, other = mnist_like(tmp_path, binarize, 0), mnist_like(tmp_path, binarize, 1)
    first, second = visits(data)
    assert (first == second).all()
    assert (visits(other)[0] == first).all()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        assert set(torch.cat([b["x"] for b in loader]).unique().tolist()) == {0, 1}


def test_static_is_not_threshold(tmp_path):
    static, threshold = (mnist_like(tmp_path, b) for b in ("static", "threshold"))
    assert (visits(static)[0] != visits(threshold)[0]).any()


def test_grey_levels_stay_in_range(tmp_path):
    data = mnist_like(tmp_path, "none")
    for loader in (data.train_dataloader(), data.val_dataloader()):
        x = torch.cat([b["x"] for b in loader])
        assert x.dtype == torch.float32
        assert x.min() == 0
        assert x.max() == 1
        assert len(x.unique()) == 256


def test_protocol_names_what_was_done():
    protocols = {b: MNIST(binarize=b).protocol for b in ("dynamic", "static", "threshold", "none")}
    assert protocols == {
        "dynamic": "dynamic", "static": "static", "threshold": "threshold", "none": "grey"
    }  # fmt: skip


def test_mean_is_that_of_the_training_images(tmp_path):
    data = mnist_like(tmp_path, "dynamic")
    torch.testing.assert_close(data.mean, data.splits["train"].float().mean(0) / 255)


# Loaders


def loader(n: int, batch: int, rank: int = 0, world: int = 1, seed: int = 5) -> TrainLoader:
    images = torch.arange(n * 4, dtype=torch.int32).remainder(256).byte().view(n, 1, 2, 2)
    return TrainLoader(images, batch, sampled, seed, rank, world)


def batches(train: TrainLoader, epoch: int) -> list[torch.Tensor]:
    train.set_epoch(epoch)
    return [b["x"] for b in train]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(x.shape == y.shape and (x == y).all() for x, y in zip(a, b))  # noqa: B905


def test_order_depends_on_seed_and_epoch_only():
    expected = batches(loader(23, 5), 3)
    torch.manual_seed(99)
    used = loader(23, 5)
    batches(used, 0)
    assert len(expected) == len(used) == 4
    assert same(batches(used, 3), expected)
    assert not same(batches(used, 4), expected)
    assert not same(batches(loader(23, 5, seed=6), 3), expected)


def test_epoch_shows_every_image_once():
    train = TrainLoader(torch.arange(20).view(20, 1), 5, lambda x, _: x, seed=0)
    assert torch.cat(batches(train, 1)).flatten().sort().values.tolist() == list(range(20))


@given(n=st.integers(12, 60), batch=st.integers(1, 4), world=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_batches_of_all_processes_join_to_those_of_one(n, batch, world):
    ranks = [batches(loader(n, batch, r, world), 2) for r in range(world)]
    joined = [torch.cat(parts) for parts in zip(*ranks, strict=True)]
    assert same(joined, batches(loader(n, batch * world), 2))


@pytest.mark.parametrize("stop", [0, 1, 3, 4])
def test_training_resumes_with_the_batches_it_would_have_had(stop):
    whole = [x for epoch in (1, 2) for x in batches(loader(23, 5), epoch)]
    first, second = loader(23, 5), loader(23, 5, seed=77)
    first.set_epoch(1)
    visited = iter(first)
    seen = [next(visited)["x"] for _ in range(stop)]

    second.load_state_dict(first.state_dict())
    rest = [x for epoch in (1, 2) for x in batches(second, epoch)]
    assert same(seen + rest, whole)


def test_resuming_after_a_cut_epoch_begins_the_next_from_its_start():
    """A Trainer with limit_train_batches leaves an epoch in its middle; the next is whole."""
    first, second = loader(23, 5), loader(23, 5)
    first.set_epoch(0)
    next(iter(first))
    second.load_state_dict(first.state_dict())
    assert same(batches(second, 1), batches(loader(23, 5), 1))


def test_too_few_images_for_a_batch_is_an_error():
    with pytest.raises(ValueError, match=r"batch_size 10 on 3 process\(es\).*29 training events"):
        loader(29, 10, 0, 3)


@given(n=st.integers(1, 70), batch=st.integers(1, 20), world=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_evaluation_sees_every_event_exactly_once(n, batch, world):
    if n < world:
        with pytest.raises(ValueError, match=rf"{n} events cannot be dealt to {world} process"):
            EvaluationLoader(torch.zeros(n, 1), batch, 0, world)
        return
    loaders = [EvaluationLoader(torch.arange(n).view(n, 1), batch, r, world) for r in range(world)]
    ranks = [[b["x"] for b in one] for one in loaders]
    assert {len(one) for one in ranks} == {len(one) for one in loaders} == {len(loaders[0])}
    assert all(len(one[0]) for one in ranks)  # nobody is without events
    assert all(len(b) for one in ranks for b in one[:-1])  # only the last may be empty
    interleaved = [b for k in zip(*ranks, strict=True) for b in k]
    assert torch.cat(interleaved).flatten().tolist() == list(range(n))


def test_evaluation_batches_do_not_depend_on_the_processes():
    events = torch.rand(103, 1)
    alone = [b["x"] for b in EvaluationLoader(events, 10)]
    ranks = [[b["x"] for b in EvaluationLoader(events, 10, r, 4)] for r in range(4)]
    dealt = [b for k in zip(*ranks, strict=True) for b in k if len(b)]
    assert same(dealt, alone)


def test_evaluation_scales_stored_levels():
    events = torch.tensor([[0], [51], [255]], dtype=torch.uint8)
    assert next(iter(EvaluationLoader(events, 3)))["x"].flatten().tolist() == pytest.approx(
        [0, 0.2, 1]
    )


# Toys


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_bars_and_stripes_are_all_there(side):
    images = bars_and_stripes(side)
    assert len(images) == (2 ** (side + 1) - 2 if side > 1 else 2)
    assert len(images.unique(dim=0)) == len(images)
    rows = (images == images[..., :1]).flatten(1).all(1)
    columns = (images == images[..., :1, :]).flatten(1).all(1)
    assert (rows | columns).all()


def test_bars_and_stripes_as_data():
    data = BarsAndStripes(side=3, repeats=10, batch_size=7)
    data.setup("fit")
    assert data.shape == (1, 3, 3)
    assert len(data.train_dataloader()) == 140 // 7
    (test,) = [b["x"] for b in data.test_dataloader()]
    assert (test == bars_and_stripes(3)).all()
    assert data.mean.shape == (1, 3, 3)


def test_dequantized_pixels_are_uniform_within_their_level():
    images = torch.tensor([0, 1, 77, 255], dtype=torch.uint8).repeat(20_000, 1)
    x = dequantized(images, generator())
    assert torch.equal((x * 256).floor().byte(), images)
    inside = x.double() * 256 - images
    error = (1 / 12 / 20_000) ** 0.5
    assert ((inside.mean(0) - 0.5).abs() < 4 * error).all()
    assert x.max() < 1


def test_training_pixels_are_dequantized_afresh_and_held_out_ones_once():
    data = BarsAndStripes(3)
    data.binarize = "dequantized"
    data.setup("fit")
    assert data.protocol == "dequantized"
    assert data.bins == 256
    assert torch.equal(data.events("test"), data.events("test"))
    seen = torch.cat([batch["x"] for batch in data.train_dataloader()])
    assert len(seen.flatten(1).unique(dim=0)) == len(seen)  # where each image came 100 times


def test_labels_go_with_their_images():
    """The digits of a class look more like their own mean than like that of another, mostly."""
    data = MNIST(labels=True, batch_size=500)
    data.setup("fit")
    assert {name: tuple(c.shape) for name, c in data.conditions.items()} == {
        "train": (50_000, 10), "val": (10_000, 10), "test": (10_000, 10),
    }  # fmt: skip
    means = data.conditions["train"].mT @ data.splits["train"].flatten(1).float()
    means /= data.conditions["train"].sum(0)[:, None]
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        batch = next(iter(loader))
        nearest = torch.cdist(batch["x"].flatten(1) * 255, means).argmin(1)
        assert (nearest == batch["condition"].argmax(1)).float().mean() > 0.7
    assert "condition" not in next(iter(EvaluationLoader(data.splits["test"], 10)))


def test_labels_do_not_change_which_images_come():
    plain, labelled = MNIST(batch_size=50), MNIST(labels=True, batch_size=50)
    for data in (plain, labelled):
        data.seed = 3
        data.setup("fit")
    first = [next(iter(data.train_dataloader()))["x"] for data in (plain, labelled)]
    assert torch.equal(*first)
