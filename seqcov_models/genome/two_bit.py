"""Write a genome as a .2bit file, for assemblies that UCSC does not know.

The format: https://genome.ucsc.edu/FAQ/FAQformat.html#format7
"""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Fasta
from seqcov_models.sequence import UNKNOWN, encode

_TWO_BITS = np.array([2, 1, 3, 0, 0], np.uint8)  # by code: A 2, C 1, G 3, T 0; N is stored as T


MAX_NAME, MAX_OFFSET = 255, 2**32 - 1
"""Bytes of a contig's name, and the last byte at which a contig may begin."""


def check_two_bit(contigs: Mapping[str, int]) -> None:
    """Check that a .2bit file can hold contigs. Runs of N and of lower case are not counted.

    Args:
        contigs: Lengths in bp, by name, in their order.

    Raises:
        SeqcovError: If a name is too long, or if a contig begins beyond the largest offset.
    """
    remedy = (
        "set genome.assembly to UCSC's name of the assembly; if UCSC does not have it, any name"
        " serves, but then the hub cannot be opened"
    )
    for name in contigs:
        if len(name.encode()) > MAX_NAME:
            raise SeqcovError(
                f"contig {name[:30]!r}… has a name of {len(name.encode()):,} bytes, but a .2bit"
                f" file holds at most {MAX_NAME}; shorten it, or {remedy}"
            )
    offset = 16 + sum(5 + len(name.encode()) for name in contigs)
    for name, length in contigs.items():
        if offset > MAX_OFFSET:
            raise SeqcovError(
                f"contig {name!r} would begin at byte {offset:,} of a .2bit file, which holds"
                f" offsets up to {MAX_OFFSET:,} (about 17 Gb of sequence); {remedy}"
            )
        offset += 16 + -(-length // 4)


def write_two_bit(path: Path, fasta: Fasta, block_size: int = 1 << 24) -> None:
    """Write the sequence of a FASTA as a .2bit file.

    Lower case is kept. Letters other than A, C, G, T and U become N.

    Args:
        path: File to write.
        fasta: The genome, with its index.
        block_size: Bases in memory at a time; a multiple of 4, the number of bases per byte.

    Raises:
        SeqcovError: If a contig is shorter than its index says, if it holds a character that is not
            a nucleotide letter, or if the format cannot hold it (4 GB, names of 255 bytes).
    """
    from pyfaidx import Faidx

    check_two_bit(fasta.contigs)
    index = []
    offsets = str(fasta.index.with_suffix(".gzi"))
    with (
        path.open("wb") as file,
        Faidx(str(fasta.path), str(fasta.index), rebuild=False, gzi_indexname=offsets) as faidx,
    ):
        file.seek(16 + sum(5 + len(contig.encode()) for contig in fasta.contigs))
        for contig, length in fasta.contigs.items():
            starts = range(0, length, block_size)
            blocks = (
                faidx.fetch(contig, start + 1, min(start + block_size, length)).seq
                for start in starts
            )
            name = contig.encode()
            try:
                index.append(struct.pack(f"<B{len(name)}sI", len(name), name, file.tell()))
                file.write(_pack_contig(length, blocks))
            except SeqcovError as error:
                raise SeqcovError(f"FASTA {fasta.path}, contig {contig}: {error}") from None
            except struct.error:  # runs of N and of lower case are large, too
                raise SeqcovError(
                    f"FASTA {fasta.path}: contig {contig!r} would begin beyond byte {MAX_OFFSET:,}"
                    " of a .2bit file, the largest offset; set genome.assembly"
                ) from None
        file.seek(0)
        file.write(struct.pack("<4I", 0x1A412743, 0, len(index), 0) + b"".join(index))


def _pack_contig(length: int, blocks: Iterable[str]) -> bytes:
    """Return one contig's .2bit record; every block but the last holds a multiple of 4 bases."""
    edges: list[list[int]] = [[], []]  # where runs of N, and of lower case, begin and end
    states = [False, False]
    packed, position = [], 0
    for block in filter(None, blocks):
        letters = block.encode("ascii", "replace")
        codes = encode(letters)
        is_lower_case = np.frombuffer(letters, np.uint8) >= ord("a")
        for kind, state in enumerate((codes == UNKNOWN, is_lower_case)):
            edges[kind] += (
                np.flatnonzero(np.diff(state, prepend=states[kind])) + position
            ).tolist()
            states[kind] = bool(state[-1])
        quads = np.pad(_TWO_BITS[codes], (0, -len(codes) % 4)).reshape(-1, 4)
        packed.append(quads[:, 0] << 6 | quads[:, 1] << 4 | quads[:, 2] << 2 | quads[:, 3])
        position += len(codes)
    if position != length:
        raise SeqcovError(
            f"the sequence ends after {position:,} bp, but the index says {length:,};"
            " delete the index, it belongs to another file"
        )
    record = [struct.pack("<I", length)]
    for kind in range(2):
        runs = np.array(edges[kind] + [length] * states[kind], "<u4").reshape(-1, 2)
        starts, ends = runs.T
        record += [struct.pack("<I", len(runs)), starts.tobytes(), (ends - starts).tobytes()]
    return b"".join([*record, bytes(4), *(block.tobytes() for block in packed)])
