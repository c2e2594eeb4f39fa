"""Painting: what strokes ask for, how models answer, and that sessions replay."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from genlit.cli import lightning, main
from genlit.cli.asking import open_model
from genlit.edges import edge_error
from genlit.editing.codes import ByCodes
from genlit.editing.filling import CLOSE, ByFilling
from genlit.editing.history import Means
from genlit.editing.photos import SOLVERS, Learning, Projector
from genlit.editing.pictures import film
from genlit.editing.session import Session
from genlit.editing.settings import FILLING, Settings
from genlit.editing.strokes import (
    Stroke,
    covered,
    painting_of,
    pixels_of,
    spec_of,
    stroke_of,
    text_of,
)
from genlit.latent import Search, Spread, Wish, error, project
from genlit.protocols import EnergyBased, Generates, Imputes, MarkovChain
from tests.test_use import refused

SHAPE = (1, 8, 8)
LATENT = 6
NORMAL = Spread(torch.zeros(LATENT), torch.ones(LATENT))


class Generator(Generates):
    """A linear generator, of which searches have answers that are known."""

    def __init__(self, shape=SHAPE) -> None:
        self.shape = shape
        generator = torch.Generator().manual_seed(5)
        self.W = 0.1 * torch.randn(math.prod(shape), LATENT, generator=generator)

    def draw_codes(self, n):
        return torch.randn(n, LATENT)

    def decode(self, z):
        return (0.5 + z @ self.W.T.to(z)).unflatten(1, self.shape)


class Coins(Imputes):
    """Fills in with coins, each pixel in its turn."""

    shape, binary = SHAPE, True

    def impute(self, x, observed):
        return torch.where(observed, x, torch.rand_like(x).round())


class Walk(Coins, MarkovChain, EnergyBased):
    """A chain that turns one pixel in four, and finds bright images more plausible."""

    def step(self, x):
        return torch.where(torch.rand_like(x) < 0.25, 1 - x, x)

    def free_energy(self, x):
        return -x.flatten(1).sum(1)

    def path(self):
        raise AssertionError("nobody asks for it")


def brush(*points, size=2.0, colour=(1.0,)):
    places = [list(map(float, p)) for p in points]
    return {"tool": "brush", "points": places, "size": size, "colour": [*colour]}


def edge(*points, contrast=0.5):
    places = [list(map(float, p)) for p in points]
    return {"tool": "edge", "points": places, "size": 1.0, "contrast": contrast}


def painting(*specs, shape=SHAPE):
    return painting_of([stroke_of(spec, shape) for spec in specs], shape)


def by_codes(n=4, steps=40, weight=0.01, shape=SHAPE) -> ByCodes:
    return ByCodes(Generator(shape), n, NORMAL, Search(weight, steps))


def means(settings: Settings) -> Means:
    if settings.by == FILLING:
        return Means(ByFilling(Walk(), settings.candidates), None)
    engine = by_codes(settings.candidates, settings.steps, settings.weight)
    return Means(engine, Projector(engine, Search(0.01, 100), Learning(20, 8, width=4)))


DRAWING = [
    brush((1, 2), (7, 2)),
    {"do": "choose", "candidate": 2},
    edge((2, 6), (6, 5)),
    {"do": "undo"},
    {"tool": "eraser", "points": [[6, 2]], "size": 3},
    {"do": "new"},
    {"do": "go", "step": 2},
    brush((4, 4), size=1, colour=(0.25,)),
]


# Edges


def test_an_edge_lacks_what_its_contrast_falls_short_of():
    x = torch.full((1, 1, 5, 6), 0.2)
    x[..., 3:] = 0.5  # a contrast of 0.3 in columns 2 and 3
    edges = torch.zeros(1, 2, 5, 6)
    edges[0, 0, :, 1:4] = 0.7
    expected = 5 * (0.7**2 + 2 * 0.4**2)
    torch.testing.assert_close(edge_error(x, edges), torch.tensor([expected]))
    torch.testing.assert_close(edge_error(1 - x, -edges), torch.tensor([expected]))
    turned = edge_error(x.transpose(2, 3), edges.flip(1).transpose(2, 3))
    torch.testing.assert_close(turned, torch.tensor([expected]))
    torch.testing.assert_close(edge_error(x, 0.25 * edges / 0.7)[0], torch.tensor(5 * 0.25**2))
    along = edge_error(x, edges.flip(1))
    torch.testing.assert_close(along, torch.tensor([15 * 0.7**2]), rtol=1e-5, atol=0)  # not its way
    assert edge_error(x, 0 * edges) == 0


def test_an_edge_of_three_channels_has_the_contrast_of_their_mean_square():
    x = torch.full((2, 3, 4, 4), 0.7)
    x[0, :, :, 2:] += torch.tensor([0.3, -0.6, 0.0])[:, None, None]
    edges = torch.zeros(2, 2, 4, 4)
    edges[:, 0, 1, 1] = 1.0
    short = 1 - ((0.3**2 + 0.6**2) / 3) ** 0.5
    torch.testing.assert_close(edge_error(x, edges), torch.tensor([short**2, 1.0]))


def test_the_gradient_of_missing_edges_is_that_of_finite_differences(double):
    x, edges = torch.rand(2, 2, 4, 5).requires_grad_(), torch.randn(2, 2, 4, 5)
    assert torch.autograd.gradcheck(lambda x: edge_error(x, edges), (x,))


def test_a_search_makes_the_edge_that_is_wished():
    """Of a generator with a step of the height z in the middle column."""

    def decode(z):
        return 0.5 + torch.stack([-z, z], 1)[:, None].repeat_interleave(3, 2).expand(-1, 1, 6, 4)

    def tall(z):
        return decode(z).transpose(2, 3)

    edges = torch.zeros(1, 2, 4, 6)
    edges[0, 0, :, 2:4] = 0.4
    nothing = Wish(torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 4, 6, dtype=torch.bool), edges)
    spread = Spread(torch.zeros(1), torch.ones(1))
    for start, sign in ((0.05, 1), (-0.05, -1)):
        found = project(tall, nothing, torch.full((1, 1, 1), start), spread, Search(0.0, 200))
        assert sign * 2 * float(found.codes) > 0.39
        assert found.errors < 1e-3
    torch.testing.assert_close(error(tall(torch.zeros(1, 1)), nothing), torch.tensor([8 * 0.16]))


# Strokes


def test_a_stroke_covers_the_pixels_whose_middles_are_near():
    across = painting(brush((1, 3), (6.5, 3), size=2))
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[2:4, 0:7] = True  # from half a pixel before its beginning to its end
    expected[2:4, 0] = False  # whose corners are farther than 1 away
    x = torch.arange(8) + 0.5
    distance = torch.hypot((x - x.clamp(1, 6.5))[None], (x - 3)[:, None])
    assert torch.equal(across.painted, distance <= 1)
    assert torch.equal(across.painted[:, 1:6], expected[:, 1:6])
    dot = painting(brush((5.99, 2.01), size=0.5)).painted
    assert dot.nonzero().tolist() == [[2, 5]]
    assert not painting(brush((-3, 4), (-1, 5), size=1)).painted.any()
    many = [(0.1 * k, 4) for k in range(80)]  # more segments than are drawn at once
    assert torch.equal(painting(brush(*many * 5)).painted, painting(brush(*many)).painted)


def test_edges_point_across_the_stroke():
    slanted = painting(edge((1, 1), (5, 4), contrast=0.8)).edges
    there = slanted.norm(dim=0) > 0
    assert there[1, 1]
    assert there[3, 4]
    vectors = slanted[:, there]
    torch.testing.assert_close(vectors.norm(dim=0), torch.full((int(there.sum()),), 0.8))
    torch.testing.assert_close(vectors.T @ torch.tensor([4.0, 3.0]), torch.zeros(int(there.sum())))


def test_later_strokes_lie_over_earlier_ones_and_the_eraser_frees():
    photo = {"tool": "photo", "pixels": text_of(torch.full(SHAPE, 0.2))}
    eraser = {"tool": "eraser", "points": [[4, 0], [4, 8]], "size": 2}
    result = painting(
        photo, brush((0, 4), (8, 4), colour=(0.75,)), edge((0, 6.5), (8, 6.5)), eraser
    )
    assert torch.equal(result.painted[0], torch.tensor([1, 1, 1, 0, 0, 1, 1, 1]) == 1)
    assert result.colour[0, 4].tolist() == [0.75] * 3 + [0.0] * 2 + [0.75] * 3
    torch.testing.assert_close(result.colour[0, 0, :3], torch.full((3,), 51 / 255))
    assert result.edges.norm(dim=0)[6].tolist() == [0.5] * 3 + [0.0] * 2 + [0.5] * 3
    assert result.numbers == 48 + 6
    wish = result.wish()
    assert torch.equal(wish.observed[0, 0], result.painted)


def test_strokes_are_json():
    photo = {"tool": "photo", "pixels": text_of(torch.rand(SHAPE))}
    for spec in (brush((1, 2), (3, 4.5)), edge((1, 2), (3, 4)), photo):
        stroke = stroke_of(json.loads(json.dumps(spec)), SHAPE)
        assert stroke_of(spec_of(stroke), SHAPE) == stroke
        assert spec_of(stroke) == spec
    image = (torch.rand(3, 4, 5) * 255).round() / 255
    torch.testing.assert_close(pixels_of(text_of(image), (3, 4, 5)), image)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("brush", "one of brush, edge, eraser, photo"),
        ({"tool": "spray"}, "one of brush, edge, eraser, photo"),
        (brush(), "are 1 to 2000"),
        (edge((1, 1)), "are 2 to 2000"),
        (brush((1, math.nan)), "a point of a stroke is 2 numbers from -32 to 32"),
        (brush((1, 2, 3)), "a point of a stroke is 2 numbers"),
        (brush((1, 1e9)), "a point of a stroke is 2 numbers"),
        (brush((1, 1), size=0), "the size of a stroke is a number from 0.1 to 32"),
        (brush((1, 1), colour=(1, 0, 0)), "the colour of a brush is a number from 0 to 1"),
        (brush((1, 1), colour=(2,)), "the colour of a brush"),
        (brush((1, 1), colour=(True,)), "the colour of a brush"),
        (edge((1, 1), (2, 2), contrast=2), "the contrast of an edge is a number from 0 to 1"),
        ({"tool": "photo", "pixels": "abc"}, "pixels are 8 x 8 x 1 levels of a byte, in base64"),
        ({"tool": "photo"}, "pixels are 8 x 8 x 1 levels"),
    ],
)  # fmt: skip
def test_what_is_no_stroke_is_refused(spec, expected):
    with pytest.raises(ValueError, match=expected):
        stroke_of(spec, SHAPE)


# Answers by codes


def test_candidates_follow_to_the_nearest_codes_that_agree():
    """Of a linear generator: ridge regression around each candidate's code before the stroke."""
    engine = by_codes(3, 600, 0.05)
    before = engine.fresh(painting(), ("a",))
    after, place = engine.follow(before, 1, painting(brush((1, 2), (7, 2))), ("a",), ("b",))
    observed = painting(brush((1, 2), (7, 2))).painted.flatten()
    A = engine.model.W[observed]
    start = before.codes[1]
    start = start * min(1.0, LATENT**0.5 / float(start.norm()))
    rest = 0.5 - A @ start
    u = torch.linalg.solve(A.T @ A + 0.05 * torch.eye(LATENT), A.T @ rest)
    torch.testing.assert_close(after.codes[place], start + u, rtol=1e-3, atol=1e-3)
    images = engine.model.decode(after.codes).flatten(1)[:, observed]
    torch.testing.assert_close(after.scores, (images - 1).square().sum(1))
    assert (after.scores.diff() >= 0).all()


