"""`python -m seqcov_models`."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from goldens.common import unpack
from seqcov_models import load_model, predict_region
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.cli import main
from seqcov_models.files import sha256
from seqcov_models.run.planner import plan_run
from seqcov_models.run.settings import complete_config, read_config
from support.calico import write_stranded_fold
from support.data import REPOSITORY
from support.fasta import write_fasta

Run = Callable[..., tuple[int, str, str]]
COMMANDS = ["describe", "convert", "tracks", "predict", "init", "estimate", "check", "serve"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command: exit status, standard output, standard error."""

    def command(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def test_describe_prints_the_properties_of_a_checkpoint(run: Run, tmp_path: Path) -> None:
    folder = unpack("enformer_pytorch", tmp_path / "x")
    status, output, err = run("describe", folder)
    assert (status, err) == (0, "")
    lines = dict(line.split(":", 1) for line in output.splitlines())
    assert lines["architecture"].strip() == "enformer"
    assert lines["format"].strip().startswith("enformer-pytorch (")
    assert lines["species"].strip() == "human, also mouse"
    assert lines["window"].strip() == "12,288 bp"
    assert lines["core"].strip() == "320 bp, 40 bins of 8 bp, 748 cropped at each side"
    assert lines["tracks"].strip() == "5 (track_0, track_1, track_2, track_3, track_4)"
    model = load_model("enformer", folder)
    count = sum(weight.numel() for weight in model.parameters())
    assert lines["parameters"].strip() == f"{count:,}"
    for file in ("model.safetensors", "config.json"):
        assert f"{sha256(folder / file)}  {file}" in output


def test_describe_finds_the_only_species(run: Run, tmp_path: Path) -> None:
    folder = unpack("multimolecule_borzoi", tmp_path / "x")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "species": "mouse"}))
    assert "mouse" in run("describe", folder)[1]
    status, _, err = run("describe", folder, "--species", "human")
    assert status == 1
    assert "its head is for 'mouse'" in err


def test_a_converted_checkpoint_has_the_same_config(run: Run, tmp_path: Path) -> None:
    folder = unpack("keras_basenji_2020", tmp_path / "x")
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
    folder = unpack("multimolecule_bpnet", tmp_path / "x")
    run("convert", folder, tmp_path / "out", "--n-encoding", "multimolecule")
    checkpoint = recognise("bpnet", tmp_path / "out")
    assert checkpoint.config.n_encoding == "multimolecule"
    assert checkpoint.tracks == recognise("bpnet", folder).tracks
    assert [track.pair for track in checkpoint.tracks] == [1, 0, 3, 2, 5, 4]


@pytest.mark.parametrize("command", ["describe", "convert"])
def test_mistakes_are_one_line_and_status_1(command: str, run: Run, tmp_path: Path) -> None:
    folder = unpack("multimolecule_basenji", tmp_path / "x")
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
        status, output, err = run(command, arguments[0], *target, *arguments[1:])
        assert (status, output) == (1, "")
        assert message in err
        assert err.count("\n") == 1
        assert err.startswith("error: ")
    (folder / "model.safetensors").write_bytes(content[:-1])
    assert run(command, folder, *target)[0] == 1
    assert not (tmp_path / "out").exists()


