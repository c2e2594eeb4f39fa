"""Serves a session to one browser: a page without a reference to anything outside it, and JSON.

It listens on this machine alone, and to pages of its own alone; on another address every request
has to know a token. Requests are answered one after the other, since they all change one session.
"""

import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from genlit.editing.session import Session
from genlit.editing.view import film_of, state_of, uri_of

LOOPBACK = ("127.0.0.1", "::1", "localhost")
EVERYWHERE = ("", "0.0.0.0", "::")  # what means all addresses of this machine
LARGEST = 8 * 2**20  # bytes of a request
PATIENCE = 60.0  # seconds that a connection may keep silent
PAGE = Path(__file__).with_name("page.html")
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'"
)


class Refused(ValueError):
    """A request that is not answered.

    Args:
        status: Its status in HTTP.
        message: Why not.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server(ThreadingHTTPServer):
    """Serves a session.

    Args:
        session: The session.
        title: What the page calls the run.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        token: What every request has to know; "" asks for none, on this machine alone.

    Raises:
        ValueError: If there is no token on another address, or the address cannot be had.
    """

    daemon_threads = True

    def __init__(
        self, session: Session, title: str, host: str = "127.0.0.1", port: int = 0, token: str = ""
    ) -> None:
        if host not in LOOPBACK and not token:
            raise ValueError(f"whoever reaches {host} could use this model: give a --token")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__(("127.0.0.1" if host == "localhost" else host, port), Handler)
        except (OSError, OverflowError) as error:
            raise ValueError(f"cannot listen on {host}, port {port}: {error}") from None
        self.session, self.title, self.host, self.token = session, title, host, token
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where the page is."""
        query = f"?token={quote(self.token, safe='')}" if self.token else ""
        host = socket.gethostname() if self.host in EVERYWHERE else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.server_address[1]}/{query}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of browsers that hang up, which they do often."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Gives the page, the state, or the session to save."""
        self.answer({"/": self.page, "/state": self.state, "/session": self.document})

    def do_POST(self) -> None:
        """Does what JSON says."""
        self.answer({"/act": self.act, "/glance": self.glance, "/morph": self.morph,
                     "/load": self.load})  # fmt: skip

    def answer(self, known: dict[str, Callable[[], Any]]) -> None:
        """Sends what one of the known paths gives, or one line that says what is wrong."""
        try:
            path = urlsplit(self.path).path
            self.refuse_strangers()
            if path not in known:
                raise Refused(404, f"there is nothing at {path:.60}")
            self.send(200, known[path]())
        except Refused as error:
            self.close_connection = True  # what it has sent may not have been read
            self.send(error.status, {"error": str(error)})
        except (ValueError, TypeError) as error:
            self.send(400, {"error": " ".join(str(error).split())})
        except OSError:
            raise
        except Exception as error:
            self.send(500, {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"})

    def refuse_strangers(self) -> None:
        """Makes sure that a request comes from the page, or from one who knows the token.

        A page of somebody else's that a browser on this machine shows could send requests, too,
        under a name that leads here; its name or its origin gives it away.

        Raises:
            Refused: If it does not.
        """
        server = self.server
        if server.token:
            given = unquote(self.headers.get("X-Token", "")) or self.query("token")
            if not hmac.compare_digest(given.encode(), server.token.encode()):
                raise Refused(403, "the token is missing or wrong: open the address as printed")
        else:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
            if name not in LOOPBACK:
                raise Refused(403, f"this server is not called {name}: open the address as printed")
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            raise Refused(403, "requests of other pages are refused")

    def query(self, name: str) -> str:
        """What the address says of a name; nothing where it does not."""
        return parse_qs(urlsplit(self.path).query).get(name, [""])[0]

    def body(self) -> Any:
        """The JSON that was sent.

        Raises:
            Refused: If it is none, or too much.
        """
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refused(411, "a request says how long it is")
        if int(length) > LARGEST:
            raise Refused(413, f"a request has at most {LARGEST} bytes, and this one {length}")
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "a request is JSON, and says so: Content-Type: application/json")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refused(400, "the request is no JSON") from None

    def send(self, status: int, content: Any) -> None:
        """Sends a page, which is text, or JSON."""
        is_page = isinstance(content, str)
        data = (content if is_page else json.dumps(content)).encode()
        self.send_response(status)
        kind = "text/html" if is_page else "application/json"
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        if is_page:
            self.send_header("Content-Security-Policy", POLICY)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the page shows what is wrong."""

    # What the paths give

    def page(self) -> str:
        return PAGE.read_text(encoding="utf-8")

    def state(self) -> dict[str, Any]:
        with self.server.lock:
            return state_of(self.server.session, self.server.title, 0.0)

    def document(self) -> dict[str, Any]:
        with self.server.lock:
            return self.server.session.document()

    def act(self) -> dict[str, Any]:
        action, server = self.body(), self.server
        with server.lock:
            began = time.monotonic()
            server.session.act(action)
            return state_of(server.session, server.title, time.monotonic() - began)

    def glance(self) -> dict[str, Any]:
        stroke = self.body()
        with self.server.lock:
            return {"image": uri_of(self.server.session.glance(stroke))}

    def morph(self) -> dict[str, Any]:
        wanted = self.body()
        if not isinstance(wanted, dict):
            raise Refused(400, "a morph is an object with the list of steps")
        with self.server.lock:
            return {"film": film_of(self.server.session, wanted.get("steps"))}

    def load(self) -> dict[str, Any]:
        document, server = self.body(), self.server
        with server.lock:
            began = time.monotonic()
            server.session = server.session.replayed(document)
            return state_of(server.session, server.title, time.monotonic() - began)
