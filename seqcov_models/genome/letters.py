"""Check every letter of a FASTA in one pass, which also finds the digests of file and contigs."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from seqcov_models.errors import SeqcovError
from seqcov_models.files import HashedFile, read_content
from seqcov_models.genome.fasta import DAMAGED_BGZIP, Fasta, compression, describe_ragged_lines
from seqcov_models.genome.index import IndexedContig, read_index
from seqcov_models.sequence import IUPAC

BLOCK = 1 << 20
"""Bytes that are read at a time."""

_LETTERS = (IUPAC + IUPAC.lower()).encode()
_LINE_ENDS = b"\r\n"
_CAPITALS = bytes(range(256)).upper()


def check_letters(fasta: Fasta) -> Fasta:
    """Check that a FASTA has nucleotide letters only; return it with the digests of its content.

    A file is read once: the result is remembered until the file changes.

    Args:
        fasta: The file, as `open_fasta` returns it.

    Raises:
        SeqcovError: If a letter is not a nucleotide letter, if the lines of a contig differ in
            length, if a compressed file is damaged, or if the file changes while it is read.
    """

    def select(digests: Mapping[str, str]) -> list[str]:
        return [digests[name] for name in fasta.contigs]

    def contig_letters(file: HashedFile) -> list[str]:
        contigs = sorted(read_index(fasta.index, fasta.path), key=attrgetter("offset"))
        if compression(fasta.path) != "bgzip":
            return select(_check_contigs(fasta.path, contigs, file.read))
        source: Any = file  # gzip needs nothing but `read`
        unpacked = gzip.GzipFile(fileobj=source, mode="rb")
        try:
            return select(_check_contigs(fasta.path, contigs, unpacked.read))
        except (OSError, EOFError, zlib.error):
            raise SeqcovError(f"FASTA {fasta.path}: {DAMAGED_BGZIP}") from None

    digest, contig_digests = read_content(fasta.path, contig_letters)
    return replace(fasta, sha256=digest, contig_digests=contig_digests)


def _check_contigs(
    path: Path, contigs: Sequence[IndexedContig], read: Callable[[int], bytes]
) -> dict[str, str]:
    """Check the lines of all contigs, given in the order of the file, and read it to its end.

    Return a digest of each contig's letters, which does not depend on their case and lines.
    """
    position, digests = 0, {}
    for contig in contigs:
        letters = hashlib.sha256()
        while position < contig.end:
            is_header = position < contig.offset
            end = contig.offset if is_header else contig.end
            block = read(min(BLOCK, end - position))
            if not block:
                raise SeqcovError(
                    f"FASTA {path}: {contig.name} ends early; its index belongs to another file:"
                    " delete the index"
                )
            if not is_header:
                _check_lines(path, contig, block, position - contig.offset)
                letters.update(block.translate(_CAPITALS, _LINE_ENDS))
            position += len(block)
        digests[contig.name] = letters.hexdigest()[:16]
    while read(BLOCK):
        pass
    return digests


def _check_lines(path: Path, contig: IndexedContig, block: bytes, start: int) -> None:
    """Raise SeqcovError unless the bytes of a contig from `start` on are letters in even lines."""
    ends = [
        block[(column - start) % contig.width :: contig.width]
        for column in range(contig.bases, contig.width)
    ]
    others = block.translate(None, _LETTERS)
    if len(others) == sum(map(len, ends)) and not any(end.strip(_LINE_ENDS) for end in ends):
        return
    codes = np.frombuffer(block, np.uint8)
    columns = (start + np.arange(len(codes))) % contig.width
    is_end = np.isin(codes, np.frombuffer(_LINE_ENDS, np.uint8))
    is_letter = np.isin(codes, np.frombuffer(_LETTERS, np.uint8))
    wrong = int(np.argmin(np.where(columns < contig.bases, is_letter, is_end)))
    if is_end[wrong] or columns[wrong] >= contig.bases:
        raise SeqcovError(f"FASTA {path}: {describe_ragged_lines(contig.name)}")
    base = (start + wrong) // contig.width * contig.bases + int(columns[wrong]) + 1
    raise SeqcovError(
        f"FASTA {path}: contig {contig.name!r}, position {base:,}: {chr(codes[wrong])!r} is not a"
        f" nucleotide letter (IUPAC: {IUPAC}); write N for an unknown base"
    )