def test_the_candidate_that_is_looked_at_stays_among_the_best():
    engine = by_codes(2)
    before = engine.fresh(painting(), ("a",))
    far = before._replace(codes=torch.cat([before.codes[:1], torch.full((1, LATENT), 30.0)]))
    stroke = painting(brush((1, 2), (7, 2)))
    after, place = engine.follow(far, 1, stroke, ("a",), ("b",))
    assert place == 1
    assert after.scores[1] > after.scores[0]
    assert after.codes[1].norm() > 20
    other, place = engine.follow(far, 0, stroke, ("a",), ("b",))
    assert other.codes.norm(dim=1).max() < 10  # what was drawn anew has taken its place
    assert not engine.agrees(after, 1, stroke)
    share = (float(after.scores[1]) / int(stroke.painted.sum())) ** 0.5
    assert engine.captions(after, stroke)[1] == f"off by {100 * share:.0f} %"


def test_codes_are_brought_back_to_where_the_model_has_them():
    std = torch.tensor([1.0, 2.0, 0.0, 1.0])
    engine = ByCodes(Generator(), 2, Spread(torch.ones(4), std), Search())
    off = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.5, 0.5, 0.0, 1.0]])
    back = engine.likely(1 + std * off)
    torch.testing.assert_close(back[0], 1 + std * off[0] * 3**0.5 / 5)
    torch.testing.assert_close(back[1], 1 + std * off[1])


