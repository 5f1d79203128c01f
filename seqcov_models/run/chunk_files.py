"""Write and read the files of predicted chunks: arrays (.npy) with one row per track.

Columns are the bins of the chunk's segments, one segment after the other. NaN is a bin without a
value. Rows are the tracks, then their standard deviations if the config asks for them. If windows
tile a genome, the last row is the fraction of unknown bases. The values of a row are contiguous in
the file because a bigWig is written from one row of every chunk.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.files import remove, reserve_space, write_atomically
from seqcov_models.run.unfinished import UnfinishedArray, continue_array, npy_header
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
    """Fills a chunk file from left to right.

    Attributes:
        finished: Bins that need not be predicted: an earlier attempt has written them.
    """

    def __init__(self, array: UnfinishedArray, limit: float | None) -> None:
        self._array, self._limit = array, limit
        self.finished = array.finished

    def __call__(self, first: int, *arrays: Values) -> None:
        """Write the bins from `first` on: arrays (bins, rows), the rows of one after another's."""
        assert first == self._array.finished, "bins are written in order"
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
        identity: A text that differs if any value may differ. If it is given, the file is kept if
            the job is killed or fails, and the next job with the same identity continues it.
    """
    limit = float(np.finfo(np.float16).max) if dtype == "float16" else None
    with continue_array(path, (rows, bins), DTYPES[dtype], identity or uuid4().hex) as array:
        try:
            yield ChunkWriter(array, limit)
        except BaseException:
            if identity is None:
                remove(array.path)
            raise


@contextmanager
def rows_writer(
    path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> Iterator[Callable[[int, npt.NDArray[Any]], None]]:
    """Yield a function write(first_row, rows) that fills an .npy of `shape` from top to bottom.

    `path` appears when the block ends without error.
    """
    with _new_array(path, shape, dtype) as open_array:

        def write(first: int, rows: npt.NDArray[Any]) -> None:
            open_array()[first : first + len(rows)] = rows

        yield write


@contextmanager
def _new_array(
    path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> Iterator[Callable[[], "np.memmap[Any, Any]"]]:
    """Yield a function that maps the new array; `path` appears when the block ends without error.

    The file is mapped anew for every write, so that memory does not grow with the array.
    """
    with write_atomically(path) as part:
        header = npy_header(shape, dtype)
        with part.open("wb") as file:
            reserve_space(file, len(header) + math.prod(shape) * np.dtype(dtype).itemsize, path)
            file.write(header)
        yield lambda: np.lib.format.open_memmap(part, mode="r+")


def track_runs(
    chunks: Sequence[tuple[Path, Sequence[Segment]]], row: int, step: int
) -> Iterator[tuple[str, int, Values]]:
    """Yield a track's values along the genome as runs without a gap.

    Args:
        chunks: The chunk files with their segments, in the plan's order.
        row: Row of the track; -1 is the last one.
        step: Bins between neighbouring windows; see `tiling.Tiling`.

    Yields:
        (contig, first bin, values (bins,) float32), in the order of the segments.

    Raises:
        SeqcovError: If a chunk is missing, damaged, or does not have the planned shape.
    """
    for path, segments in chunks:
        total = sum(segment.bins for segment in segments)
        stretches: Iterator[tuple[str, int, int]] = iter(
            [(s.contig, s.first_window * step, s.bins) for s in segments]
        )
        for begin in range(0, total, COLUMNS_IN_MEMORY):
            block = slice(begin, min(begin + COLUMNS_IN_MEMORY, total))
            row_values, used = _read_row(path, row, total, block), 0
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


def read_row_blocks(files: Sequence[Path], rows: int = 256) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows of all arrays (.npy) in order, at most `rows` at a time."""
    for file in files:
        total = len(np.load(file, mmap_mode="r", allow_pickle=False))
        for first in range(0, total, rows):
            mapped = np.load(file, mmap_mode="r", allow_pickle=False)  # anew, as in `_read_row`
            yield np.array(mapped[first : first + rows])


COLUMNS_IN_MEMORY = 1 << 20
"""Columns of a chunk that are read at a time."""


def _read_row(path: Path, row: int, total: int, columns: slice) -> Values:
    """Return `columns` of a row. Raises SeqcovError if the chunk is not as planned."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise SeqcovError(f"chunk {path}: not a complete array: {error}") from None
    if rows.ndim != 2 or rows.shape[1] != total or not -1 <= row < rows.shape[0]:
        raise SeqcovError(
            f"chunk {path}: its shape is {rows.shape}, but the plan has {total} bins; delete it and"
            " start the run again"
        )
    # A copy ends the mapping: otherwise the pages that were read count as this process's memory.
    return np.array(rows[row, columns], np.float32)
