"""Searches for codes and directions among them: of linear decoders, whose answers are known."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from genlit.cli import lightning, main
from genlit.cli.asking import open_model
from genlit.cli.attributes import DRAWN, Groups, check_labels, classified, own_side
from genlit.cli.codes import ask_for_codes, drawn_spread
from genlit.data.mnist import BUNDLED, find, read_images, read_labels
from genlit.latent import (
    Search,
    Spread,
    Wish,
    agree,
    direction,
    edit,
    lerp,
    moved,
    project,
    slerp,
    squared_error,
)
from tests.test_use import refused

SHAPE = (1, 3, 4)
LONG = Search(weight=0.3, steps=800)


class Linear:
    """A decoder x = W z + b, with the codes' spread."""

    def __init__(self, latent: int = 4) -> None:
        self.W = torch.randn(12, latent)
        self.b = torch.randn(12)
        self.spread = Spread(torch.randn(latent), 0.5 + torch.rand(latent))

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        return (z @ self.W.T + self.b).unflatten(1, SHAPE)

    def nearest(self, wish: Wish, middle: torch.Tensor, weight: float) -> torch.Tensor:
        """The codes of the least cost, by ridge regression of each event on its own."""
        codes = []
        for k in range(len(wish.target)):
            o = wish.observed[k].flatten()
            A = self.W[o] * self.spread.std
            rest = wish.target[k].flatten()[o] - self.b[o] - self.W[o] @ middle[k]
            u = torch.linalg.solve(A.T @ A + weight * torch.eye(A.shape[1]), A.T @ rest)
            codes.append(middle[k] + self.spread.std * u)
        return torch.stack(codes)


def wishes(n: int, p: float = 0.7) -> Wish:
    return Wish(torch.randn(n, *SHAPE), torch.rand(n, *SHAPE) < p)


# Searches


def test_projecting_on_a_linear_decoder_is_ridge_regression(double):
    decode, wish = Linear(), wishes(5)
    found = project(decode, wish, torch.randn(3, 5, 4), decode.spread, LONG)
    expected = decode.nearest(wish, decode.spread.mean.expand(5, -1), LONG.weight)
    torch.testing.assert_close(found.codes, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.errors, squared_error(decode(expected), wish))


def test_codes_that_agree_are_nearest_to_where_their_search_began(double):
    decode, wish, start = Linear(), wishes(5), torch.randn(5, 4)
    found = agree(decode, wish, start[None], decode.spread, LONG)
    expected = decode.nearest(wish, start, LONG.weight)
    torch.testing.assert_close(found.codes, expected, rtol=1e-4, atol=1e-5)
    path = edit(decode, wish, start, decode.spread, LONG)
    assert path.shape == (801, 5, 4)
    assert torch.equal(path[0], start)
    torch.testing.assert_close(path[-1], expected, rtol=1e-4, atol=1e-5)
    steps = (path.diff(dim=0) / decode.spread.std).abs()
    assert steps.max() < 1.01 * LONG.lr * 3  # no step is far, so that the path is a film


def test_codes_that_agree_with_a_linear_decoder_have_the_conditional_law(double):
    """Given a linear map of normal codes, as the cost of distance tends to 0."""
    n, decode = 1000, Linear(3)
    decode.spread = Spread(torch.zeros(3), torch.ones(3))
    observed = torch.zeros(n, *SHAPE, dtype=torch.bool)
    observed[:, 0, 0, :2] = True
    wish = Wish(torch.randn(SHAPE).expand(n, *SHAPE), observed)
    codes = agree(decode, wish, torch.randn(1, n, 3), decode.spread, Search(1e-6)).codes
    A = decode.W[:2]
    gain = A.T @ torch.linalg.inv(A @ A.T)
    mean = gain @ (wish.target[0].flatten()[:2] - decode.b[:2])
    covariance = torch.eye(3) - gain @ A
    error = covariance.diagonal().sqrt() / n**0.5
    assert ((codes.mean(0) - mean).abs() < 4 * error + 0.01).all()
    torch.testing.assert_close(codes.T.cov(), covariance, rtol=0, atol=4 * (2 / n) ** 0.5 + 0.01)


