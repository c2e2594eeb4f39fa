"""The page and its server: by HTTP, and by a mouse in a browser where there is one."""

import base64
import io
import json
import re
import socket
import threading
from http.client import HTTPConnection

import numpy as np
import pytest
import torch
from PIL import Image

from genlit.editing.server import LARGEST, PAGE, Server
from genlit.editing.session import Session
from genlit.editing.settings import Settings
from genlit.editing.strokes import text_of
from tests.browser import Browser, find_browser
from tests.test_editing import SHAPE, brush, edge, means, painting


@pytest.fixture
def serve():
    """Serves sessions, and ends all of them."""
    running = []

    def begin(**options) -> Server:
        server = Server(Session(means, Settings(candidates=4)), "runs/mine", **options)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        running.append((server, thread))
        return server

    yield begin
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(server, path, body=None, headers=(), host="127.0.0.1"):
    """The status of a request, and the JSON or the text that it answers with."""
    connection = HTTPConnection(host, server.server_address[1], timeout=60)
    sent = {"Content-Type": "application/json"} | dict(headers)
    if body is None:
        connection.request("GET", path, headers=dict(headers))
    else:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, data, sent)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    is_json = answer.getheader("Content-Type").startswith("application/json")
    return answer.status, json.loads(text) if is_json else text


def pixels(uri: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as picture:
        return np.asarray(picture)


# What it answers


def test_the_state_is_what_the_session_says(serve):
    server = serve()
    status, state = ask(server, "/act", brush((1, 2), (7, 2)))
    now = server.session.now
    assert status == 200
    assert (state["at"], state["chosen"], state["redo"]) == (1, now.chosen, False)
    assert [s["label"] for s in state["steps"]] == ["start", "brush"]
    levels = np.rint(255 * now.candidates.images.clamp(0, 1).numpy())
    for k in range(4):
        assert np.array_equal(pixels(state["candidates"][k]["image"]), levels[k, 0])
    assert np.array_equal(pixels(state["steps"][1]["image"]), levels[now.chosen, 0])
    painted = server.session.painting.painted.numpy()
    assert np.array_equal(pixels(state["painting"])[..., 3], 255 * painted)
    assert (pixels(state["painting"])[painted] == 255).all()
    _, state = ask(server, "/act", edge((1, 6.5), (7, 6.5)))
    assert state["edges"] == [[x, 6, 0, 1] for x in range(1, 8)] or state["edges"] == [
        [x, 6, 0, 1] for x in range(8)
    ]
    assert ask(server, "/state")[1] == state | {"seconds": 0.0}


def test_a_glance_changes_nothing(serve):
    server = serve()
    ask(server, "/act", brush((1, 2), (7, 2)))
    before = ask(server, "/state")[1]
    status, answer = ask(server, "/glance", brush((4, 6), (5, 6)))
    assert status == 200
    assert pixels(answer["image"]).shape == SHAPE[1:]
    assert ask(server, "/state")[1] == before


def test_what_was_saved_can_be_loaded(serve):
    server, other = serve(), serve()
    for action in (brush((1, 2), (7, 2)), {"do": "choose", "candidate": 1}, edge((2, 6), (6, 5))):
        ask(server, "/act", action)
    _, document = ask(server, "/session")
    status, state = ask(other, "/load", document)
    assert status == 200
    expected = ask(server, "/state")[1]
    assert state | {"seconds": 0.0} == expected


def test_a_morph_is_a_film(serve):
    server = serve()
    ask(server, "/act", brush((1, 2), (7, 2)))
    status, answer = ask(server, "/morph", {"steps": [0, 1]})
    assert status == 200
    assert answer["film"].startswith("data:image/gif;base64,")
    data = io.BytesIO(base64.b64decode(answer["film"].split(",")[1]))
    with Image.open(data) as picture:
        assert picture.n_frames > 1


def test_a_photo_is_projected(serve):
    server = serve()
    with torch.no_grad():
        photo = server.session.engine.model.decode(torch.full((1, 6), 0.7))[0].clamp(0, 1)
    for solver in ("optimize", "predict", "both"):
        action = {"do": "photo", "solver": solver, "pixels": text_of(photo)}
        status, state = ask(server, "/act", action)
        assert status == 200
        assert state["note"].startswith(f"{solver}: off by ")
    assert "optimize: off by 0 %" in server.session.steps[1].note
    image = pixels(state["candidates"][0]["image"]) / 255
    assert np.abs(image - photo[0].numpy()).mean() < 0.02  # predict and search


# What it refuses


@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    [
        ("/nothing", None, 404, "there is nothing at /nothing"),
        ("/act", None, 404, "there is nothing at /act"),
        ("/state", {}, 404, "there is nothing at /state"),
        ("/act", b"{", 400, "the request is no JSON"),
        ("/act", b"[" * 100000, 400, "the request is no JSON"),
        ("/act", [], 400, "an action is an object"),
        ("/act", {"do": "undo"}, 400, "there is nothing to undo"),
        ("/act", {"do": ["undo"]}, 400, "there is no action"),
        ("/act", brush((1, 1), colour=(3,)), 400, "the colour of a brush is a number from 0 to 1"),
        ("/act", {"do": "photo", "pixels": "no"}, 400, "pixels are 8 x 8 x 1 levels"),
        ("/glance", {"tool": "spoon"}, 400, "a stroke is"),
        ("/morph", {"steps": [0]}, 400, "a morph takes two states or more"),
        ("/morph", [0, 1], 400, "a morph is an object with the list of steps"),
        ("/load", {"actions": 1}, 400, "this is no session"),
        ("/load", {"actions": [], "shape": [3, 64, 64]}, 400, "of images of shape [3, 64, 64]"),
    ],
)
def test_what_is_wrong_is_one_line(path, body, status, expected, serve):
    server = serve()
    got, answer = ask(server, path, body)
    assert got == status
    assert expected in answer["error"]
    assert "\n" not in answer["error"]
    assert ask(server, "/state")[0] == 200  # it is still there
    assert len(server.session.steps) == 1


