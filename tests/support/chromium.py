"""A real web browser for tests: Chromium, driven through chromedriver's protocol (WebDriver)."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seqcov_models.browsers.serve import ResultsServer, make_server

IS_INSTALLED = bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Chromium:
    """A window of Chromium without a screen."""

    def __init__(self, address: str, width: int, height: int, profile: str) -> None:
        self._address = address
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--user-data-dir={profile}", f"--window-size={width},{height}",
        ]  # fmt: skip
        options = {
            "goog:chromeOptions": {"args": arguments, "binary": shutil.which("chromium")},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "timeouts": {"script": 60_000},
        }
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self._address += f"/session/{session['sessionId']}"
        self._requests: list[str] = []

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._address + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an asynchronous function in the page; return what it returns."""
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            f"(async function() {{ {script} }})(...arguments)"
            ".then(value => done({value}), error => done({error: String(error.stack || error)}))"
        )
        answer = self._ask("POST", "/execute/async", {"script": wrapped, "args": list(arguments)})
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never true: {condition}; {self.console()}"
            time.sleep(0.05)

    def screenshot(self, path: Path) -> None:
        """Write what the window shows."""
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def console(self) -> list[str]:
        """Return the errors and warnings since the last call."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """Return the URLs that were asked for so far, except those of data within the page."""
        for entry in self._ask("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._requests.append(message["params"]["request"]["url"])
        return [url for url in self._requests if not url.startswith(("data:", "blob:", "chrome:"))]

    def hosts(self) -> set[str]:
        """Return the hosts that were asked so far."""
        return {urlsplit(url).netloc for url in self.requests()}

    def quit(self) -> None:
        """Close the window."""
        self._ask("DELETE", "")


@contextmanager
def chromium(width: int = 1400, height: int = 900) -> Iterator[Chromium]:
    """Start a browser that asks nobody but this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = ["chromedriver", f"--port={port}", "--log-level=OFF"]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(
            line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}
        ) as driver,
    ):
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            window = Chromium(f"http://127.0.0.1:{port}", width, height, profile)
            try:
                yield window
            finally:
                window.quit()
        finally:
            driver.terminate()


@contextmanager
def serving(folder: Path) -> Iterator[ResultsServer]:
    """Serve a folder as `seqcov serve` does, on a free port."""
    with make_server(folder, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
