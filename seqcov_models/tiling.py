"""Divide contigs into windows and chunks.

Bins lie on multiples of the bin size, and cores on multiples of the step, both counted from the
start of a contig. The windows that predict a bin thus depend on its position alone: not on regions,
chunk size or the order of jobs.

Coordinates are 0-based half-open. Lengths are in bp unless a name says bins or windows.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.regions import Interval

BinIntervals = npt.NDArray[np.int64]
"""Intervals of one contig in units of bins: rows (start, end), shape (intervals, 2).

They are half-open, sorted and disjoint, with a gap between neighbours. With a bin size of 1 they
are intervals of bases.
"""
NO_INTERVALS: BinIntervals = np.empty((0, 2), np.int64)

BLENDS = ("crop", "mean", "taper")
"""Ways to combine the windows that predict the same bin; see `Tiling`."""


@dataclass(frozen=True)
class Geometry:
    """The lengths of a network's window, core and bins.

    Attributes:
        window: Bases that one forward pass reads.
        bin: Bases per bin.
        bins: Bins per window, after cropping.
        crop: Bins that are cropped at each side.

    Example:
        Enformer reads 196,608 bp and predicts the central 896 bins of 128 bp.

        >>> Geometry(window=196_608, bin=128, bins=896, crop=320).core
        114688
    """

    window: int
    bin: int
    bins: int
    crop: int

    @property
    def core(self) -> int:
        """Bases per window that get a value: `bins` × `bin`."""
        return self.bins * self.bin

    @property
    def context(self) -> int:
        """Bases between the start of a window and the start of its core."""
        return self.crop * self.bin


@dataclass(frozen=True)
class Segment:
    """Consecutive windows of one contig, with the bins that they contribute.

    Attributes:
        contig: Name of the contig.
        first_window: Number of the first window. Its core begins at bin `first_window` × step.
        windows: Number of windows.
        bins: Number of bins: step × windows, less the bins beyond the contig's end.
    """

    contig: str
    first_window: int
    windows: int
    bins: int


@dataclass(frozen=True)
class Tiling:
    """How the cores of neighbouring windows lie: side by side, or overlapping and blended.

    Attributes:
        geometry: The network's window, core and bins.
        step: Bins between the starts of neighbouring cores, at most the bins of a core.
        blend: The value of a bin that several cores cover. "crop": that of the window whose core's
            centre is nearest. "mean": the mean of all windows. "taper": a mean in which the weight
            of a window falls linearly towards the ends of its core.

    Example:
        >>> Tiling.from_overlap(Geometry(window=196_608, bin=128, bins=896, crop=320), 0.5).step
        448
    """

    geometry: Geometry
    step: int
    blend: str = "crop"

    @classmethod
    def from_overlap(cls, geometry: Geometry, overlap: float = 0.0, blend: str = "crop") -> Self:
        """Build a tiling whose neighbouring cores overlap.

        Args:
            geometry: The network's window, core and bins.
            overlap: Fraction of a core that its neighbour covers, 0 to 0.9, rounded to whole bins.
            blend: "crop", "mean" or "taper"; see the class.

        Returns:
            The tiling; without overlap, cores lie side by side.

        Raises:
            SeqcovError: If a value is not valid, or does not have an effect.
        """
        if blend not in BLENDS:
            raise SeqcovError(f"blend {blend!r} is not valid: choose one of {', '.join(BLENDS)}")
        if not 0 <= overlap <= 0.9:
            raise SeqcovError(f"overlap {overlap} is not valid: choose a number from 0 to 0.9")
        step = max(1, geometry.bins - round(overlap * geometry.bins))
        if overlap and step == geometry.bins:
            raise SeqcovError(
                f"overlap {overlap} has no effect: it is less than one of the {geometry.bins} bins"
                f" of a core; choose at least {1 / geometry.bins:.2g}"
            )
        if blend != "crop" and not overlap:
            raise SeqcovError(f"blend {blend!r} has no effect without overlap; set overlap, too")
        return cls(geometry, step, blend)

    @classmethod
    def from_stride(cls, geometry: Geometry, stride: int | None = None) -> Self:
        """Build a tiling whose cores begin every `stride` bp; a bin has the mean of its windows.

        Args:
            geometry: The network's window and core, with bins of one base.
            stride: Bases between the starts of neighbouring cores; by default a quarter of a core,
                250 bp for ChromBPNet, as its authors and those of ProCapNet recommend.

        Returns:
            The tiling.

        Raises:
            SeqcovError: If bases between two cores would have no value.
        """
        stride = stride or -(-geometry.core // 4)
        if stride > geometry.core:
            raise SeqcovError(
                f"stride: {stride:,} bp is more than the {geometry.core:,} bp of a profile, so that"
                f" bases between windows would have no value; choose at most {geometry.core:,}"
            )
        return cls(geometry, stride, "mean")

    @property
    def preceding_windows(self) -> int:
        """Number of windows before a window whose cores reach into its core."""
        return -(-self.geometry.bins // self.step) - 1

    def count_windows(self, length: int) -> int:
        """Return the number of windows along a contig of `length` bp, which cover all its bins."""
        return -(-count_bins(length, self.geometry.bin) // self.step)

    def blend_weights(self, window: int, windows: int) -> npt.NDArray[np.float32]:
        """Return the weight of each bin in the core of one window.

        Args:
            window: Number of the window on its contig, counted from 0.
            windows: Number of windows along the contig.

        Returns:
            Weights of shape (bins,), ``float32``. They do not add up to 1 over windows.
        """
        bins = self.geometry.bins
        if self.blend == "mean":
            return np.ones(bins, np.float32)
        if self.blend == "taper":
            return np.minimum(np.arange(1, bins + 1), np.arange(bins, 0, -1)).astype(np.float32)
        weights = np.zeros(bins, np.float32)
        first = 0 if window == 0 else (bins - self.step) // 2
        last = bins if window == windows - 1 else (bins - self.step) // 2 + self.step
        weights[first:last] = 1
        return weights

    def seams(self, windows: int, first: int, end: int) -> npt.NDArray[np.int64]:
        """Return the bins in [first, end) at which the set of predicting windows changes.

        Args:
            windows: Number of windows along the contig.
            first: First bin, counted from the start of the contig.
            end: End of the bins, exclusive.

        Returns:
            Numbers of bins on their contig, ascending, ``int64``. Other windows predict such a bin
            than the bin before it.
        """
        if self.blend == "crop":
            return self._shift_starts(1, windows, (self.geometry.bins - self.step) // 2, first, end)
        ends = self._shift_starts(0, windows, self.geometry.bins, first, end)
        return np.union1d(self._shift_starts(1, windows, 0, first, end), ends)

    def _shift_starts(
        self, window: int, windows: int, offset: int, first: int, end: int
    ) -> npt.NDArray[np.int64]:
        """Return the bins in [first, end) that lie `offset` bins after the start of a core.

        Only cores of the windows from `window` to `windows` count.
        """
        low = max(window, -(-(first - offset) // self.step))
        high = min(windows, -(-(end - offset) // self.step))
        return np.arange(low, max(low, high), dtype=np.int64) * self.step + offset


Lengths = TypeVar("Lengths", int, npt.NDArray[np.int64])


def count_bins(length: Lengths, bin_size: int) -> Lengths:
    """Return the number of bins of a contig.

    The last bin may be shorter than the others: `bigwig.sections` clips it to the contig.

    Args:
        length: Length of the contig in bp, or an array of lengths.
        bin_size: Bases per bin.
    """
    return -(-length // bin_size)


def select_bins(
    contigs: Mapping[str, int],
    bin_size: int,
    include: Iterable[Interval] | None,
    exclude: Iterable[Interval],
) -> dict[str, BinIntervals]:
    """Select the bins to predict: those that touch `include` and do not touch `exclude`.

    Args:
        contigs: Contig lengths in bp, by name.
        bin_size: Bases per bin.
        include: Intervals (contig, start, end), 0-based half-open, in bp; None for all contigs.
        exclude: Intervals (contig, start, end), 0-based half-open, in bp.

    Returns:
        The intervals of selected bins, by contig, in the order of `contigs`. Contigs without a
        selected bin are left out.

    Example:
        >>> select_bins({"chr1": 100}, 10, [("chr1", 5, 25)], [])
        {'chr1': array([[0, 3]])}
    """
    sizes = count_bins(np.fromiter(contigs.values(), np.int64, len(contigs)), bin_size)
    starts = _line_up(sizes)
    if include is None:
        included = np.stack([starts, starts + sizes], 1)
    else:
        included = _touched_bins(include, contigs, bin_size, sizes, starts)
    remaining = _subtract_intervals(
        included, _touched_bins(exclude, contigs, bin_size, sizes, starts)
    )
    numbers = np.searchsorted(starts, remaining[:, 0], side="right") - 1
    remaining -= starts[numbers, None]
    names, (selected, first) = list(contigs), np.unique(numbers, return_index=True)
    ends = np.append(first, len(remaining))[1:]
    return {
        names[number]: remaining[begin:end]
        for number, begin, end in zip(selected.tolist(), first.tolist(), ends.tolist(), strict=True)
    }


def subtract_bins(
    selected: Mapping[str, BinIntervals], covered: Iterable[Mapping[str, BinIntervals]]
) -> dict[str, BinIntervals]:
    """Return the bins of `selected` that none of `covered` has.

    Args:
        selected: Intervals of bins by contig.
        covered: The same, several times.

    Returns:
        Intervals of bins by contig, in the order of `selected`; contigs without any are left out.
    """
    ends = {contig: int(intervals[-1, 1]) for contig, intervals in selected.items()}
    return select_bins(ends, 1, _list_intervals([selected]), _list_intervals(covered))


def unite_bins(
    contigs: Iterable[str], parts: Sequence[Mapping[str, BinIntervals]]
) -> dict[str, BinIntervals]:
    """Return the bins that any of `parts` has, by contig, in the order of `contigs`.

    Args:
        contigs: The names of all contigs.
        parts: Intervals of bins by contig.
    """
    ends = dict.fromkeys(contigs, 0)
    for contig, _, end in _list_intervals(parts):
        ends[contig] = max(ends[contig], end)
    return select_bins(ends, 1, _list_intervals(parts), [])


def _list_intervals(parts: Iterable[Mapping[str, BinIntervals]]) -> Iterator[Interval]:
    """Yield every interval of every part with its contig."""
    for part in parts:
        for contig, intervals in part.items():
            for start, end in intervals.tolist():
                yield contig, start, end


def _line_up(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return where contigs of these sizes begin if they lie on one axis, one position apart.

    Intervals of all contigs can then be handled as one array, since those of different contigs do
    not touch. Draft assemblies have tens of thousands of contigs, too many for a loop.
    """
    return np.cumsum(sizes + 1) - sizes - 1