def test_requests_have_a_size(serve):
    server = serve()
    headers = {"Content-Length": str(LARGEST + 1)}
    status, answer = ask(server, "/act", b"", headers)
    assert status == 413
    assert f"at most {LARGEST} bytes" in answer["error"]
    with socket.create_connection(server.server_address, timeout=60) as raw:
        raw.sendall(b"POST /act HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 411 " in raw.recv(100)
    status, answer = ask(server, "/act", {"do": "undo"}, {"Content-Type": "text/plain"})
    assert status == 415
    assert "Content-Type: application/json" in answer["error"]


def test_pages_of_others_are_refused(serve):
    """A browser shows them on this machine, so that the address alone is no protection."""
    server = serve()
    assert ask(server, "/state", headers={"Host": "evil.example"})[0] == 403
    assert ask(server, "/state", headers={"Host": "evil.example:80"})[0] == 403
    assert ask(server, "/state", headers={"Host": "localhost:1234"})[0] == 200
    mine = f"127.0.0.1:{server.server_address[1]}"
    stranger = {"Host": mine, "Origin": "http://evil.example"}
    status, answer = ask(server, "/act", brush((1, 1)), stranger)
    assert status == 403
    assert answer["error"] == "requests of other pages are refused"
    assert ask(server, "/act", brush((1, 1)), {"Host": mine, "Origin": f"http://{mine}"})[0] == 200
    assert len(server.session.steps) == 2


def test_another_address_takes_a_token(serve):
    with pytest.raises(ValueError, match=r"whoever reaches 0\.0\.0\.0 could use this model: give"):
        Server(Session(means, Settings(steps=1)), "", "0.0.0.0")
    server = serve(host="0.0.0.0", token="sésame")
    assert server.address.endswith("/?token=s%C3%A9same")
    for path in ("/", "/state", "/session"):
        assert ask(server, path)[0] == 403
    for action in ("/act", "/glance", "/morph", "/load"):
        status, answer = ask(server, action, brush((1, 1)))
        assert status == 403
        assert "the token is missing or wrong" in answer["error"]
    assert ask(server, "/state?token=sesame")[0] == 403
    assert ask(server, "/state?token=s%C3%A9same")[0] == 200
    headers = {"X-Token": "s%C3%A9same"}
    assert ask(server, "/act", brush((1, 1)), headers)[0] == 200
    assert ask(server, "/state?token=s%C3%A9same", headers={"Host": "lab.example"})[0] == 200


def test_a_port_that_is_taken_is_said(serve):
    taken = serve().server_address[1]
    with pytest.raises(ValueError, match=f"cannot listen on 127.0.0.1, port {taken}: "):
        serve(port=taken)


def test_the_page_needs_nothing_from_outside(serve):
    server = serve()
    status, page = ask(server, "/")
    assert status == 200
    assert page == PAGE.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href|url|import|fetch)\W{0,3}["'(]\s*(https?:)?//""", page)
    assert "http://" not in page
    assert "https://" not in page
    ids = re.findall(r'id="([\w-]+)"', page)
    assert len(ids) == len(set(ids))
    made = {"picker"}  # by the script, where colours are
    assert set(re.findall(r'\$\("([\w-]+)"\)', page)) <= {*ids, *made}


# A drawing, by a mouse or without one

LINES = [[(1.2, 2.0), (6.8, 2.0)], [(4.5, 3.0), (3.0, 7.0)]]


