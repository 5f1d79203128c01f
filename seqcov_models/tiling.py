"""Contig lengths to windows and chunks: where cores lie, which bins are wanted, what a job gets.

Bins sit on multiples of the bin size from a contig's start, cores on multiples of the core. So a
bin's window depends on nothing but its place: not on regions, chunks or the order of jobs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.regions import Interval


@dataclass(frozen=True)
class Geometry:
    """How a network's window, core and bins lie; everything in bp but `bins` and `crop`.

    window: bases one forward pass reads. bin: bases one output position stands for.
    bins: output positions kept. crop: output positions cut off at each side.
    """

    window: int
    bin: int
    bins: int
    crop: int

    @property
    def core(self) -> int:
        """Bases whose bins a window keeps."""
        return self.bins * self.bin

    @property
    def context(self) -> int:
        """Bases between a window's start and the start of its core."""
        return self.crop * self.bin


Bins = npt.NDArray[np.int64]
"""Intervals of bins, shape (n, 2), half-open, sorted, disjoint and not touching."""


@dataclass(frozen=True)
class Segment:
    """A run of neighbouring windows of one contig, each with the bins of its step.

    first: number of the first window (its core begins at first × step bins); count: of windows;
    bins: of their steps, the last one clipped where the contig ends.
    """

    contig: str
    first: int
    count: int
    bins: int


BLENDS = ("crop", "mean", "taper")


