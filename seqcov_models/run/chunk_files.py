"""Write and read the files of predicted chunks: arrays (.npy) with one row per track.

Columns are the bins of the chunk's segments, one segment after the other. NaN is a bin without a
value. Rows are the tracks, then their standard deviations if the config asks for them. If windows
tile a genome, the last row is the fraction of unknown bases. The values of a row are contiguous in
the file because a bigWig is written from one row of every chunk.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from seqcov_models.run.sealed_array import (
    SealedArray,
    discard,
    row_checksums,
)
from seqcov_models.run.unfinished import UnfinishedArray, UnfinishedRows, continue_array
from seqcov_models.tiling import Segment

Values = npt.NDArray[np.float32]
DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
}


@contextmanager
def write_behind(write: Callable[..., None], asynchronous: bool) -> Iterator[Callable[..., None]]:
    """Yield `write` itself, or a function that lets a thread write and returns at once.

    The thread is at most one call behind. Its errors are raised by the next call or at the end.

    Args:
        write: The function that writes.
        asynchronous: Whether a thread calls it.
    """
    if not asynchronous:
        yield write
        return
    running: list[Future[None]] = []
    with ThreadPoolExecutor(1) as writer:

        def start(*arguments: Any) -> None:
            while running:
                running.pop().result()
            running.append(writer.submit(write, *arguments))

        yield start
        for call in running:
            call.result()


class ChunkWriter:
    """Fills a file from left to right, or from top to bottom.

    Attributes:
        finished: Columns (or rows) that need not be predicted: an earlier attempt has written them.
    """

    def __init__(self, array: UnfinishedArray, limit: float | None = None) -> None:
        self._array, self._limit = array, limit
        self.finished = array.finished

    def __call__(self, first: int, *arrays: npt.NDArray[Any]) -> None:
        """Write what follows from `first` on: arrays (columns, rows), or rows.

        The rows of one array (columns, rows) follow those of another one. What an earlier attempt
        has written is left out.
        """
        if not len(arrays[0]):
            return
        done, is_first = self._array.finished - first, self._array.finished == self.finished
        assert done == 0 or (done > 0 and is_first), "in order, without a gap"
        if done >= len(arrays[0]):
            return
        arrays = tuple(values[done:] for values in arrays)
        if self._limit is not None:
            arrays = tuple(np.clip(values, -self._limit, self._limit) for values in arrays)
        self._array.append(arrays)


@contextmanager
def chunk_writer(
    path: Path, rows: int, bins: int, dtype: str = "float32", identity: str | None = None
) -> Iterator[ChunkWriter]:
    """Yield a function write(first_bin, *arrays) that fills a chunk file from left to right.

    The arrays have shape (bins, rows); the rows of one call follow each other in the file. `path`
    appears when the block ends without error. float16 clips at 65,504, its largest number, as
    baskerville does.

    Args:
        path: The .npy to write, of shape (rows, bins).
        rows: Rows of the file.
        bins: Bins of all of the chunk's segments.
        dtype: "float32" or "float16".
        identity: As of `rows_writer`.
    """
    limit = float(np.finfo(np.float16).max) if dtype == "float16" else None
    resume, shape = identity is not None, (rows, bins)
    with continue_array(path, shape, DTYPES[dtype], identity or "", resume) as array:
        yield ChunkWriter(array, limit)


@contextmanager
def rows_writer(
    path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, identity: str | None = None
) -> Iterator[ChunkWriter]:
    """Yield a function write(first_row, rows) that fills an .npy of `shape` from top to bottom.

    `path` appears when the block ends without error. It is mapped anew for every write, so that
    memory does not grow with the array.

    Args:
        path: The .npy to write.
        shape: Its shape; the first axis are the rows.
        dtype: Type of its values.
        identity: A text that differs if any value may differ. If it is given, the file is kept if
            the job is killed or fails, so that the next job with the same identity continues it.
    """
    resume = identity is not None
    with continue_array(path, shape, dtype, identity or "", resume, UnfinishedRows) as array:
        yield ChunkWriter(array)


class ChunkFile(NamedTuple):
    """The file of a chunk.

    Attributes:
        path: The file.
        segments: What its columns are, one segment after the other.
        identity: What it must have been made from; None for anything.
    """

    path: Path
    segments: Sequence[Segment]
    identity: str | None = None


def track_runs(
    chunks: Sequence[ChunkFile], row: int, step: int
) -> Iterator[tuple[str, int, Values]]:
    """Yield a track's values along the genome as runs without a gap.

    Args:
        chunks: The chunks' files, in the plan's order.
        row: Row of the track; -1 is the last one.
        step: Bins between neighbouring windows; see `tiling.Tiling`.

    Yields:
        (contig, first bin, values (bins,) float32), in the order of the segments.

    Raises:
        SeqcovError: If a chunk is missing, damaged, made from something else, or does not have the
            planned shape.
    """
    for chunk in chunks:
        segments, checksum = chunk.segments, 0
        total = sum(segment.bins for segment in segments)
        stretches: Iterator[tuple[str, int, int]] = iter(
            [(s.contig, s.first_window * step, s.bins) for s in segments]
        )
        for begin in range(0, total, COLUMNS_IN_MEMORY):
            block = slice(begin, min(begin + COLUMNS_IN_MEMORY, total))
            array, row_values = _read_row(chunk, row, total, block)
            checksum = google_crc32c.extend(checksum, row_values)
            if block.stop == total:  # before the last values are used
                array.check(row % len(array.values), [checksum])
            row_values, used = row_values.astype(np.float32, copy=False), 0
            while used < len(row_values):
                contig, first, bins = next(stretches)
                values = row_values[used : used + bins]
                used += bins
                if used > len(row_values):  # the remaining bins come with the next block
                    remaining = contig, first + len(values), bins - len(values)
                    stretches = chain([remaining], stretches)
                missing = np.isnan(values)
                if not missing.any():  # most contigs of a draft assembly
                    yield contig, first, values
                    continue
                edges = np.flatnonzero(np.diff(missing, prepend=True, append=True))
                for start, end in edges.reshape(-1, 2).tolist():
                    yield contig, first + start, values[start:end]


def read_row_blocks(
    files: Sequence[Path], identities: Sequence[str] | None = None, rows: int = 256
) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows of all arrays (.npy) in order, at most `rows` at a time.

    Args:
        files: The files that `rows_writer` wrote.
        identities: What each must have been made from; None for anything.
        rows: Maximum number of rows per block.

    Raises:
        SeqcovError: If a file is missing, damaged, or made from something else.
    """
    for number, file in enumerate(files):
        identity = identities[number] if identities else None
        total = len(SealedArray(file, identity).values)
        for first in range(0, total, rows):
            array = SealedArray(file, identity)  # anew, as in `_read_row`
            block = np.array(array.values[first : first + rows])
            array.check(first, row_checksums(block))
            yield block


COLUMNS_IN_MEMORY = 1 << 20
"""Columns of a chunk that are read at a time."""


def _read_row(
    chunk: ChunkFile, row: int, total: int, columns: slice
) -> tuple[SealedArray, npt.NDArray[Any]]:
    """Return a chunk's array, and `columns` of a row as they are in the file.

    Raises SeqcovError if the chunk is not as planned.
    """
    array = SealedArray(chunk.path, chunk.identity)
    rows = array.values
    if rows.ndim != 2 or rows.shape[1] != total or not -1 <= row < rows.shape[0]:
        raise discard(chunk.path, f"its shape is {rows.shape}, but the plan has {total} bins")
    # A copy ends the mapping: otherwise the pages that were read count as this process's memory.
    return array, np.array(rows[row, columns])
