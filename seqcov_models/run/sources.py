"""Know which values earlier bigWigs already have: these are copied, and not predicted again.

A value depends on its place, the letters of its contig, the network and the settings. It does not
depend on genome.regions, genome.exclude or other contigs. After a change of these, a new set of
tracks predicts only the windows with a bin that no earlier bigWig covers. Windows are predicted or
copied as they are, so that chunks have the bytes that they would have without a copy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seqcov_models.genome.fasta import Fasta
from seqcov_models.tiling import (
    NO_INTERVALS,
    BinIntervals,
    Segment,
    Tiling,
    subtract_bins,
    tile,
    unite_bins,
)

Bins = Mapping[str, BinIntervals]


@dataclass(frozen=True)
class Extent:
    """What the bigWigs of a set of tracks cover.

    Attributes:
        fasta: The sequence.
        selected_bins: The bins that have a value or were found to have none, by contig.
    """

    fasta: Fasta
    selected_bins: dict[str, BinIntervals]

    def list_contigs(self) -> dict[str, tuple[int, str]]:
        """Return length and digest of each contig; nothing if the digests are not known."""
        contigs, digests = self.fasta.contigs.items(), self.fasta.contig_digests
        return {
            name: (length, digest) for (name, length), digest in zip(contigs, digests, strict=False)
        }

    def is_equal(self, other: "Extent") -> bool:
        """Return whether another extent has the same bins of the same sequence."""
        return (
            self.fasta.sha256 == other.fasta.sha256
            and list(self.fasta.contigs.items()) == list(other.fasta.contigs.items())
            and self.has_equal_bins(other)
        )

    def has_equal_bins(self, other: "Extent") -> bool:
        """Return whether another extent has bins of the same numbers."""
        before, after = self.selected_bins, other.selected_bins
        return before.keys() == after.keys() and all(
            np.array_equal(before[contig], bins) for contig, bins in after.items()
        )


@dataclass(frozen=True)
class SourceBigwig:
    """A bigWig from which a row of chunks is copied.

    Attributes:
        row: The row; -1 is the last one, the fraction of unknown bases.
        group: The bigWig's folder.
        file_name: Its name, without the model's name and an ending.
    """

    row: int
    group: str
    file_name: str


@dataclass(frozen=True)
class Source:
    """Finished bigWigs of an earlier config from which a set of tracks copies values.

    Attributes:
        set_number: Number of the set that copies.
        bins: The bins whose values are the same in both, by contig.
        folders: What each folder of bigWigs was made from, by its name; see `run.finished`.
        bigwigs: The bigWigs.
    """

    set_number: int
    bins: dict[str, BinIntervals]
    folders: dict[str, str]
    bigwigs: list[SourceBigwig]


def shared_bins(earlier: Extent, now: Extent, tiling: Tiling, by_runs: bool) -> Bins:
    """Return the bins of an earlier extent whose values are the same now.

    Args:
        earlier: The earlier extent.
        now: The extent of the plan.
        tiling: How windows lie, in both.
        by_runs: Whether rounding depends on where runs of windows begin and end, so that only equal
            runs have equal values; see `prediction.contig_profiles`.
    """
    if earlier.fasta.sha256 == now.fasta.sha256:
        bins: Bins = earlier.selected_bins
    else:
        known, contigs = now.list_contigs(), earlier.list_contigs()
        bins = {
            contig: intervals
            for contig, intervals in earlier.selected_bins.items()
            if contig in contigs and contigs[contig] == known.get(contig)
        }
    if not by_runs:
        return bins
    runs = {*tile(now.fasta.contigs, tiling, now.selected_bins)}
    others: dict[str, list[tuple[int, int]]] = {}
    for run in tile(earlier.fasta.contigs, tiling, bins):
        if run not in runs:
            first = run.first_window * tiling.step
            others.setdefault(run.contig, []).append((first, first + run.bins))
    return subtract_bins(bins, [{contig: np.array(rows) for contig, rows in others.items()}])


def find_missing_windows(
    sources: Sequence[Source], rows: int, extent: Extent, tiling: Tiling
) -> list[Segment]:
    """Return the runs of windows that must be predicted because a row of them has no source.

    Args:
        sources: The sources of one set.
        rows: Number of rows of the set's chunks.
        extent: What the set covers.
        tiling: How windows lie.
    """
    numbers = [{bigwig.row for bigwig in source.bigwigs} for source in sources]
    combinations = {
        tuple(index for index, members in enumerate(numbers) if row in members)
        for row in range(-1, rows - 1)
    }
    selected = extent.selected_bins
    missing = [
        subtract_bins(selected, [sources[index].bins for index in indices])
        for indices in combinations
    ]
    return tile(extent.fasta.contigs, tiling, unite_bins(selected, missing))


class MissingWindows:
    """The windows of a set that are predicted; its other windows are copied.

    Args:
        runs: The windows, as `find_missing_windows` returns them.
        tiling: How windows lie.
    """

    def __init__(self, runs: Sequence[Segment], tiling: Tiling) -> None:
        self._step = tiling.step
        rows: dict[str, list[tuple[int, int]]] = {}
        for run in runs:
            interval = run.first_window, run.first_window + run.windows
            rows.setdefault(run.contig, []).append(interval)
        self._intervals = {contig: np.array(intervals) for contig, intervals in rows.items()}

    def split(self, segment: Segment) -> Iterator[tuple[Segment, bool]]:
        """Yield the parts of a segment in order, each with whether it is predicted."""
        first, end = segment.first_window, segment.first_window + segment.windows
        intervals = self._intervals.get(segment.contig, NO_INTERVALS)
        begin, stop = np.searchsorted(intervals.ravel(), [first, end], side="right") // 2
        reached = first
        for start, last in intervals[begin : stop + 1].clip(first, end).tolist():
            if reached < start:
                yield self._cut(segment, reached, start), False
            if start < last:
                yield self._cut(segment, start, last), True
            reached = max(reached, last)
        if reached < end:
            yield self._cut(segment, reached, end), False

    def _cut(self, segment: Segment, first: int, end: int) -> Segment:
        """Return the windows from `first` to `end` of a segment."""
        skipped = (first - segment.first_window) * self._step
        bins = min(segment.bins - skipped, (end - first) * self._step)
        return replace(segment, first_window=first, windows=end - first, bins=bins)
