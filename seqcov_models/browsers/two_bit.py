"""Write a genome as a .2bit file, for assemblies that UCSC does not know."""

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Fasta
from seqcov_models.sequence import UNKNOWN, encode

TWO_BIT = "genome.2bit"
"""The sequence of a hub that is on no assembly of UCSC's, beside the hub."""


_PIECE = 1 << 24  # letters in memory at a time; a multiple of the four in a byte


_TWO_BITS = np.array([2, 1, 3, 0, 0], np.uint8)  # T 0, C 1, A 2, G 3, by code; N is anything


def write_two_bit(path: Path, fasta: Fasta) -> None:
    """Write the sequence as .2bit (https://genome.ucsc.edu/FAQ/FAQformat.html#format7).

    Lower case is kept, letters other than A, C, G, T and U become N. Raises SeqcovError for a
    contig shorter than its index says, foreign letters, or more than a .2bit can hold.
    """
    from pyfaidx import Faidx

    index = []
    offsets = str(fasta.index.with_suffix(".gzi"))
    with (
        path.open("wb") as out,
        Faidx(str(fasta.path), str(fasta.index), rebuild=False, gzi_indexname=offsets) as faidx,
    ):
        out.seek(16 + sum(5 + len(contig.encode()) for contig in fasta.contigs))
        for contig, length in fasta.contigs.items():
            spans = ((at, min(at + _PIECE, length)) for at in range(0, length, _PIECE))
            pieces = (faidx.fetch(contig, start + 1, end).seq for start, end in spans)
            name = contig.encode()
            try:
                index.append(struct.pack(f"<B{len(name)}sI", len(name), name, out.tell()))
                out.write(_record(length, pieces))
            except SeqcovError as error:
                raise SeqcovError(f"FASTA {fasta.path}, {contig}: {error}") from None
            except struct.error:
                raise SeqcovError(
                    f"FASTA {fasta.path}, {contig}: a .2bit holds 4 GB and names of 255 bytes at"
                    " most; set genome.assembly if UCSC has this genome"
                ) from None
        out.seek(0)
        out.write(struct.pack("<4I", 0x1A412743, 0, len(index), 0) + b"".join(index))


def _record(length: int, pieces: Iterable[str]) -> bytes:
    """A contig in .2bit; all pieces but the last have a multiple of four letters."""
    edges: list[list[int]] = [[], []]  # where runs of N and runs of lower case begin and end
    inside = [False, False]
    packed, at = [], 0
    for piece in filter(None, pieces):
        letters = piece.encode("ascii", "replace")
        codes = encode(letters)
        lower = np.frombuffer(letters, np.uint8) >= ord("a")
        for kind, state in enumerate((codes == UNKNOWN, lower)):
            edges[kind] += (np.flatnonzero(np.diff(state, prepend=inside[kind])) + at).tolist()
            inside[kind] = bool(state[-1])
        quads = np.pad(_TWO_BITS[codes], (0, -len(codes) % 4)).reshape(-1, 4)
        packed.append(quads[:, 0] << 6 | quads[:, 1] << 4 | quads[:, 2] << 2 | quads[:, 3])
        at += len(codes)
    if at != length:
        raise SeqcovError(f"ends after {at:,} of {length:,} bp; its index is of another file")
    parts = [struct.pack("<I", length)]
    for kind in range(2):
        spans = np.array(edges[kind] + [length] * inside[kind], "<u4").reshape(-1, 2)
        starts, ends = spans.T
        parts += [struct.pack("<I", len(spans)), starts.tobytes(), (ends - starts).tobytes()]
    return b"".join([*parts, bytes(4), *(block.tobytes() for block in packed)])