def test_convert_never_writes_over_anything(run: Run, tmp_path: Path) -> None:
    folder = unpack("bpnet_lite", tmp_path / "x")
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
    folder = unpack("bpnet_lite", tmp_path / "x")
    command = 'ulimit -f 4; exec "$0" -m seqcov_models convert "$1" "$2"'
    process = subprocess.run(
        ["bash", "-c", command, sys.executable, str(folder), str(tmp_path / "out")],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 1
    assert "needs more than" in process.stderr
    assert "Traceback" not in process.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_tracks_are_searched(run: Run, tmp_path: Path) -> None:
    folder = write_stranded_fold(tmp_path / "fold", 1)
    lines = run("tracks", folder)[1].splitlines()
    assert lines[0].split("\t") == ["index", "identifier", "description"]
    assert lines[1].split("\t") == ["0", "id0+", "RNA:track 0"]
    assert len(lines) == 8
    _, output, _ = run("tracks", folder, "assay:RNA", "track [25]")
    assert output.splitlines()[1:] == [
        "2\tid2\tRNA:track 2", "5\tid5\tRNA:track 5",
        "# 2 of 7 tracks; for a config or --tracks:", "# tracks: [2, 5]",
    ]  # fmt: skip
    status, _, err = run("tracks", folder, "track 2", "id5")
    assert (status, err.count("\n")) == (1, 1)
    assert "none matches all: track 2, id5" in err
    assert "does not match any track" in run("tracks", folder, "liver")[2]


def test_predict_writes_what_predict_region_returns(run: Run, tmp_path: Path) -> None:
    """Without the workflow, from any folder: bigWigs, or arrays."""
    folder = write_stranded_fold(tmp_path / "fold", 1)
    letters = "".join(np.random.default_rng(3).choice(list("ACGT"), 2_000))
    fasta = write_fasta(tmp_path / "g.fa", {"one": letters, "two": letters[:700]})
    options = ["--tracks", "2", "id3+", "--reverse-complement", "--overlap", "0.5"]
    words = [folder, fasta, "one:501-900", "two", "--out"]
    model = load_model("borzoi", folder, tracks=[2, "id3+"], reverse_complement=True)
    expected = predict_region(model, fasta, ["one:501-900", "two"], overlap=0.5)
    status, output, _ = run("predict", *words, tmp_path / "x/loci.npz", *options)
    assert (status, output) == (0, f"{tmp_path / 'x/loci.npz'}\n")
    with np.load(tmp_path / "x/loci.npz", allow_pickle=False) as arrays:
        assert arrays["contigs"].tolist() == ["one", "two"]
        assert arrays["tracks"].tolist() == ["id2", "id3+"]
        for number, item in enumerate(expected):
            assert (arrays["starts"][number], arrays["ends"][number]) == (item.start, item.end)
            np.testing.assert_array_equal(arrays[f"values_{number}"], item.values)
    status, output, _ = run("predict", *words, tmp_path / "out", *options)
    files = [Path(line) for line in output.splitlines()]
    assert [file.name for file in files] == ["id2.bw", "id3.plus.bw"]
    with pyBigWig.open(str(files[1])) as bigwig:
        bases = np.repeat(expected[1].values[:, 1], expected[1].bin)[:700]
        np.testing.assert_array_equal(bigwig.values("two", 0, 700, numpy=True), bases)
    for words, message in (
        ([folder, fasta, "three"], "'three' is not a contig"),
        ([folder, fasta, "one", "--stride", "5"], "stride: only networks of profiles have it"),
        ([folder, fasta, "one", "--counts", "expm1"], "counts: borzoi predicts bins; leave it out"),
        ([folder, fasta, "one", "--device", "cuda:9"], "torch sees"),
    ):
        status, output, err = run("predict", *words, "--out", tmp_path / "new")
        assert (status, output, err.count("\n")) == (1, "", 1)
        assert message in err
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", ["bins", "peaks", "genome"])
def test_init_writes_a_config_that_can_be_planned(run: Run, tmp_path: Path, kind: str) -> None:
    fasta = write_fasta(tmp_path / "my genome: a.fa", {"1": "ACGT" * 2_000, "b": "ACGT" * 300})
    (tmp_path / "p.bed").write_text("1\t3000\t3100\n")
    weights = (
        write_stranded_fold(tmp_path / "fold", 1)
        if kind == "bins"
        else unpack("bpnet_lite", tmp_path / "lite")
    )
    words = [tmp_path / "new/one", fasta, weights, *(["--assembly", "hg38"] * (kind == "bins"))]
    words += ["--peaks", tmp_path / "p.bed"] if kind == "peaks" else []
    status, output, err = run("init", *words)
    assert (status, err) == (0, "")
    path = tmp_path / "new/one/config.yaml"
    assert f"seqcov estimate {path}" in output
    config = complete_config(read_config(path))
    config["output"] = str(tmp_path / "results")
    plan = plan_run(config)
    assert plan.genome["name"] == "my_genome_a"
    assert plan.genome["assembly"] == ("hg38" if kind == "bins" else None)
    assert len(plan.models) == (kind != "peaks")
    assert len(plan.profiles) == (kind == "peaks")
    status, _, err = run("init", *words)
    assert (status, err.count("\n")) == (1, 1)
    assert "already exists; name a new folder" in err


def test_the_help_of_each_command_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], *([name] for name in COMMANDS)):
        with pytest.raises(SystemExit) as error:
            main([*words, "--help"])
        assert error.value.code == 0
        text = capsys.readouterr().out
        if words:
            assert f"example: seqcov {words[0]} " in text
        else:
            assert re.findall(r"^    (\w+) ", text, re.M) == COMMANDS


def test_wrong_arguments_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["describe"], ["convert", "x"], ["describe", "x", "--architecture", "y"]):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 2
        assert "usage:" in capsys.readouterr().err
