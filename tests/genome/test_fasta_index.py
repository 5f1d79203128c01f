"""Indices of FASTA files, and unpacked copies of plain gzip: written, used, replaced."""

import contextlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from Bio import bgzf

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import open_fasta
from support.fasta import (
    TWO_CONTIGS,
    Writer,
    build_fasta,
    every_compression,
    fetch_letters,
    open_genome,
    spell_interval,
    write_bgzip,
    write_fasta,
    write_gzip,
    write_plain,
    write_sparse_fasta,
)


@contextmanager
def open_read_only(path: Path) -> Iterator[Path]:
    """Yield a name of the file, always the same, in a folder in which not even root may write."""
    handle = os.open(path, os.O_RDONLY)
    os.dup2(handle, 500)
    os.close(handle)
    try:
        yield Path("/dev/fd/500")
    finally:
        os.close(500)


def make_older(path: Path, seconds: float) -> None:
    """Move the dates of a file back by `seconds`."""
    state = path.stat()
    os.utime(path, (state.st_atime - seconds, state.st_mtime - seconds))


# Indices


def test_a_missing_index_is_written_beside_the_fasta(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "data/genome.fa", TWO_CONTIGS)
    open_fasta(path, tmp_path / "out")
    assert (tmp_path / "data/genome.fa.fai").read_text().startswith("chr1\t141\t6\t60\t61\n")
    assert not (tmp_path / "out").exists()
    assert sorted(file.name for file in path.parent.iterdir()) == ["genome.fa", "genome.fa.fai"]


def test_missing_indices_of_bgzip_are_written_beside_the_fasta(tmp_path: Path) -> None:
    path = write_bgzip(tmp_path / "data", build_fasta(TWO_CONTIGS))
    open_fasta(path, tmp_path / "out")
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["genome.fa.gz", "genome.fa.gz.fai", "genome.fa.gz.gzi"]


