"""What papers on super-resolution measure, each by an answer that is known."""

import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch.nn.functional import interpolate

from benchmarks import record
from genlit.data import SuperResolution
from genlit.data.idx import DataError
from genlit.data.resizing import bicubic, mirrored
from genlit.tasks import SuperRes
from genlit.tasks.fidelity import luma, psnr, shaved, similarity, ssim, ssim_daala
from genlit.tasks.niqe import (
    Pristine,
    asymmetric_fit,
    block_features,
    mean_of_law,
    niqe,
    read_pristine,
)
from genlit.tasks.texture import patch_swd


def noise(*shape, seed: int = 0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def picture(height: int, width: int, seed: int = 0):
    """Something to see at every scale, (3, height, width) uint8."""
    coarse = interpolate(noise(1, 3, 5, 5, seed=seed), (height, width), mode="bilinear")[0]
    return (coarse * 200 + noise(3, height, width, seed=seed) * 55).byte()


def lumas(height: int, width: int):
    """Two pictures that are alike, (height, width) float64 levels."""
    x = luma(picture(height, width) / 255)
    return x, x * 0.9 + 10 * noise(height, width, seed=1).double()


# Bicubic interpolation


def keys(t):
    """The kernel with a = -1/2, piece by piece."""
    t = t.abs()
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0.0))


@pytest.mark.parametrize("factor", [Fraction(1, 4), Fraction(1, 2), Fraction(3), Fraction(4)])
def test_resizing_is_that_kernel_on_a_picture_mirrored_at_its_edges(double, factor):
    n = 12
    x = torch.rand(n)
    found = bicubic(x.expand(1, n, n), factor)[0]
    source, at = torch.cat([x.flip(0), x, x.flip(0)]), torch.arange(-n, 2 * n)
    for k in range(int(n * factor)):
        centre = (k + 0.5) / float(factor) - 0.5
        weights = keys((at - centre) * min(float(factor), 1.0))
        wanted = (weights * source).sum() / weights.sum()
        torch.testing.assert_close(found[:, k], wanted.expand(len(found)))


def test_pictures_are_mirrored_however_small():
    x = torch.arange(6.0).view(2, 3)
    assert mirrored(x, 4)[4].tolist() == [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]
    assert mirrored(x, 4)[:, 4].tolist() == [0, 3, 3, 0, 0, 3, 3, 0, 0, 3]
    with pytest.raises(ValueError, match=r"sides of \(2, 3\) pixels cannot become 1/2"):
        bicubic(x[None], Fraction(1, 2))


# What papers measure


def test_luma_is_that_of_video():
    colours = torch.tensor([[1.0, 0, 1, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 0, 1]])[:, None]
    wanted = [[235.0, 16, 81.481, 144.553, 40.966]]
    torch.testing.assert_close(luma(colours), torch.tensor(wanted, dtype=torch.float64))
    assert luma(torch.full((3, 1, 1), 0.4 / 255)).item() == 16.0  # of a picture of 8 bits


def test_psnr_of_a_constant_difference():
    x = torch.zeros(20, 20, dtype=torch.float64)
    assert psnr(x, x + 5) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr(x, x) == math.inf
    edge = x.clone()
    edge[3] = edge[:, 16] = 9
    assert psnr(shaved(edge, 4), shaved(x, 4)) == math.inf
    assert psnr(shaved(edge, 3), shaved(x, 3)) < math.inf
    with pytest.raises(ValueError, match="has none left without 10"):
        shaved(x, 10)


def test_ssim_is_that_of_scikit_image():
    x, y = lumas(40, 53)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    wanted = structural_similarity(x.numpy(), y.numpy(), data_range=255, **options)

    assert ssim(x, y) == pytest.approx(wanted, abs=1e-12)
    assert ssim(x, x) == ssim_daala(x, x) == 1.0


def test_ssim_of_daala_cuts_windows_at_edges(double):
    x, y = lumas(70, 20)
    sigma = 1.5 * 70 / 256
    reach = math.floor(sigma * math.sqrt(-2 * math.log(math.sqrt(math.pi / 2) * sigma / 20)))
    rows, columns = torch.arange(70), torch.arange(20)

    def window(at, n):
        w = torch.exp(-((n - at) ** 2) / (2 * sigma**2)) * ((n - at).abs() <= reach)
        return w / torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * sigma**2)).sum()

    total = weight = 0.0
    for r in range(70):
        for c in range(20):
            w = window(r, rows)[:, None] * window(c, columns)
            index = similarity(x, y, lambda z, w=w: (w * z).sum() / w.sum())
            total, weight = total + w.sum() * index, weight + w.sum()
    assert reach == 1
    assert ssim_daala(x, y) == pytest.approx(float(total / weight))