def test_a_generators_own_events_are_found_again(double):
    W, V = torch.linalg.qr(torch.randn(6, 6)).Q, torch.linalg.qr(torch.randn(12, 12)).Q[:6]

    def decode(z):
        return ((0.5 * z @ W).tanh() @ V).unflatten(1, SHAPE)

    z = torch.randn(8, 6)
    wish = Wish(decode(z), torch.ones(8, *SHAPE, dtype=torch.bool))
    spread = Spread(torch.zeros(6), torch.ones(6))
    found = project(decode, wish, torch.randn(4, 8, 6), spread, Search(weight=0.0, steps=600))
    assert found.errors.max() < 1e-8
    torch.testing.assert_close(found.codes, z, atol=1e-3, rtol=1e-3)


def test_pixels_that_are_not_observed_have_no_influence():
    decode, wish, starts = Linear(), wishes(6), torch.randn(2, 6, 4)
    other = Wish(wish.target.where(wish.observed, torch.nan), wish.observed)
    find = partial(project, decode, starts=starts, spread=decode.spread)
    one, two = find(wish), find(other)
    assert torch.equal(one.codes, two.codes)
    assert torch.equal(one.errors, two.errors)
    changed = find(Wish(wish.target + 1.0 * wish.observed, wish.observed))
    assert not torch.isclose(one.codes, changed.codes).any()


def test_of_several_searches_the_best_counts(double):
    """The cubic z³ - 3 z has a valley on either side, of which one is at the wish."""

    def decode(z):
        return z**3 - 3 * z

    wish = Wish(torch.full((2, 1), 3.0), torch.ones(2, 1, dtype=torch.bool))
    spread = Spread(torch.zeros(1), torch.ones(1))
    starts = torch.tensor([[[-1.2], [2.0]], [[1.5], [-1.2]]])  # a good and a bad one for each
    found = project(decode, wish, starts, spread, Search(weight=0.0))
    assert found.errors.max() < 1e-6
    alone = project(decode, wish, starts[:1], spread, Search(weight=0.0))
    assert alone.errors[0] > 0.5
    torch.testing.assert_close(alone.codes[1], found.codes[1])


def test_a_search_does_not_depend_on_the_axes_of_codes(double):
    decode, wish, starts = Linear(), wishes(4), torch.randn(2, 4, 4)
    turn, spread = torch.linalg.qr(torch.randn(4, 4)).Q, Spread(torch.zeros(4), torch.ones(4))
    few = Search(steps=20)
    found = project(decode, wish, starts, spread, few).codes
    turned = project(lambda z: decode(z @ turn), wish, starts @ turn.T, spread, few).codes
    torch.testing.assert_close(turned @ turn, found)


def test_a_search_is_never_worse_than_its_start_and_leaves_no_trace():
    network = torch.nn.Linear(4, 12)
    decode, wish = (lambda z: network(z).unflatten(1, SHAPE)), wishes(3)
    spread, state = Spread(torch.zeros(4), torch.ones(4)), torch.get_rng_state()
    z = torch.zeros(1, 3, 4)
    wild = project(decode, wish, z, spread, Search(steps=3, lr=1e6, weight=0.0))
    assert (wild.errors <= squared_error(decode(z[0]), wish)).all()
    assert all(p.grad is None for p in network.parameters())
    assert torch.equal(state, torch.get_rng_state())
    with torch.no_grad():  # as commands ask
        assert (project(decode, wish, z, spread).errors < wild.errors).all()


def test_a_code_that_never_varies_stays():
    decode, wish = Linear(), wishes(3)
    spread = Spread(torch.ones(4), torch.tensor([1.0, 0.0, 1.0, 1.0]))
    starts = torch.randn(2, 3, 4)
    starts[..., 1] = 1.0 + 1e-7
    found = project(decode, wish, starts, spread)
    assert torch.equal(found.codes[:, 1], starts[0, :, 1])
    assert found.errors.isfinite().all()


# Ways and directions


def test_ways_have_their_ends_and_an_arc_its_radius(double):
    a, b = torch.randn(2, 5, 7)
    for way in (lerp, slerp):
        found = way(a, b, 6)
        assert found.shape == (5, 6, 7)
        torch.testing.assert_close(found[:, 0], a)
        torch.testing.assert_close(found[:, -1], b)
        torch.testing.assert_close(way(a, b, 1)[:, 0], a)
    b = b * (a.norm(dim=1) / b.norm(dim=1))[:, None]
    torch.testing.assert_close(slerp(a, b, 9).norm(dim=-1), a.norm(dim=1)[:, None].expand(-1, 9))