def test_an_index_that_is_up_to_date_is_not_written_again(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", TWO_CONTIGS)
    index = open_fasta(path, tmp_path).index
    make_older(path, 60)
    make_older(index, 30)
    before = index.stat()
    assert open_fasta(path, tmp_path).contigs == {"chr1": 141, "chr2": 5}
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("write", [write_plain, write_bgzip])
def test_an_outdated_index_is_replaced(write: Writer, tmp_path: Path) -> None:
    old = open_fasta(write(tmp_path, b">a\nACGT\n"), tmp_path)
    for file in tmp_path.iterdir():
        make_older(file, 60)
    path = write(tmp_path, b">other\nACGTAC\nGT\n")
    with open_genome(open_fasta(path, tmp_path)) as genome:
        assert genome.contigs == {"other": 8}
        assert fetch_letters(genome, "other", 0, 8) == "ACGTACGT"
    assert old.contigs == {"a": 4}


def test_the_index_of_a_fasta_in_a_read_only_folder_goes_into_the_other(
    tmp_path: Path,
) -> None:
    with open_read_only(write_fasta(tmp_path / "genome.fa", TWO_CONTIGS)) as path:
        fasta = open_fasta(path, tmp_path / "out")
        assert fasta.index.parent == tmp_path / "out"
        with open_genome(fasta) as genome:
            letters = fetch_letters(genome, "chr1", 0, 141)
        assert letters == spell_interval(TWO_CONTIGS["chr1"], 0, 141)
        before = fasta.index.stat().st_mtime_ns
        assert open_fasta(path, tmp_path / "out").index.stat().st_mtime_ns == before


def test_folders_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with (
        open_read_only(write_fasta(tmp_path / "genome.fa", TWO_CONTIGS)) as path,
        pytest.raises(SeqcovError, match="out"),
    ):
        open_fasta(path, tmp_path / "out")


DAMAGED_INDICES = {
    "empty": b"",
    "cut": b"chr1\t141\n",
    "not a number": b"chr1\tx\t6\t60\t61\n",
    "doubled": b"chr1\t141\t6\t60\t61\nchr1\t5\t6\t60\t61\n",
    "foreign digit": "chr1\t²\t6\t60\t61\n".encode(),
    "no sequence": b"chr1\t0\t6\t60\t61\n",
    "binary": b"\xff\xfe\n",
}


@pytest.mark.parametrize("content", DAMAGED_INDICES.values(), ids=DAMAGED_INDICES)
def test_a_damaged_index_is_refused_or_replaced(content: bytes, tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", TWO_CONTIGS)
    (tmp_path / "genome.fa.fai").write_bytes(content)
    with contextlib.suppress(SeqcovError):
        assert open_fasta(path, tmp_path).contigs == {"chr1": 141, "chr2": 5}


# Indices of other files

INDEXED = {"chr1": "ACGT" * 60, "chr2": "GGCA" * 60, "empty": "", "chr3": "T" * 61}
OTHERS = {
    "two contigs swapped": build_fasta({"chr2": INDEXED["chr2"]} | INDEXED),
    "a contig appended": build_fasta(INDEXED | {"chr4": "ACGT"}),
    "a contig before the first": build_fasta({"chr0": "A"} | INDEXED),
    "a contig missing": build_fasta({"chr1": INDEXED["chr1"], "chr3": INDEXED["chr3"]}),
    "the last contig longer": build_fasta(INDEXED | {"chr3": "T" * 62}),
    "the last contig shorter": build_fasta(INDEXED | {"chr3": "T" * 60}),
    "the first contig shorter": build_fasta(INDEXED | {"chr1": "ACGT" * 59}),
    "contigs renamed": build_fasta(INDEXED).replace(b"chr", b"ctg"),
    "a name that begins alike": build_fasta(INDEXED).replace(b"chr2", b"chr22"),
    "other lines": build_fasta(INDEXED, width=30),
    "other line ends": build_fasta(INDEXED, end="\r\n"),
    "another genome": build_fasta(TWO_CONTIGS),
    "cut": build_fasta(INDEXED)[:-30],
}


@pytest.mark.parametrize("write", [write_plain, write_bgzip])
@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_an_index_of_another_file_is_refused(content: bytes, write: Writer, tmp_path: Path) -> None:
    """The file was replaced by one with an older date, as `cp -p` and `rsync -a` do."""
    path = write(tmp_path, build_fasta(INDEXED))
    assert list(open_fasta(path, tmp_path).contigs) == ["chr1", "chr2", "chr3"]
    write(tmp_path, content)
    make_older(path, 3600)
    with pytest.raises(SeqcovError, match=r"\.fai is not the index of genome\.fa.*Delete .*\.fai"):
        open_fasta(path, tmp_path)


def test_an_index_of_blocks_that_belongs_to_another_file_is_refused(tmp_path: Path) -> None:
    """The text is the same, and compressed in other blocks."""
    letters = "".join(random.Random(3).choices("ACGT", k=200_000))
    text = build_fasta({"a": letters, "b": "ACGT"})
    path = write_bgzip(tmp_path, text)
    open_fasta(path, tmp_path)
    with bgzf.BgzfWriter(str(path), compresslevel=1) as handle:
        for start in range(0, len(text), 30_000):
            handle.write(text[start : start + 30_000])
            handle.flush()
    make_older(path, 3600)
    with pytest.raises(SeqcovError, match=r"Delete .*\.fai and its \.gzi"):
        open_fasta(path, tmp_path)


SOUND = {
    "no end of the last line": build_fasta(INDEXED).rstrip(),
    "a blank line between records": build_fasta({"a": "ACGT" * 40}) + b"\n>b\nAC\n",
    "a blank line at the end": build_fasta(INDEXED) + b"\n",
    "CR LF": build_fasta(INDEXED, end="\r\n"),
    "comments before the first record": b";one\n\n;two\n" + build_fasta(INDEXED),
    "a space before the name": b"> a b\nACGT\n>\tc\nAC\n",
    "an empty last contig": b">a\nACGT\n>b",
    "full lines only": build_fasta({"a": "ACGT" * 30, "b": "ACGT" * 15}),
    "a long header": b">a " + b"x" * 50_000 + b"\nACGT\n>b\nA\n",
    "one line per contig": build_fasta({"a": "ACGT" * 50_000, "b": "ACG"}, width=10**6),
}


@every_compression
@pytest.mark.parametrize("content", SOUND.values(), ids=SOUND)
def test_the_index_of_any_sound_file_is_believed(
    content: bytes, write: Writer, tmp_path: Path
) -> None:
    path = write(tmp_path, content)
    assert open_fasta(path, tmp_path).contigs == open_fasta(path, tmp_path).contigs


def test_every_contig_of_a_large_genome_is_compared(tmp_path: Path) -> None:
    contigs = {f"c{number}": 1 + number * 7_919 % 30_000 for number in range(3_000)}
    path = write_sparse_fasta(tmp_path / "genome.fa", contigs)
    assert open_fasta(path, tmp_path).contigs == contigs
    with path.open("r+b") as file:
        index = (tmp_path / "genome.fa.fai").read_text().splitlines()[1_234].split("\t")
        file.seek(int(index[2]) - 2)
        file.write(b"x")
    make_older(path, 60)
    with pytest.raises(SeqcovError, match="should hold the header of 'c1234' and nothing else"):
        open_fasta(path, tmp_path)


# Plain gzip


def test_plain_gzip_is_unpacked_once(tmp_path: Path) -> None:
    path = write_gzip(tmp_path / "data", build_fasta(TWO_CONTIGS))
    first = open_fasta(path, tmp_path / "out")
    before = first.path.stat()
    after = open_fasta(path, tmp_path / "out").path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert first.path.parent == tmp_path / "out"
    assert [file.name for file in path.parent.iterdir()] == ["genome.fa.gz"]


def test_a_newer_gzip_is_unpacked_again(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    open_fasta(write_gzip(tmp_path, b">a\nACGT\n"), folder)
    for file in [*tmp_path.glob("*.gz"), *folder.iterdir()]:
        make_older(file, 60)
    assert open_fasta(write_gzip(tmp_path, b">b\nAC\n"), folder).contigs == {"b": 2}


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.bgz", "genome.gz", "GENOME.FA.GZ"])
@pytest.mark.parametrize("folder", ["data", "out"])
def test_plain_gzip_of_any_name_is_unpacked_and_not_changed(
    name: str, folder: str, tmp_path: Path
) -> None:
    path = write_gzip(tmp_path / "data", b">a\nACGT\n").rename(tmp_path / "data" / name)
    before = path.read_bytes()
    for _ in range(2):
        with open_genome(open_fasta(path, tmp_path / folder)) as genome:
            assert fetch_letters(genome, "a", 0, 4) == "ACGT"
        assert path.read_bytes() == before


@pytest.mark.parametrize("write", [write_plain, write_gzip])
def test_another_fasta_of_the_same_name_gets_its_own_index(write: Writer, tmp_path: Path) -> None:
    """Two folders hold a genome.fa, and the second is older than the index of the first."""
    first = write(tmp_path / "first", b">a\nACGT\n")
    second = write(tmp_path / "second", b">b\nGG\nTT\nC\n")
    make_older(second, 3600)
    folder = tmp_path / "out"
    if write is write_gzip:
        open_fasta(first, folder)
        fasta = open_fasta(second, folder)
    else:
        with open_read_only(first) as path:
            open_fasta(path, folder)
        with open_read_only(second) as path:
            fasta = open_fasta(path, folder)
    assert fasta.contigs == {"b": 5}
