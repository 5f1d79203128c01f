"""FASTA files that are refused."""

import random
import re
from pathlib import Path

import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import open_fasta
from support.fasta import (
    Writer,
    build_fasta,
    every_compression,
    open_genome,
    write_bgzip,
    write_fasta,
    write_gzip,
    write_plain,
)

NOT_FASTA = {
    "no record": (b"ACGT\nACGT\n", ">"),
    "only blank lines": (b"\n\n\n", "FASTA"),
    "FASTQ": (b"@read\nACGT\n+\nIIII\n", ">"),
    "a table": (b"chr1\t0\t10\n", ">"),
    "binary": (bytes(range(200, 256)) * 30, "FASTA"),
    "two contigs of one name": (b">a x\nACGT\n>b\nAC\n>a y\nTT\n", "'a' appears twice"),
    "lines of different length": (b">a\nACGT\n>b\nACGT\nACGTAC\nACGT\n", "b"),
    "a short line before the last": (b">b\nACGTAC\nACGT\nACGTAC\n", "b"),
    "a blank line inside": (b">b\nACGT\n\nACGT\n", "b"),
    "a last line longer than the others": (b">a\nACGT\nACGTA\n>b\nAC\n", "contig 'a'"),
    "a longer last line at the end": (b">a\nAC\n>b\nACGT\nACGTACGTA\n", "contig 'b'"),
    "a longer line before a blank one": (b">a\nACGT\nACGTA\n\n>b\nAC\n", "contig 'a'"),
    "two ends of lines": (b">a\nACGT\r\nACGTA\nACGT\r\n", "contig 'a'"),
    "a record without a name": (b">a\nAC\n>\nACGT\n", "name"),
    "no sequence": (b">a\n>b\n", "sequence"),
    "a name that is not UTF-8": (b">\xe9\nACGT\n", "FASTA"),
}


@every_compression
@pytest.mark.parametrize("case", NOT_FASTA)
def test_a_file_that_is_not_fasta_is_refused(write: Writer, case: str, tmp_path: Path) -> None:
    content, message = NOT_FASTA[case]
    path = write(tmp_path, content)
    with pytest.raises(SeqcovError, match=re.escape(message)) as caught:
        open_fasta(path, tmp_path / "out")
    assert "genome.fa" in str(caught.value)


@every_compression
def test_an_empty_fasta_is_refused(write: Writer, tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match=r"genome\.fa"):
        open_fasta(write(tmp_path, b""), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "message"), [("empty.fa", "empty"), ("absent.fa", "no such file"), (".", "folder")]
)
def test_a_path_that_is_not_a_file_with_content_is_refused(
    name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "empty.fa").touch()
    with pytest.raises(SeqcovError, match=message):
        open_fasta(tmp_path / name, tmp_path / "out")


def test_a_plain_fasta_named_gz_is_refused(tmp_path: Path) -> None:
    path = write_plain(tmp_path, b">a\nACGT\n").rename(tmp_path / "genome.fa.gz")
    with pytest.raises(SeqcovError) as caught:
        open_fasta(path, tmp_path / "out")
    assert "is not compressed" in str(caught.value)
    assert "cannot be written" not in str(caught.value)  # the folder is sound


@pytest.mark.parametrize("write", [write_gzip, write_bgzip])
def test_a_cut_compressed_file_is_refused_wherever_it_ends(write: Writer, tmp_path: Path) -> None:
    sequence = "".join(random.Random(2).choices("ACGT", k=150_000))
    intact = write(tmp_path / "intact", build_fasta({"c": sequence})).read_bytes()
    lengths = {*range(2, 40, 3), *range(40, len(intact), len(intact) // 12)}
    lengths |= {len(intact) - cut for cut in (1, 2, 5, 10, 17, 28, 30)}
    path = tmp_path / "genome.fa.gz"
    accepted = []
    for length in sorted(lengths):
        path.write_bytes(intact[:length])
        try:
            open_fasta(path, tmp_path / f"out{length}")
        except SeqcovError:
            continue
        accepted.append(length)
    assert not accepted


def test_a_foreign_letter_is_refused_with_file_and_contig(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "protein.fa", {"p": "ACGTEACGT"})
    with (
        open_genome(open_fasta(path, tmp_path)) as genome,
        pytest.raises(SeqcovError, match=r"protein\.fa.*p\b.*'E'"),
    ):
        genome.fetch("p", 2, 9)
