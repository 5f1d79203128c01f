"""Build the windows that a BPNet reads around peaks, and share them out among jobs."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seqcov_models.peaks.read import (
    NARROW_PEAK,
    Ints,
)
from seqcov_models.tiling import Geometry, Segment, merged

if TYPE_CHECKING:  # the plan needs this module and must not wait for pandas
    pass


@dataclass(frozen=True)
class Windows:
    """What is predicted: one window for each summit (and strand, where that matters), in order.

    contig: index in the FASTA's order; summit: bp; minus: whether the window's other strand is to
    be read. All of shape (windows,).
    """

    contig: Ints
    summit: Ints
    minus: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.summit)

    def part(self, rows: range) -> "Windows":
        """Some neighbouring ones."""
        some = slice(rows.start, rows.stop)
        return Windows(self.contig[some], self.summit[some], self.minus[some])

    def starts(self, geometry: Geometry) -> Ints:
        """The first base of each window's core, on its contig; summits are the cores' middles."""
        return self.summit - geometry.core // 2

    def bases(self, geometry: Geometry) -> Ints:
        """The bases of each window's core, (windows, length)."""
        bases: Ints = self.starts(geometry)[:, None] + np.arange(geometry.core)
        return bases


def read_windows(path: Path, contigs: Mapping[str, int], by_strand: bool) -> Windows:
    """The windows of a file of `write_peaks`.

    by_strand: whether a peak on the minus strand is read from there; else strands do not matter.
    """
    import pandas as pd

    table = pd.read_csv(
        path, sep="\t", header=None, usecols=[0, 1, 5, 9], names=range(NARROW_PEAK + 1),
        dtype={0: str}, keep_default_na=False, quoting=csv.QUOTE_NONE,
    )  # fmt: skip
    place = {name: at for at, name in enumerate(contigs)}
    columns = [
        table[0].map(place).to_numpy(np.int64),
        (table[1] + table[9]).to_numpy(np.int64),
        (by_strand & (table[5] == "-")).to_numpy(np.int64),
    ]
    rows = np.stack(columns, 1)
    new = np.flatnonzero((np.diff(rows, axis=0, prepend=-1) != 0).any(1))
    contig, summit, minus = rows[new].T.copy()
    return Windows(contig, summit, minus.astype(np.bool_))


@dataclass(frozen=True)
class PeakChunk:
    """What one job predicts: some windows, and every base from its first summit to the next one's.

    own: the windows that it tells about; read: those that touch its bases, which it predicts (some
    of a neighbour's too). Of each window of `read`, on its contig, first: the first base of its
    core; low, high: the bases that are this chunk's; column: where they begin in the chunk's file.
    segments: all of its bases.
    """

    own: range
    read: range
    first: Ints
    low: Ints
    high: Ints
    column: Ints
    segments: list[Segment]

    @property
    def bases(self) -> int:
        return sum(segment.bins for segment in self.segments)

    def begin_of(self, window: int) -> int:
        """The column before which no window from `window` on has a base."""
        return int(self.column[window - self.read.start]) if window < self.read.stop else self.bases


def chunks_of(
    windows: Windows, contigs: Mapping[str, int], geometry: Geometry, count: int
) -> list[PeakChunk]:
    """`windows` in `count` chunks of as many windows each, give or take one.

    So which chunk a base belongs to depends on the peaks alone; no base belongs to two.
    """
    bounds = [len(windows) * number // count for number in range(count + 1)]
    names, lengths = list(contigs), np.array(list(contigs.values()), np.int64)
    chunks = []
    for first, last in pairwise(bounds):
        read = _touching(windows, geometry, first, last)
        here = windows.part(read)
        contig, start = here.contig, here.starts(geometry)
        low, high = np.maximum(start, 0), np.minimum(start + geometry.core, lengths[contig])
        for edge, inner, clip in ((first, True, low), (last, False, high)):
            if 0 < edge < len(windows) and windows.contig[edge - 1] == windows.contig[edge]:
                same = contig == windows.contig[edge]
                at = windows.summit[edge]
                clip[same] = np.maximum(low[same], at) if inner else np.minimum(high[same], at)
        segments, column = _columns(names, contig, low, high)
        chunks.append(PeakChunk(range(first, last), read, start, low, high, column, segments))
    return chunks


def _touching(windows: Windows, geometry: Geometry, first: int, last: int) -> range:
    """The windows whose cores touch the bases from summit `first` (with) to `last` (without)."""
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


def _columns(
    names: Sequence[str], contig: Ints, low: Ints, high: Ints
) -> tuple[list[Segment], Ints]:
    """What the spans [low, high) cover together, and how much of it lies before each span."""
    segments: list[Segment] = []
    column = np.zeros(len(low), np.int64)
    offset = 0
    for at in np.unique(contig).tolist():
        here = np.flatnonzero((contig == at) & (low < high))
        if not len(here):
            continue
        spans = merged(np.stack([low[here], high[here]], 1))
        sizes = spans[:, 1] - spans[:, 0]
        before = offset + np.cumsum(sizes) - sizes
        of = np.searchsorted(spans[:, 0], low[here], side="right") - 1
        column[here] = before[of] + low[here] - spans[of, 0]
        segments += [Segment(names[at], begin, 1, end - begin) for begin, end in spans.tolist()]
        offset += int(sizes.sum())
    return segments, np.maximum.accumulate(column)  # of an empty span: that of the one before it


def statistics_of(tasks: Sequence[str], strands: int, joint: bool) -> list[str]:
    """The columns that tell about a window, beside where it lies.

    unknown: share of the window that is N or beyond the contig. For each task and strand (no strand
    where there is one): log_counts, the network's log(1 + reads), once a task where its strands are
    joint; counts, the reads; entropy of the profile, bits; maximum, the base on the contig, of
    those that are not N, where the profile is highest.
    """
    signs = (".plus", ".minus") if strands == 2 else ("",)
    logs = [f"{task}{sign}.log_counts" for task in tasks for sign in (("",) if joint else signs)]
    each = [f"{task}{sign}" for task in tasks for sign in signs]
    others = [f"{name}.{what}" for what in ("counts", "entropy", "maximum") for name in each]
    return ["unknown", *logs, *others]