def test_a_glance_goes_on_from_the_last_one_and_towards_the_paint():
    engine = by_codes()
    before = engine.fresh(painting(), ("a",))
    stroke = painting(brush((1, 2), (7, 2)))

    def off(image):
        return float((image[0][stroke.painted] - 1).square().sum())

    one, last = engine.glance(before, 0, stroke, None)
    two, _ = engine.glance(before, 0, stroke, last)
    assert off(two) < off(one) < off(before.images[0])


# Answers by filling


def test_painted_pixels_are_held_by_a_model_that_fills_in():
    stroke = painting(brush((1, 2), (7, 2)), brush((4, 6), colour=(0.25,)), edge((1, 4), (7, 4)))
    held = (stroke.colour > 0.5).float()  # as the models know no grey
    for model in (Coins(), Walk()):
        engine = ByFilling(model, 5)
        before = engine.fresh(painting(), ("a",))
        for after in (
            engine.fresh(stroke, ("a",)),
            engine.follow(before, 2, stroke, ("a",), ("b",))[0],
        ):
            assert after.images.shape == (5, *SHAPE)
            assert torch.equal(
                after.images[:, :, stroke.painted], held[:, stroke.painted].expand(5, -1, -1)
            )
            assert 0.2 < after.images[:, :, ~stroke.painted].mean() < 0.8


