"""Build the windows that a BPNet reads around peaks, and divide them among jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqcov_models.peaks.read import Ints
from seqcov_models.tiling import Geometry, Segment, merge_intervals


@dataclass(frozen=True)
class Windows:
    """One window per summit (and per strand, if strands matter), by contig and position.

    Attributes:
        contig: Number of the contig in the FASTA's order, (windows,).
        summit: Base of the contig, 0-based, (windows,).
        minus: Whether the window is read on the minus strand, (windows,).
    """

    contig: Ints
    summit: Ints
    minus: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.summit)

    def select(self, numbers: range) -> "Windows":
        """Return the neighbouring windows with these numbers."""
        span = slice(numbers.start, numbers.stop)
        return Windows(self.contig[span], self.summit[span], self.minus[span])

    def starts(self, geometry: Geometry) -> Ints:
        """Return the first base of each window's core, (windows,); the summit is its middle."""
        return self.summit - geometry.core // 2

    def bases(self, geometry: Geometry) -> Ints:
        """Return the bases of each window's core on its contig, (windows, length)."""
        bases: Ints = self.starts(geometry)[:, None] + np.arange(geometry.core)
        return bases


def read_windows(path: Path, contigs: Mapping[str, int], by_strand: bool) -> Windows:
    """Read the windows around the peaks of a file that `write_peaks` wrote.

    Peaks with the same summit (and strand, if strands matter) share one window.

    Args:
        path: The file.
        contigs: Contig lengths in bp, in the FASTA's order.
        by_strand: Whether a peak on the minus strand is read on that strand. If not, strands do
            not matter.

    Returns:
        The windows, by contig and position.
    """
    number = {name: index for index, name in enumerate(contigs)}
    with path.open(encoding="utf-8") as lines:
        # pandas would need 0.4 s to import, in every job
        cells = (line.rstrip("\n").split("\t") for line in lines)
        windows = (
            (number[row[0]], int(row[1]) + int(row[9]), by_strand and row[5] == "-")
            for row in cells
        )
        rows = np.fromiter(windows, np.dtype((np.int64, 3)))
    new = np.flatnonzero((np.diff(rows, axis=0, prepend=-1) != 0).any(1))
    contig, summit, minus = rows[new].T.copy()
    return Windows(contig, summit, minus.astype(np.bool_))


@dataclass(frozen=True)
class PeakChunk:
    """Windows that one job predicts, and bases: those from its first summit to the next job's.

    Attributes:
        windows: Numbers of the windows whose statistics this job writes.
        covering_windows: Numbers of the windows that cover the chunk's bases. Their arrays below
            have the shape (covering windows,). Neighbouring chunks may hold some of them, too.
        first: First base of each window's core.
        low: First base of each window's core that belongs to this chunk.
        high: End of the bases of each window's core that belong to this chunk, exclusive.
        column: Column of the chunk's file at which these bases begin.
        segments: All bases of the chunk, in the order of the columns.
    """

    windows: range
    covering_windows: range
    first: Ints
    low: Ints
    high: Ints
    column: Ints
    segments: list[Segment]

    @property
    def bases(self) -> int:
        """Number of bases of the chunk: the columns of its file."""
        return sum(segment.bins for segment in self.segments)

    def columns_before(self, window: int) -> int:
        """Return the number of leading columns that neither `window` nor a later one covers."""
        if window < self.covering_windows.stop:
            return int(self.column[window - self.covering_windows.start])
        return self.bases

    def count_finished(self, columns: int, rows: int) -> int:
        """Return how many of the leading covering windows need not be predicted.

        Args:
            columns: Leading columns of the chunk's file that are finished.
            rows: Leading windows of `windows` whose statistics are finished.
        """
        is_missing = self.column + np.maximum(self.high - self.low, 0) > columns
        before = self.windows.start - self.covering_windows.start
        is_missing[before + rows : before + len(self.windows)] = True
        return int(np.argmax(is_missing)) if is_missing.any() else len(is_missing)


