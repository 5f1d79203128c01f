"""Files of a run that are cut, deleted or changed by hand: named, and made again."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from seqcov_models.cli import main
from support.fasta import write_fasta
from support.position_coded import position_coded_bin, save_position_coded
from support.profiles import write_profile_run
from support.runs import bigwigs, digests, snakemake

pytestmark = pytest.mark.workflow

Config = dict[str, Any]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    draw = random.Random(5)
    bins = {f"chr{contig}": [draw.randrange(3**12) for _ in range(500)] for contig in range(3)}
    contigs = {name: "".join(map(position_coded_bin, numbers)) for name, numbers in bins.items()}
    write_fasta(tmp_path / "g.fa", contigs)
    save_position_coded(tmp_path / "toy", tracks=5)
    return {
        "genome": {"name": "g", "fasta": str(tmp_path / "g.fa")},
        "models": {"toy": {"architecture": "borzoi", "weights": str(tmp_path / "toy")}},
        "prediction": {"windows_per_chunk": 32},
    }


def dates(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*.bw")}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_bigwigs_that_are_cut_deleted_or_changed_are_made_again(
    config: Config, tmp_path: Path
) -> None:
    # its temporary files stay, as those of a killed run: nothing is predicted again
    assert snakemake(tmp_path, config, "--notemp").returncode == 0
    expected, files = digests(tmp_path), bigwigs(tmp_path)
    assert len(expected) == 6
    for name, damage in (("toy.track_1.bw", cut), ("toy.unknown.bw", Path.unlink)):
        damage(files[name])
    before = dates(tmp_path)
    dry_run = snakemake(tmp_path, config, "--dry-run")
    assert dry_run.returncode == 0, dry_run.stderr
    assert "toy.track_1.bw has " in dry_run.stderr
    assert "toy.unknown.bw is missing; it is made again" in dry_run.stderr
    assert "rule write_coverage_bigwigs" in dry_run.stderr + dry_run.stdout
    assert dates(tmp_path) == before
    again = snakemake(tmp_path, config)
    assert again.returncode == 0, again.stderr
    assert "rule predict_coverage" not in again.stderr
    assert digests(tmp_path) == expected
    flip(files["toy.track_3.bw"])
    again = snakemake(tmp_path, config)
    assert again.returncode == 0, again.stderr
    assert "toy.track_3.bw has other bytes than were written; it is made again" in again.stderr
    assert digests(tmp_path) == expected
    shutil.rmtree(tmp_path / "results/g/toy/tracks")  # the tables that were made from it stay
    again = snakemake(tmp_path, config)
    assert again.returncode == 0, again.stderr
    assert digests(tmp_path) == expected
    assert "Nothing to be done" in snakemake(tmp_path, config).stderr
    assert main(["check", str(tmp_path / "results/g")]) == 0


def test_peaks_and_profile_bigwigs_that_are_cut_or_changed_are_made_again(tmp_path: Path) -> None:
    config = write_profile_run(tmp_path)
    assert snakemake(tmp_path, config).returncode == 0
    expected, files = digests(tmp_path), bigwigs(tmp_path)
    (name,) = [name for name in files if name.endswith("minus.bw")][:1]
    peaks = tmp_path / "results/g/plain/plain.peaks.narrowPeak"
    lines = peaks.read_text()
    for damage, message in ((cut, "has "), (flip, "has other bytes than were written; it is made")):
        damage(files[name])
        peaks.write_text(lines.replace("\t", "\t1", 1))
        again = snakemake(tmp_path, config)
        assert again.returncode == 0, again.stderr
        assert f"{name} {message}" in again.stderr
        assert "peaks.narrowPeak has other bytes than were written; it is made" in again.stderr
        assert digests(tmp_path) == expected
        assert peaks.read_text() == lines
    assert "Nothing to be done" in snakemake(tmp_path, config).stderr
    assert main(["check", str(tmp_path / "results/g")]) == 0


def test_a_damaged_temporary_file_is_named_and_made_again(config: Config, tmp_path: Path) -> None:
    assert snakemake(tmp_path / "fresh", config).returncode == 0
    damages = (("predict_coverage", "1.npy", flip), ("compress_range", "*.0.packed", cut))
    for rule, pattern, damage in damages:
        stopped = snakemake(tmp_path, config, "--until", rule)
        assert stopped.returncode == 0, stopped.stderr
        file = min((tmp_path / "results/g/toy/chunks").glob(pattern))
        damage(file)
        failed = snakemake(tmp_path, config)
        assert failed.returncode != 0
        assert f"{file.relative_to(tmp_path)}: damaged" in failed.stderr
        assert "the same command makes it again" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert not file.exists()
    again = snakemake(tmp_path, config)
    assert again.returncode == 0, again.stderr
    assert digests(tmp_path / "results") == digests(tmp_path / "fresh")


def test_damaged_files_of_profiles_are_named_and_made_again(tmp_path: Path) -> None:
    config = write_profile_run(tmp_path) | {"profiles": {"jobs": 2, "windows": True}}
    stopped = snakemake(tmp_path, config, "--until", "predict_profiles")
    assert stopped.returncode == 0, stopped.stderr
    names = ("0.npy", "0.table.npy", "1.windows.npy")  # each is read by another job
    files = [tmp_path / "results/g/plain/chunks" / name for name in names]
    for file in files:
        flip(file)
    failed = snakemake(tmp_path, config, "--keep-going")
    assert failed.returncode != 0
    for file in files:
        assert f"{file.name}: damaged" in failed.stderr
        assert not file.exists()
    again = snakemake(tmp_path, config)
    assert again.returncode == 0, again.stderr
    fresh = snakemake(tmp_path, config | {"output": "fresh"})
    assert fresh.returncode == 0, fresh.stderr
    assert digests(tmp_path / "results") == digests(tmp_path / "fresh")
