"""Disk space of a run of many chunks: temporary files go as soon as bigWigs can do without them."""

import os
import random
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from support.position_coded import position_coded_bin, save_position_coded
from support.runs import SNAKEFILE, command, digests, snakemake

pytestmark = pytest.mark.workflow

TRACKS = 48


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A genome and a model of which all tracks are in one group."""
    draw, folder = random.Random(5), tmp_path_factory.mktemp("inputs")
    with (folder / "genome.fa").open("w") as fasta:
        for contig in range(4):
            bins = "".join(position_coded_bin(draw.randrange(3**12)) for _ in range(12_000))
            fasta.write(f">chr{contig}\n{bins}\n")
    save_position_coded(folder / "model", tracks=TRACKS)
    return {
        "genome": {"name": "g", "fasta": str(folder / "genome.fa")},
        "models": {"toy": {"architecture": "borzoi", "weights": str(folder / "model")}},
    }


@pytest.fixture(scope="module")
def fresh(inputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one chunk: nothing is compressed in ranges."""
    folder = tmp_path_factory.mktemp("fresh")
    process = snakemake(folder, inputs | {"prediction": {"windows_per_chunk": 10_000}})
    assert process.returncode == 0, process.stderr
    assert "compress_range" not in process.stderr
    return folder


@pytest.fixture
def config(inputs: dict[str, Any]) -> dict[str, Any]:
    """A run of 16 chunks, which makes 17 batches."""
    return inputs | {"prediction": {"windows_per_chunk": 125}}


@pytest.fixture
def snakefile(tmp_path: Path) -> Path:
    """The workflow with batches that are as small a share as in a run of many gigabytes."""
    path = tmp_path / "Snakefile"
    (tmp_path / "profiles").symlink_to(SNAKEFILE.parent / "profiles")
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(SNAKEFILE.parent)!r})\n"
        "from seqcov_models.run import set_planner\n"
        "set_planner.BATCH_BYTES = 1\nset_planner.BATCHES = 24\n"
        f"include: {str(SNAKEFILE.parent / 'workflow/Snakefile')!r}\n"
        "rule small:\n    default_target: True\n    input: rules.all.input\n"
    )
    return path


def disk_bytes(folder: Path) -> dict[str, int]:
    """Return the bytes of a run's values by kind of file; a file with two names counts once."""
    inodes: dict[int, tuple[str, int]] = {}
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    for path in files:
        name = path.name.removesuffix(".part").lstrip(".")
        name = name.rstrip("0123456789").rstrip(".")
        if (kind := name.rpartition(".")[2]) in ("npy", "packed", "bw"):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue  # it was deleted or renamed meanwhile
            inodes[state.st_ino] = kind, state.st_size
    sums: dict[str, int] = {}
    for kind, size in inodes.values():
        sums[kind] = sums.get(kind, 0) + size
    return sums


def test_the_peak_is_little_more_than_the_bigwigs(
    config: dict[str, Any], snakefile: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    snakemake(run, config, "--dry-run", snakefile=snakefile)  # writes run.yaml
    process = subprocess.Popen(
        command(snakefile=snakefile), cwd=run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(disk_bytes(run).values()))
        time.sleep(0.01)
    assert process.returncode == 0
    final = disk_bytes(run)
    assert set(final) == {"bw"}
    assert len(digests(run)) == TRACKS + 1
    assert not (run / "results/g/toy/chunks").exists()
    # a batch of 16 is 6 %; the compressed ranges of tracks this short are 1 % larger than bigWigs
    assert peak <= 1.15 * final["bw"]


def test_only_a_missing_range_is_predicted_again(
    config: dict[str, Any], fresh: Path, snakefile: Path, tmp_path: Path
) -> None:
    config["prediction"]["windows_per_chunk"] = 400
    run = tmp_path / "run"
    first = snakemake(run, config, "--until", "compress_range", snakefile=snakefile)
    assert first.returncode == 0, first.stderr
    chunks = run / "results/g/toy/chunks"
    assert {path.suffix for path in chunks.iterdir()} == {".packed"}
    (chunks / "2.7.packed").unlink()
    again = snakemake(run, config, snakefile=snakefile)
    assert again.returncode == 0, again.stderr
    assert re.findall(r"rule predict_coverage:[^@]*?chunk=(\d+)", again.stderr) == ["2"]
    assert digests(run) == digests(fresh)
    assert (run / "results/g/toy/mask.bed").read_bytes() == (
        fresh / "results/g/toy/mask.bed"
    ).read_bytes()


def test_a_damaged_batch_is_named_and_every_damaged_bigwig_is_made_again(
    config: dict[str, Any], fresh: Path, snakefile: Path, tmp_path: Path
) -> None:
    config["prediction"]["windows_per_chunk"] = 1_200
    run = tmp_path / "run"
    first = snakemake(run, config, "--notemp", snakefile=snakefile)
    assert first.returncode == 0, first.stderr
    chunks = run / "results/g/toy/chunks"
    assert {path.suffix for path in chunks.iterdir()} == {".npy", ".packed", ".joined"}
    damaged = min(chunks.glob("*.joined"))
    bigwig = max(damaged.glob("*.bw"))
    for file in (bigwig, run / "results/g/toy/tracks/mask/toy.unknown.bw"):
        file.write_bytes(file.read_bytes()[:-1])  # also that of the results: one file, two names
    failed = snakemake(run, config, "--notemp", snakefile=snakefile)
    assert failed.returncode != 0
    assert f"{damaged.relative_to(run)}: damaged" in failed.stderr
    again = snakemake(run, config, "--notemp", snakefile=snakefile)
    assert again.returncode == 0, again.stderr
    done = snakemake(run, config, "--delete-temp-output", snakefile=snakefile)
    assert done.returncode == 0, done.stderr
    assert not list(chunks.iterdir())
    last = snakemake(run, config, snakefile=snakefile)
    assert "Nothing to be done" in last.stderr
    assert digests(run) == digests(fresh)
