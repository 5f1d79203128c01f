"""Serve a folder of results to genome browsers over HTTP.

Python's http.server ignores byte ranges, so that a browser would transfer a complete bigWig for
each view. This handler answers single ranges; everything else is the standard library's.
"""

import ipaddress
import os
import re
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from seqcov_models.errors import SeqcovError
from seqcov_models.run.paths import PAGE

LOOPBACK = "127.0.0.1"
"""The address at which nobody but this machine's users can ask."""

DEFAULT_PORT = 8000
"""The port that is tried first."""


def make_server(folder: Path, address: str = LOOPBACK, port: int | None = None) -> "ResultsServer":
    """Return a server of a folder, which answers after a call of `serve_forever`.

    Args:
        folder: The folder whose files are served. Files outside it are never sent, even if a link
            within it leads to them, nor are hidden files.
        address: The address to listen at. By default only this machine can ask.
        port: The port; None for `DEFAULT_PORT`, or any free one if that is taken.

    Raises:
        SeqcovError: If the folder does not exist, or the address or port cannot be used.

    Example:
        >>> with make_server(Path("results")) as server:
        ...     server.serve_forever()
    """
    if not folder.is_dir():
        raise SeqcovError(f"{folder} is not a folder; name the folder of results")
    error: OSError | OverflowError | None = None
    for candidate in (DEFAULT_PORT, 0) if port is None else (port,):
        try:
            return ResultsServer(folder, address, candidate)
        except (OSError, OverflowError) as refusal:
            error = refusal
    reason = getattr(error, "strerror", None) or error
    raise SeqcovError(
        f"{address}:{port or DEFAULT_PORT} cannot be used: {reason}; choose another --port or"
        " --address"
    )


class ResultsServer(ThreadingHTTPServer):
    """A server of the files of one folder.

    Args:
        folder: The folder.
        address: The address to listen at.
        port: The port, or 0 for a free one.

    Attributes:
        folder: The folder, without links.
        is_local: Whether only this machine can ask.
    """

    daemon_threads = True

    def __init__(self, folder: Path, address: str, port: int) -> None:
        self.folder = folder.resolve()
        super().__init__((address, port), ResultsHandler)
        self.is_local = _is_loopback(str(self.server_address[0]))

    def server_bind(self) -> None:
        """Bind the socket, without the look-up of this machine's name, which can take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    @property
    def address(self) -> str:
        """The URL of the folder."""
        return f"http://{self.server_name}:{self.server_port}/"

    def pages(self) -> list[str]:
        """Return the URLs of the pages in the folder and in the folders directly in it."""
        files = [*self.folder.glob(PAGE), *sorted(self.folder.glob(f"[!.]*/{PAGE}"))]
        folders = [file.parent.relative_to(self.folder).as_posix() for file in files]
        return [
            self.address + ("" if name == "." else f"{quote(name, errors='surrogateescape')}/")
            for name in folders
        ]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report nothing: the browser has closed the connection, as it does when a user moves."""


class ResultsHandler(SimpleHTTPRequestHandler):
    """Answer GET and HEAD for a file, or one range of its bytes."""

    server: ResultsServer
    protocol_version = "HTTP/1.1"  # one connection for the many small requests of a browser
    server_version, sys_version = "seqcov", ""
    timeout = 60  # seconds until an idle connection is closed
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".bed": "text/plain; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".fai": "text/plain; charset=utf-8",
        ".gz": "application/gzip",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json; charset=utf-8",
        ".narrowpeak": "text/plain; charset=utf-8",
        ".sizes": "text/plain; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
        ".xml": "application/xml; charset=utf-8",
    }

    def __init__(self, request: Any, client_address: Any, server: ResultsServer) -> None:
        self._bytes_left = 0
        super().__init__(request, client_address, server, directory=os.fspath(server.folder))

    def send_head(self) -> IO[bytes] | None:  # type: ignore[override]
        """Send the status and the headers of a file; return it, open at the first byte to send."""
        if not self._is_host_known():
            self.send_error(HTTPStatus.FORBIDDEN, "Open the page by the address that seqcov shows")
            return None
        path = Path(self.translate_path(self.path))
        if path.is_dir() and not urlsplit(self.path).path.endswith("/"):
            return super().send_head()  # a redirection
        path = path / PAGE if path.is_dir() else path
        try:
            if not self._is_served(path):
                raise FileNotFoundError
            file = path.open("rb")
        except (OSError, ValueError):
            self.send_error(HTTPStatus.NOT_FOUND, "File not found")
            return None
        state = os.fstat(file.fileno())
        first, last = 0, state.st_size - 1
        if span := self._parse_range(state.st_size):
            first, last = span
            if first > last:
                file.close()
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{state.st_size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            self.send_response(HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Range", f"bytes {first}-{last}/{state.st_size}")
        else:
            self.send_response(HTTPStatus.OK)
        self._bytes_left = last - first + 1
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Length", str(self._bytes_left))
        self.send_header("Last-Modified", self.date_time_string(state.st_mtime))
        self.end_headers()
        file.seek(first)
        return file

    def end_headers(self) -> None:
        """Send the headers of every answer, and end them."""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-store")  # a later run writes other files
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]
        """Send the range of the file that the headers announced."""
        while self._bytes_left and (block := source.read(min(self._bytes_left, 1 << 18))):
            outputfile.write(block)
            self._bytes_left -= len(block)
        if self._bytes_left:  # the file was cut in the meantime
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a browser asks some hundred times per minute."""

    def _is_host_known(self) -> bool:
        """Return whether a request names this machine.

        Another site's page could otherwise read a local server through a name that it changes to
        this machine's address (DNS rebinding).
        """
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        return not self.server.is_local or host == "localhost" or _is_loopback(host)

    def _is_served(self, path: Path) -> bool:
        """Return whether a file lies in the folder, also if links are followed, and is visible."""
        resolved = path.resolve(strict=True)
        if not (resolved.is_relative_to(self.server.folder) and resolved.is_file()):
            return False
        return not any(part.startswith(".") for part in path.relative_to(self.server.folder).parts)

    def _parse_range(self, size: int) -> tuple[int, int] | None:
        """Return the first and last byte that a request asks for; None for the complete file.

        More than one range is answered with the file, which HTTP allows. An If-Range is, too.
        """
        match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", self.headers.get("Range", "").strip())
        if not match or match[0] == "bytes=-" or "If-Range" in self.headers:
            return None
        if not match[1]:  # the last bytes
            return max(0, size - int(match[2])), size - 1
        last = int(match[2] or size)
        return None if last < int(match[1]) and match[2] else (int(match[1]), min(last, size - 1))


def _is_loopback(host: str) -> bool:
    """Return whether an address is one at which only this machine can ask."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
