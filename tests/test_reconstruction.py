"""What codes keep of images, beside what principal components do."""

import pytest
import torch
from torch import nn

from genlit.data import MNIST, TwoMoons
from genlit.protocols import Unanswerable
from genlit.tasks import Reconstruction
from genlit.tasks.reconstruction import principal_axes, projected
from genlit.tasks.task import Problems
from tests.small import Digits


@pytest.fixture(scope="module")
def digits():
    data = Digits(binarize="none")
    data.setup("test")
    return data


def values(task, problems, answers):
    return {score.name: score.mean for score in task.score(problems, answers)}


def test_axes_of_a_plane_give_back_what_lies_in_it(double):
    axes = torch.linalg.qr(torch.randn(16, 3)).Q
    mean = torch.full((16,), 0.5)
    x = mean + 0.05 * torch.randn(500, 3) @ axes.T
    found, plane = principal_axes(x, 3)
    assert torch.allclose(found, x.mean(0))
    assert torch.allclose(plane @ plane.T, axes @ axes.T, atol=1e-9)
    problems = Problems(x.view(-1, 1, 4, 4), x.view(-1, 1, 4, 4), "a plane")
    back = projected(found, plane, problems)
    assert torch.allclose(back.double(), x.view(-1, 1, 4, 4), atol=1e-6)
    assert torch.allclose(projected(found, plane[:, :0], problems)[3].flatten().double(), found)


def test_axes_are_those_along_which_vectors_vary_most(double):
    spread = torch.tensor([0.1, 2.0, 0.5, 1.0])
    x = spread * torch.randn(4000, 4)
    assert principal_axes(x, 2)[1].abs().argmax(0).tolist() == [1, 3]
    assert principal_axes(x, 9)[1].shape == (4, 4)


def test_the_least_squared_error_of_linear_codes_is_that_of_principal_components(digits):
    task = Reconstruction(n=200, components=20)
    problems = task.pose(digits, "train", 0)
    x = torch.as_tensor(problems.given).flatten(1).double()
    mean, axes = principal_axes(x, 20)
    best = (x - mean - (x - mean) @ axes @ axes.T).square().mean()
    for _ in range(20):
        other = torch.linalg.qr(axes + 0.01 * torch.randn_like(axes)).Q
        assert (x - mean - (x - mean) @ other @ other.T).square().mean() > best


def test_scores_of_answers_that_are_known(digits):
    task = Reconstruction(n=50, components=30)
    problems = task.pose(digits, "test", 0)
    perfect = values(task, problems, task.solve(Keeps(), problems))
    assert (perfect["mse"], perfect["ssim"]) == (0, pytest.approx(1))
    assert perfect["psnr"] == pytest.approx(58.92, abs=0.01)
    mean, thirty = (solve(problems) for solve in task.baselines(digits, 0).values())
    x = torch.as_tensor(problems.truth).double()
    train = torch.as_tensor(digits.events("train")).double() / 255
    assert values(task, problems, mean)["mse"] == pytest.approx(
        float((x - train.mean(0)).square().mean()), rel=1e-5
    )
    assert values(task, problems, thirty)["mse"] < 0.5 * values(task, problems, mean)["mse"]
    assert list(task.baselines(digits, 0)) == ["mean of training images", "30 principal components"]
    assert task.picture(problems, {"mean": mean}).dtype == torch.uint8


def test_digits_are_recognized_in_their_own_images():
    data = MNIST(binarize="none")
    data.setup("test")
    task = Reconstruction(n=100)
    problems = task.pose(data, "test", 0)
    assert values(task, problems, problems.truth)["recognized"] > 0.95
    assert values(task, problems, torch.zeros(100, 1, 28, 28))["recognized"] < 0.3


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"Reconstruction takes images .* TwoMoons has events of"):
        Reconstruction().pose(TwoMoons(), "test", 0)
    with pytest.raises(ValueError, match="components 0: each is 1 or more"):
        Reconstruction(components=0)
    with pytest.raises(Unanswerable, match="cannot be asked for reconstructions"):
        Reconstruction().require(nn.Identity())


class Keeps(nn.Module):
    """A model that keeps all."""

    device = torch.device("cpu")

    def reconstruct(self, x):
        return x