class Requests:
    """Draws by requests, as the page sends them."""

    def __init__(self, server, folder) -> None:
        self.server = server

    def draw(self, tool, line) -> None:
        stroke = brush(*line) if tool == "brush" else edge(*line)
        assert ask(self.server, "/act", stroke)[0] == 200

    def press(self, key) -> None:
        deeds = {"z": "undo", "y": "redo", "c": "clear", "n": "new"}
        action = {"do": deeds[key]} if key in deeds else {"do": "choose", "candidate": int(key) - 1}
        assert ask(self.server, "/act", action)[0] == 200

    def covered(self, line, size) -> list[int]:
        ask(self.server, "/act", {"do": "clear"})
        _, state = ask(self.server, "/act", brush(*line, size=size))
        return np.flatnonzero(pixels(state["painting"])[..., 3]).tolist()

    def wrong(self) -> str:
        return ask(self.server, "/act", {"do": "go", "step": 99})[1]["error"]

    def close(self) -> None:
        pass


class Mouse:
    """Draws with a mouse on the page in a browser."""

    def __init__(self, server, folder) -> None:
        self.browser = Browser(find_browser(), folder)
        self.browser.do("Page.navigate", url=server.address)
        self.ready()

    def ready(self) -> None:
        self.browser.wait("typeof state !== 'undefined' && state !== null && !waiting")

    def draw(self, tool, line) -> None:
        self.browser.key({"brush": "b", "edge": "e"}[tool])
        left, top, pixel = self.browser.value(
            "(r => [r.left, r.top, r.width / state.shape[2]])($('paint').getBoundingClientRect())"
        )
        (ax, ay), (bx, by) = line
        places = [(ax + k / 6 * (bx - ax), ay + k / 6 * (by - ay)) for k in range(7)]
        self.browser.drag([(left + x * pixel, top + y * pixel) for x, y in places])
        self.ready()

    def press(self, key) -> None:
        self.browser.key(key)
        self.ready()

    def covered(self, line, size) -> list[int]:
        return sorted(self.browser.value(f"[...covered({json.dumps(line)}, {size})]"))

    def wrong(self) -> str:
        self.browser.value("act({do: 'go', step: 99})")
        self.ready()
        assert self.browser.value("$('status').className") == "wrong"
        return self.browser.value("$('status').textContent")

    def close(self) -> None:
        self.browser.close()
        assert self.browser.errors == []


HANDS = {"requests": Requests} | ({"mouse": Mouse} if find_browser() else {})


@pytest.mark.parametrize("hand", HANDS)
def test_a_drawing_is_made_step_by_step_and_replays(hand, serve, tmp_path):
    server = serve()
    user = HANDS[hand](server, tmp_path)
    try:
        user.draw("brush", LINES[0])
        user.draw("brush", LINES[1])
        user.press("3")
        user.press("z")
        user.press("y")
        user.draw("edge", [(1.5, 6.4), (6.5, 6.4)])
        user.press("n")
        expected = "there is no step 99: they are 0 to 4"
        assert user.wrong() == expected
    finally:
        user.close()
    session = server.session
    assert [s.label for s in session.steps] == ["start", "brush", "brush", "edge", "new"]
    assert session.path() == [0, 1, 2, 3, 4]
    deeds = [a["do"] for a in session.actions]
    assert deeds == ["stroke", "stroke", "choose", "undo", "redo", "stroke", "new"]
    assert session.steps[2].chosen == 2
    drawn = session.now.strokes
    for stroke, line in zip(drawn, [*LINES, [(1.5, 6.4), (6.5, 6.4)]], strict=True):
        ends = torch.tensor([stroke.points[0], stroke.points[-1]])
        assert (ends - torch.tensor(line)).abs().max() < 0.1
    wanted = painting(brush(*LINES[0]), brush(*LINES[1])).painted
    assert (session.painting.painted != wanted).sum() <= 2  # a mouse is not at a place exactly
    assert session.painting.edges[:, 6, 2:6].norm(dim=0).tolist() == pytest.approx([0.5] * 4)
    again = session.replayed(json.loads(json.dumps(session.document())))
    for one, two in zip(session.steps, again.steps, strict=True):
        assert torch.equal(one.candidates.images, two.candidates.images)
    off = (session.now.image[:, wanted] - 1).square().mean()
    start = (session.steps[0].candidates.images[:, :, wanted] - 1).square().mean()
    assert off < 0.8 * start  # of a generator that cannot do all that is asked


@pytest.mark.parametrize("hand", HANDS)
def test_a_stroke_covers_the_same_pixels_wherever_it_is_drawn(hand, serve, tmp_path):
    """On the page while it is drawn, and in what the server says of it."""
    user = HANDS[hand](serve(), tmp_path)
    try:
        for size in (0.5, 1, 2, 3.5):
            line = [[round(x, 2) for x in place] for place in (10 * torch.rand(6, 2) - 1).tolist()]
            expected = painting(brush(*line, size=size)).painted.flatten().nonzero().flatten()
            assert user.covered(line, size) == expected.tolist()
    finally:
        user.close()