def test_a_direction_leads_from_the_one_mean_to_the_other(double):
    attribute = torch.tensor([0.0, 3.0, -1.0, 0.0])
    lacking = torch.randn(40, 4)
    having = lacking[torch.randperm(40)] + attribute
    along = direction(having, lacking)
    torch.testing.assert_close(along, attribute)
    z = moved(lacking, along, torch.tensor([0.0, 0.5, 1.0, 2.0]))
    assert z.shape == (40, 4, 4)
    assert torch.equal(z[:, 0], lacking)
    torch.testing.assert_close(z[:, 2].mean(0), having.mean(0))
    decode = Linear()
    change = decode(z[:, 3]) - decode(z[:, 0])
    expected = (2 * decode.W @ attribute).unflatten(0, SHAPE)
    torch.testing.assert_close(change, expected.expand(40, *SHAPE))


def test_codes_are_on_a_side_of_the_middle():
    x = torch.zeros(0)
    having = torch.tensor([[2.0, 0.0], [4.0, 9.0], [-2.0, 9.0], [4.0, -9.0]])
    lacking = torch.tensor([[-1.0, 0.0], [-3.0, 1.0], [-2.0, 9.0], [-2.0, -1.0]])
    assert own_side(Groups(having, lacking, x), torch.tensor([1.0, 0.0])) == 7 / 8


class TwoDigits(SimpleNamespace):
    """Makes a digit 1 of a code whose first number is negative, and else a digit 7."""

    shape, device = (1, 28, 28), "cpu"

    def __init__(self) -> None:
        images = read_images(find(BUNDLED, "t10k"))[:200].float() / 255
        labels = read_labels(find(BUNDLED, "t10k", kind="labels"))[:200].argmax(1)
        super().__init__(one=images[labels == 1][0], seven=images[labels == 7][0])

    def draw_codes(self, n):
        return torch.randn(n, 3)

    def decode(self, z):
        return torch.where((z[:, 0] < 0)[:, None, None, None], self.one, self.seven)


def test_a_classifier_tells_which_codes_have_the_attribute():
    model, options = TwoDigits(), SimpleNamespace(labels=[7, 1], each=30, seed=3, files=None)
    found = classified(options, model)  # pyright: ignore[reportArgumentType]
    assert len(found.having) == len(found.lacking) == len(found.events) == 30
    assert (found.having[:, 0] >= 0).all()
    assert (found.lacking[:, 0] < 0).all()
    assert torch.equal(found.events, model.one.expand(30, -1, -1, -1))
    options.labels = [7, 2]
    with pytest.raises(ValueError, match=f"of {DRAWN * 30} events .* too few are a 7 or a 2"):
        classified(options, model)  # pyright: ignore[reportArgumentType]


def test_an_attribute_takes_two_classes():
    with pytest.raises(ValueError, match="--labels 3 3: give two classes of 0 to 9"):
        check_labels([3, 3], 10)


def test_normal_codes_are_known_to_the_last_digit_and_others_are_measured():
    def model(draw):
        return SimpleNamespace(draw_codes=draw)

    spread = drawn_spread(model(lambda n: torch.randn(n, 50)), 0)
    assert torch.equal(spread.mean, torch.zeros(50))
    assert torch.equal(spread.std, torch.ones(50))
    mixed = drawn_spread(model(lambda n: torch.cat([torch.randn(n, 1), torch.rand(n, 1)], 1)), 0)
    assert mixed.mean[0] == 0
    assert mixed.std[0] == 1
    assert abs(mixed.mean[1] - 0.5) < 0.03
    assert abs(mixed.std[1] - 12**-0.5) < 0.02


# Commands