def is_inside(positions: npt.NDArray[np.int64], intervals: BinIntervals) -> npt.NDArray[np.bool_]:
    """Return whether each position lies in one of the intervals.

    Args:
        positions: Numbers of bins (or bases) on one contig, of any shape.
        intervals: Intervals of that contig in the same unit, shape (intervals, 2).

    Returns:
        Array of the shape of `positions`.
    """
    inside: npt.NDArray[np.bool_] = (
        np.searchsorted(intervals.ravel(), positions, side="right") % 2 == 1
    )
    return inside


def _touched_bins(
    intervals: Iterable[Interval],
    contigs: Mapping[str, int],
    bin_size: int,
    sizes: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
) -> BinIntervals:
    """Return the bins that `intervals` touch, on the axis of all contigs; see `_line_up`.

    sizes, starts: number of bins of each contig, and its begin on the axis.
    """
    number = {contig: position for position, contig in enumerate(contigs)}
    rows = [(number[contig], start, end) for contig, start, end in intervals if contig in number]
    if not rows:
        return NO_INTERVALS
    contig, start, end = np.array(rows, np.int64).T
    touched = np.stack([start // bin_size, count_bins(end, bin_size)], 1)
    touched = touched.clip(0, sizes[contig, None]) + starts[contig, None]
    return merge_intervals(touched[np.argsort(touched[:, 0])])


def merge_intervals(intervals: npt.NDArray[np.int64]) -> BinIntervals:
    """Merge intervals that overlap or touch.

    Args:
        intervals: Rows (start, end), sorted by start, shape (intervals, 2), at least one row.

    Returns:
        Sorted, disjoint rows with a gap between neighbours, shape (merged intervals, 2).
    """
    reach = np.maximum.accumulate(intervals[:, 1])
    first = np.flatnonzero(np.r_[True, intervals[1:, 0] > reach[:-1]])
    last = np.r_[first[1:] - 1, len(intervals) - 1]
    return np.stack([intervals[first, 0], reach[last]], 1)


def _subtract_intervals(included: BinIntervals, excluded: BinIntervals) -> BinIntervals:
    """Return the bins of `included` that are not in `excluded`."""
    if not len(included) or not len(excluded):
        return included[included[:, 0] < included[:, 1]]
    low, high = included[0, 0], included[-1, 1]
    gaps = np.stack([np.r_[low, excluded[:, 1]], np.r_[excluded[:, 0], high]], 1)
    # Pair every included interval with the gaps first … last between the excluded that overlap it.
    first = np.searchsorted(gaps[:, 1], included[:, 0], side="right")
    last = np.searchsorted(gaps[:, 0], included[:, 1], side="left")
    pairs = np.maximum(last - first, 0)
    source = np.repeat(np.arange(len(included)), pairs)
    gap = np.arange(len(source)) - np.repeat(np.cumsum(pairs) - pairs, pairs) + first[source]
    start = np.maximum(included[source, 0], gaps[gap, 0])
    end = np.minimum(included[source, 1], gaps[gap, 1])
    remaining: BinIntervals = np.stack([start, end], 1)[start < end]
    return remaining


def tile(
    contigs: Mapping[str, int], tiling: Tiling, selected: Mapping[str, BinIntervals]
) -> list[Segment]:
    """Return the windows that are needed to predict the selected bins.

    Args:
        contigs: Contig lengths in bp, by name.
        tiling: How windows lie.
        selected: Intervals of bins to predict, by contig; see `select_bins`.

    Returns:
        Runs of consecutive windows, in the order of `selected`, ascending within a contig.

    Example:
        >>> tiling = Tiling.from_overlap(Geometry(window=196_608, bin=128, bins=896, crop=320))
        >>> tile({"chr1": 300_000}, tiling, select_bins({"chr1": 300_000}, 128, None, []))
        [Segment(contig='chr1', first_window=0, windows=3, bins=2344)]
    """
    if not selected:
        return []
    names, counts = list(selected), [len(intervals) for intervals in selected.values()]
    totals = count_bins(np.array([contigs[name] for name in names]), tiling.geometry.bin)
    starts = _line_up(count_bins(totals, tiling.step))
    bins = np.concatenate([*selected.values()])
    windows = np.stack([bins[:, 0] // tiling.step, count_bins(bins[:, 1], tiling.step)], 1)
    windows = merge_intervals(windows + np.repeat(starts, counts)[:, None])
    numbers = np.searchsorted(starts, windows[:, 0], side="right") - 1
    first, end = (windows - starts[numbers, None]).T
    widths = np.minimum(end * tiling.step, totals[numbers]) - first * tiling.step
    columns = (numbers, first, end - first, widths)
    return [
        Segment(names[number], *segment)
        for number, *segment in zip(*(column.tolist() for column in columns), strict=True)
    ]


def find_run(runs: Sequence[Segment], segment: Segment) -> Segment:
    """Return the one of `runs`, which `tile` returned for a contig, that contains `segment`."""
    number = bisect_right(runs, segment.first_window, key=lambda run: run.first_window) - 1
    return runs[number]


def split_into_chunks(
    segments: Sequence[Segment], step: int, windows_per_chunk: int
) -> list[list[Segment]]:
    """Divide segments into chunks of equally many windows; the last chunk may have fewer.

    Long segments are divided and short ones combined, so that thousands of contigs make few chunks.

    Args:
        segments: Runs of windows to predict, as `tile` returns them.
        step: Bins between the starts of neighbouring cores; see `Tiling`.
        windows_per_chunk: Windows that one job predicts.

    Returns:
        The segments of each chunk.
    """
    chunks: list[list[Segment]] = [[]]
    room = windows_per_chunk
    for segment in segments:
        while segment.windows > room:
            bins = room * step
            if room:
                chunks[-1].append(Segment(segment.contig, segment.first_window, room, bins))
            segment = Segment(
                segment.contig,
                segment.first_window + room,
                segment.windows - room,
                segment.bins - bins,
            )
            chunks.append([])
            room = windows_per_chunk
        chunks[-1].append(segment)
        room -= segment.windows
    return [chunk for chunk in chunks if chunk]
