"""Arithmetic on logarithms against the same arithmetic done plainly."""

import math

import pytest
import torch

from genlit.logmath import bits_per_dim, effective_sample_size, log_mean_exp, log_mean_exp_stderr

pytestmark = pytest.mark.usefixtures("double")


def test_log_mean_exp_is_what_it_says():
    x = torch.randn(5, 7)
    for dim in (0, 1, -1):
        torch.testing.assert_close(log_mean_exp(x, dim), x.exp().mean(dim).log())


def test_log_mean_exp_does_not_overflow():
    for shift in (-1e4, 1e4):
        torch.testing.assert_close(
            log_mean_exp(torch.tensor([shift, shift + math.log(3)])),
            torch.tensor(shift + math.log(2)),
        )
    assert log_mean_exp(torch.tensor([-math.inf, 0.0])) == -math.log(2)


def test_effective_sample_size_has_its_limits():
    one = torch.full((10,), -1e6)
    one[3] = 0
    torch.testing.assert_close(effective_sample_size(torch.full((10,), 500.0)), torch.tensor(10.0))
    torch.testing.assert_close(effective_sample_size(one), torch.tensor(1.0))
    w = torch.rand(20)
    torch.testing.assert_close(effective_sample_size(w.log()), w.sum() ** 2 / (w**2).sum())


def test_effective_sample_size_is_exact_for_single_precision():
    assert effective_sample_size(torch.randn(100).float()).dtype == torch.float64


def test_stderr_is_the_relative_error_of_the_mean_weight():
    w = torch.rand(50) + 0.1
    expected = w.std() / 50**0.5 / w.mean()
    torch.testing.assert_close(log_mean_exp_stderr(w.log() + 1000), expected)
    assert log_mean_exp_stderr(torch.zeros(9)) == 0


def test_stderr_is_the_spread_of_repeated_estimates():
    """Log-normal weights of log-variance s²: the relative variance is exp(s²) - 1."""
    n, repeats, s = 2000, 2000, 0.7
    log_w = s * torch.randn(n, repeats)
    spread = log_mean_exp(log_w, 0).std()
    exact = ((math.exp(s**2) - 1) / n) ** 0.5
    claimed = torch.stack([log_mean_exp_stderr(column) for column in log_w.T[:100]]).mean()
    assert (spread / exact - 1).abs() < 4 / (2 * repeats) ** 0.5 + 0.01
    assert (claimed / exact - 1).abs() < 0.03


def test_uniform_bytes_cost_eight_bits_a_dimension():
    dims = 784
    assert bits_per_dim(-dims * math.log(256), dims) == pytest.approx(8)
    torch.testing.assert_close(
        bits_per_dim(torch.tensor([-dims * math.log(2), 0.0]), dims), torch.tensor([1.0, 0.0])
    )


def test_bits_per_dim_agree_with_nats_of_dequantized_levels():
    """A density that is p(level) * 256 all over a level's bin says of it what p does."""
    p = torch.rand(256).softmax(0)
    level = torch.tensor([3, 200, 7])
    density = (256 * p[level]).log().sum()
    torch.testing.assert_close(bits_per_dim(density, 3, 256), bits_per_dim(p[level].log().sum(), 3))
    torch.testing.assert_close(bits_per_dim(torch.tensor(0.0), 784, 256), torch.tensor(8.0))