SIDE = 3
BARS = ["--data=BarsAndStripes", f"--data.side={SIDE}", "--data.repeats=5"]
DIGITS = ["--data=MNIST", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1"]
QUICK = [
    "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"
]  # fmt: skip
PLAYERS = [
    "--model=GAN", "--model.generator=genlit.networks.MLP", "--model.generator.hidden=[]",
    "--model.discriminator=genlit.networks.MLP", "--model.latent=6",
]  # fmt: skip
CODER = [
    "--model=VAE", "--model.latent=4", "--model.encoder=genlit.networks.MLP",
    "--model.encoder.hidden=[]", "--model.decoder=genlit.networks.MLP", "--model.decoder.hidden=[]",
]  # fmt: skip
MODELS = {
    "gan": [*BARS, *PLAYERS],
    "vae": [*BARS, *CODER],
    "autoencoder": [*BARS, "--model=Autoencoder", *CODER[1:]],
    "digits": [*DIGITS, *CODER],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    root, found = tmp_path_factory.mktemp("tools"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLIT_RUN_DIR", "")
        for name, arguments in MODELS.items():
            found[name] = root / name
            lightning.main("fit", [*arguments, *QUICK, "--run_dir", str(found[name])])
    return found


@pytest.fixture
def ask(runs, tmp_path, capsys):
    """Asks a model for something: the array, those with names, the picture, what was printed."""

    def command(name: str, command: str, *args: object):
        capsys.readouterr()
        out = tmp_path / f"{command}-{len(list(tmp_path.iterdir()))}"
        main([command, str(runs[name]), "--out", str(out), *map(str, args)])
        with Image.open(f"{out}.png") as picture:
            pixels = np.asarray(picture)
        npz = Path(f"{out}.npz")
        named = dict(np.load(npz)) if npz.exists() else {}
        return np.load(f"{out}.npy"), named, pixels, capsys.readouterr().out

    return command


def decoded(run: Path, codes: np.ndarray) -> np.ndarray:
    _, model = open_model(run, "cpu")
    with torch.no_grad():
        return model.decode(torch.from_numpy(codes)).numpy()


def tile(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    """An image in a picture whose images' pixels are enlarged 21 times, (SIDE, SIDE)."""
    step = 2 + 10 + 21 * np.arange(SIDE)
    return picture[65 * row + step][:, 65 * column + step, 0]


def named_tile(picture: np.ndarray, place: str, row: int, rows: int) -> np.ndarray:
    """The same below a name, enlarged 32 times; "2.0" is the first of a third kind of images."""
    step = 2 + 16 + 32 * np.arange(SIDE)
    kind, column = map(int, place.split("."))
    left = kind * (98 + 2 + 6) + 98 * column  # where all kinds before have one column
    top = len(picture) - (98 * rows + 2) + 98 * row
    return picture[top + step][:, left + step, 0]


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_projections_are_what_the_model_makes_of_their_codes(name, ask, runs, tmp_path):
    x = np.zeros((3, 1, SIDE, SIDE), np.float32)
    x[0, 0, 1], x[1, 0, :, 2], x[2, 0, 0, 0] = 1, 1, 1
    np.save(tmp_path / "x.npy", x)
    options = ["--file", tmp_path / "x.npy", "--steps", 60, "--restarts", 2]
    answer, named, picture, printed = ask(name, "project", *options)
    assert answer.shape == x.shape
    np.testing.assert_allclose(answer, decoded(runs[name], named["codes"]), atol=1e-6)
    errors = ((answer - x) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(named["errors"], errors, rtol=1e-4)
    for k in range(3):
        assert f"image {k}: mean squared error {errors[k] / 9:.4g}\n" in printed
        assert np.array_equal(named_tile(picture, "0.0", k, 3), 255 * x[k, 0])
        assert np.array_equal(named_tile(picture, "1.0", k, 3), np.rint(255 * answer[k, 0]))
        gap = np.rint(255 * abs(answer - x)[k, 0])
        assert np.array_equal(named_tile(picture, "2.0", k, 3), gap)
    stderr = (errors / 9).std(ddof=1) / 3**0.5
    assert f"mean squared error {errors.mean() / 9:.4g} ± {stderr:.2g} per pixel, 3" in printed
    again, *_ = ask(name, "project", *options)
    other, *_ = ask(name, "project", *options, "--seed", 1, "--steps", 3)
    assert np.array_equal(answer, again)
    assert not np.array_equal(answer, other)


def test_projecting_ignores_what_is_not_observed(ask, tmp_path):
    Image.fromarray(np.uint8([[255] * 3, [255, 0, 0], [0] * 3])).save(tmp_path / "mask.png")
    x = (torch.rand(2, 1, SIDE, SIDE) < 0.5).float().numpy()
    changed = x.copy()
    changed[:, 0, 1, 1:], changed[:, 0, 2] = 1 - x[:, 0, 1, 1:], 1 - x[:, 0, 2]
    answers = []
    for name, events in (("x", x), ("changed", changed)):
        np.save(tmp_path / f"{name}.npy", events)
        options = ["--observed", tmp_path / "mask.png", "--steps", 20]
        answers.append(ask("vae", "project", "--file", tmp_path / f"{name}.npy", *options))
    (one, named, picture, _), (two, _, same, _) = answers
    assert np.array_equal(one, two)
    assert np.array_equal(picture, same)
    errors = ((one - x) ** 2)[:, 0].reshape(2, 9)[:, :4].sum(1)
    np.testing.assert_allclose(named["errors"], errors, rtol=1e-4)
    assert (named_tile(picture, "0.0", 0, 2)[2] == 178).all()  # red
    assert (named_tile(picture, "2.0", 0, 2)[2] == 0).all()


def test_candidates_agree_with_what_is_painted_the_nearest_first(ask, runs, tmp_path):
    paint = np.zeros((SIDE, SIDE, 4), np.uint8)
    paint[0, :] = 200, 200, 200, 255
    Image.fromarray(paint).save(tmp_path / "paint.png")
    options = ["--image", tmp_path / "paint.png", "--n", 5, "--weight", 1e-3]
    answer, named, picture, printed = ask("gan", "constrain", *options)
    assert answer.shape == (5, 1, SIDE, SIDE)
    np.testing.assert_allclose(answer, decoded(runs["gan"], named["codes"]), atol=1e-6)
    errors = ((answer[:, 0, 0] - 200 / 255) ** 2).sum(1)
    np.testing.assert_allclose(named["errors"], errors, rtol=1e-4)
    assert (np.diff(errors) >= 0).all()
    assert f"candidate 0: mean squared error {errors[0] / 3:.4g}\n" in printed
    assert "3 of 9 numbers are painted" in printed
    assert tile(picture, 0, 0).tolist() == [[200] * 3, [128] * 3, [128] * 3]
    assert np.array_equal(tile(picture, 0, 5), np.rint(255 * answer[4, 0]))
    drawn, *_ = ask("gan", "sample", "--n", 200)
    assert errors[-1] < 0.2 * ((drawn[:, 0, 0] - 200 / 255) ** 2).sum(1).mean()
    assert answer[:, 0, 1:].std(0).min() > 1e-3  # they differ where they are free
    np.save(tmp_path / "mask.npy", paint[..., 3] > 0)
    Image.fromarray(paint[..., 0]).save(tmp_path / "grey.png")
    options[1] = tmp_path / "grey.png"
    masked, *_ = ask("gan", "constrain", *options, "--mask", tmp_path / "mask.npy")
    assert np.array_equal(masked, answer)


def test_events_are_moved_along_the_direction_of_their_files(ask, runs, tmp_path):
    every = (np.arange(2**9)[:, None] >> np.arange(9)) & 1
    x = every.reshape(-1, 1, SIDE, SIDE).astype(np.float32)
    groups = {"a": x[x.sum((1, 2, 3)) > 6], "b": x[x.sum((1, 2, 3)) < 3]}
    for name, events in groups.items():
        np.save(tmp_path / f"{name}.npy", events)
    files = ["--files", tmp_path / "a.npy", tmp_path / "b.npy"]
    answer, named, picture, printed = ask(
        "vae", "direction", *files, "--n", 4, "--steps", 3, "--width", 2
    )
    _, model = open_model(runs["vae"], "cpu")
    a, b = (ask_for_codes(model, torch.from_numpy(g), 0).numpy() for g in groups.values())
    along = a.mean(0) - b.mean(0)
    np.testing.assert_allclose(named["direction"], along, atol=1e-6)
    assert answer.shape == (4, 3, 1, SIDE, SIDE)
    for k in range(3):
        np.testing.assert_allclose(answer[:, k], decoded(runs["vae"], b[:4] + k * along), atol=1e-5)
    assert np.array_equal(named_tile(picture, "0.0", 1, 4), 255 * groups["b"][1, 0])
    assert np.array_equal(named_tile(picture, "1.1", 1, 4), np.rint(255 * answer[1, 1, 0]))
    assert f"of {len(a)} + {len(b)} codes are on their own side of the middle" in printed


@pytest.mark.parametrize("by", ["encode", "project"])
def test_classes_of_the_data_have_a_direction(by, ask):
    answer, named, _, printed = ask(
        "digits", "direction", "--labels", 0, 1, "--by", by, "--each", 20, "--n", 2
    )
    assert answer.shape == (2, 8, 1, 28, 28)
    assert named["direction"].shape == (4,)
    share = float(printed.split("%")[0].split("\n")[-1])
    assert "of 20 + 20 codes" in printed
    assert share > 75  # zeros and ones differ much, even after two steps of training
    assert np.abs(answer[:, -1] - answer[:, 0]).max() > 0.01


@pytest.mark.parametrize("options", [[], ["--slerp"]])
def test_a_generator_walks_between_codes_that_it_draws(options, ask):
    walk, _, picture, _ = ask("gan", "interpolate", "--n", 3, "--steps", 5, *options)
    assert walk.shape == (3, 5, 1, SIDE, SIDE)
    log_odds = np.log(walk / (1 - walk))  # of a generator that is linear
    steps = np.diff(log_odds, axis=1)
    even = np.allclose(steps, steps[:, :1], atol=1e-3)
    assert even == (not options)
    assert np.array_equal(tile(picture, 2, 4), np.rint(255 * walk[2, 4, 0]))
    walk, _, picture, _ = ask("vae", "interpolate", "--n", 3, "--steps", 5)
    assert np.array_equal(named_tile(picture, "1.4", 2, 3), np.rint(255 * walk[2, 4, 0]))


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("autoencoder", ["project"], "cannot be asked for images to compare with: it does not"),
        ("autoencoder", ["constrain", "--image", "x.png"], "it does not implement Generates"),
        ("gan", ["interpolate", "--file", "x.npy"], "GAN has no codes of images: leave out --file"),
        ("gan", ["direction", "--labels", "1", "2", "--by", "encode"], "not implement Encodes"),
        ("vae", ["direction", "--labels", "1", "2"], "BarsAndStripes has no classes: give your"),
        ("vae", ["direction", "--labels", "1", "2", "--by", "classify"], "grey images of 28 x 28"),
        ("digits", ["direction", "--labels", "3", "10"], "give two classes of 0 to 9"),
        ("digits", ["direction", "--files", "a", "b", "--by", "classify"], "give --labels A B"),
        ("gan", ["project", "--observed", "top"], "there is no mask top"),
        ("gan", ["constrain", "--image", "none.png"], "there is no file none.png"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(name, args, expected, runs, capsys):
    assert expected in refused(capsys, args[0], runs[name], *args[1:])


def test_an_image_on_which_nothing_is_painted_or_free_is_refused(runs, capsys, tmp_path):
    paint = np.zeros((SIDE, SIDE, 4), np.uint8)
    for alpha, expected in ((0, "nothing is painted"), (255, "has no transparent pixels")):
        paint[..., 3] = alpha
        Image.fromarray(paint).save(tmp_path / "paint.png")
        image = ["--image", tmp_path / "paint.png"]
        assert expected in refused(capsys, "constrain", runs["gan"], *image)
    np.save(tmp_path / "x.npy", np.zeros((2, SIDE, SIDE)))
    image = ["--image", tmp_path / "x.npy"]
    assert "holds 2 images: give one" in refused(capsys, "constrain", runs["gan"], *image)
    np.save(tmp_path / "x.npy", np.zeros((SIDE, SIDE)))
    assert "which pixels are painted: give a --mask" in refused(
        capsys, "constrain", runs["gan"], *image
    )


def test_codes_are_not_overwritten(runs, capsys, tmp_path):
    (tmp_path / "x.npz").write_text("mine")
    message = refused(capsys, "project", runs["gan"], "--out", tmp_path / "x")
    assert "x.npz exists and is not overwritten" in message
    main(["sample", str(runs["gan"]), "--out", str(tmp_path / "x")])
    assert (tmp_path / "x.npz").read_text() == "mine"


@pytest.mark.parametrize("args", [
    ["project", "--weight", "-1"], ["project", "--steps", "0"], ["constrain"], ["direction"],
    ["direction", "--labels", "1"], ["direction", "--labels", "1", "2", "--files", "a", "b"],
])  # fmt: skip
def test_arguments_that_mean_nothing_are_refused(args, runs):
    with pytest.raises(SystemExit) as ended:
        main([args[0], str(runs["gan"]), *args[1:]])
    assert ended.value.code == 2
