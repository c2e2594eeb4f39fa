"""Vectors of real numbers: splits, standardizing, files, and two moons."""

import math

import numpy as np
import pytest
import torch

from genlit.data import TwoMoons, Vectors
from genlit.data.idx import DataError
from genlit.data.two_moons import two_moons


def table(n: int = 60) -> np.ndarray:
    return np.random.default_rng(0).normal([1, -2, 300], [0.1, 1, 50], (n, 3))


def saved(tmp_path, array, name="table.npy"):
    path = tmp_path / name
    if name.endswith("csv"):
        np.savetxt(path, array, delimiter=",")
    else:
        np.save(path, array)
    return path


def together(data) -> torch.Tensor:
    return torch.cat(list(data.splits.values()))


def ordered(x) -> list:
    return sorted(map(tuple, torch.as_tensor(x, dtype=torch.float32).tolist()))


def test_every_vector_is_in_one_set(tmp_path):
    x = table()
    data = Vectors(saved(tmp_path, x), standardize=False, batch_size=5)
    data.setup("fit")

    assert (data.shape, data.protocol, data.bins) == ((3,), "real", 1)
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 48, "val": 6, "test": 6}
    assert ordered(together(data)) == ordered(x)
    batches = list(data.train_dataloader())
    assert [b["x"].shape for b in batches] == [(5, 3)] * 9
    assert torch.cat([b["x"] for b in data.val_dataloader()]).equal(data.events("val"))
    assert torch.cat([b["x"] for b in data.test_dataloader()]).equal(data.events("test"))
    assert data.events("train", torch.tensor([3, 1])).equal(data.splits["train"][[3, 1]])


def test_standardized_units_come_from_the_training_set_and_are_told(tmp_path):
    x = table()
    data = Vectors(saved(tmp_path, x))
    data.setup("fit")

    assert data.protocol == "standardized"
    torch.testing.assert_close(data.mean, torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(data.std, torch.ones(3), rtol=0, atol=1e-5)
    assert ordered((together(data) * data.scale + data.offset).float().round(decimals=2)) == (
        ordered(torch.from_numpy(x).float().round(decimals=2))
    )


def test_the_log_density_of_the_data_is_lower_by_the_logarithms_of_the_scale(tmp_path):
    x = torch.from_numpy(table())
    data = Vectors(saved(tmp_path, x.numpy()))
    data.setup("fit")
    standardized = torch.distributions.Normal(0.0, 1.0)
    raw = torch.distributions.Normal(data.offset, data.scale)
    y = (x - data.offset) / data.scale
    torch.testing.assert_close(
        raw.log_prob(x).sum(1), standardized.log_prob(y).sum(1) - data.scale.log().sum()
    )


def test_batches_depend_on_seed_and_epoch_alone(tmp_path):
    data = Vectors(saved(tmp_path, table()), batch_size=5)
    data.setup("fit")
    loader = data.train_dataloader()
    first = [b["x"] for b in loader]
    torch.rand(3)
    assert all(map(torch.equal, first, [b["x"] for b in loader]))
    loader.set_epoch(1)
    assert not all(map(torch.equal, first, [b["x"] for b in loader]))
    other = Vectors(saved(tmp_path, table()), batch_size=5)
    other.load_state_dict(data.state_dict())
    torch.manual_seed(5)
    other.setup("fit")
    assert all(map(torch.equal, first, [b["x"] for b in other.train_dataloader()]))


@pytest.mark.parametrize("head", ["", "a,b,c\n"])
def test_tables_may_have_a_line_of_names(head, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(head + "".join(f"{k},{k * k},-1.5e-3\n" for k in range(20)))
    assert Vectors(path).vectors[2].tolist() == [2, 4, -1.5e-3]


def test_what_is_no_table_is_refused(tmp_path):
    def refused(message, path, **options):
        with pytest.raises(DataError, match=message):
            Vectors(path, **options).setup("fit")

    refused("cannot be read", tmp_path / "none.npy")
    (tmp_path / "words.csv").write_text("a,b\n1,x\n")
    refused("row 1 of .* is not 2 numbers and gaps", tmp_path / "words.csv")
    refused(r"vectors are numbers of shape \(N, D\)", saved(tmp_path, np.zeros(5)))
    holes = table()
    holes[7, 1] = np.nan
    refused("missing or infinite number in row 7", saved(tmp_path, holes))
    refused("twice, must leave some", saved(tmp_path, table()), held_out=30)
    constant = table()
    constant[:, 1] = 4
    refused("column 1 of the vectors never changes", saved(tmp_path, constant))
    np.savez(tmp_path / "two.npz", a=table(), b=table())
    refused(r"holds a, b: say which by data\.key", tmp_path / "two.npz")
    assert Vectors(tmp_path / "two.npz", key="b").shape == (3,)
    with pytest.raises(ValueError, match="n is 10 or more"):
        TwoMoons(5)


def test_moons_are_half_circles():
    x = two_moons(20_000, 0.0, torch.Generator().manual_seed(0))
    upper = x[(x.norm(dim=1) - 1).abs() < 1e-5]
    lower = x[((x - torch.tensor([1, 0.5])).norm(dim=1) - 1).abs() < 1e-5]
    assert abs(len(upper) / len(x) - 0.5) < 4 * 0.5 / 20_000**0.5 + 1e-2
    assert len(upper) + len(lower) >= len(x)
    assert upper[:, 1].min() > -0.01
    assert lower[:, 1].max() < 0.51
    noisy = two_moons(20_000, 0.1, torch.Generator().manual_seed(0))
    spread = (noisy - x).std()
    assert float(spread) == pytest.approx(0.1, abs=4 * 0.1 / math.sqrt(2 * 40_000))


def test_moons_are_the_same_in_every_run():
    one, two = TwoMoons(100), TwoMoons(100)
    one.setup("fit")
    torch.manual_seed(9)
    two.setup("fit")
    assert one.splits.keys() == {"train", "val", "test"}
    assert all(one.splits[k].equal(two.splits[k]) for k in one.splits)
    assert not one.splits["val"].equal(one.splits["test"])
