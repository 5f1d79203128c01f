"""What a predicted chunk looks like on disk: an .npy of [tracks, bins], one row a track.

Columns are the bins of the chunk's segments, one segment after the other; NaN is a bin without a
value. Rows are the tracks, then their standard deviations if these were asked for, and last, where
windows tile a genome, the share of unknown bases. A row lies together because writing a bigWig
reads one row of every chunk.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.files import write_atomically
from seqcov_models.tiling import Segment

Values = npt.NDArray[np.float32]
DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
}


@contextmanager
def write_behind(write: Callable[..., None], asynchronous: bool) -> Iterator[Callable[..., None]]:
    """Give `write` itself, or a function that returns while a thread writes.

    The thread is at most one call behind. What it raises is raised by the next call or at the end.
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


@contextmanager
def chunk_writer(
    path: Path, rows: int, bins: int, dtype: str = "float32"
) -> Iterator[Callable[..., None]]:
    """Give a function write(first column, values (bins, rows), …), its arrays side by side.

    `path`, an .npy of (rows, bins), appears when the block has ended without error. float16 clips
    at 65,504, its largest number, as baskerville does.
    """
    limit = float(np.finfo(np.float16).max) if dtype == "float16" else None

    with _new_array(path, (rows, bins), DTYPES[dtype]) as open_array:

        def write(first: int, *arrays: Values) -> None:
            array, row = open_array(), 0
            for values in arrays:
                if limit is not None:
                    values = np.clip(values, -limit, limit)
                array[row : row + values.shape[1], first : first + len(values)] = values.T
                row += values.shape[1]

        yield write


@contextmanager
def rows_writer(
    path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> Iterator[Callable[[int, npt.NDArray[Any]], None]]:
    """Give a function write(first row, rows); `path`, an .npy of `shape`, appears at the end."""
    with _new_array(path, shape, dtype) as open_array:

        def write(first: int, rows: npt.NDArray[Any]) -> None:
            open_array()[first : first + len(rows)] = rows

        yield write


@contextmanager
def _new_array(
    path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> Iterator[Callable[[], "np.memmap[Any, Any]"]]:
    """Give a function that maps the new array; `path` appears when the block has ended.

    The file is mapped anew for every write, so that memory does not grow with the array.
    """
    with write_atomically(path) as part:
        np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
        yield lambda: np.lib.format.open_memmap(part, mode="r+")


def track_runs(
    chunks: Sequence[tuple[Path, Sequence[Segment]]], row: int, step: int
) -> Iterator[tuple[str, int, Values]]:
    """A track's values along the genome as runs without a gap: (contig, first bin, values).

    chunks: files and what they hold, in the plan's order; step: bins of a window's step; row: may
    count from the end.
    Raises SeqcovError for a chunk that is not what the plan says.
    """
    for path, segments in chunks:
        total = sum(segment.bins for segment in segments)
        pieces = _pieces(segments, step)
        for begin in range(0, total, AT_ONCE):
            values = _row(path, row, total, slice(begin, min(begin + AT_ONCE, total)))
            used = 0
            while used < len(values):
                contig, first, bins = next(pieces)
                part = values[used : used + bins]
                used += bins
                if used > len(values):  # the rest of it comes with the next values
                    pieces = chain([(contig, first + len(part), bins - len(part))], pieces)
                edges = np.flatnonzero(np.diff(np.isnan(part), prepend=True, append=True))
                for start, end in edges.reshape(-1, 2).tolist():
                    yield contig, first + start, part[start:end]


def blocks_of(files: Sequence[Path], rows: int = 256) -> Iterator[npt.NDArray[Any]]:
    """The rows of all arrays, `rows` of them in memory at a time."""
    for file in files:
        total = len(np.load(file, mmap_mode="r", allow_pickle=False))
        for first in range(0, total, rows):
            mapped = np.load(file, mmap_mode="r", allow_pickle=False)  # anew, as in `_row`
            yield np.array(mapped[first : first + rows])


AT_ONCE = 1 << 20
"""Columns of a chunk in memory at a time."""


def _pieces(segments: Sequence[Segment], step: int) -> Iterator[tuple[str, int, int]]:
    """Contig, first bin and bins of each segment."""
    return ((segment.contig, segment.first_window * step, segment.bins) for segment in segments)


def _row(path: Path, row: int, total: int, columns: slice) -> Values:
    """Some of a row. Raises SeqcovError for a chunk without that row, or of other columns."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise SeqcovError(f"chunk {path}: not a whole array: {error}") from None
    if rows.ndim != 2 or rows.shape[1] != total or not -1 <= row < rows.shape[0]:
        raise SeqcovError(f"chunk {path}: shape {rows.shape}, planned are {total} bins")
    # copied, so that the map ends here: what was read does not count as this process's memory
    return np.array(rows[row, columns], np.float32)