def test_a_model_without_a_chain_changes_no_more_than_the_stroke():
    engine = ByFilling(Coins(), 4)
    before = engine.fresh(painting(brush((4, 6))), ("a",))
    stroke = painting(brush((4, 6)), brush((1, 2), (7, 2)))
    after, place = engine.follow(before, 2, stroke, ("a",), ("b",))
    free = ~stroke.painted
    assert torch.equal(after.images[place][:, free], before.images[2][:, free])
    assert not engine.quick


def test_a_chain_goes_on_from_the_candidates_and_the_most_plausible_is_first():
    class Still(Walk):
        def step(self, x):
            return x

    engine = ByFilling(Still(), 4)
    assert engine.quick
    before = engine.fresh(painting(), ("a",))
    stroke = painting(brush((1, 2), (7, 2)))
    after, place = engine.follow(before, 3, stroke, ("a",), ("b",))
    free = ~stroke.painted
    assert torch.equal(after.images[place][:, free], before.images[3][:, free])
    bright = after.images.flatten(1).sum(1)
    torch.testing.assert_close(after.scores, -bright)
    assert (bright.diff() <= 0).all()
    assert engine.captions(after, stroke)[0] == f"{bright[0]:.1f} nats"
    worse = after._replace(scores=torch.tensor([0.0, CLOSE - 1, CLOSE + 1, CLOSE + 2]))
    assert [engine.agrees(worse, k, stroke) for k in range(4)] == [True, True, False, False]


def test_of_several_fillings_the_one_with_the_best_edges_counts():
    wanted = painting(edge((0, 4.5), (8, 4.5), contrast=1.0))
    plain, choosy = painting(brush((4, 0))), painting(brush((4, 0)), edge((0, 4.5), (8, 4.5)))
    engine = ByFilling(Coins(), 64)

    def lacking(images):
        return float(edge_error(images, wanted.edges.expand(len(images), -1, -1, -1)).mean())

    assert lacking(engine.fresh(choosy, ("a",)).images) < 0.85 * lacking(
        engine.fresh(plain, ("a",)).images
    )


# Photos


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_generators_own_image_is_found_again(solver):
    engine = by_codes(4)
    learning = Learning(steps=150, batch=32, lr=5e-3, width=8)
    projector = Projector(engine, Search(1e-4, 200), learning)
    photo = engine.model.decode(engine.drawn(1, ("photo",)))[0]
    found = projector.project(photo, solver, ("t",))
    drawn = engine.model.decode(engine.drawn(100, ("others",)))
    usual = (drawn - photo).square().flatten(1).sum(1).mean()
    assert len(found.scores) == (4 if solver == "optimize" else 1)
    torch.testing.assert_close(
        found.scores, (engine.model.decode(found.codes) - photo).square().flatten(1).sum(1)
    )
    assert found.scores[0] < usual * (0.3 if solver == "predict" else 1e-3)


