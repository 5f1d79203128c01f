"""Checkpoints on the Hugging Face Hub, without the internet."""

import functools
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest

from goldens.common import GOLDENS_FOLDER, unpack
from seqcov_models import load_model
from seqcov_models.checkpoints.hugging_face import fetch
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.errors import SeqcovError
from seqcov_models.files import sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cache_golden(name: str, repository: Path) -> Path:
    """Write a golden's checkpoint into a folder of huggingface_hub's cache; return its snapshot."""
    snapshot = unpack(name, repository / "snapshots" / COMMIT)
    for reference in ("refs/main", "refs/refs/pr/1"):
        (repository / reference).parent.mkdir(parents=True, exist_ok=True)
        (repository / reference).write_text(COMMIT)
    (repository / "blobs").mkdir()
    for file in snapshot.iterdir():  # as in the cache: links to files named by their hashes
        blob = repository / "blobs" / sha256(file)
        file.rename(blob)
        file.symlink_to(os.path.relpath(blob, snapshot))
    return snapshot


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of hf://someone/tiny in an empty cache, without a network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache" / "models--someone--tiny"


@pytest.fixture
def cache(repository: Path) -> Path:
    """Return the only snapshot in the cache."""
    return cache_golden("multimolecule_basenji", repository)


@pytest.mark.parametrize(
    "spec",
    [
        "hf://someone/tiny",
        "hf:/someone/tiny",  # as pathlib writes it
        f"hf://someone/tiny@{COMMIT}",
        "hf://someone/tiny@main",
        "hf://someone/tiny@refs/pr/1",
        "hf://someone/tiny/model.safetensors",
        f"hf://someone/tiny@{COMMIT}/model.safetensors",
        "hf://someone/tiny@refs/pr/1/model.safetensors",
    ],
)
def test_files_in_the_cache_are_used_without_a_network(spec: str, cache: Path) -> None:
    checkpoint = recognise("basenji2", spec)
    assert checkpoint.weights == (cache / "model.safetensors",)
    assert sorted(file.name for file in checkpoint.files) == ["config.json", "model.safetensors"]
    assert len(load_model("basenji2", spec).tracks) == 5


@pytest.mark.parametrize(
    "spec",
    [
        "hf://someone/else",
        "hf://someone/tiny@v2",
        "hf://someone/tiny/absent.h5",
        "hf://someone/tiny--x..y",
    ],
)
def test_files_that_are_not_in_the_cache_are_refused_without_a_network(
    spec: str, cache: Path
) -> None:
    with pytest.raises(SeqcovError, match=r"weights hf://.*(cache|not a possible name)") as error:
        recognise("basenji2", spec)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "spec", ["hf://", "hf://tiny", "hf://a/b@c@d", "hf://a/../b", "hf://a b/c"]
)
def test_malformed_names_are_refused(spec: str, cache: Path) -> None:
    with pytest.raises(SeqcovError, match=r"expected hf://owner/name|not a possible name"):
        recognise("basenji2", spec)


def test_a_description_without_weights_is_refused(cache: Path) -> None:
    (cache / "model.safetensors").unlink()
    with pytest.raises(SeqcovError, match="not in the local cache"):
        recognise("basenji2", "hf://someone/tiny")


