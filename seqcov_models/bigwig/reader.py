"""Read bins of the bigWigs that this package writes, a range of blocks at a time.

General readers return a value per base, or one interval after the other. Both take ten times as
long as inflating the blocks does, which matters if thousands of tracks are read along a genome.
"""

import struct
from os import SEEK_CUR
from pathlib import Path
from typing import IO, Self

import deflate
import numpy as np

from seqcov_models.bigwig.layout import (
    HEADER,
    INDEX_HEADER,
    INDEX_MAGIC,
    LEAF,
    NODE,
    NODE_HEADER,
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
    """

    def __init__(self, path: Path, bin_size: int) -> None:
        """Read the names of contigs and the index of blocks."""
        import pyBigWig

        self._path = path
        try:
            with pyBigWig.open(str(path)) as file:
                self._ids = {name: number for number, name in enumerate(file.chroms())}
            self._file = path.open("rb")
            leaves = _read_index(self._file)
        except (OSError, RuntimeError, ValueError, IndexError, struct.error) as error:
            raise self._damaged(error) from None
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


def _read_index(file: IO[bytes]) -> Rows:
    """Return the entries of the index of data blocks, of type `LEAF`, shape (blocks,)."""
    file.seek(HEADER.unpack(file.read(HEADER.size))[5])
    magic, fan, count, *_ = INDEX_HEADER.unpack(file.read(INDEX_HEADER.size))
    if magic != INDEX_MAGIC:
        raise ValueError("no index of its blocks")
    while True:  # down to the first leaf; nodes of a level follow each other
        is_leaf, _, children = NODE_HEADER.unpack(file.read(NODE_HEADER.size))
        if is_leaf:
            break
        file.seek(int(np.frombuffer(file.read(NODE.itemsize * children), NODE)["offset"][0]))
    leaves = np.empty(count, LEAF)
    for first in range(0, count, fan):
        if first:
            file.seek(NODE_HEADER.size, SEEK_CUR)
        part = leaves[first : first + fan]
        part[:] = np.frombuffer(file.read(part.nbytes), LEAF)
    return leaves
