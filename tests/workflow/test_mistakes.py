"""Mistakes of every kind stop a run before anything is predicted, with one line that helps.

The message of each mistake is in docs/troubleshooting.md.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import yaml

from support.calico import Tiny, draw_keras_weights, write_calico
from support.fasta import write_fasta
from support.plans import Config
from support.runs import command, snakemake

pytestmark = pytest.mark.workflow

Mistake = Callable[[Config, Path], None]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_calico(tmp_path / "model", Tiny(), draw_keras_weights(Tiny()))
    write_fasta(tmp_path / "genome.fa", {"chrI": "ACGTTGCA" * 250})
    return {
        "genome": {"name": "g", "fasta": "genome.fa"},
        "models": {"tiny": {"architecture": "borzoi", "weights": "model"}},
    }


def config_does_not_fit_the_schema(config: Config, folder: Path) -> None:
    config["prediction"] = {"windows_per_chunks": 3}


def igv_js_is_not_installed(config: Config, folder: Path) -> None:
    (folder / "igv_notebook").mkdir()  # is found before the installed package
    (folder / "igv_notebook/__init__.py").touch()


def run_cannot_be_planned(config: Config, folder: Path) -> None:
    config["genome"]["regions"] = ["chr1:1-100"]


def peaks_cannot_be_read(config: Config, folder: Path) -> None:
    (folder / "peaks.bed").write_text("chrI\t5\t9\nchrI\t2000\t2003\n")
    bpnet = Path(__file__).parents[2] / "demo/bpnet"
    entry = {"architecture": "bpnet", "weights": str(bpnet), "peaks": "peaks.bed"}
    config["models"]["bpnet"] = entry


def weights_are_cut_off(config: Config, folder: Path) -> None:
    path = folder / "model/model.h5"
    path.write_bytes(path.read_bytes()[:-1_000])


def params_describe_more_layers(config: Config, folder: Path) -> None:
    path = folder / "model/params.json"
    params = json.loads(path.read_text())
    params["model"]["trunk"][1]["repeat"] += 1
    path.write_text(json.dumps(params))


def weights_are_narrower(config: Config, folder: Path) -> None:
    with h5py.File(folder / "model/model.h5", "r+") as file:
        name = "model_weights/conv1d_1/conv1d_1/kernel:0"
        kernel = file[name][:, :, :3]
        del file[name]
        file[name] = kernel


MISTAKES: list[tuple[Mistake, str]] = [
    (config_does_not_fit_the_schema, r"prediction: unknown key 'windows_per_chunks'; did you mean"),
    (igv_js_is_not_installed, r"igv\.js, .*, is not installed; run `pip install --no-deps"),
    (run_cannot_be_planned, r"no contig 'chr1'; this FASTA calls it 'chrI'"),
    (peaks_cannot_be_read, r"models\.bpnet: .*peaks\.bed, line 2: the summit is base 2,001"),
    (weights_are_cut_off, r"model\.h5: not a complete HDF5 file; copy or download"),
    (params_describe_more_layers, r"does not fit its params\.json; .*missing: .*"),
    (weights_are_narrower, r"stem\.tower\.0\.conv\.weight is \(3, 6, 3\), not \(8, 6, 3\)"),
]


@pytest.mark.parametrize(
    ("mistake", "message"), MISTAKES, ids=lambda case: getattr(case, "__name__", "")
)
def test_is_found_before_prediction(
    mistake: Mistake, message: str, config: Config, tmp_path: Path
) -> None:
    mistake(config, tmp_path)
    process = snakemake(tmp_path, config)
    assert process.returncode != 0
    assert re.search(message, process.stderr), process.stderr
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.glob("logs/g/predict*/*")), "something was predicted"
    assert not list(tmp_path.rglob("*.bw"))


def test_a_key_that_the_config_has_twice_is_named(config: Config, tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text(
        "prediction: {threads: 2}\nbigwig: {}\nprediction: {blend: crop}\n"
    )
    done = snakemake(tmp_path, config, "--configfile", "run.yaml", "twice.yaml")
    assert done.returncode != 0
    assert "twice.yaml, line 3: 'prediction' is already in line 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_run_without_a_mistake_is_checked(config: Config, tmp_path: Path) -> None:
    config["models"]["tiny"]["tracks"] = ["id2"]
    process = snakemake(tmp_path, config, "--until", "check_checkpoint")
    assert process.returncode == 0, process.stderr
    assert "1 of 7 tracks" in process.stderr


def test_a_disk_that_becomes_full_is_named_in_the_last_line(config: Config, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk; planning sees enough free space."""
    write_fasta(tmp_path / "genome.fa", {"chrI": "ACGTTGCA" * 10_000})
    config["models"]["tiny"]["tracks"] = ["id2", "id3"]
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 100; exec "$0" "$@"', *command()],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert limited.returncode != 0
    assert "Traceback" not in limited.stderr
    assert re.fullmatch(
        r"predict_coverage failed: results/g/tiny/chunks/0\.npy: the file is larger than this"
        r" system or `ulimit -f` allows: it needs 2[\d,]+ bytes, and [\d,]+ are free; make space"
        r" and run the same command again \(log: logs/g/predict_coverage/tiny\.0\.log\)",
        limited.stderr.splitlines()[-1],
    )
    assert not list(tmp_path.glob("results/g/tiny/chunks/*"))
    assert not list(tmp_path.rglob("*.bw"))
    assert snakemake(tmp_path, config).returncode == 0
    assert len(list(tmp_path.rglob("*.bw"))) == 3