@pytest.mark.parametrize(
    ("golden", "missing"),
    [
        ("multimolecule_basenji", "config.json"),
        ("multimolecule_borzoi", "config.json"),
        ("multimolecule_borzoi", "model-00002-of-00002.safetensors"),
        ("multimolecule_borzoi", "model.safetensors.index.json"),
        ("sonnet_enformer", "enformer.data-00000-of-00001"),
        ("sonnet_enformer", "enformer.index"),
        ("keras_bpnet", None),
        ("sonnet_enformer", None),
        ("multimolecule_borzoi", None),
    ],
)
def test_an_interrupted_download_is_not_complete(
    golden: str, missing: str | None, repository: Path
) -> None:
    folder = cache_golden(golden, repository)
    if golden == "multimolecule_borzoi":  # as shards
        shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
        (folder / "model.safetensors").rename(folder / shards[0])
        shutil.copy(folder / shards[0], folder / shards[1])
        index = {"weight_map": {"a": shards[0], "b": shards[1]}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert fetch("hf://someone/tiny") == folder
    if missing is not None:
        (folder / missing).unlink()
        with pytest.raises(SeqcovError, match="not in the local cache"):
            fetch("hf://someone/tiny")


SHARDS = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
INDEX = "pytorch_model.bin.index.json"


@pytest.mark.parametrize(
    ("published", "file", "expected"),
    [
        (
            ["README.md", "config.json", "model.safetensors", "pytorch_model.bin", "x/a.h5"],
            "",
            ["config.json", "model.safetensors"],
        ),
        ([*SHARDS, INDEX, "config.json"], "", ["config.json", *SHARDS, INDEX]),
        (
            ["params.json", "model0.h5", "targets_human.txt"],
            "",
            ["params.json", "targets_human.txt", "model0.h5"],
        ),
        (["config.json", "x/a.h5", "x/b.h5"], "/x/a.h5", ["x/a.h5"]),
    ],
)
def test_one_form_of_the_weights_is_downloaded(
    published: list[str],
    file: str,
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The Hub is simulated: it has the files in `published`, and the cache has none."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    downloads = []

    def model_info(self: object, name: str, **options: object) -> SimpleNamespace:
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in published])

    def snapshot_download(name: str, allow_patterns: object = None, **options: object) -> str:
        if options.get("local_files_only"):
            raise FileNotFoundError
        downloads.append((name, options["revision"], allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert fetch(f"hf://someone/tiny@v2{file}") == tmp_path / file.strip("/")
    assert downloads == [("someone/tiny", "v2", expected)]


class Hub(ThreadingHTTPServer):
    """A Hugging Face Hub with one repository. requests: the files that were asked for, in order."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files = files
        self.requests: list[str] = []


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.wfile.write(self.answer())

    def answer(self) -> bytes:
        path = self.path.partition("?")[0]
        name = unquote(path).partition(f"/resolve/{COMMIT}/")[2]
        if path.startswith("/api/models/someone/tiny"):
            files = self.server.files.items()
            listing: Any = [
                {"type": "file", "path": file, "size": len(content), "oid": "0"}
                for file, content in files
            ]
            if "/tree/" not in path:
                siblings = [{"rfilename": file} for file, _ in files]
                listing = {"id": "someone/tiny", "sha": COMMIT, "siblings": siblings}
            content = json.dumps(listing).encode()
        elif name in self.server.files:
            content = self.server.files[name]
            if self.command == "GET":
                self.server.requests.append(name)
        else:
            self.send_error(404)
            return b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", hashlib.sha256(content).hexdigest())
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        return content

    def log_message(self, *arguments: Any) -> None:
        pass


FOLD = "fold_0/model.{}.fold_0.ENCSR868FGK"
"""How ENCODE names the files of a fold."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    golden = GOLDENS_FOLDER / "keras_chrombpnet"
    files = {"README.md": b"text", "fold_0/logs/training.txt": b"text"}
    for kind, name in (("chrombpnet", "chrombpnet"), ("chrombpnet_nobias", "chrombpnet_nobias"),
                       ("bias_scaled", "bias_model_scaled")):  # fmt: skip
        files[f"{FOLD.format(kind)}.h5"] = gzip.decompress((golden / f"{name}.h5.gz").read_bytes())
        files[f"{FOLD.format(kind)}.tar"] = b"a SavedModel"
        files[f"{FOLD.format(kind)}/saved_model.pb"] = b"a SavedModel"
        files[f"{FOLD.format(kind)}/variables/variables.index"] = b"a SavedModel"
    with Hub(files) as hub:
        thread = threading.Thread(target=functools.partial(hub.serve_forever, 0.01))
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


def test_of_a_fold_of_chrombpnet_only_what_is_read_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    """The Hub is a server on loopback that notes requests."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(tmp_path),
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": "1",
    }
    environment.pop("HF_HUB_OFFLINE", None)

    def describe(path: str, **settings: str) -> str:
        hub.requests.clear()
        completed = subprocess.run(
            [sys.executable, "-m", "seqcov_models", "describe", f"hf://someone/tiny{path}"],
            env=environment | settings, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        return completed.stdout + completed.stderr

    nobias, bias = (f"{FOLD.format(kind)}.h5" for kind in ("chrombpnet_nobias", "bias_scaled"))
    assert "tracks:        1 (chrombpnet_nobias)\n" in describe(f"/{nobias}")
    assert hub.requests == [nobias]
    text = describe("/fold_0", HF_HUB_OFFLINE="1")
    assert "only the local cache was searched" in text, "it has one of the two networks"
    assert "tracks:        1 (chrombpnet)\n" in describe("/fold_0")
    assert hub.requests == [bias]
    assert "tracks:        1 (chrombpnet)\n" in describe("/fold_0", HF_HUB_OFFLINE="1")
    assert "tracks:        1 (chrombpnet)\n" in describe("/fold_*")
    assert hub.requests == []
    assert describe("") == (
        "error: weights hf://someone/tiny: no weights there, but in the folders fold_0; name one of"
        " them, as hf://someone/tiny/fold_0\n"
    )


def test_the_message_without_a_network_names_the_command_to_run(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    refusing = "http://127.0.0.1:9"  # no server listens there
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": refusing}
    environment.pop("HF_HUB_OFFLINE", None)
    completed = subprocess.run(
        [sys.executable, "-m", "seqcov_models", "describe", "hf://someone/tiny"],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert completed.returncode == 1
    assert completed.stderr.startswith("error: weights hf://someone/tiny: not in the local cache")
    assert "`hf download`" in completed.stderr
    assert completed.stderr.count("\n") == 1