def test_predicting_and_searching_is_no_worse_than_predicting():
    engine = by_codes(2)
    projector = Projector(engine, Search(0.0, 20), Learning(10, 8, width=4))
    photo = torch.rand(SHAPE)
    predicted, both = (projector.project(photo, s, ("t",)).scores[0] for s in ("predict", "both"))
    assert both < predicted
    with pytest.raises(ValueError, match="there is no solver 'guess': it may be optimize, predict"):
        projector.project(photo, "guess", ("t",))


def test_a_model_that_encodes_predicts_by_its_encoder():
    from genlit.protocols import Encodes

    class Encoder(Generator, Encodes):
        def encode(self, x):
            return x.flatten(1)[:, :LATENT]

    engine = ByCodes(Encoder(), 2, NORMAL, Search())
    photo = torch.rand(SHAPE)
    found = Projector(engine, Search()).project(photo, "predict", ("t",))
    torch.testing.assert_close(found.codes[0], photo.flatten()[:LATENT])


# Sessions


@pytest.mark.parametrize("by", ["codes", "filling"])
def test_a_session_replays_to_the_same_images(by):
    session = Session(means, Settings(candidates=3, by=by))
    for action in DRAWING:
        session.act(action)
        if action.get("tool") == "brush":
            session.glance(brush((5, 5)))  # of which nothing remains
    document = json.loads(json.dumps(session.document()))
    torch.rand(7)  # others draw, too
    again = Session(means, Settings()).replayed(document)
    assert again.at == session.at == 5
    assert [s.parent for s in session.steps] == [None, 0, 1, 1, 3, 2]
    for one, two in zip(session.steps, again.steps, strict=True):
        assert torch.equal(one.candidates.images, two.candidates.images)
        assert (one.chosen, one.label, one.strokes) == (two.chosen, two.label, two.strokes)
    document["settings"]["seed"] = 1
    other = Session(means, Settings()).replayed(document)
    assert not torch.equal(session.now.image, other.now.image)


def test_the_history_loses_nothing():
    session = Session(means, Settings(candidates=2, steps=5))
    session.act(brush((1, 2), (7, 2)))
    first = session.now
    session.act(brush((4, 6)))
    second = session.now
    session.act({"do": "undo"})
    assert session.now is first
    session.act({"do": "redo"})
    assert session.now is second
    session.act({"do": "undo"})
    session.act(brush((6, 6)))
    session.act({"do": "undo"})
    session.act({"do": "redo"})
    assert session.at == 3  # the newest that came of it
    session.act({"do": "go", "step": 2})
    session.act({"do": "clear"})
    assert session.now.strokes == ()
    assert torch.equal(session.now.candidates.images, session.steps[0].candidates.images)
    assert session.path() == [0, 1, 2, 4]
    session.act({"do": "go", "step": 1})
    session.act({"do": "new"})
    assert session.path() == [0, 1, 5]
    assert session.now.strokes == first.strokes
    assert not torch.equal(session.now.candidates.codes, first.candidates.codes)
    session.act({"do": "choose", "candidate": 1})
    session.act(brush((4, 4)))
    codes = session.steps[5].candidates.codes
    moves = (session.now.candidates.codes[session.now.chosen] - codes).norm(dim=1)
    assert moves[1] < moves[0]  # it follows the one that was chosen


