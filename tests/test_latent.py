"""Traversals and planes of codes, of models whose decoder is linear: every image is known."""

import math
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.distributions import Normal

from genlit.cli import lightning, main
from genlit.cli.asking import open_model
from genlit.cli.codes import (
    active_ones,
    activity,
    ask_for_codes,
    drawn_spread,
    influence,
    looked_at_first,
    most_active,
    one_of_each,
    prior_spread,
    spread_of,
    surveyed,
)
from genlit.cli.manifold import plane, quantiles
from genlit.cli.traverse import traversal
from genlit.features import quantized
from genlit.gan import GAN, Code
from genlit.likelihoods import SharedNormal
from genlit.networks import MLP
from genlit.randomness import isolated
from genlit.vae import (
    VAE,
    Autoencoder,
    ConditionalVAE,
    DenoisingAutoencoder,
    LearnedPrior,
    StochasticLayer,
    VampPrior,
)
from tests.test_use import refused

SIDE = 3
SHAPE = (1, SIDE, SIDE)
TILE = 63 + 2  # pixels from image to image in a picture: 3 pixels, each enlarged 21 times, and 2
OPTIONS = [
    "--data=BarsAndStripes", f"--data.side={SIDE}", "--data.repeats=5",
    "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
]  # fmt: skip
LINEAR = [
    "--model.encoder=genlit.networks.MLP", "--model.encoder.hidden=[]",
    "--model.decoder=genlit.networks.MLP", "--model.decoder.hidden=[]",
    "--model.likelihood=genlit.likelihoods.SharedNormal",
]  # fmt: skip
MODELS = {
    "one": ["--model=VAE", "--model.latent=1", *LINEAR],
    "two": ["--model=VAE", "--model.latent=2", *LINEAR],
    "four": ["--model=VAE", "--model.latent=4", *LINEAR],
    "autoencoder": ["--model=Autoencoder", "--model.latent=3", *LINEAR],
    "gan": [
        "--model=GAN", "--model.generator=genlit.networks.MLP",
        "--model.discriminator=genlit.networks.MLP",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run of each model, with weights that keep the images of all codes asked for in (0, 1)."""
    root, found = tmp_path_factory.mktemp("latent"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLIT_RUN_DIR", "")
        for name, arguments in MODELS.items():
            found[name] = root / name
            lightning.main("fit", [*OPTIONS, *arguments, "--run_dir", str(found[name])])
            soften(found[name] / "checkpoints")
    return found


def soften(checkpoints: Path) -> None:
    """Gives a linear decoder small weights and images about 1/2, for no image is cut off then."""
    for file in checkpoints.glob("*.ckpt"):
        state = torch.load(file, weights_only=True)
        for name, weight in state["state_dict"].items():
            if "decoder" in name:
                noise = torch.empty_like(weight).uniform_(-1, 1)
                weight.copy_(0.5 + 0.1 * noise if weight.dim() == 1 else 0.02 * noise)
        torch.save(state, file)


@pytest.fixture
def ask(runs, tmp_path, capsys):
    """Asks a model for something: the array, the picture, what was printed."""

    def command(name: str, command: str, *args: object) -> tuple[np.ndarray, np.ndarray, str]:
        capsys.readouterr()
        out = tmp_path / f"{command}-{len(list(tmp_path.iterdir()))}"
        main([command, str(runs[name]), "--out", str(out), *map(str, args)])
        with Image.open(f"{out}.png") as picture:
            pixels = np.asarray(picture)
        return np.load(f"{out}.npy"), pixels, capsys.readouterr().out

    return command


def decoder(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """The matrix (latent, *shape) and the offset (*shape) of a linear decoder."""
    _, model = open_model(run, "cpu")
    linear = next(
        m for m in getattr(model, "coder", model).decoder.modules() if isinstance(m, nn.Linear)
    )
    W = linear.weight.detach().T.reshape(-1, *SHAPE)
    return W.numpy(), linear.bias.detach().reshape(SHAPE).numpy()


def codes(run: Path) -> torch.Tensor:
    """The codes of all test events."""
    place, model = open_model(run, "cpu")
    return surveyed(place, model, 0)


def tile(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    """An image in a picture, (SIDE, SIDE)."""
    first = 2 + 10  # the margin, and half of an enlarged pixel
    step = 21 * np.arange(SIDE)
    rows, columns = TILE * row + first + step, TILE * column + first + step
    return picture[rows][:, columns, 0]


# Traversals


def test_a_traversal_changes_one_variable_and_holds_all_others(double):
    z, offsets = torch.randn(5, 6), torch.tensor([-2.0, 0.0, 0.5])
    changed = traversal(z, [4, 1], torch.stack([offsets, 10 * offsets], 1))
    assert changed.shape == (5, 2, 3, 6)
    for row, (dim, scale) in enumerate([(4, 1), (1, 10)]):
        others = [d for d in range(6) if d != dim]
        assert torch.equal(changed[:, row, :, others], z[:, None, others].expand(-1, 3, -1))
        torch.testing.assert_close(
            changed[:, row, :, dim] - z[:, dim, None], scale * offsets + 0 * z[:, :1]
        )


@pytest.mark.parametrize(("name", "of"), [("four", "prior"), ("autoencoder", "codes")])
def test_columns_of_a_linear_decoder_differ_by_its_matrix(name, of, ask, runs):
    answer, *_ = ask(name, "traverse", "--n", 3, "--dims", "2,0", "--width", 1.5, "--steps", 4)
    assert answer.shape == (3, 2, 4, *SHAPE)
    W, _ = decoder(runs[name])
    std = np.ones(4) if of == "prior" else codes(runs[name]).numpy().std(0)
    assert (std > 0.02).all()
    for row, dim in enumerate([2, 0]):
        for left, right in pairwise(range(4)):
            step = answer[:, row, right] - answer[:, row, left]
            np.testing.assert_allclose(
                step, np.broadcast_to(std[dim] * W[dim], step.shape), atol=1e-6
            )


def test_the_middle_of_a_traversal_is_the_reconstruction(ask):
    answer, *_ = ask("four", "traverse", "--n", 4, "--rows", 3)
    expected, *_ = ask("four", "reconstruct", "--n", 4)
    assert answer.shape == (4, 3, 11, *SHAPE)
    np.testing.assert_allclose(answer[:, :, 5], np.repeat(expected[:, None], 3, 1), atol=1e-6)


def test_rows_are_the_most_active_variables_first(ask, runs):
    answer, _, printed = ask("four", "traverse", "--rows", 3)
    variance = codes(runs["four"]).numpy().var(0)
    order = [int(d) for d in np.argsort(-variance)[:3]]
    W, _ = decoder(runs["four"])
    for row, dim in enumerate(order):
        np.testing.assert_allclose(answer[0, row, -1] - answer[0, row, 0], 6 * W[dim], atol=1e-6)
    active = int((variance > 0.01).sum())
    assert f"rows: latent variables {', '.join(map(str, order))}\n" in printed
    assert f"{active} of 4 latent variables are active (variance of the code over 14" in printed


def test_the_picture_of_a_traversal_has_an_event_and_its_row(ask, tmp_path):
    x = (torch.rand(2, *SHAPE) < 0.5).float().numpy()
    np.save(tmp_path / "x.npy", x)
    answer, picture, _ = ask("four", "traverse", "--file", tmp_path / "x.npy", "--dims", "1,3,0")
    assert answer.shape == (2, 3, 11, *SHAPE)
    assert picture.shape == (6 * TILE + 2 + 18, 12 * TILE + 2, 3)  # 18 of the caption
    shown = quantized(torch.from_numpy(answer)).numpy()
    for event, row in np.ndindex(2, 3):
        assert np.array_equal(tile(picture, 3 * event + row, 0), 255 * x[event, 0])
        for k in range(11):
            assert np.array_equal(tile(picture, 3 * event + row, k + 1), shown[event, row, k, 0])


# Planes


def test_a_model_without_codes_of_events_begins_at_events_that_it_draws(ask, runs):
    answer, _, printed = ask("gan", "traverse", "--n", 2, "--rows", 3, "--steps", 3)
    assert answer.shape == (2, 3, 3, *SHAPE)
    _, model = open_model(runs["gan"], "cpu")
    found = influence(model, drawn_spread(model, 0), 0)
    assert found.shape == (model.latent,)
    with torch.no_grad():  # by hand, for the most influential one
        best = int(found.argmax())
        with isolated("influence", 0):
            z = model.draw_codes(16)
        low, high = z.clone(), z.clone()
        low[:, best], high[:, best] = -1.0, 1.0
        change = (model.decode(high) - model.decode(low)).square().mean()
    torch.testing.assert_close(found[best], change, rtol=1e-4, atol=1e-8)
    assert f"rows: latent variables {best}," in printed
    assert "active" not in printed


def test_quantiles_have_equal_shares_of_the_normal():
    q = quantiles(4)
    torch.testing.assert_close(Normal(0.0, 1.0).cdf(q), torch.tensor([0.125, 0.375, 0.625, 0.875]))


def test_a_plane_grows_to_the_right_and_upwards():
    values = torch.tensor([-1.0, 0.0, 2.0])[:, None].expand(-1, 4)
    z = plane(torch.tensor([5.0, 6.0, 7.0, 8.0]), [3, 1], values)
    assert z.shape == (3, 3, 4)
    assert z[0, 0].tolist() == [5, 2, 7, -1]  # top left: the highest of 1, the lowest of 3
    assert z[2, 0].tolist() == [5, -1, 7, -1]
    assert z[2, 2].tolist() == [5, -1, 7, 2]
    assert z[1, 1].tolist() == [5, 0, 7, 0]


@pytest.mark.parametrize(
    ("name", "options", "dims"),
    [
        ("two", [], [0, 1]),
        ("two", ["--dims", "1,0"], [1, 0]),
        ("four", ["--dims", "3,1"], [3, 1]),
        ("four", [], None),
        ("autoencoder", ["--dims", "2,0"], [2, 0]),
    ],
)
def test_the_corners_of_a_plane_are_the_images_of_their_codes(name, options, dims, ask, runs):
    answer, picture, _ = ask(name, "manifold", "--side", 5, *options)
    assert answer.shape == (5, 5, *SHAPE)
    W, offset = decoder(runs[name])
    found = codes(runs[name]).numpy()
    middle, mean, std = found.mean(0), np.zeros(4), np.ones(4)
    if name == "two":
        middle = np.zeros(2)
    elif name == "autoencoder":
        mean, std = found.mean(0), found.std(0)
    dims = dims or [int(d) for d in np.argsort(-found.var(0))[:2]]
    q = 1.2815516  # the quantile 0.9
    shown = quantized(torch.from_numpy(answer)).numpy()
    for (row, up), (column, right) in product(((0, q), (4, -q)), ((0, -q), (4, q))):
        z = middle.copy()
        z[dims[0]] = mean[dims[0]] + right * std[dims[0]]
        z[dims[1]] = mean[dims[1]] + up * std[dims[1]]
        expected = np.tensordot(z, W, 1) + offset
        np.testing.assert_allclose(answer[row, column], expected, atol=1e-5)
        assert np.array_equal(tile(picture, row, column), shown[row, column, 0])


# Where codes lie


def linear_vae(latent: int, shape=(1, 4, 4), **arguments) -> VAE:
    network = partial(MLP, hidden=())
    return VAE(shape, latent, network, network, SharedNormal, **arguments)


def test_activity_of_a_linear_gaussian_vae_is_its_closed_form(double):
    """Of probabilistic PCA at its optimum a variable has 1 - σ² / λ, or 0 where λ is below σ².

    References: Probabilistic Principal Component Analysis (Tipping & Bishop, 1999); Don't Blame the
    ELBO! (Lucas, Tucker, Grosse & Norouzi, 2019)
    """
    n, variance = 400, 0.3
    eigenvalues = torch.tensor([4.0, 1.5, 0.305, 0.2, 0.1])
    directions = torch.linalg.qr(torch.randn(16, 5)).Q
    scores = torch.linalg.qr(torch.randn(n, 6) + torch.eye(n, 6)).Q
    scores = torch.linalg.qr(torch.cat([torch.ones(n, 1), scores], 1)).Q[:, 1:6]  # of mean 0
    x = 0.5 + (scores * (n * eigenvalues).sqrt()) @ directions.T
    share = (1 - variance / eigenvalues).clamp(min=0)
    model = linear_vae(5)
    with torch.no_grad():  # q(z | x) = p(z | x), whose mean is M⁻¹ Wᵀ (x - mean)
        (encoder,) = (m for m in model.encoder.modules() if isinstance(m, nn.Linear))
        W = directions * (eigenvalues - variance).clamp(min=0).sqrt()
        M = W.T @ W + variance * torch.eye(5)
        encoder.weight[:5] = torch.linalg.solve(M, W.T)
        encoder.bias[:5] = -encoder.weight[:5].sum(1) * 0.5
    found = ask_for_codes(model, x.view(n, 1, 4, 4), 0).double()
    activities = activity(found, prior_spread(model, 0))
    torch.testing.assert_close(activities, share, atol=1e-6, rtol=1e-5)
    assert active_ones(activities, n).startswith("3 of 5 latent variables are active")
    assert most_active(activities, 2) == [0, 1]


class Elsewhere(nn.Module):
    """A density of codes: normals with means 3 and deviations 2."""

    def __init__(self, shape):
        super().__init__()
        self.shape = tuple(shape)

    def log_prob(self, x):
        return Normal(3.0, 2.0).log_prob(x).sum(-1)

    def sample(self, n):
        return 3 + 2 * torch.randn(n, *self.shape)

    def log_density(self):
        return self.log_prob

    def require_tractable(self):
        pass


def test_the_prior_tells_where_codes_lie():
    standard = prior_spread(linear_vae(3), 0)
    assert standard is not None
    assert torch.equal(standard.mean, torch.zeros(3))
    assert torch.equal(standard.std, torch.ones(3))
    moved = prior_spread(linear_vae(3, prior=partial(LearnedPrior, density=Elsewhere)), 0)
    assert moved is not None
    assert ((moved.mean - 3).abs() < 4 * 2 / math.sqrt(2000)).all()
    assert ((moved.std - 2).abs() < 4 * 2 / math.sqrt(4000)).all()
    z = torch.randn(1000, 3)
    torch.testing.assert_close(activity(z, moved), z.var(0, correction=0) / moved.std**2)
    assert prior_spread(SimpleNamespace(encode=None), 0) is None


@pytest.mark.parametrize("prior", [VampPrior, StochasticLayer])
def test_a_prior_of_another_form_is_drawn_from_without_a_trace(prior):
    model, state = linear_vae(3, prior=prior), torch.get_rng_state()
    spread = prior_spread(model, 0)
    assert spread is not None
    assert spread.std.shape == (3,)
    assert not torch.equal(spread.std, torch.ones(3))
    assert torch.equal(state, torch.get_rng_state())


def test_codes_of_data_have_their_own_mean_and_deviation(double):
    z = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    spread = spread_of(z)
    assert spread.mean.tolist() == [2, 5]
    assert spread.std.tolist() == [1, 0]


# What is refused


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("gan", ["traverse", "--file", "x.npy"], "GAN has no codes of images: leave out --file"),
        ("gan", ["manifold"], "GAN cannot be asked for a plane of codes: it does not implement"),
        ("two", ["traverse", "--dims", "0,2"], "VAE has no latent variable 2: set --dims among 0"),
        ("four", ["manifold", "--dims", "7,2"], "VAE has no latent variable 7: set --dims among 0"),
        ("one", ["manifold"], "VAE has one latent variable, and a plane takes two"),
        ("two", ["traverse", "--n", "15"], "the test set has 14 of the 15 events"),
    ],
)
def test_what_a_model_cannot_answer_is_refused_in_one_line(name, args, expected, runs, capsys):
    assert expected in refused(capsys, args[0], runs[name], *args[1:])


@pytest.mark.parametrize(
    "args",
    [
        ["traverse", "--dims", "0,x"], ["traverse", "--dims", ""], ["traverse", "--width", "0"],
        ["traverse", "--width", "nan"], ["traverse", "--steps", "1"],
        ["traverse", "--dims", "0", "--rows", "2"], ["manifold", "--dims", "1"],
        ["manifold", "--dims", "1,1"], ["manifold", "--side", "33"], ["manifold", "--side", "0"],
    ],
)  # fmt: skip
def test_arguments_that_mean_nothing_are_refused(args, runs, capsys):
    with pytest.raises(SystemExit) as ended:
        main([args[0], str(runs["two"]), *args[1:]])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(tuple(f"genlit: error: {word}: " for word in args[1::2]))
    assert told.count("\n") == 1


@pytest.mark.parametrize("family", [VAE, ConditionalVAE, Autoencoder, DenoisingAutoencoder])
def test_a_model_without_latent_variables_is_refused(family):
    with pytest.raises(ValueError, match="latent is 0: a code takes 1 number or more"):
        family((1, 4, 4), latent=0)


def test_a_row_of_categories_goes_from_the_first_to_the_last():
    z = torch.tensor([[0.5, 0.0, 1.0, 0.0, -0.2]])
    offsets = torch.tensor([[-1.0], [0.0], [1.0]])
    rows = traversal(z, [2, 4], offsets.expand(3, 2), [range(1, 4)])

    assert torch.equal(rows[0, 0, :, 1:4], torch.eye(3))
    assert (rows[0, 0, :, [0, 4]] == z[0, [0, 4]]).all()
    assert torch.allclose(rows[0, 1, :, 4], torch.tensor([-1.2, -0.2, 0.8]))
    assert (rows[0, 1, :, :4] == z[0, :4]).all()
    assert one_of_each([0, 3, 1, 4], [range(1, 4)]) == [0, 3, 4]


def test_what_was_learned_to_mean_something_is_looked_at_first():
    gan = GAN((1, 4, 4), 2, MLP, MLP, condition=Code(3, 2))
    activities = torch.tensor([0.1, 0.2, 0.0, 0.0, 0.0, 9.0, 9.0])
    assert looked_at_first(gan, activities, 4) == [2, 5, 6, 1]
    assert looked_at_first(gan, activities, 2) == [2, 5]
    assert one_of_each([2, 3, 4, 5, 6], gan.categories()) == [2, 5, 6]
    plain = GAN((1, 4, 4), 2, MLP, MLP)
    assert looked_at_first(plain, torch.tensor([0.1, 0.3]), 1) == [1]
