"""Weights by name: patterns, members of tars, and addresses of a server on loopback."""

import base64
import functools
import io
import re
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest

from goldens.common import unpack
from seqcov_models.checkpoints.download import download
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.checkpoints.sources import find_source, find_sources
from seqcov_models.errors import SeqcovError
from seqcov_models.files import sha256

CONTENT = np.random.default_rng(1).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves one file and notes the first byte of every request for it.

    cut: bytes after which the next answers end too early. fault: what it adds to the checksum.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.fault = content, 0
        self.cut: list[int] = []
        self.starts: list[int] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.answer(0)

    def do_GET(self) -> None:
        start = int((re.findall(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0])[0])
        self.server.starts.append(start)
        content = self.answer(start)
        if self.server.cut:
            content = content[: self.server.cut.pop(0)]
            self.close_connection = True
        self.wfile.write(content)

    def answer(self, start: int) -> bytes:
        if not self.path.startswith("/weights"):
            self.send_error(404)
            return b""
        content = self.server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            size = len(self.server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", str(hash(self.server.content)))
        checksum = google_crc32c.value(self.server.content) + self.server.fault
        encoded = base64.b64encode(checksum.to_bytes(4)).decode()
        self.send_header("x-goog-hash", f"crc32c={encoded},md5=AAAA")
        self.end_headers()
        return content

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Server(CONTENT) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_is_downloaded_once(server: Server) -> None:
    file = download(f"{server.address}/weights/model.h5")
    assert file.name == "model.h5"
    assert file.read_bytes() == CONTENT
    server.content = b"changed"
    assert download(f"{server.address}/weights/model.h5") == file
    assert server.starts == [0]
    assert download(f"{server.address}/weights/other/model.h5").read_bytes() != CONTENT


def test_a_cut_download_is_resumed(server: Server) -> None:
    server.cut = [100_000, 50_000]
    assert download(f"{server.address}/weights.h5").read_bytes() == CONTENT
    assert server.starts == [0, 100_000, 150_000]


def test_a_download_that_ended_is_resumed_by_the_next_call(server: Server) -> None:
    server.cut = [200_000, *[0] * 20]
    with pytest.raises(SeqcovError, match=r"cannot be downloaded: .* Try again, which resumes"):
        download(f"{server.address}/weights.h5")
    server.cut, server.starts = [], []
    assert download(f"{server.address}/weights.h5").read_bytes() == CONTENT
    assert server.starts == [200_000]


def test_a_file_that_changed_meanwhile_is_not_resumed(server: Server) -> None:
    server.cut = [200_000, *[0] * 20]
    with pytest.raises(SeqcovError):
        download(f"{server.address}/weights.h5")
    server.content, server.cut = CONTENT[::-1], []
    assert download(f"{server.address}/weights.h5").read_bytes() == CONTENT[::-1]


def test_checksums_are_checked(server: Server, tmp_path: Path) -> None:
    server.fault = 1
    with pytest.raises(SeqcovError, match="its checksum is not what the server states"):
        download(f"{server.address}/weights.h5")
    server.fault = 0
    (tmp_path / "model").write_bytes(CONTENT)
    right = sha256(tmp_path / "model")
    wrong = "0" * 64
    with pytest.raises(SeqcovError, match=f"has SHA-256 {right}; it was deleted"):
        download(f"{server.address}/weights.h5#sha256={wrong}")
    assert download(f"{server.address}/weights.h5#sha256={right}").read_bytes() == CONTENT


def test_what_cannot_be_downloaded_is_said_in_one_line(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SeqcovError, match=r"missing\.h5: cannot be downloaded: .*404") as error:
        download(f"{server.address}/missing.h5")
    assert "\n" not in str(error.value)
    with pytest.raises(SeqcovError, match="does not name a file"):
        download("gs://bucket")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SeqcovError, match="HF_HUB_OFFLINE forbids to download it"):
        download(f"{server.address}/weights.h5")


@pytest.fixture
def folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for fold in range(3):
        folder = tmp_path / "models" / f"fold_{fold}"
        folder.mkdir(parents=True)
        for name in ("nobias.h5", "bias.h5", "nobias.tar", "nobias/saved_model.pb"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"{name} of fold {fold}")
    return tmp_path / "models"


