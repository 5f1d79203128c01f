"""Ranges of a track, compressed before the track is complete, and joined without compressing again.

Data blocks do not cross the multiples of 2,048 bins from a contig's start. So the blocks between
the first and the last such multiple of a range are those of the finished file, wherever the range
begins and ends. The values outside, less than 2,048 on each side, are stored as they are: the block
that they belong to also has values of a neighbouring range.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np

from seqcov_models.bigwig.layout import SECTION, SIZES, Rows, Sizes
from seqcov_models.bigwig.sections import (
    Floats,
    Packed,
    Runs,
    pack_runs,
    summary_intervals,
    unpack_block,
)
from seqcov_models.errors import SeqcovError

Place = tuple[str, int]
"""A contig, and the number of a bin."""
Cell = tuple[str, int]
"""A contig, and the number of a stretch of `Sizes.section` bins from the contig's start."""
Edge = list[tuple[int, int, Floats]]
"""Runs of values at an end of a range: contig id, first bin, values."""

_COUNTS = struct.Struct("<5Q")
_EDGE = np.dtype([("chrom", "<u4"), ("first", "<u8"), ("bins", "<u4"), ("is_tail", "u1")])
_STATISTICS = np.dtype([("min", "<f4"), ("max", "<f4"), ("sum", "<f8"), ("squares", "<f8")])


