"""`python -m seqcov_models` and checkpoints on the Hub, without a network."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from goldens.common import unpacked
from seqcov_models import load_model
from seqcov_models.checkpoints import hub
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.cli import main
from seqcov_models.errors import SeqcovError
from seqcov_models.files import sha256
from support.data import REPOSITORY

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command: exit status, standard output, standard error."""

    def command(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def test_describe_prints_the_properties_of_a_checkpoint(run: Run, tmp_path: Path) -> None:
    folder = unpacked("enformer_pytorch", tmp_path / "x")
    status, output, err = run("describe", folder)
    assert (status, err) == (0, "")
    printed = dict(line.split(":", 1) for line in output.splitlines())
    assert printed["architecture"].strip() == "enformer"
    assert printed["format"].strip().startswith("enformer-pytorch (")
    assert printed["species"].strip() == "human, also mouse"
    assert printed["window"].strip() == "12,288 bp"
    assert printed["core"].strip() == "320 bp, 40 bins of 8 bp, 748 cropped at each side"
    assert printed["tracks"].strip() == "5 (track_0, track_1, track_2, track_3, track_4)"
    model = load_model("enformer", folder)
    count = sum(weight.numel() for weight in model.parameters())
    assert printed["parameters"].strip() == f"{count:,}"
    for file in ("model.safetensors", "config.json"):
        assert f"{sha256(folder / file)}  {file}" in output


def test_describe_finds_the_only_species(run: Run, tmp_path: Path) -> None:
    folder = unpacked("multimolecule_borzoi", tmp_path / "x")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "species": "mouse"}))
    assert "mouse" in run("describe", folder)[1]
    status, _, err = run("describe", folder, "--species", "human")
    assert status == 1
    assert "its head is for 'mouse'" in err


def test_a_converted_checkpoint_has_the_same_config(run: Run, tmp_path: Path) -> None:
    folder = unpacked("keras_basenji_2020", tmp_path / "x")
    status, output, err = run("convert", folder, tmp_path / "out" / "deeper")
    assert (status, err) == (0, "")
    assert "basenji2, 5 tracks" in output
    files = sorted(file.name for file in (tmp_path / "out" / "deeper").iterdir())
    assert files == ["config.json", "model.safetensors", "targets.txt"]
    converted = load_model("basenji2", tmp_path / "out" / "deeper")
    assert converted.config == load_model("basenji2", folder).config
    assert converted.config.hidden_act == "quick_gelu"


def test_convert_keeps_the_strands_of_bpnet_and_the_callers_choices(
    run: Run, tmp_path: Path
) -> None:
    folder = unpacked("multimolecule_bpnet", tmp_path / "x")
    run("convert", folder, tmp_path / "out", "--n-encoding", "multimolecule")
    checkpoint = recognise("bpnet", tmp_path / "out")
    assert checkpoint.config.n_encoding == "multimolecule"
    assert checkpoint.tracks == recognise("bpnet", folder).tracks
    assert [track.pair for track in checkpoint.tracks] == [1, 0, 3, 2, 5, 4]


@pytest.mark.parametrize("command", ["describe", "convert"])
def test_mistakes_are_one_line_and_status_1(command: str, run: Run, tmp_path: Path) -> None:
    folder = unpacked("multimolecule_basenji", tmp_path / "x")
    target = [tmp_path / "out"] if command == "convert" else []
    (tmp_path / "file").write_text("text")
    content = (folder / "model.safetensors").read_bytes()
    cases = [
        ([tmp_path / "absent"], "no such file"),
        ([tmp_path / "file"], "not HDF5"),
        ([folder, "--architecture", "enformer"], "asked for is 'enformer'"),
        ([folder, "--targets", tmp_path / "file"], "track table"),
        (["hf://a/b/c/../d"], "expected hf://"),
    ]
    for arguments, message in cases:
        status, printed, err = run(command, arguments[0], *target, *arguments[1:])
        assert (status, printed) == (1, "")
        assert message in err
        assert err.count("\n") == 1
        assert err.startswith("error: ")
    (folder / "model.safetensors").write_bytes(content[:-1])
    assert run(command, folder, *target)[0] == 1
    assert not (tmp_path / "out").exists()


