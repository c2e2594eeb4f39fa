"""Drives a headless Chromium by its debugging port: what a test of a page needs, and no more.

References:
    | The WebSocket Protocol (RFC 6455)
    | Chrome DevTools Protocol
"""

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0  # seconds


def find_browser() -> str | None:
    """The path of a Chromium on this machine; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class WebSocket:
    """A connection that sends and receives texts."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self.socket = socket.create_connection((url.hostname, url.port), timeout=PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.stream = self.socket.makefile("rb")
        assert b" 101 " in self.stream.readline()
        while self.stream.readline().strip():
            pass

    def send(self, text: str) -> None:
        data, mask = text.encode(), os.urandom(4)
        sizes = [(126, "!BB"), (2**16, "!BBH"), (2**64, "!BBQ")]
        (most, form) = next(size for size in sizes if len(data) < size[0])
        first = {126: len(data), 2**16: 126, 2**64: 127}[most]
        rest = [] if most == 126 else [len(data)]
        head = struct.pack(form, 0x81, 0x80 | first, *rest)
        repeated = (mask * (len(data) // 4 + 1))[: len(data)]
        masked = (int.from_bytes(data) ^ int.from_bytes(repeated)).to_bytes(len(data))
        self.socket.sendall(head + mask + masked)

    def receive(self) -> str:
        data = b""
        while True:
            first, second = self.stream.read(2)
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(self.stream.read(2 if size == 126 else 8))
            part = self.stream.read(size)
            if first & 0x0F in (0, 1):  # a text, or its continuation
                data += part
                if first & 0x80:
                    return data.decode()

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


class Browser:
    """A browser with one page."""

    def __init__(self, path: str, folder: Path, width: int = 1280, height: int = 900) -> None:
        self.process = subprocess.Popen(
            [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run",
             "--disable-background-networking", "--remote-allow-origins=*", "--hide-scrollbars",
             f"--window-size={width},{height}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            self.socket = WebSocket(self._page(folder / "DevToolsActivePort"))
        except BaseException:
            self._end()
            raise
        self.number, self.errors = 0, []
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        self.do("Page.enable")
        self.do("Runtime.enable")

    def _page(self, file: Path) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if file.is_file() and len(lines := file.read_text().split()) > 1:
                with urlopen(f"http://127.0.0.1:{lines[0]}/json") as answer:
                    pages = [t for t in json.load(answer) if t["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.05)
        raise TimeoutError("the browser did not start")

    def do(self, method: str, **params: object) -> dict:
        """Gives a command and waits for its answer; errors on the page are kept."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.receive())
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"])
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, expression: str) -> object:
        """What an expression on the page is."""
        result = self.do(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression: str, patience: float = PATIENCE) -> None:
        """Waits until an expression on the page is true."""
        end = time.monotonic() + patience
        while not self.value(expression):
            assert time.monotonic() < end, (expression, self.errors)
            time.sleep(0.03)

    def mouse(self, kind: str, x: float, y: float, buttons: int = 1) -> None:
        button = "left" if buttons or kind == "mouseReleased" else "none"
        self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons,
                clickCount=1)  # fmt: skip

    def drag(self, places: list[tuple[float, float]]) -> None:
        """Presses the mouse at the first place, moves it through the others, and lets go."""
        self.mouse("mouseMoved", *places[0], buttons=0)
        self.mouse("mousePressed", *places[0])
        for place in places[1:]:
            self.mouse("mouseMoved", *place)
        self.mouse("mouseReleased", *places[-1], buttons=0)

    def key(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key=key, text=key)

    def picture(self, path: Path) -> None:
        """A picture of the page as it is seen."""
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self.socket.close()
        self._end()

    def _end(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