@dataclass(frozen=True)
class Tiling:
    """How the cores of neighbouring windows lie: side by side, or overlapping and blended.

    step: bins between the starts of neighbouring cores, at most a core's. blend: what a bin gets
    that several cores cover: the window whose core's middle is nearest (crop), the mean of all, or
    a mean that weighs a window less towards the ends of its core (taper).
    """

    geometry: Geometry
    step: int
    blend: str = "crop"

    @classmethod
    def overlapping(cls, geometry: Geometry, overlap: float = 0.0, blend: str = "crop") -> Self:
        """Cores that overlap by the share `overlap` of a core, rounded to whole bins.

        Raises SeqcovError where the overlap or the blend would have no effect.
        """
        if blend not in BLENDS or not 0 <= overlap <= 0.9:
            choices = f"0 … 0.9 and one of {', '.join(BLENDS)}"
            raise SeqcovError(f"overlap {overlap}, blend {blend!r}: choose {choices}")
        step = max(1, geometry.bins - round(overlap * geometry.bins))
        if overlap and step == geometry.bins:
            raise SeqcovError(
                f"overlap {overlap} has no effect: a core has {geometry.bins} bins; at least"
                f" {1 / geometry.bins:.2g} is one of them"
            )
        if blend != "crop" and not overlap:
            raise SeqcovError(f"blend {blend!r} has no effect without overlap")
        return cls(geometry, step, blend)

    @property
    def reach(self) -> int:
        """Windows before a window that still cover the start of its core."""
        return -(-self.geometry.bins // self.step) - 1

    def windows(self, length: int) -> int:
        """Windows along a contig of `length` bp."""
        return -(-bins_of(length, self.geometry.bin) // self.step)

    def weights(self, number: int, windows: int) -> npt.NDArray[np.float32]:
        """Weight of each bin of the core of window `number` of a contig of `windows`: (bins,)."""
        bins = self.geometry.bins
        if self.blend == "mean":
            return np.ones(bins, np.float32)
        if self.blend == "taper":
            return np.minimum(np.arange(1, bins + 1), np.arange(bins, 0, -1)).astype(np.float32)
        weights = np.zeros(bins, np.float32)
        first = 0 if number == 0 else (bins - self.step) // 2
        last = bins if number == windows - 1 else (bins - self.step) // 2 + self.step
        weights[first:last] = 1
        return weights

    def seams(self, windows: int) -> npt.NDArray[np.int64]:
        """Bins of a contig of `windows` whose windows are not those of the bin before."""
        starts = np.arange(1, windows, dtype=np.int64) * self.step
        if self.blend == "crop":
            return starts + (self.geometry.bins - self.step) // 2
        ends = np.arange(windows, dtype=np.int64) * self.step + self.geometry.bins
        return np.union1d(starts, ends)


def bins_of(length: int, bin_size: int) -> int:
    """Bins of a contig of `length` bp, the last one perhaps shorter than the others."""
    return -(-length // bin_size)


def wanted_bins(
    contigs: Mapping[str, int],
    bin_size: int,
    include: Iterable[Interval] | None,
    exclude: Iterable[Interval],
) -> dict[str, Bins]:
    """The bins to give a value, by contig: those that touch `include` and do not touch `exclude`.

    `include` None means everything. Contigs without a wanted bin are left out.
    """
    if include is None:
        include = [(contig, 0, length) for contig, length in contigs.items()]
    taken, dropped = _by_contig(include, bin_size), _by_contig(exclude, bin_size)
    wanted = {
        contig: _without(taken[contig], dropped.get(contig, NOTHING))
        for contig in contigs
        if contig in taken
    }
    return {contig: bins for contig, bins in wanted.items() if len(bins)}


NOTHING: Bins = np.empty((0, 2), np.int64)


def contains(bins: Bins, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of the places, of any shape, lie in one of the intervals."""
    inside: npt.NDArray[np.bool_] = np.searchsorted(bins.ravel(), places, side="right") % 2 == 1
    return inside


def _by_contig(intervals: Iterable[Interval], bin_size: int) -> dict[str, Bins]:
    """Bins that the intervals touch, merged, by contig."""
    touched: dict[str, list[tuple[int, int]]] = {}
    for contig, start, end in intervals:
        touched.setdefault(contig, []).append((start // bin_size, bins_of(end, bin_size)))
    return {contig: merged(np.array(sorted(spans), np.int64)) for contig, spans in touched.items()}


def merged(spans: npt.NDArray[np.int64]) -> Bins:
    reach = np.maximum.accumulate(spans[:, 1])
    opens = np.flatnonzero(np.r_[True, spans[1:, 0] > reach[:-1]])
    return np.stack([spans[opens, 0], reach[np.r_[opens[1:] - 1, len(spans) - 1]]], 1)


def _without(taken: Bins, dropped: Bins) -> Bins:
    """`taken` minus `dropped`: what lies between two neighbouring dropped intervals, cut to it."""
    low, high = taken[0, 0], taken[-1, 1]
    gaps = np.stack([np.r_[low, dropped[:, 1]], np.r_[dropped[:, 0], high]], 1)
    # every pair (taken, gap) that overlaps: gaps first … last of each taken interval
    first = np.searchsorted(gaps[:, 1], taken[:, 0], side="right")
    last = np.searchsorted(gaps[:, 0], taken[:, 1], side="left")
    pairs = np.maximum(last - first, 0)
    which = np.repeat(np.arange(len(taken)), pairs)
    gap = np.arange(len(which)) - np.repeat(np.cumsum(pairs) - pairs, pairs) + first[which]
    start = np.maximum(taken[which, 0], gaps[gap, 0])
    end = np.minimum(taken[which, 1], gaps[gap, 1])
    kept: Bins = np.stack([start, end], 1)[start < end]
    return kept


def tile(contigs: Mapping[str, int], tiling: Tiling, wanted: Mapping[str, Bins]) -> list[Segment]:
    """The runs of windows that begin a step with a wanted bin, in the contigs' order."""
    segments = []
    for contig, bins in wanted.items():
        total = bins_of(contigs[contig], tiling.geometry.bin)
        touched = np.stack([bins[:, 0] // tiling.step, -(-bins[:, 1] // tiling.step)], 1)
        for first, last in merged(touched).tolist():
            count = min(last * tiling.step, total) - first * tiling.step
            segments.append(Segment(contig, first, last - first, count))
    return segments


def cut(segments: Sequence[Segment], step: int, windows: int) -> list[list[Segment]]:
    """The segments as chunks of `windows` windows each (the last one perhaps fewer).

    Long contigs are cut, short ones put together: thousands of contigs make few chunks.
    """
    chunks: list[list[Segment]] = [[]]
    room = windows
    for segment in segments:
        while segment.count > room:
            head = room * step
            if room:
                chunks[-1].append(Segment(segment.contig, segment.first, room, head))
            segment = Segment(
                segment.contig,
                segment.first + room,
                segment.count - room,
                segment.bins - head,
            )
            chunks.append([])
            room = windows
        chunks[-1].append(segment)
        room -= segment.count
    return [chunk for chunk in chunks if chunk]