def test_convert_never_writes_over_anything(run: Run, tmp_path: Path) -> None:
    folder = unpacked("bpnet_lite", tmp_path / "x")
    (tmp_path / "file").write_text("mine")
    existing = tmp_path / "folder/model.safetensors/kept"
    existing.parent.mkdir(parents=True)
    existing.write_text("mine")
    for target in (folder, tmp_path / "file", tmp_path / "folder"):
        status, _, err = run("convert", folder, target)
        assert status == 1
        assert "already exists; name a new folder" in err
    assert (tmp_path / "file").read_text() == existing.read_text() == "mine"


def test_a_full_disk_is_reported_and_leaves_no_file(tmp_path: Path) -> None:
    folder = unpacked("bpnet_lite", tmp_path / "x")
    command = 'ulimit -f 4; exec "$0" -m seqcov_models convert "$1" "$2"'
    completed = subprocess.run(
        ["bash", "-c", command, sys.executable, str(folder), str(tmp_path / "out")],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert completed.returncode == 1
    assert "cannot be written" in completed.stderr
    assert "Traceback" not in completed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_wrong_arguments_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["describe"], ["convert", "x"], ["describe", "x", "--architecture", "y"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "usage:" in capsys.readouterr().err


# The Hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder as huggingface_hub keeps it, with one repository; no network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    repository = tmp_path / "cache" / "models--someone--tiny"
    snapshot = unpacked("multimolecule_basenji", repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs").mkdir()
    for file in snapshot.iterdir():  # as in the cache: links to files named by their hashes
        blob = repository / "blobs" / sha256(file)
        file.rename(blob)
        file.symlink_to(os.path.relpath(blob, snapshot))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return snapshot


@pytest.mark.parametrize(
    "spec",
    [
        "hf://someone/tiny",
        "hf:/someone/tiny",  # as pathlib writes it
        f"hf://someone/tiny@{COMMIT}",
        "hf://someone/tiny@main",
        "hf://someone/tiny/model.safetensors",
        f"hf://someone/tiny@{COMMIT}/model.safetensors",
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
    with pytest.raises(SeqcovError, match=r"weights hf://.*(cache|not a possible name)") as caught:
        recognise("basenji2", spec)
    assert "\n" not in str(caught.value)


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
    ("golden", "lost"),
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
    golden: str, lost: str | None, tmp_path: Path
) -> None:
    folder = unpacked(golden, tmp_path / "snapshot")
    if golden == "multimolecule_borzoi":  # in parts
        (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
        parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
        shutil.copy(folder / parts[0], folder / parts[1])
        index = {"weight_map": {"a": parts[0], "b": parts[1]}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert hub._complete(folder)
    if lost is not None:
        (folder / lost).unlink()
        assert not hub._complete(folder)


def test_a_pull_request_is_a_revision() -> None:
    matched = hub._SPEC.fullmatch("hf://someone/tiny@refs/pr/1/model.h5")
    assert matched is not None
    assert (matched["revision"], matched["file"]) == ("refs/pr/1", "/model.h5")


def test_one_form_of_the_weights_is_downloaded() -> None:
    published = ["README.md", "config.json", "model.safetensors", "pytorch_model.bin", "x/a.h5"]
    assert hub._wanted(published) == ["config.json", "model.safetensors"]
    parts = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    index = "pytorch_model.bin.index.json"
    assert hub._wanted([*parts, index, "config.json"]) == ["config.json", *parts, index]
    assert hub._wanted(["params.json", "model0.h5", "targets_human.txt"]) == [
        "params.json",
        "targets_human.txt",
        "model0.h5",
    ]


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
