"""The server of results: byte ranges, content types, and nothing outside its folder."""

import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqcov_models.browsers.serve import ResultsServer, make_server
from seqcov_models.cli import main
from seqcov_models.errors import SeqcovError
from support.data import REPOSITORY

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ResultsServer]:
    folder = tmp_path / "results"
    (folder / "demo").mkdir(parents=True)
    (folder / "demo" / "index.html").write_text("<p>page")
    (folder / "demo" / "x.bw").write_bytes(CONTENT)
    (folder / "demo" / "genes.bed.gz").write_bytes(b"\x1f\x8b")
    (folder / "demo" / ".secret").write_text("hidden")
    (folder / "demo" / "empty.tsv").write_text("")
    (tmp_path / "outside.txt").write_text("outside")
    (tmp_path / "results-2").mkdir()
    (tmp_path / "results-2" / "index.html").write_text("outside")
    (folder / "demo" / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "away").symlink_to(tmp_path / "results-2")
    with make_server(folder, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(
    server: ResultsServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-99", 5, 99),
        ("bytes=1000-", 1000, 1023),
        ("bytes=1000-9999", 1000, 1023),
        ("bytes=-24", 1000, 1023),
        ("bytes=-9999", 0, 1023),
    ],
)
def test_a_range_is_answered_with_its_bytes(
    server: ResultsServer, span: str, first: int, last: int
) -> None:
    status, headers, body = ask(server, "/demo/x.bw", Range=span)
    assert status == 206
    assert body == CONTENT[first : last + 1]
    assert headers["Content-Range"] == f"bytes {first}-{last}/1024"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("span", ["bytes=0-1,5-6", "bytes=9-5", "lines=1-2", "bytes=-", "x"])
def test_other_ranges_are_answered_with_the_file(server: ResultsServer, span: str) -> None:
    status, headers, body = ask(server, "/demo/x.bw", Range=span)
    assert (status, body) == (200, CONTENT)
    assert headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("span", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(server: ResultsServer, span: str) -> None:
    status, headers, body = ask(server, "/demo/x.bw", Range=span)
    assert (status, body) == (416, b"")
    assert headers["Content-Range"] == "bytes */1024"


def test_files_have_their_type_and_no_encoding(server: ResultsServer) -> None:
    status, headers, body = ask(server, "/demo/")
    assert (status, body) == (200, b"<p>page")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    status, headers, _ = ask(server, "/demo/genes.bed.gz")
    assert headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in headers
    status, headers, body = ask(server, "/demo/x.bw", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "1024", b"")
    assert ask(server, "/demo/empty.tsv")[::2] == (200, b"")
    assert ask(server, "/demo")[0] == 301


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt", "/demo/../../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt",
        "//outside.txt", "/demo/link.txt", "/away/", "/away/index.html", "/demo/.secret", "/",
        "/demo/%00", "/missing", "/..%5coutside.txt", "/%2e%2e/results-2/index.html",
    ],
)  # fmt: skip
def test_nothing_else_is_sent(server: ResultsServer, path: str) -> None:
    status, _, body = ask(server, path)
    assert status == 404
    assert b"outside" not in body
    assert b"demo" not in body, "no list of files"


def test_other_methods_and_other_hosts_are_refused(server: ResultsServer) -> None:
    assert ask(server, "/demo/", "POST")[0] == 501
    assert ask(server, "/demo/", Host="evil.example:8000")[0] == 403
    for host in ("localhost:1234", "127.0.0.1", "[::1]:80"):
        assert ask(server, "/demo/", Host=host)[0] == 200


def test_it_listens_on_this_machine_only(server: ResultsServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/"
    assert f"{server.address}demo/" in server.pages()


def test_a_free_port_is_found_and_a_taken_one_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SeqcovError, match=f"127.0.0.1:{port} cannot be used: Address already"):
            make_server(tmp_path, port=port)
    with make_server(tmp_path) as first, make_server(tmp_path) as second:
        assert first.server_port != second.server_port
    with pytest.raises(SeqcovError, match="65536 cannot be used"):
        make_server(tmp_path, port=65536)


def test_the_command_prints_the_address_and_serves(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>page")
    # SIGINT is ignored in what a shell has started in the background
    line = ["env", "--default-signal=INT", sys.executable, "-m", "seqcov_models", "serve"]
    line += [str(tmp_path), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        address = process.stdout.readline().split()[1]
        connection = http.client.HTTPConnection(address.split("/")[2], timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"<p>page"
        connection.close()
        process.send_signal(2)
        assert process.wait(10) == 0


def test_a_missing_folder_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "missing"]) == 1
    assert capsys.readouterr().err == (
        "error: missing is not a folder; name the folder of results\n"
    )
