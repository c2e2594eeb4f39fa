"""Mixtures in the plane: where their modes are, and what belongs to them."""

import math

import pytest
import torch

from genlit.data import Grid, Ring
from genlit.data.mixtures import grid, ring
from genlit.features.modes import GaussianModes, Modes, coverage, expected_modes


def ready(data):
    data.setup("fit")
    return data


@pytest.mark.parametrize("modes", [1, 2, 8])
def test_ring_doubles_no_mode(modes):
    centers = ring(modes, 2.0).double()
    distances = torch.cdist(centers, centers) + 9 * torch.eye(modes)

    torch.testing.assert_close(centers.norm(dim=1), torch.full((modes,), 2.0).double())
    if modes > 1:
        chord = 4 * math.sin(math.pi / modes)
        torch.testing.assert_close(
            distances.min(1).values, torch.full((modes,), chord).double(), rtol=1e-5, atol=1e-5
        )


def test_grid_is_that_of_the_literature():
    line = [-4.0, -2.0, 0.0, 2.0, 4.0]
    assert sorted(map(tuple, grid(5, 2.0).tolist())) == [(x, y) for x in line for y in line]
    assert grid(2, 1.0).abs().unique().tolist() == [0.5]
    assert grid(1, 1.0).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("data", [Ring(), Grid(), Ring(5, 1.0, 0.01)], ids=["8", "25", "hard"])
def test_sample_has_the_moments_of_the_mixture(data):
    x = ready(data).splits["train"].double()
    n, k = len(x), len(data.centers)
    modes = torch.cdist(x, data.centers.double()).argmin(1)
    noise = x - data.centers[modes]

    assert data.shape == (2,)
    assert data.protocol == "real"
    assert {name: len(v) for name, v in data.splits.items()} == {
        "train": 100_000, "val": 10_000, "test": 10_000
    }  # fmt: skip
    counts = torch.bincount(modes, minlength=k).double()
    chi2 = ((counts - n / k).square() / (n / k)).sum()
    assert chi2 < k - 1 + 4 * math.sqrt(2 * (k - 1))
    assert noise.mean(0).abs().max() < 4 * data.deviation / n**0.5
    assert float(noise.std()) == pytest.approx(data.deviation, rel=4 / (4 * n) ** 0.5)


def test_all_runs_share_one_sample():
    first = ready(Ring(n=100)).splits
    torch.manual_seed(5)
    again = ready(Ring(n=100)).splits

    assert all(torch.equal(first[s], again[s]) for s in first)
    assert not torch.equal(first["val"], first["test"])


def test_perfect_samples_have_the_share_of_three_deviations():
    data = ready(Ring())
    modes = data.modes.assign(data.splits["train"])
    share = float((modes >= 0).double().mean())

    assert isinstance(data.modes, Modes)
    assert data.modes.ceiling == pytest.approx(1 - math.exp(-4.5), rel=1e-12)
    assert share == pytest.approx(data.modes.ceiling, abs=4 * (0.011 * 0.989 / 1e5) ** 0.5)


def test_a_point_belongs_to_the_nearest_center_within_three_deviations():
    modes = GaussianModes("two", torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([0.1, 0.2]))
    points = [[0.29, 0.0], [0.31, 0.0], [0.71, 0.0], [0.0, 0.59], [0.0, 0.61], [0.22, 0.45]]

    assert modes.assign(torch.tensor(points)).tolist() == [0, -1, 1, 0, -1, -1]
    wide = GaussianModes("wide", modes.centers, torch.tensor([1.0, 1.0]))
    assert wide.assign(torch.tensor([[0.49, 0.0], [0.51, 0.0]])).tolist() == [0, 1]


def test_modes_are_in_the_units_of_events():
    plain, scaled = ready(Ring(radius=3.0)), ready(Ring(radius=3.0, standardize=True))

    assert scaled.protocol == "standardized"
    torch.testing.assert_close(
        plain.modes.assign(plain.splits["val"]), scaled.modes.assign(scaled.splits["val"])
    )


@pytest.mark.parametrize("m", [1, 3, 8])
def test_m_of_eight_modes_have_the_divergence_ln_8_over_m(m):
    found = coverage(torch.arange(m).repeat(50), 8)

    assert (found.modes, found.high_quality) == (m, 1.0)
    assert found.reverse_kl == pytest.approx(math.log(8 / m), abs=1e-12)


def test_what_belongs_to_no_mode_lowers_quality_alone():
    inside = torch.tensor([0, 0, 0, 1])
    found = coverage(torch.cat([inside, torch.full((4,), -1)]), 2)

    assert found.high_quality == 0.5
    assert found.high_quality_stderr == pytest.approx((0.25 / 8) ** 0.5)
    assert found.reverse_kl == pytest.approx(coverage(inside, 2).reverse_kl)
    assert found.reverse_kl == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    nothing = coverage(torch.full((5,), -1), 8)
    assert nothing[:4] == (0, 0.0, 0.0, pytest.approx(math.log(8)))


def test_divergence_of_a_perfect_sampler_is_that_of_chance():
    n, k, runs = 1000, 8, 400
    found = [coverage(torch.randint(k, (n,)), k) for _ in range(runs)]
    values = torch.tensor([c.reverse_kl for c in found], dtype=torch.float64)

    error = 4 * float(values.std()) / runs**0.5
    # 2n KL is χ² with K - 1 degrees of freedom, for large n
    assert float(values.mean()) == pytest.approx((k - 1) / (2 * n), abs=error)
    claimed = torch.tensor([c.reverse_kl_stderr for c in found]).mean()
    assert 1 < float(claimed / values.std()) < 1.3  # chance leaves some of the first term


def test_error_of_the_divergence_of_unequal_modes():
    p, n = torch.tensor([0.4, 0.3, 0.2, 0.1]), 2000
    found = [coverage(torch.multinomial(p, n, replacement=True), 4) for _ in range(400)]
    values = torch.tensor([c.reverse_kl for c in found])

    assert found[0].reverse_kl_stderr == pytest.approx(float(values.std()), rel=0.15)


def test_expected_modes_by_enumeration():
    draws = torch.cartesian_prod(*[torch.arange(3)] * 4)
    hit = torch.tensor([len(set(row)) for row in draws.tolist()])

    assert expected_modes(3, 4) == pytest.approx(float(hit.double().mean()))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Ring(modes=0), "modes is 0"),
        (lambda: Ring(std=0.0), "std 0.0"),
        (lambda: Grid(spacing=0.0), "spacing 0.0"),
        (lambda: Grid(n=5), "n is 5"),
    ],
)
def test_nonsense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
