"""Small genomes as files, in every compression, and their sequence."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from Bio import bgzf

from seqcov_models.genome.fasta import Fasta, Genome

TWO_CONTIGS = {"chr1": "ACGTNacgtnRYKM" * 10 + "A", "chr2": "TTGCA"}

Writer = Callable[[Path, bytes], Path]
"""Function that writes the content of a FASTA into a folder and returns the file."""


def build_fasta(contigs: dict[str, str], width: int = 60, end: str = "\n") -> bytes:
    """Return the content of a FASTA with lines of `width` letters."""
    lines = []
    for name, letters in contigs.items():
        lines += [
            f">{name}",
            *(letters[index : index + width] for index in range(0, len(letters), width)),
        ]
    return "".join(line + end for line in lines).encode()


def write_fasta(path: Path, contigs: dict[str, str], width: int = 60) -> Path:
    """Write a FASTA that is not compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(build_fasta(contigs, width))
    return path


def write_sparse_fasta(path: Path, lengths: dict[str, int], width: int = 50) -> Path:
    """Write a FASTA of which only headers and ends of contigs are on the disk, and its index.

    The sequence cannot be read. Planning a genome of any size needs no more.
    """
    rows, position = [], 0
    with path.open("wb") as file:
        for name, length in lengths.items():
            header = f">{name}\n".encode()
            file.seek(position)
            file.write(header)
            offset = position + len(header)
            position = offset + length + -(-length // width)
            if length:
                file.seek(position - 2)
                file.write(b"A\n")
            rows.append(f"{name}\t{length}\t{offset}\t{width}\t{width + 1}\n")
    path.with_name(f"{path.name}.fai").write_text("".join(rows))
    return path


def write_plain(folder: Path, content: bytes) -> Path:
    """Write genome.fa, not compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genome.fa").write_bytes(content)
    return folder / "genome.fa"


def write_gzip(folder: Path, content: bytes) -> Path:
    """Write genome.fa.gz as plain gzip."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genome.fa.gz").write_bytes(gzip.compress(content))
    return folder / "genome.fa.gz"


def write_bgzip(folder: Path, content: bytes) -> Path:
    """Write genome.fa.gz as bgzip."""
    folder.mkdir(parents=True, exist_ok=True)
    with bgzf.BgzfWriter(str(folder / "genome.fa.gz")) as handle:
        handle.write(content)
    return folder / "genome.fa.gz"


every_compression = pytest.mark.parametrize("write", [write_plain, write_gzip, write_bgzip])


@contextmanager
def open_genome(fasta: Fasta) -> Iterator[Genome]:
    """Yield the genome of a FASTA, and close it."""
    genome = Genome(fasta)
    try:
        yield genome
    finally:
        genome.close()


def fetch_letters(genome: Genome, contig: str, start: int, end: int) -> str:
    """Return the codes of [start, end) as letters."""
    return "".join("ACGTN"[code] for code in genome.fetch(contig, start, end))


def spell_interval(sequence: str, start: int, end: int) -> str:
    """Return [start, end) in upper case, with N for other letters and beyond the ends."""
    upper = sequence.upper()
    letters = (upper[index] if 0 <= index < len(upper) else "N" for index in range(start, end))
    return "".join(letter if letter in "ACGT" else "N" for letter in letters)