def test_a_full_session_can_still_be_walked(monkeypatch):
    monkeypatch.setattr("genlit.editing.session.STEPS", 2)
    session = Session(means, Settings(candidates=2, steps=5))
    session.act(brush((1, 2)))
    with pytest.raises(ValueError, match="a session has at most 2 steps"):
        session.act(brush((4, 4)))
    assert (session.at, len(session.steps), len(session.actions)) == (1, 2, 1)
    for action in ({"do": "undo"}, {"do": "redo"}, {"do": "go", "step": 0}):
        session.act(action)
    assert session.at == 0


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("undo", "an action is an object"),
        ({"do": "jump"}, "there is no action 'jump': it may be stroke, choose"),
        ({"do": "undo"}, "there is nothing to undo"),
        ({"do": "redo"}, "there is nothing to do again"),
        ({"do": "go", "step": 7}, "there is no step 7: they are 0 to 0"),
        ({"do": "go", "step": True}, "there is no step True"),
        ({"do": "choose", "candidate": -1}, "there is no candidate -1: they are 0 to 7"),
        ({"do": "photo", "pixels": "AAAA"}, "pixels are 8 x 8 x 1"),
        (brush((1, 1), colour=()), "the colour of a brush"),
    ],
)
def test_what_cannot_be_done_leaves_no_trace(action, expected):
    session = Session(means, Settings(steps=2))
    with pytest.raises(ValueError, match=expected):
        session.act(action)
    assert session.actions == []
    assert len(session.steps) == 1


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (7, "this is no session"),
        ({"actions": 3}, "this is no session"),
        ({"actions": [], "shape": [1, 28, 28]}, r"of images of shape \[1, 28, 28\], and the model"),
        ({"actions": [], "settings": {"colour": 3}}, "the settings of a session are seed, cand"),
        ({"actions": [], "settings": {"steps": 0}}, "the setting steps is a number from 1 to 2000"),
        ({"actions": [], "settings": {"seed": 0.5}}, "the setting seed is a whole number"),
        ({"actions": [], "settings": {"by": "magic"}}, "the setting by is codes or filling"),
        ([brush((1, 1)), {"do": "redo"}], "action 1 of the session: there is nothing to do again"),
    ],
)  # fmt: skip
def test_what_is_no_session_is_refused(document, expected):
    with pytest.raises(ValueError, match=expected):
        Session(means, Settings(steps=2)).replayed(document)


def test_a_morph_goes_from_state_to_state():
    session = Session(means, Settings(candidates=2, steps=5))
    session.act(brush((1, 2), (7, 2)))
    session.act(brush((4, 6)))
    images = session.morph([0, 1, 2], 6)
    assert images.shape == (11, *SHAPE)
    for k, step in ((0, 0), (5, 1), (10, 2)):
        torch.testing.assert_close(images[k], session.steps[step].image, atol=1e-5, rtol=0)
    filling = Session(means, Settings(candidates=2, by="filling"))
    filling.act(brush((1, 2)))
    a, middle, b = filling.morph([0, 1], 3)
    torch.testing.assert_close(middle, (a + b) / 2)
    with pytest.raises(ValueError, match="a morph takes two states or more"):
        session.morph([1], 6)
    with pytest.raises(ValueError, match="there is no step 9"):
        session.morph([0, 9], 6)


def test_a_film_goes_there_and_back(tmp_path):
    levels = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 1, 4, 6)
    (tmp_path / "film.gif").write_bytes(film(levels))
    with Image.open(tmp_path / "film.gif") as picture:
        assert picture.n_frames == 8
        assert max(picture.size) == 6 * 43
        seen = []
        for k in range(8):
            picture.seek(k)
            seen.append((picture.convert("L").getpixel((3, 3)), picture.info["duration"]))
    expected = [0, 64, 128, 191, 255, 191, 128, 64]
    assert [level for level, _ in seen] == pytest.approx(expected, abs=1)
    assert [time for _, time in seen] == [600, 60, 60, 60, 600, 60, 60, 60]


# The command

