"""The whole way on real input: the trained mini Borzoi on hg38, against its authors' outputs."""

import gzip
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pybigtools
import pyBigWig
import pytest
from runs import DATA, bigwigs, command, digests, every_base, snakemake

from seqcov_models import load_model
from seqcov_models.bigwig import walk

FASTA = DATA / "genomes" / "hg38_chr1_1Mb.fa.gz"
WEIGHTS = DATA / "models" / "mini_borzoi"
REFERENCE = DATA / "reference_outputs" / "mini_borzoi_hg38_chr1_1Mb.npz"
CORE, CONTEXT, BIN = 65_536, 32_768, 32

pytestmark = pytest.mark.skipif(not REFERENCE.exists(), reason="the real data is not here")


def config(fasta: Path, **prediction: int) -> dict[str, Any]:
    return {
        "genome": {"name": "hg38", "fasta": str(fasta), "assembly": "hg38"},
        "models": {"mini": {"architecture": "borzoi", "weights": str(WEIGHTS)}},
        "prediction": prediction,
    }


@pytest.fixture(scope="module")
def sequence() -> str:
    lines = gzip.decompress(FASTA.read_bytes()).decode().splitlines()
    return "".join(line for line in lines if not line.startswith(">"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hg38")
    done = snakemake(folder, config(FASTA))
    assert done.returncode == 0, done.stderr
    return folder


def bins_of(path: Path, contig: str, length: int) -> npt.NDArray[np.float32]:
    return every_base(path, contig, length)[::BIN]


def in_table_order(folder: Path) -> list[Path]:
    """The bigWigs of a run in the order of the track table."""
    table = next(folder.glob("results/*/tracks.tsv"))
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    return [table.parent / row[4] for row in sorted(rows, key=lambda row: int(row[2]))]


def test_bigwigs_agree_with_the_authors_code_where_windows_coincide(
    sequence: str, tmp_path: Path
) -> None:
    """A contig cut so that its second window is a reference window, for each of the three."""
    reference = np.load(REFERENCE)
    padded = "N" * CONTEXT + sequence
    starts = reference["start"].tolist()
    with (tmp_path / "cut.fa").open("w") as fasta:
        for start in starts:
            fasta.write(f">from_{start}\n{padded[start : start + CONTEXT + 2 * CORE + CONTEXT]}\n")
    done = snakemake(tmp_path, config(tmp_path / "cut.fa"))
    assert done.returncode == 0, done.stderr
    files = in_table_order(tmp_path)
    assert len(files) == 74
    span = np.ptp(reference["pred"])
    compared = 0
    for number, start in enumerate(starts):
        core = (padded[start + CORE : start + 2 * CORE]).upper()
        gap = np.array([set(core[at : at + BIN]) == {"N"} for at in range(0, CORE, BIN)])
        for track, path in enumerate(files):
            ours = bins_of(path, f"from_{start}", 2 * CORE + 2 * CONTEXT)[
                CORE // BIN : 2 * CORE // BIN
            ]
            theirs = reference["pred"][number, :, track]
            assert np.isnan(ours[gap]).all()
            assert np.abs(ours[~gap] - theirs[~gap]).max() <= 1e-5 * span
            compared += int((~gap).sum())
    assert compared > 0.75 * reference["pred"].size, "chr1 has a gap of 50 kb in the second window"


def test_every_bin_is_that_of_its_own_window(run: Path, sequence: str) -> None:
    """Windows cut out of the text and handed to predict(): no tiling, FASTA or chunk code."""
    model = load_model("borzoi", WEIGHTS)
    padded = "N" * CONTEXT + sequence + "N" * (CONTEXT + CORE)
    values = np.stack([bins_of(path, "chr1", len(sequence)) for path in in_table_order(run)], 1)
    for start in range(0, len(sequence), CORE):
        window = padded[start : start + CORE + 2 * CONTEXT]
        expected = model.predict([window])[0]
        ours = values[start // BIN : (start + CORE) // BIN]
        there = ~np.isnan(ours)
        assert np.abs(ours - expected[: len(ours)])[there].max(initial=0) <= 1e-6 * np.nanmax(
            values
        )
        gap = [
            set(sequence[at : at + BIN]) == {"N"}
            for at in range(start, start + BIN * len(ours), BIN)
        ]
        np.testing.assert_array_equal(~there, np.repeat(np.array(gap)[:, None], 74, 1))


def test_repeated_byte_for_byte_and_otherwise_to_rounding(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert snakemake(again, config(FASTA)).returncode == 0
    assert digests(again) == digests(run)
    for cores, other in ((1, {"windows_per_chunk": 3}), (2, {"batch_size": 4, "threads": 1})):
        folder = tmp_path / f"cores_{cores}"
        assert snakemake(folder, config(FASTA, **other), cores=cores).returncode == 0
        for name, path in bigwigs(folder).items():
            first = bins_of(bigwigs(run)[name], "chr1", 1_000_000)
            second = bins_of(path, "chr1", 1_000_000)
            np.testing.assert_allclose(second, first, rtol=0, atol=1e-6 * 25)


def test_readers_agree_on_every_file(run: Path) -> None:
    files = bigwigs(run)
    assert len(files) == 74
    for path in files.values():
        walk(path)
        with pyBigWig.open(str(path)) as one, pybigtools.open(str(path)) as other:
            assert one.chroms() == other.chroms() == {"chr1": 1_000_000}
            assert list(one.intervals("chr1")) == list(other.records("chr1"))
            assert one.header()["nLevels"] > 0


def test_a_finished_run_has_nothing_to_do(run: Path) -> None:
    done = subprocess.run(command("--dry-run"), cwd=run, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stderr + done.stdout