def test_patches_are_compared_without_their_means_and_places():
    x, _ = lumas(60, 60)
    assert patch_swd(x + 20, x) == pytest.approx(0, abs=1e-4)
    assert patch_swd(3 * x, x) == pytest.approx(2 * patch_swd(0 * x, x), rel=1e-4)
    white = 10 * torch.randn(400, 400, generator=torch.Generator().manual_seed(0)).double()
    assert patch_swd(white.roll((8, 100), (0, 1)), white) < 0.05 * patch_swd(0.5 * white, white)
    # Any direction of unit length sees a normal law of the same standard deviation.
    assert patch_swd(0 * white, white) == pytest.approx(10 * math.sqrt(2 / math.pi), rel=0.01)


# NIQE


@pytest.mark.parametrize(
    ("shape", "left", "right"), [(2.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 3.0, 0.5)]
)
def test_laws_are_found_again_from_draws(shape, left, right):
    n = 400_000
    draws = torch.distributions.Gamma(1 / shape, 1.0).sample((n,)).double() ** (1 / shape)
    below = torch.rand(n) < left / (left + right)
    x = torch.where(below, -left * draws, right * draws).view(1, 1, n)

    found = torch.stack(asymmetric_fit(x)).flatten()
    wanted = torch.tensor([shape, left, right], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=0.02, atol=0)
    torch.testing.assert_close(mean_of_law(*found), x.mean(), rtol=0.02, atol=0.01)


def test_niqe_is_the_distance_of_laws():
    x = luma(picture(2 * 96 + 5, 5 * 96 + 7) / 255)
    whole = x[: 2 * 96, : 5 * 96].round()
    half = bicubic(whole[None], Fraction(1, 2))[0]
    features = torch.cat([block_features(whole, 96), block_features(half, 48)], 1)
    mean, own = features.mean(0), torch.cov(features.T)
    other = torch.diag(noise(36, seed=3).double() + 0.5)
    off = noise(36, seed=4).double()

    assert features.shape == (10, 36)
    assert niqe(x, Pristine(mean, other)) == pytest.approx(0, abs=1e-9)
    found = niqe(x, Pristine(mean - off, other))
    assert found**2 == pytest.approx(float(off @ torch.linalg.solve((own + other) / 2, off)))
    assert niqe(x.round() + 0.4, Pristine(mean - off, other)) == found  # luma is rounded
    assert math.isnan(niqe(x[:100, :150], Pristine(mean, other)))
    assert math.isnan(niqe(torch.full((192, 192), 7.0).double(), Pristine(mean, other)))


def test_parameters_of_niqe_come_from_a_file(tmp_path):
    np.savez(tmp_path / "niqe.npz", mu_pris_param=np.ones((1, 36)), cov_pris_param=np.eye(36))
    np.savez(tmp_path / "other.npz", mu=np.ones(36))
    found = read_pristine(tmp_path / "niqe.npz")

    assert found.mean.shape == (36,)
    assert torch.equal(found.covariance, torch.eye(36).double())
    for name in ("other.npz", "none.npz"):
        with pytest.raises(DataError, match=f"{name} is not the parameters of NIQE"):
            read_pristine(tmp_path / name)


# The numbers that papers print of bicubic interpolation


def test_bicubic_is_what_papers_report():
    rows = {row["set"]: row["scores"] for row in record.read("superres")["rows"]}
    # PSNR and SSIM as printed for MATLAB's bicubic, e.g. by Lim et al. (2017) for Set5.
    published = {"Set5_x4": (28.43, 0.811), "Set14_x4": (26.09, 0.705), "BSD100_x4": (25.96, 0.668)}
    ledig = {"Set5_x4": (28.43, 0.8211), "Set14_x4": (25.99, 0.7486), "BSD100_x4": (25.94, 0.6935)}

    for name, (decibels, similar) in published.items():
        assert rows[name]["psnr"] == pytest.approx(decibels, abs=0.02)
        assert rows[name]["ssim"] == pytest.approx(similar, abs=0.002)
        assert rows[name]["ssim_daala"] == pytest.approx(ledig[name][1], abs=0.002)
        assert rows[name]["psnr"] == pytest.approx(ledig[name][0], abs=0.12)
    assert rows["BSD100_x4"]["niqe"] > 2 * rows["BSD100_x4, true pictures"]["niqe"]
    assert rows["Set14_x4, comic"]["psnr"] == pytest.approx(21.69, abs=0.02)


@pytest.mark.skipif("GENLIT_TEST_SETS" not in os.environ, reason="names where Set5_x4 is")
def test_bicubic_of_the_pictures_themselves_is_what_papers_report():
    data = SuperResolution(sets_dir=Path(os.environ["GENLIT_TEST_SETS"]))
    for name, decibels, similar in (("Set5_x4", 28.43, 0.811), ("Set14_x4", 26.09, 0.705)):
        task = SuperRes(name)
        problems = task.pose(data, "test", 0)
        answers = task.baselines(data, 0)["bicubic"](problems)
        found = {score.name: score for score in task.score(problems, answers)}
        assert found["psnr"].mean == pytest.approx(decibels, abs=0.02)
        assert found["ssim"].mean == pytest.approx(similar, abs=0.002)
    comic = [k for k, shown in enumerate(problems.more["name"]) if "img_005" in shown]
    assert found["psnr"].values[comic].tolist() == [pytest.approx(21.69, abs=0.02)]
