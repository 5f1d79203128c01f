"""Every letter of a FASTA is checked in one pass, before anything is predicted."""

import os
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcov_models import files
from seqcov_models.errors import SeqcovError
from seqcov_models.files import sha256
from seqcov_models.genome import letters
from seqcov_models.genome.fasta import open_fasta
from seqcov_models.genome.letters import check_letters
from support.fasta import Writer, build_fasta, every_compression, write_fasta, write_plain

DRAW = random.Random(4)
CONTIGS = {
    "chr1": "".join(DRAW.choices("ACGTNacgtnRYKMSWBDHVX.-*", k=997)),
    "empty": "",
    "chr2": "".join(DRAW.choices("ACGU", k=60)),
    "chr3": "A",
}


@every_compression
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("width", [1, 7, 60, 1_000])
def test_nucleotide_letters_are_accepted_and_the_file_gets_its_digest(
    width: int, end: str, write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "BLOCK", 64)
    fasta = open_fasta(write(tmp_path, build_fasta(CONTIGS, width, end)), tmp_path / "out")
    assert check_letters(fasta).sha256 == sha256(fasta.path)


@given(st.integers(0, 996), st.sampled_from("EFIJLOPQZ 0é>;"), st.sampled_from([7, 60, 2_000]))
def test_a_foreign_letter_is_named_with_its_contig_and_position(
    tmp_path_factory: pytest.TempPathFactory, position: int, letter: str, width: int
) -> None:
    sequence = CONTIGS["chr1"]
    folder = tmp_path_factory.mktemp("genome")
    path = write_fasta(folder / "g.fa", CONTIGS, width)
    fasta = open_fasta(path, folder)
    content = build_fasta(
        CONTIGS | {"chr1": f"{sequence[:position]}?{sequence[position + 1 :]}"}, width
    )
    path.write_bytes(content.replace(b"?", letter.encode("latin1")))
    message = rf"g\.fa: contig 'chr1', position {position + 1:,}: {re.escape(repr(letter))} is not"
    with pytest.raises(SeqcovError, match=message):
        check_letters(fasta)


@every_compression
def test_a_foreign_letter_is_found_in_every_compression(write: Writer, tmp_path: Path) -> None:
    content = build_fasta({"a": "ACGT" * 40_000, "b": "ACGTE"})
    fasta = open_fasta(write(tmp_path, content), tmp_path / "out")
    with pytest.raises(SeqcovError, match=r"contig 'b', position 5: 'E'"):
        check_letters(fasta)


def test_lines_that_an_index_of_another_program_does_not_describe_are_refused(
    tmp_path: Path,
) -> None:
    path = write_plain(tmp_path, b">a\nACGT\nAC\nGTAC\nGTACGT\n>b\nACGT\n")
    index = tmp_path / "genome.fa.fai"
    index.write_text("a\t16\t3\t4\t5\nb\t4\t26\t4\t5\n")  # headers and ends are right
    fasta = open_fasta(path, tmp_path)
    with pytest.raises(SeqcovError, match="contig 'a': not all lines"):
        check_letters(fasta)


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in {"REMEMBERED_FILE": 0, "LARGE_FILE": 0, "CLOCK_STEP": -(10**12)}.items():
        monkeypatch.setattr(files, name, value)
    path = write_fasta(tmp_path / "g.fa", CONTIGS)
    fasta = open_fasta(path, tmp_path)

    def digest() -> tuple[str, bool]:
        """Return the digest, and whether the file was read."""
        return check_letters(fasta).sha256, f"reading {path} once" in capsys.readouterr().err

    first = sha256(path)
    assert digest() == (first, True)
    assert digest() == (first, False)
    os.utime(path, (5, 5))
    assert digest() == (first, True)
    assert digest() == (first, False)
    state = path.stat()
    write_fasta(path, CONTIGS | {"chr3": "C"})  # of the same size and date
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    second = sha256(path)
    assert first != second
    assert digest() == (second, True)
    write_fasta(path, CONTIGS | {"chr3": "E"})
    for _ in range(2):
        with pytest.raises(SeqcovError, match="'E' is not a nucleotide letter"):
            check_letters(fasta)


def test_a_file_that_is_still_being_copied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_fasta(tmp_path / "g.fa", CONTIGS)
    fasta = open_fasta(path, tmp_path)
    check = letters._check_contigs

    def check_while_written(*arguments: object) -> dict[str, str]:
        digests = check(*arguments)  # type: ignore[arg-type]
        with path.open("a") as file:
            file.write("A")
        return digests

    monkeypatch.setattr(letters, "_check_contigs", check_while_written)
    with pytest.raises(SeqcovError, match=r"g\.fa is being written"):
        check_letters(fasta)