def test_a_pattern_stands_for_folds_in_order(folds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [folds / f"fold_{fold}/nobias.h5" for fold in range(3)]
    assert find_sources(f"{folds}/fold_*/no*.h5") == expected
    monkeypatch.chdir(folds)
    assert find_sources("fold_?/no*.h5") == [path.relative_to(folds) for path in expected]
    with pytest.raises(SeqcovError, match=r"3 paths match .* name one"):
        find_source("fold_?/no*.h5")
    with pytest.raises(SeqcovError, match="nothing matches this pattern"):
        find_sources("fold_[7-9]/no*.h5")
    (folds / "odd[1]").mkdir()  # a path that exists is not a pattern
    assert find_sources("odd[1]") == [Path("odd[1]")]


def pack(folder: Path, archive: Path, *others: tarfile.TarInfo) -> str:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, ".")
        for member in others:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return str(archive)


def test_members_of_a_tar_are_unpacked_once(folds: Path, tmp_path: Path) -> None:
    archive = pack(folds, tmp_path / "models.tar.gz")
    found = find_sources(f"{archive}::fold_*/no*.h5")
    assert [file.read_text() for file in found] == [f"nobias.h5 of fold {n}" for n in range(3)]
    assert not list(tmp_path.glob("cache/**/bias.h5"))
    assert find_sources(f"{archive}::./fold_*/no*.h5")[0].read_text() == "nobias.h5 of fold 0"
    folder = find_source(f"{archive}::fold_1")
    assert sorted(file.name for file in folder.iterdir()) == ["bias.h5", "nobias.h5"]
    assert not list(tmp_path.glob("cache/**/*.tar")), "a SavedModel, which is not read"
    dates = [file.stat().st_mtime_ns for file in found]
    again = find_sources(f"{archive}::fold_*/no*.h5")
    assert [file.stat().st_mtime_ns for file in again] == dates
    with pytest.raises(SeqcovError, match="has no file or folder of this name"):
        find_sources(f"{archive}::fold_9")
    Path(archive).write_bytes(Path(archive).read_bytes()[:200])
    with pytest.raises(SeqcovError, match=r"cannot be read as a tar or zip: [^\n]*$"):
        find_sources(f"{archive}::fold_1")


def test_members_of_a_zip_are_unpacked_once(folds: Path, tmp_path: Path) -> None:
    """Zenodo has ChromBPNet's models of the bias as a zip."""
    shutil.make_archive(str(tmp_path / "models"), "zip", folds)
    archive = tmp_path / "models.zip"
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("../../fold_7/no.h5", "outside")
    found = find_sources(f"{archive}::fold_*/no*.h5")
    assert [file.read_text() for file in found] == [f"nobias.h5 of fold {n}" for n in range(3)]
    folder = find_source(f"{archive}::fold_1")
    assert sorted(file.name for file in folder.iterdir()) == ["bias.h5", "nobias.h5"]
    assert not list(tmp_path.rglob("fold_7"))
    with pytest.raises(SeqcovError, match=r"Name a file in it as models\.zip::FILE"):
        recognise(None, archive)
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(SeqcovError, match=r"cannot be read as a tar or zip: .*; copy or download"):
        find_sources(f"{archive}::fold_2")


def test_a_tar_writes_nothing_outside_its_folder(folds: Path, tmp_path: Path) -> None:
    outside = tarfile.TarInfo("../../stray.h5")
    outside.size = 3
    link = tarfile.TarInfo("fold_0/link.h5")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive = pack(folds, tmp_path / "models.tar.gz", outside, link)
    assert [file.name for file in find_sources(f"{archive}::fold_0/*.h5")] == [
        "bias.h5",
        "nobias.h5",
    ]
    with pytest.raises(SeqcovError, match=r"cannot be read as a tar or zip: [^\n]*$"):
        find_sources(f"{archive}::../../stray.h5")
    assert not list(tmp_path.rglob("stray.h5"))


def test_a_checkpoint_is_recognised_by_its_address_and_in_a_tar(
    server: Server, tmp_path: Path
) -> None:
    golden = unpack("multimolecule_basenji", tmp_path / "golden" / "model")
    archive = pack(golden.parent, tmp_path / "models.tar.gz")
    expected = recognise("basenji2", golden)
    assert recognise("basenji2", f"{archive}::model").config == expected.config
    server.content = Path(archive).read_bytes()
    remote = recognise("basenji2", f"{server.address}/weights/models.tar.gz::model")
    assert remote.config == expected.config
