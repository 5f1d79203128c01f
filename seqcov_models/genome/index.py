"""Read the index of a FASTA (.fai), and check that it belongs to the file.

A line of the index says where the bases of a contig lie and how long its lines are. Between the
last base of a contig and the first base of the next lies exactly one header, which names the next.
An index that is right about every header and about the end of the file describes this file.
"""

import os
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqcov_models.errors import SeqcovError

BLOCK = 1 << 16
"""Bytes that are read at once; also the longest header, and what may follow the last base."""

MAX_BGZIP_HEADERS = 500
"""Maximum number of headers that are checked if each costs the unpacking of a bgzip block."""

INDEX_LINE = re.compile(r"([^\t]*)" + r"\t([0-9]{1,18})" * 4)

DAMAGE = (
    ValueError, RuntimeError, AssertionError, IndexError, EOFError, struct.error, zlib.error
)  # fmt: skip
"""What Biopython raises for blocks of bgzip that are damaged or begin elsewhere."""

ReadBytes = Callable[[int, int], bytes]
"""Function that returns the bytes of [start, end) of a FASTA, or fewer at the file's end."""


class IndexedContig(NamedTuple):
    """One line of an index.

    Attributes:
        name: Name of the contig.
        length: Length in bp.
        offset: Byte of the first base in the (unpacked) file.
        bases: Bases per line.
        width: Bytes per line, with its end.
    """

    name: str
    length: int
    offset: int
    bases: int
    width: int

    @property
    def end(self) -> int:
        """Byte after the last base."""
        if not self.length:
            return self.offset
        full_lines = (self.length - 1) // self.bases
        return self.offset + full_lines * self.width + self.length - full_lines * self.bases


class Contradiction(NamedTuple):
    """A place where a FASTA is not what its index says.

    Attributes:
        contig: The contig that ends before this place; "" before the first one.
        text: What the index says and what is there.
    """

    contig: str
    text: str


def read_index(index: Path, fasta: Path) -> list[IndexedContig]:
    """Read a .fai.

    Args:
        index: The .fai.
        fasta: The file that it indexes, for messages.

    Returns:
        Its lines, in their order.

    Raises:
        SeqcovError: If the index is damaged, if a contig appears twice, or if all are empty.
    """
    contigs: list[IndexedContig] = []
    try:
        lines = index.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise SeqcovError(f"{index} is not an index; delete the file") from None
    for number, line in enumerate(lines, 1):
        cells = INDEX_LINE.fullmatch(line)
        contig = cells and IndexedContig(cells[1], *map(int, cells.groups()[1:]))
        if not contig or (contig.length and not 0 < contig.bases <= contig.width):
            raise SeqcovError(f"{index}, line {number} is not an index line; delete the file")
        contigs.append(contig)
    names = set[str]()
    for name, *_ in contigs:
        if name in names:
            raise SeqcovError(f"FASTA {fasta}: contig {name!r} appears twice; rename one")
        names.add(name)
    if not any(contig.length for contig in contigs):
        raise SeqcovError(f"FASTA {fasta} does not hold any sequence; copy it again")
    return contigs


def find_contradiction(
    contigs: Sequence[IndexedContig], fasta: Path, gzi: Path | None
) -> Contradiction | None:
    """Return a place where a FASTA is not what its index says, or None.

    Every header is checked, of a bgzip file at most `MAX_BGZIP_HEADERS` of them.

    Args:
        contigs: The lines of the index.
        fasta: The file, not compressed or bgzip.
        gzi: The index of the blocks of a bgzip file; None if it is not compressed.
    """
    contigs = sorted(contigs, key=attrgetter("offset"))
    pairs = list(zip([None, *contigs], [*contigs, None], strict=True))
    if not gzi:
        with fasta.open("rb") as file:
            return _compare(pairs, _read_file(file.fileno()))
    from Bio import bgzf

    open_bgzip: Any = bgzf.BgzfReader  # Biopython has no types
    step = -(-len(pairs) // MAX_BGZIP_HEADERS)
    with fasta.open("rb") as file:
        try:
            reader = open_bgzip(fileobj=file, mode="rb")
            return _compare([*pairs[:-1:step], pairs[-1]], _read_bgzip(reader, gzi))
        except DAMAGE as error:
            text = f"{gzi.name} does not fit the blocks of the file, or these are damaged ({error})"
            return Contradiction("", text)


def _compare(
    pairs: Sequence[tuple[IndexedContig | None, IndexedContig | None]], read: ReadBytes
) -> Contradiction | None:
    """Return the first contradiction between neighbours in the index and the file, or None."""
    for last, following in pairs:
        start = last.end if last else 0
        end = following.offset if following else start + BLOCK
        # The byte before `start` is a base, unless there is none
        margin = 1 if last and last.length else 0
        text = read(start - margin, end) if 0 <= end - start <= BLOCK else b""
        fits = len(text) == margin + end - start if following else margin <= len(text) < BLOCK
        if margin:
            fits = fits and text[:1] not in b"\r\n>" and text[1:2] in b"\r\n"
        between = text[margin:].lstrip()
        if following and not last:
            while between.startswith(b";"):  # comments before the first record
                between = between.partition(b"\n")[2].lstrip()
        if fits and (_is_header(between, following) if following else not between):
            continue
        claim = f"the header of {following.name!r}" if following else "the end of the file"
        after = f" after {last.name!r}" if last else ""
        return Contradiction(
            last.name if last else "",
            f"bytes from {start:,}{after} should hold {claim} and nothing else, but hold"
            f" {text[margin : margin + 40].decode(errors='replace')!r}",
        )
    return None


def _is_header(line: bytes, contig: IndexedContig) -> bool:
    """Return whether bytes are one line, with its end, that is the header of `contig`."""
    if not contig.length:
        line = line.rstrip(b"\r\n") + b"\n"  # the file may end here
    if line[:1] != b">" or line.find(b"\n") != len(line) - 1:
        return False
    text = line[1:].decode(errors="replace").lstrip()
    return text.startswith(contig.name) and text[len(contig.name)].isspace()


def _read_file(descriptor: int) -> ReadBytes:
    """Return the function that reads bytes of a file; neighbours are read at once."""
    buffer, position = b"", 0

    def read(start: int, end: int) -> bytes:
        nonlocal buffer, position
        if not position <= start <= end <= position + len(buffer):
            buffer, position = os.pread(descriptor, 2 * BLOCK, start), start
        return buffer[start - position : end - position]

    return read


def _read_bgzip(reader: Any, gzi: Path) -> ReadBytes:
    """Return the function that reads unpacked bytes of a bgzip file."""
    blocks = np.fromfile(gzi, "<u8")
    count = int(blocks[0]) if len(blocks) else 0
    if len(blocks) != 1 + 2 * count:
        raise ValueError("it is cut")
    packed, unpacked = np.concatenate([np.zeros((1, 2), "<u8"), blocks[1:].reshape(-1, 2)]).T

    def read(start: int, end: int) -> bytes:
        block = int(np.searchsorted(unpacked, start, side="right")) - 1
        within = start - int(unpacked[block])
        if within > BLOCK:
            raise ValueError(f"no block holds byte {start:,}")
        reader.seek(int(packed[block]) << 16 | within)
        return bytes(reader.read(end - start))

    return read
