"""Read bins of the bigWigs that this package writes, a range of blocks at a time.

General readers return a value per base, or one interval after the other. Both take ten times as
long as inflating the blocks does, which matters if thousands of tracks are read along a genome.
"""

import struct
from pathlib import Path
from typing import IO, Self

import deflate
import numpy as np

from seqcov_models.bigwig.layout import (
    BUFFER,
    HEADER,
    INDEX_HEADER,
    INDEX_MAGIC,
    LEAF,
    NODE,
    NODE_HEADER,
    ZOOM,
    ZOOM_HEADER,
    Rows,
)
from seqcov_models.bigwig.sections import Floats, unpack_block
from seqcov_models.errors import SeqcovError
from seqcov_models.tiling import BinIntervals


class BigwigReader:
    """A bigWig of this package's writer, open for reading.

    Args:
        path: The file.
        bin_size: Bases per bin.

    Raises:
        SeqcovError: If the file cannot be read.

    Attributes:
        contigs: Lengths in bp by name, in the order of their numbers in the file.
    """

    def __init__(self, path: Path, bin_size: int) -> None:
        """Read the names of contigs and the index of blocks."""
        import pyBigWig

        self._path = path
        try:
            with pyBigWig.open(str(path)) as file:
                self.contigs = dict(file.chroms())
            self._file = path.open("rb")
            _, _, levels, _, _, index, *_ = HEADER.unpack(self._file.read(HEADER.size))
            zooms = self._file.read(ZOOM_HEADER.size * levels)
            self._zooms = [*ZOOM_HEADER.iter_unpack(zooms)]
            leaves = _read_index(self._file, index)
        except (OSError, RuntimeError, ValueError, IndexError, struct.error) as error:
            raise self._damaged(error) from None
        self._ids = {name: number for number, name in enumerate(self.contigs)}
        self._chroms = leaves["chrom"].astype(np.int64)
        self._starts = leaves["start"].astype(np.int64) // bin_size
        self._ends = -(-leaves["end"].astype(np.int64) // bin_size)
        self._offsets = leaves["offset"].astype(np.int64)
        self._sizes = leaves["size"].astype(np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, contig: str, intervals: BinIntervals) -> Floats:
        """Return the values of intervals of bins, one after the other; NaN without a value.

        Only blocks with a bin of an interval are inflated. Memory holds all bins from the first
        to the last.

        Args:
            contig: Name of the contig; one that the file lacks has no values.
            intervals: First bin and end of each interval, ascending, shape (intervals, 2).

        Raises:
            SeqcovError: If the file is damaged.
        """
        low, high = int(intervals[0, 0]), int(intervals[-1, 1])
        values = np.full(high - low, np.nan, np.float32)
        try:
            for block in self._read_blocks(self._find_blocks(contig, intervals)):
                _, first, bins = unpack_block(block)
                begin, end = max(first, low), min(first + len(bins), high)
                values[begin - low : end - low] = bins[begin - first : end - first]
        except (OSError, ValueError, IndexError, deflate.DeflateError) as error:
            raise self._damaged(error) from None
        lengths = intervals[:, 1] - intervals[:, 0]
        skipped = intervals[:, 0] - low - (np.cumsum(lengths) - lengths)
        chosen: Floats = values[np.repeat(skipped, lengths) + np.arange(lengths.sum())]
        return chosen

    def read_summaries(self, bases: int) -> Rows:
        """Return the summaries of windows, of type `ZOOM`; contigs are numbers in `contigs`.

        Args:
            bases: Length of a window. The zoom level of the longest windows that are not longer is
                read, or that of the shortest. A file without values has no summaries.

        Raises:
            SeqcovError: If the file is damaged.
        """
        levels = [zoom for zoom in self._zooms if zoom[0] <= bases][-1:] or self._zooms[:1]
        blocks = [np.empty(0, ZOOM)]
        try:
            for _, _, _, index in levels:
                leaves = _read_index(self._file, index)
                for offset, size in leaves[["offset", "size"]].tolist():
                    self._file.seek(offset)
                    content = deflate.zlib_decompress(self._file.read(size), BUFFER)
                    blocks.append(np.frombuffer(content, ZOOM))
        except (OSError, ValueError, struct.error, deflate.DeflateError) as error:
            raise self._damaged(error) from None
        return np.concatenate(blocks)

    def _find_blocks(self, contig: str, intervals: BinIntervals) -> list[int]:
        """Return the numbers of the blocks that have a bin of an interval."""
        chrom = self._ids.get(contig, -1)
        first, last = np.searchsorted(self._chroms, [chrom, chrom + 1])
        first += np.searchsorted(self._ends[first:last], intervals[0, 0], side="right")
        last = first + np.searchsorted(self._starts[first:last], intervals[-1, 1])
        # the first interval that ends behind the start of each block
        following = np.searchsorted(intervals[:, 1], self._starts[first:last], side="right")
        is_needed = intervals[following, 0] < self._ends[first:last]
        numbers: list[int] = (first + np.flatnonzero(is_needed)).tolist()
        return numbers

    def _read_blocks(self, numbers: list[int]) -> list[bytes]:
        """Return compressed blocks; all bytes between the first and the last are read at once."""
        if not numbers:
            return []
        offset = int(self._offsets[numbers[0]])
        self._file.seek(offset)
        end = int(self._offsets[numbers[-1]] + self._sizes[numbers[-1]])
        content = self._file.read(end - offset)
        begins, sizes = (self._offsets[numbers] - offset).tolist(), self._sizes[numbers].tolist()
        return [content[begin : begin + size] for begin, size in zip(begins, sizes, strict=True)]

    def _damaged(self, error: Exception) -> SeqcovError:
        """Return the error of a file that cannot be read."""
        return SeqcovError(f"{self._path}: damaged bigWig ({error}); delete it and run again")


def _read_index(file: IO[bytes], offset: int) -> Rows:
    """Return the entries of an index of blocks, of type `LEAF`, shape (blocks,), in their order."""
    file.seek(offset)
    if INDEX_HEADER.unpack(file.read(INDEX_HEADER.size))[0] != INDEX_MAGIC:
        raise ValueError("no index of its blocks")
    offsets, is_leaf = [offset + INDEX_HEADER.size], False
    while not is_leaf:  # level by level
        nodes: list[Rows] = []
        for place in offsets:
            file.seek(place)
            is_leaf, _, count = NODE_HEADER.unpack(file.read(NODE_HEADER.size))
            kind = LEAF if is_leaf else NODE
            nodes.append(np.frombuffer(file.read(kind.itemsize * count), kind))
        entries = np.concatenate(nodes)
        offsets = entries["offset"].tolist()
        if not offsets:
            break
    return entries
