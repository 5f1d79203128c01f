"""Build the windows that a BPNet reads around peaks, and divide them among jobs."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqcov_models.peaks.read import NARROW_PEAK, Ints
from seqcov_models.tiling import Geometry, Segment, merge_intervals


@dataclass(frozen=True)
class Windows:
    """One window for each summit (and strand, if strands matter), by contig and position.

    Attributes, all of shape (windows,):
        contig: number of the contig in the FASTA's order.
        summit: bp on the contig, 0-based.
        minus: whether the window is read on the minus strand.
    """

    contig: Ints
    summit: Ints
    minus: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.summit)

    def select(self, numbers: range) -> "Windows":
        """Return neighbouring windows by their numbers."""
        span = slice(numbers.start, numbers.stop)
        return Windows(self.contig[span], self.summit[span], self.minus[span])

    def starts(self, geometry: Geometry) -> Ints:
        """Return the first base of each window's core, in whose middle the summit lies."""
        return self.summit - geometry.core // 2

    def bases(self, geometry: Geometry) -> Ints:
        """Return the bases of each window's core on its contig, (windows, length)."""
        bases: Ints = self.starts(geometry)[:, None] + np.arange(geometry.core)
        return bases


def read_windows(path: Path, contigs: Mapping[str, int], by_strand: bool) -> Windows:
    """Read the windows of a file of `write_peaks`.

    by_strand: whether a peak on the minus strand is read on that strand; if not, strands do not
    matter.
    """
    import pandas as pd

    table = pd.read_csv(
        path, sep="\t", header=None, usecols=[0, 1, 5, 9], names=range(NARROW_PEAK + 1),
        dtype={0: str}, keep_default_na=False, quoting=csv.QUOTE_NONE,
    )  # fmt: skip
    number = {name: at for at, name in enumerate(contigs)}
    columns = [
        table[0].map(number).to_numpy(np.int64),
        (table[1] + table[9]).to_numpy(np.int64),
        (by_strand & (table[5] == "-")).to_numpy(np.int64),
    ]
    rows = np.stack(columns, 1)
    new = np.flatnonzero((np.diff(rows, axis=0, prepend=-1) != 0).any(1))
    contig, summit, minus = rows[new].T.copy()
    return Windows(contig, summit, minus.astype(np.bool_))


@dataclass(frozen=True)
class PeakChunk:
    """What one job predicts: some windows, and the bases from its first summit to the next job's.

    Attributes:
        reported: numbers of the windows whose statistics this job writes.
        predicted: numbers of the windows that cover its bases, some of which a neighbour reports.
        first: of each predicted window, the first base of its core.
        low, high: of each predicted window, the bases of its core that are this chunk's.
        column: of each predicted window, the column of the chunk's file where these bases begin.
        segments: all bases of the chunk, in the order of the columns.
    """

    reported: range
    predicted: range
    first: Ints
    low: Ints
    high: Ints
    column: Ints
    segments: list[Segment]

    @property
    def bases(self) -> int:
        """Columns of the chunk's file."""
        return sum(segment.bins for segment in self.segments)

    def columns_before(self, window: int) -> int:
        """Return how many columns are complete before `window`: no later window reaches them."""
        if window < self.predicted.stop:
            return int(self.column[window - self.predicted.start])
        return self.bases


def split_windows(
    windows: Windows, contigs: Mapping[str, int], geometry: Geometry, count: int
) -> list[PeakChunk]:
    """Split `windows` into `count` chunks, whose numbers of windows differ by at most one.

    The chunk of a base depends on the peaks alone, and no base belongs to two chunks.
    """
    bounds = [len(windows) * number // count for number in range(count + 1)]
    names, lengths = list(contigs), np.array(list(contigs.values()), np.int64)
    chunks = []
    for first, last in pairwise(bounds):
        predicted = _find_overlapping(windows, geometry, first, last)
        selected = windows.select(predicted)
        contig, start = selected.contig, selected.starts(geometry)
        low, high = np.maximum(start, 0), np.minimum(start + geometry.core, lengths[contig])
        for edge, is_first, clipped in ((first, True, low), (last, False, high)):
            if 0 < edge < len(windows) and windows.contig[edge - 1] == windows.contig[edge]:
                rows, summit = contig == windows.contig[edge], windows.summit[edge]
                clip = np.maximum if is_first else np.minimum
                clipped[rows] = clip(clipped[rows], summit)
        segments, column = _assign_columns(names, contig, low, high)
        reported = range(first, last)
        chunks.append(PeakChunk(reported, predicted, start, low, high, column, segments))
    return chunks


def _find_overlapping(windows: Windows, geometry: Geometry, first: int, last: int) -> range:
    """Return the windows whose cores cover a base from summit `first` up to summit `last`."""
    if first == last:
        return range(first, first)
    before, behind = geometry.core // 2, geometry.core - geometry.core // 2
    low, high = first, last
    while low and windows.contig[low - 1] == windows.contig[first] and (
        windows.summit[low - 1] + behind > windows.summit[first]
    ):  # fmt: skip
        low -= 1
    while high < len(windows) and windows.contig[high] == windows.contig[last] == (
        windows.contig[last - 1]
    ) and windows.summit[high] - before < windows.summit[last]:  # fmt: skip
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
        before = offset + np.cumsum(sizes) - sizes
        holder = np.searchsorted(spans[:, 0], low[rows], side="right") - 1
        column[rows] = before[holder] + low[rows] - spans[holder, 0]
        segments += [Segment(names[number], start, 1, end - start) for start, end in spans.tolist()]
        offset += int(sizes.sum())
    return segments, np.maximum.accumulate(column)  # of an empty span: that of the one before it


def statistic_names(tasks: Sequence[str], strands: int, joint: bool) -> list[str]:
    """Return the names of the statistics of a window, the columns of the table of peaks.

    unknown: fraction of the window that is N or beyond the contig. Then for each task and strand
    (without strands, for each task):
    log_counts: the network's log(1 + reads), one per task if its strands are joint;
    counts: the reads;
    entropy: of the profile, in bits;
    maximum: the base on the contig where the profile is highest, of the bases that are not N.
    """
    signs = (".plus", ".minus") if strands == 2 else ("",)
    profiles = [f"{task}{sign}" for task in tasks for sign in signs]
    totals = list(tasks) if joint else profiles
    statistics = [
        f"{name}.{kind}" for kind in ("counts", "entropy", "maximum") for name in profiles
    ]
    return ["unknown", *(f"{name}.log_counts" for name in totals), *statistics]