@dataclass(frozen=True)
class PackedRange:
    """A range of a track.

    Attributes:
        head: Values at the start that share their data block with the range before.
        sections: Headers of the data blocks, type `SECTION`, shape (blocks,).
        statistics: Lowest and highest value, sum and sum of squares per zoom record of the blocks.
        sizes: Bytes of each compressed block, shape (blocks,).
        blocks: The compressed blocks, one after the other.
        tail: Values at the end that share their data block with the range that follows.
    """

    head: Edge = field(default_factory=list)
    sections: Rows = field(default_factory=lambda: np.empty(0, SECTION))
    statistics: Rows = field(default_factory=lambda: np.empty(0, _STATISTICS))
    sizes: Rows = field(default_factory=lambda: np.empty(0, "<u4"))
    blocks: bytes = b""
    tail: Edge = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """Return the range as bytes, which `from_bytes` reads."""
        edges = [(*run, False) for run in self.head] + [(*run, True) for run in self.tail]
        index = np.array([(c, first, len(v), tail) for c, first, v, tail in edges], _EDGE)
        values = b"".join(v.astype("<f4").tobytes() for _, _, v, _ in edges)
        counts = (len(index), len(values), len(self.sections), len(self.statistics))
        return b"".join(
            (
                _COUNTS.pack(*counts, len(self.blocks)),
                index.tobytes(),
                values,
                self.sections.tobytes(),
                self.statistics.tobytes(),
                self.sizes.tobytes(),
                self.blocks,
            )
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Return the range that `to_bytes` stored. Raises ValueError if bytes are missing."""
        edges, value_bytes, blocks, records, block_bytes = _COUNTS.unpack_from(content)
        offset = _COUNTS.size
        expected = edges * _EDGE.itemsize + value_bytes + records * _STATISTICS.itemsize
        expected += blocks * (SECTION.itemsize + 4) + block_bytes + offset
        if len(content) != expected:
            raise ValueError(f"{len(content):,} bytes instead of {expected:,}")
        index = np.frombuffer(content, _EDGE, edges, offset)
        offset += index.nbytes
        values = np.frombuffer(content, "<f4", value_bytes // 4, offset)
        offset += values.nbytes
        sections = np.frombuffer(content, SECTION, blocks, offset)
        offset += sections.nbytes
        statistics = np.frombuffer(content, _STATISTICS, records, offset)
        offset += statistics.nbytes
        sizes = np.frombuffer(content, "<u4", blocks, offset)
        offset += sizes.nbytes
        head: Edge = []
        tail: Edge = []
        begin = 0
        for chrom, first, bins, is_tail in index.tolist():
            (tail if is_tail else head).append((chrom, first, values[begin : begin + bins]))
            begin += bins
        return cls(head, sections, statistics, sizes, content[offset:], tail)

    def split_blocks(self) -> list[bytes]:
        """Return the compressed blocks as a list."""
        ends = np.cumsum(self.sizes, dtype=np.int64).tolist()
        return [self.blocks[begin:end] for begin, end in pairwise([0, *ends])]

    def runs(self, contigs: Mapping[str, int]) -> Iterator[tuple[str, int, Floats]]:
        """Yield the values of the range: contig, first bin, values, at most a block at a time."""
        names = list(contigs)
        blocks = (unpack_block(block) for block in self.split_blocks())
        for runs in (self.head, blocks, self.tail):
            for chrom, first, values in runs:
                yield names[chrom], first, values


def pack_range(
    contigs: Mapping[str, int],
    bin_size: int,
    runs: Runs,
    start: Place,
    end: Place,
    sizes: Sizes = SIZES,
) -> PackedRange:
    """Compress a range of a track.

    Args:
        contigs: Lengths in bp, by name, in the order of their ids.
        bin_size: Bases per bin.
        runs: Runs of values in the range; see `bigwig.writer.write_bigwig`.
        start: First bin of the range.
        end: Contig of the range's last bin, and the number of the bin after it.
        sizes: Sizes of blocks.

    Returns:
        The range, which `bigwig.writer.join_bigwig` joins with others.

    Raises:
        SeqcovError: If a run cannot be written; see `write_bigwig`.
    """
    head_cell = (start[0], start[1] // sizes.section) if start[1] % sizes.section else None
    is_complete = end[1] % sizes.section == 0 or end[1] >= -(-contigs[end[0]] // bin_size)
    tail_cell = None if is_complete else (end[0], end[1] // sizes.section)
    if tail_cell == head_cell:
        tail_cell = None
    ids = {name: number for number, name in enumerate(contigs)}
    head: Edge = []
    tail: Edge = []

    def take_edges() -> Iterator[tuple[str, int, Floats]]:
        """Yield what is between the edges, and append the rest to them."""
        for contig, first, values in runs:
            for cell, edge in ((head_cell, head), (tail_cell, tail)):
                if cell is None or cell[0] != contig:
                    continue
                low = min(max(cell[1] * sizes.section - first, 0), len(values))
                high = min(max((cell[1] + 1) * sizes.section - first, 0), len(values))
                if low < high:
                    edge.append((ids[contig], first + low, values[low:high].copy()))
                if edge is head:
                    first, values = first + high, values[high:]
                else:
                    values = values[:low]
            if len(values):
                yield contig, first, values

    batches = list(pack_runs(contigs, bin_size, take_edges(), sizes))
    blocks = [block for batch in batches for block in batch.blocks]
    statistics = [batch.records[list(_STATISTICS.names or ())] for batch in batches]
    return PackedRange(
        head,
        np.concatenate([np.empty(0, SECTION), *(batch.sections for batch in batches)]),
        np.concatenate([np.empty(0, _STATISTICS), *(s.astype(_STATISTICS) for s in statistics)]),
        np.array([len(block) for block in blocks], "<u4"),
        b"".join(blocks),
        tail,
    )


def join_ranges(
    contigs: Mapping[str, int], bin_size: int, ranges: Iterable[PackedRange], sizes: Sizes
) -> Iterator[Packed]:
    """Yield the data blocks of consecutive ranges; only those across a border are compressed.

    Raises:
        SeqcovError: If ranges overlap or are out of order.
    """
    names = list(contigs)
    edge: list[tuple[str, int, Floats]] = []  # values of one cell
    edge_cell: Cell | None = None
    reached = (0, 0)  # contig id and base before which no block may begin

    def in_order(batches: Iterable[Packed]) -> Iterator[Packed]:
        nonlocal reached
        for batch in batches:
            first, last = batch.sections[0], batch.sections[-1]
            if (begin := (int(first["chrom"]), int(first["start"]))) < reached:
                raise SeqcovError(
                    f"bigWig: {names[begin[0]]} from base {begin[1]:,}: ranges must ascend and not"
                    " overlap"
                )
            reached = int(last["chrom"]), int(last["end"])
            yield batch

    def finish_edge() -> Iterator[Packed]:
        nonlocal edge
        complete, edge = edge, []
        return in_order(pack_runs(contigs, bin_size, complete, sizes))

    for item in ranges:
        for runs in (item.head, None, item.tail):
            if runs is None:
                if len(item.sections):
                    yield from finish_edge()
                    records, _ = summary_intervals(item.sections, bin_size, sizes.window)
                    for name in _STATISTICS.names or ():
                        records[name] = item.statistics[name]
                    yield from in_order([Packed(item.sections, item.split_blocks(), records)])
                continue
            for chrom, first, values in runs:
                cell = names[chrom], first // sizes.section
                if cell != edge_cell:
                    yield from finish_edge()
                    edge_cell = cell
                edge.append((names[chrom], first, values))
    yield from finish_edge()