MLP = "genlit.networks.MLP"
QUICK = [
    "--data=BarsAndStripes", "--data.side=3", "--data.repeats=5", "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
]  # fmt: skip
MODELS = {
    "rbm": ["--model=RBM", "--model.hidden=6", "--model.sample_steps=20"],
    "vae": ["--model=VAE", "--model.latent=2", f"--model.encoder={MLP}", f"--model.decoder={MLP}"],
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("edit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLIT_RUN_DIR", "")
        for name, arguments in MODELS.items():
            lightning.main("fit", [*arguments, *QUICK, "--run_dir", str(root / name)])
    return root


@pytest.fixture
def strokes(tmp_path):
    """A file with the upper row painted white and the lower one black."""
    upper, lower = brush((0, 0.5), (3, 0.5), size=1), brush((0, 2.5), (3, 2.5), size=1, colour=(0,))
    (tmp_path / "strokes.json").write_text(json.dumps([upper, lower]))
    return tmp_path / "strokes.json"


@pytest.mark.parametrize("name", MODELS)
def test_the_command_replays_a_drawing(name, runs, strokes, tmp_path, capsys):
    answers = []
    for out in ("one", "two"):
        main(["edit", str(runs / name), "--replay", str(strokes), "--out", str(tmp_path / out)])
        answers.append(np.load(tmp_path / f"{out}.npy"))
    assert answers[0].shape == (8, 1, 3, 3)
    assert np.array_equal(*answers)
    if name == "rbm":
        assert (answers[0][:, 0, 0] == 1).all()
        assert (answers[0][:, 0, 2] == 0).all()
    with Image.open(tmp_path / "one.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    tile = pixels[2 + 10 :: 21, 2 + 10 :: 21][:3, :3]
    assert tile.tolist() == [[255] * 3, [128] * 3, [0] * 3]
    with Image.open(tmp_path / "one.gif") as picture:
        times = [picture.seek(k) or picture.info["duration"] for k in range(picture.n_frames)]
    assert sum(times) == 58 * 60 + 2 * 600  # of 31 images there and back; equal ones are merged
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'one.gif'}\n" in printed
    assert printed.count("candidate 0") == 2
    order = "minus the free energy, the most plausible first" if name == "rbm" else "how near they"
    assert f"candidates by {order}" in printed
    main(["edit", str(runs / name), "--replay", str(strokes), "--seed", "1", "--candidates", "3",
          "--out", str(tmp_path / "three")])  # fmt: skip
    other = np.load(tmp_path / "three.npy")
    assert other.shape == (3, 1, 3, 3)
    assert not np.array_equal(other, answers[0][:3])


def test_the_command_replays_what_the_page_saved(runs, tmp_path):
    from argparse import Namespace

    from genlit.cli.edit import means_of, settings_of

    _, model = open_model(runs / "vae", "cpu")
    chosen = Namespace(seed=3, candidates=5, steps=None, weight=0.1, by=None)
    session = Session(lambda s: means_of(model, s), settings_of(chosen, {}, model))
    for action in (brush((1, 1)), {"do": "choose", "candidate": 2}, edge((0, 2), (3, 2))):
        session.act(action)
    (tmp_path / "session.json").write_text(json.dumps(session.document()))
    out = tmp_path / "answer"
    main(["edit", str(runs / "vae"), "--replay", str(tmp_path / "session.json"), "--out", str(out)])
    assert np.array_equal(np.load(f"{out}.npy"), session.now.candidates.images.numpy())


def test_the_command_begins_with_a_photo(runs, strokes, tmp_path, capsys):
    np.save(tmp_path / "photo.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "none.json").write_text("[]")
    arguments = ["--replay", str(tmp_path / "none.json"), "--photo", str(tmp_path / "photo.npy")]
    for name, n in (("rbm", 8), ("vae", 1)):
        main(["edit", str(runs / name), *arguments, "--out", str(tmp_path / name)])
        answer = np.load(tmp_path / f"{name}.npy")
        assert answer.shape == (n, 1, 3, 3)
        if name == "rbm":
            assert np.array_equal(answer[0, 0], np.eye(3))


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("vae", ["--replay", "none.json"], "there is no file none.json"),
        ("vae", ["--replay", "bad.json"], "bad.json is no JSON: give a session that the page"),
        ("rbm", ["--replay", "strokes.json", "--by", "codes"], "RBM has no codes to search: take"),
        ("vae", ["--replay", "strokes.json", "--out", "taken"], "taken.gif exists and is not over"),
        ("vae", ["--photo", "two.npy"], "two.npy holds 2 images: give one"),
        ("vae", ["--steps", "5000"], "the setting steps is a number from 1 to 2000"),
        ("vae", ["--host", "203.0.113.7", "--port", "0"], "cannot listen on 203.0.113.7, port 0"),
    ],
)  # fmt: skip
def test_what_the_command_cannot_do_is_one_line(name, args, expected, runs, strokes, capsys):
    folder = strokes.parent
    (folder / "bad.json").write_text("{")
    (folder / "taken.gif").write_text("mine")
    np.save(folder / "two.npy", np.zeros((2, 3, 3), np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert expected in refused(capsys, "edit", runs / name, *args)
    assert (folder / "taken.gif").read_text() == "mine"


@pytest.mark.parametrize("args", [["--out", "x"], ["--solver", "both"], ["--candidates", "0"]])
def test_options_that_mean_nothing_are_refused(args, runs):
    with pytest.raises(SystemExit) as ended:
        main(["edit", str(runs / "vae"), *args])
    assert ended.value.code == 2


def test_a_stroke_has_a_place_for_every_tool():
    assert Stroke("brush", ((1.0, 1.0),)).size == 1
    under, across = covered(Stroke("edge", ((1.0, 1.0), (1.0, 1.0)), 1.0), SHAPE)
    assert under[1, 1]
    assert not across.any()  # a line without a length has no direction
