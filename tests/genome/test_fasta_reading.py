"""Sequence of FASTA files in every compression."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcov_models.genome.fasta import Genome, open_fasta
from support.fasta import (
    TWO_CONTIGS,
    Writer,
    build_fasta,
    every_compression,
    fetch_letters,
    open_genome,
    spell_interval,
    write_fasta,
    write_plain,
)


@every_compression
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_compression_gives_the_same_bases(write: Writer, end: str, tmp_path: Path) -> None:
    path = write(tmp_path, build_fasta(TWO_CONTIGS, width=7, end=end))
    fasta = open_fasta(path, tmp_path / "out")
    assert list(fasta.contigs.items()) == [("chr1", 141), ("chr2", 5)]
    with open_genome(fasta) as genome:
        for contig, sequence in TWO_CONTIGS.items():
            for start, stop in [(0, len(sequence)), (-10, 12), (3, 5), (0, 1), (4, 200)]:
                letters = fetch_letters(genome, contig, start, stop)
                assert letters == spell_interval(sequence, start, stop)


@pytest.fixture(scope="module")
def two_contigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Genome]:
    folder = tmp_path_factory.mktemp("genome")
    path = write_fasta(folder / "genome.fa", TWO_CONTIGS, width=9)
    with open_genome(open_fasta(path, folder)) as genome:
        yield genome


@given(st.sampled_from(sorted(TWO_CONTIGS)), st.integers(-300, 300), st.integers(0, 400))
def test_any_interval_is_read_with_n_beyond_both_ends(
    two_contigs: Genome, contig: str, start: int, length: int
) -> None:
    letters = fetch_letters(two_contigs, contig, start, start + length)
    assert letters == spell_interval(TWO_CONTIGS[contig], start, start + length)


@every_compression
def test_blocks_of_bgzip_and_buffers_of_gzip_leave_no_seam(write: Writer, tmp_path: Path) -> None:
    sequence = "".join(random.Random(1).choices("ACGT", k=200_000))  # four blocks of 64 kB
    path = write(tmp_path, build_fasta({"c": sequence}))
    with open_genome(open_fasta(path, tmp_path / "out")) as genome:
        assert fetch_letters(genome, "c", 0, 200_000) == sequence
        for start in (65_000, 66_000, 131_000, 199_990):
            letters = fetch_letters(genome, "c", start, start + 500)
            assert letters == spell_interval(sequence, start, start + 500)


def test_names_end_at_white_space_and_keep_other_signs(tmp_path: Path) -> None:
    content = b">HLA-A*01:01:01:01 some gene\nACGT\n>a|b=c;d\tx\nAC\n"
    fasta = open_fasta(write_plain(tmp_path, content), tmp_path)
    assert list(fasta.contigs) == ["HLA-A*01:01:01:01", "a|b=c;d"]


def test_a_record_without_sequence_is_left_out(tmp_path: Path) -> None:
    fasta = open_fasta(write_plain(tmp_path, b">a\n>b\nACGT\n>c\n"), tmp_path)
    assert fasta.contigs == {"b": 4}


def test_a_last_line_without_an_end_is_read(tmp_path: Path) -> None:
    with open_genome(open_fasta(write_plain(tmp_path, b">a\nACGT\nTG"), tmp_path)) as genome:
        assert fetch_letters(genome, "a", 0, 6) == "ACGTTG"
