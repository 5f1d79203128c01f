"""A full disk: every writer says so in one line, and leaves nothing half-written."""

import gzip
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.files import DiskFullError, write_atomically
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.genome.two_bit import write_two_bit
from seqcov_models.run.chunk_files import chunk_writer, rows_writer
from seqcov_models.run.paths import IDENTITY
from seqcov_models.tiling import select_bins
from support.disks import resize, small_disk
from support.fasta import build_fasta, write_fasta
from support.plans import Config
from support.profiles import BPNET, LETTERS, network, run
from support.ranges import plan_chunks, write_all

PAGE = 4_096
MESSAGE = (
    r".*/disk/.*: the disk is full: it needs (more than )?[\d,]+ bytes, and [\d,]+ are free; make"
    r" space and run the same command again"
)

Files = dict[str, bytes]


def read_files(folder: Path) -> Files:
    """Return the content of every file of a folder that has its final name.

    Those that hold dates are left out: the sources of files, and the identities of folders.
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {path: str(path.relative_to(folder)) for path in files}
    return {
        name: path.read_bytes()
        for path, name in names.items()
        if not any(part.startswith(".") for part in Path(name).parts)
        and path.suffix != ".source"
        and path.name != IDENTITY
    }


def check_growing_disk(write: Callable[[Path], object], tmp_path: Path, step: int) -> None:
    """Write to a disk that grows in steps of some pages: each time refused, until all is there."""
    (tmp_path / "reference").mkdir()
    write(tmp_path / "reference")
    expected, pages = read_files(tmp_path / "reference"), 1
    with small_disk(tmp_path / "disk", PAGE) as disk:
        while True:
            try:
                write(disk)
                break
            except SeqcovError as error:
                message = str(error)
            assert re.fullmatch(MESSAGE, message), message
            for name, content in read_files(disk).items():
                assert expected.get(name, content) == content  # others are temporary files
            for path in disk.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            pages += step
            resize(disk, pages * PAGE)
        assert pages > 10
        assert read_files(disk) == expected


@pytest.mark.slow
def test_coverage(config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Chunks, compressed ranges, bigWigs of batches and groups, and the mask."""
    plan = plan_chunks(config, 4, monkeypatch, ranges=2)
    check_growing_disk(lambda folder: write_all(plan, folder), tmp_path, 3)


def test_coverage_of_one_chunk(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = plan_chunks(config, 100, monkeypatch)
    check_growing_disk(lambda folder: write_all(plan, folder), tmp_path, 7)


@pytest.mark.slow
def test_profiles(tmp_path: Path) -> None:
    """Combined peaks, chunks, statistics, windows, bigWigs, tables, and the file of windows."""
    genome = Genome(open_fasta(write_fasta(tmp_path / "g.fa", LETTERS), tmp_path))
    bins, folds = select_bins(genome.contigs, 1, None, []), [network(BPNET)]
    lines = [f"chrI\t{start}\t{start + 9}\n" for start in range(0, 1_900, 40)]

    def write(folder: Path) -> None:
        with write_atomically(folder / "peaks.bed") as part:
            part.write_text("".join(lines))
        run(folder, folds, genome, 2, False, bins)

    check_growing_disk(write, tmp_path, 3)
    genome.close()


def test_two_bit(tmp_path: Path) -> None:
    fasta = open_fasta(write_fasta(tmp_path / "g.fa", {"a": "ACGTN" * 40_000}), tmp_path)

    def write(folder: Path) -> None:
        with write_atomically(folder / "g.2bit") as part:
            write_two_bit(part, fasta)

    check_growing_disk(write, tmp_path, 5)


CONTIGS = build_fasta({f"contig_{number:040}": "ACGT" for number in range(1_000)})


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
def test_index_and_unpacked_fasta(name: str, tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        with write_atomically(folder / name) as part:
            part.write_bytes(gzip.compress(CONTIGS, mtime=0) if name.endswith(".gz") else CONTIGS)
        open_fasta(folder / name, folder / "results")

    check_growing_disk(write, tmp_path, 4)


def test_an_index_is_made_elsewhere_if_the_disk_of_the_fasta_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", len(CONTIGS) + PAGE) as disk:
        (disk / "genome.fa").write_bytes(CONTIGS)
        assert open_fasta(disk / "genome.fa", tmp_path).index.parent == tmp_path
        assert [path.name for path in disk.iterdir()] == ["genome.fa"]


@pytest.mark.parametrize(
    "open_array",
    [
        lambda path: chunk_writer(path, 1, 2_000),
        lambda path: rows_writer(path, (2_000, 1), np.float32),
    ],
)
def test_the_space_of_an_array_is_reserved_before_anything_is_computed(
    open_array: Callable[[Path], AbstractContextManager[object]], tmp_path: Path
) -> None:
    """A write into a mapped file on a full disk would end the process without a message."""
    with small_disk(tmp_path / "disk", 2 * PAGE) as disk:
        (disk / "other").write_bytes(bytes(PAGE))
        message = "needs 8,128 bytes, and 4,096 are free"
        with pytest.raises(DiskFullError, match=message), open_array(disk / "a.npy"):
            pytest.fail("something was computed")
        assert [path.name for path in disk.iterdir()] == ["other"]