def split_windows(
    windows: Windows, contigs: Mapping[str, int], geometry: Geometry, count: int
) -> list[PeakChunk]:
    """Split windows into chunks whose numbers of windows differ by at most one.

    The chunk of a base depends on the peaks alone, and no base belongs to two chunks.

    Args:
        windows: All windows of a run, in order.
        contigs: Contig lengths in bp, in the FASTA's order.
        geometry: The network's window and core.
        count: Number of chunks.

    Returns:
        The chunks, in the order of the windows.
    """
    bounds = [len(windows) * number // count for number in range(count + 1)]
    names, lengths = list(contigs), np.array(list(contigs.values()), np.int64)
    chunks = []
    for first, last in pairwise(bounds):
        covering = _find_covering(windows, geometry, first, last)
        selected = windows.select(covering)
        contig, start = selected.contig, selected.starts(geometry)
        low, high = np.maximum(start, 0), np.minimum(start + geometry.core, lengths[contig])
        for edge, is_first, bound in ((first, True, low), (last, False, high)):
            if 0 < edge < len(windows) and windows.contig[edge - 1] == windows.contig[edge]:
                rows, summit = contig == windows.contig[edge], windows.summit[edge]
                clip = np.maximum if is_first else np.minimum
                bound[rows] = clip(bound[rows], summit)
        segments, column = _assign_columns(names, contig, low, high)
        chunks.append(PeakChunk(range(first, last), covering, start, low, high, column, segments))
    return chunks


def _find_covering(windows: Windows, geometry: Geometry, first: int, last: int) -> range:
    """Return the windows whose cores cover a base from summit `first` to summit `last`."""
    if first == last:
        return range(first, first)
    left, right = geometry.core // 2, geometry.core - geometry.core // 2
    low, high = first, last
    while low and windows.contig[low - 1] == windows.contig[first] and (
        windows.summit[low - 1] + right > windows.summit[first]
    ):  # fmt: skip
        low -= 1
    while high < len(windows) and windows.contig[high] == windows.contig[last] == (
        windows.contig[last - 1]
    ) and windows.summit[high] - left < windows.summit[last]:  # fmt: skip
        high += 1
    return range(low, high)


def _assign_columns(
    names: Sequence[str], contig: Ints, low: Ints, high: Ints
) -> tuple[list[Segment], Ints]:
    """Merge the spans [low, high) into segments; return these and the column of each span."""
    segments: list[Segment] = []
    column = np.zeros(len(low), np.int64)
    offset = 0
    for number in np.unique(contig).tolist():
        rows = np.flatnonzero((contig == number) & (low < high))
        if not len(rows):
            continue
        spans = merge_intervals(np.stack([low[rows], high[rows]], 1))
        sizes = spans[:, 1] - spans[:, 0]
        offsets = offset + np.cumsum(sizes) - sizes
        span = np.searchsorted(spans[:, 0], low[rows], side="right") - 1
        column[rows] = offsets[span] + low[rows] - spans[span, 0]
        segments += [Segment(names[number], start, 1, end - start) for start, end in spans.tolist()]
        offset += int(sizes.sum())
    return segments, np.maximum.accumulate(column)  # empty spans: as the one before


def statistic_names(tasks: Sequence[str], strands: int, joint: bool) -> list[str]:
    """Return the names of a window's statistics, which are columns of the table of peaks.

    The first is `unknown`, the fraction of the window that is N or beyond the contig. The others
    are per task and strand (per task if there is one strand):

    - ``<task>.<strand>.log_counts``: the network's log(1 + reads); per task if strands are joint.
    - ``<task>.<strand>.counts``: reads in the window.
    - ``<task>.<strand>.entropy``: entropy of the profile in bits.
    - ``<task>.<strand>.maximum``: 0-based base of the contig at which the profile is highest, of
      the bases other than N.

    Args:
        tasks: Names of the tasks.
        strands: 1 or 2 strands per task.
        joint: Whether the strands of a task share one count.

    Example:
        >>> statistic_names(["CTCF"], 1, False)
        ['unknown', 'CTCF.log_counts', 'CTCF.counts', 'CTCF.entropy', 'CTCF.maximum']
    """
    signs = (".plus", ".minus") if strands == 2 else ("",)
    profiles = [f"{task}{sign}" for task in tasks for sign in signs]
    totals = list(tasks) if joint else profiles
    statistics = [
        f"{name}.{kind}" for kind in ("counts", "entropy", "maximum") for name in profiles
    ]
    return ["unknown", *(f"{name}.log_counts" for name in totals), *statistics]
