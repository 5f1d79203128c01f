"""Peaks: read from files or taken from a predicted track, combined, cut into windows and chunks.

A peak is an interval and in it a summit, the base that BPNet's window is centred on. Coordinates
are 0-based half-open, in bp. Tables of peaks are pandas frames with the columns of `COLUMNS`;
Chromosome, Start and End are pyranges' names for contig, start and end.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .configs import Geometry
from .errors import SeqcovError
from .files import written_whole
from .genome import NO_ALIASES, alias_table, bed_lines, near_contigs, same_contig
from .windows import NOTHING, Bins, Segment, contains, merged

if TYPE_CHECKING:  # the plan needs this module and must not wait for pandas
    from pandas import DataFrame

Ints = npt.NDArray[np.int64]

COLUMNS = ("Chromosome", "Start", "End", "Name", "Strand", "Summit", "Set")
"""What BED says, the summit's position on the contig, and the name of the set it came with."""

NARROW_PEAK, BED12 = 10, 12
"""Columns of two formats. narrowPeak's (ENCODE) tenth is the summit's distance from the start, −1
where it was not called; more may follow (IDR writes twenty). No BED format has ten or more, but
BED12, whose tenth counts blocks."""


def read_peaks(
    path: Path, name: str, contigs: Mapping[str, int], aliases: Mapping[str, str] = NO_ALIASES
) -> "DataFrame":
    """The peaks of a BED or narrowPeak file (plain or gzip), in its order, as the set `name`.

    A line of ten columns or more is narrowPeak, whatever the file is called, but of twelve BED12;
    of BED the middle is the summit. What reaches beyond a contig is cut off first.
    aliases: what the FASTA calls a contig that has another name in the file.
    Raises SeqcovError with the line's number for a line that makes no sense, with all names that
    need an alias for contigs that are not there, and for a file without any peak.
    """
    from pandas import DataFrame

    columns: dict[str, list[Any]] = {column: [] for column in COLUMNS}
    known, unknown = {contig: contig for contig in contigs}, dict[str, str]()
    for where, cells in bed_lines(path):
        contig, start, end = aliases.get(cells[0], cells[0]), int(cells[1]), int(cells[2])
        if contig not in contigs:
            unknown.setdefault(contig, where)
            continue
        if start >= end:
            raise SeqcovError(f"{where}: {start:,}-{end:,} (0-based) is no interval")
        first, last = max(start, 0), min(end, contigs[contig])
        if first >= last:
            first, last = start, end
        summit = _called_summit(cells, start, end, where)
        if summit is None:
            summit = (first + last) // 2
        if not 0 <= summit < contigs[contig]:
            raise SeqcovError(
                f"{where}: the summit is base {summit:,}, but {contig} has {contigs[contig]:,} bp;"
                " are the peaks of another assembly?"
            )
        label, strand = (cells[at] if len(cells) > at else "." for at in (3, 5))
        strand = strand if strand in ("+", "-") else "."
        row = known[contig], first, last, label or ".", strand, summit, name
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    if unknown:
        raise SeqcovError(_no_contig(unknown, contigs))
    if not columns["Summit"]:
        raise SeqcovError(f"peaks {path}: no peak there")
    return DataFrame(columns)


def _called_summit(cells: Sequence[str], start: int, end: int, where: str) -> int | None:
    """The summit that a narrowPeak line names; None where there is none."""
    if len(cells) < NARROW_PEAK or len(cells) == BED12 or cells[9] in ("-1", ".", ""):
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", cells[9]):
        raise SeqcovError(f"{where}: column 10, {cells[9][:20]!r}, is no summit's offset")
    if not 0 <= (offset := int(cells[9])) < end - start:
        raise SeqcovError(
            f"{where}: its summit, {offset:,} bp from its start, is not in its {end - start:,} bp"
        )
    return start + offset


def _no_contig(unknown: Mapping[str, str], contigs: Mapping[str, int]) -> str:
    """What to say of names that no contig has; `unknown`: where each comes first."""
    found = {name: same for name in unknown if (same := same_contig(name, contigs))}
    first = next(iter(found or unknown))
    said = f"{unknown[first]}: no contig {first!r}; "
    others = [name for name in unknown if name not in found]
    if found:
        said += f"this FASTA calls it {found[first]!r}; write into the config: genome:"
        said += f" {{contig_aliases: {alias_table(found)}}}"
        said += "; in no way like a contig's: " if others else ""
    else:
        said += f"{near_contigs(first, contigs)}; take out the lines of: "
    return said + ", ".join(others[:20]) + ", …" * (len(others) > 20)


def peaks_of_track(
    path: Path,
    name: str,
    bin_size: int,
    apart: int,
    wanted: Mapping[str, Bins],
    threshold: float | None = None,
    number: int | None = None,
) -> "DataFrame":
    """The local maxima of a bigWig of bins: highest bins within `apart` bp at both sides.

    Of bins as high as one another the first counts. Summits are the bins' middles; only those in
    wanted bases are taken, only those of at least `threshold`, only the `number` highest; what is
    None does not matter. Raises SeqcovError where there is none.
    """
    import pyBigWig
    from pandas import DataFrame

    reach = max(1, apart // bin_size)
    rows: list[tuple[float, str, int, int]] = []
    highest = -math.inf
    with pyBigWig.open(str(path)) as file:
        for contig, length in file.chroms().items():
            for first, values in _pieces(file, contig, length, bin_size, reach):
                inner = values[reach : len(values) - reach]
                highest = max(highest, float(inner.max(initial=-math.inf)))
                around = np.lib.stride_tricks.sliding_window_view(values, reach)
                is_top = (inner > around[: len(inner)].max(1)) & (
                    inner >= around[reach + 1 : reach + 1 + len(inner)].max(1)
                )
                if threshold is not None:
                    is_top &= inner >= threshold
                starts = (first + np.flatnonzero(is_top)) * bin_size
                ends = np.minimum(starts + bin_size, length)
                there = contains(wanted.get(contig, NOTHING), (starts + ends) // 2)
                for start, end in zip(starts[there].tolist(), ends[there].tolist(), strict=True):
                    rows.append((float(inner[start // bin_size - first]), contig, start, end))
            rows = _highest(rows, number)
    if not rows:
        if highest == -math.inf:
            raise SeqcovError(f"peaks {name}: {path.name} has no value")
        reaches = "" if threshold is None else f" reaches the threshold {threshold:g}"
        raise SeqcovError(
            f"peaks {name}: no local maximum of {path.name}{reaches or ' lies in a wanted region'};"
            f" its highest value is {highest:.4g}"
        )
    return DataFrame(
        [
            (contig, start, end, f"{name}_{rank}", ".", (start + end) // 2, name)
            for rank, (_, contig, start, end) in enumerate(_highest(rows, len(rows)), 1)
        ],
        columns=COLUMNS,
    )


def _highest(
    rows: list[tuple[float, str, int, int]], number: int | None
) -> list[tuple[float, str, int, int]]:
    """The `number` rows of the highest values, those first; of equals the earlier ones."""
    return rows if number is None else sorted(rows, key=lambda row: -row[0])[:number]


def _pieces(
    file: Any, contig: str, length: int, bin_size: int, reach: int, bases: int = 1 << 21
) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """A contig's values a bin, piece by piece: (first bin, values with `reach` more at each side).

    −inf where there is no value.
    """
    total, bins = -(-length // bin_size), max(1, bases // bin_size)
    for first in range(0, total, bins):
        last = min(first + bins, total)
        low, high = max(0, first - reach), min(last + reach, total)
        values = np.full(last - first + 2 * reach, -math.inf)
        span = low * bin_size, min(high * bin_size, length)
        read = np.asarray(file.values(contig, *span, numpy=True))
        values[low - first + reach : high - first + reach] = read[::bin_size]
        yield first, np.nan_to_num(values, nan=-math.inf, neginf=-math.inf)


def combine(
    sets: Sequence["DataFrame"], contigs: Mapping[str, int], wanted: Mapping[str, Bins]
) -> "DataFrame":
    """The peaks of all sets whose summits are wanted, in the order of contigs and summits.

    A line that comes twice in a set counts once. wanted: bases, by contig.
    Raises SeqcovError where no peak is left.
    """
    import pandas as pd
    from pyranges import PyRanges

    peaks = pd.concat(sets).drop_duplicates()
    summits = peaks.assign(Start=peaks.Summit, End=peaks.Summit + 1, At=np.arange(len(peaks)))
    spans = [(name, start, end) for name, bins in wanted.items() for start, end in bins.tolist()]
    regions = pd.DataFrame(spans, columns=list(COLUMNS[:3]))
    # Strands must not matter here, and pyranges takes a column of that name for one that does.
    there = PyRanges(summits[["Chromosome", "Start", "End", "At"]]).overlap(PyRanges(regions))
    if not len(there):
        raise SeqcovError(f"none of the {len(peaks):,} peaks' summits lies in a wanted region")
    peaks = peaks.iloc[np.sort(there.df["At"].to_numpy())]
    place = {name: at for at, name in enumerate(contigs)}
    order = peaks.assign(Chromosome=peaks.Chromosome.map(place), Strand=peaks.Strand == "-")
    order["Sign"] = peaks.Strand
    keys = ["Chromosome", "Summit", "Strand", "Start", "End", "Set", "Name", "Sign"]
    return peaks.iloc[order.reset_index(drop=True).sort_values(keys, kind="stable").index]


def write_peaks(path: Path, peaks: "DataFrame") -> None:
    """Write `peaks` as narrowPeak with one column more: the set's name. Measures are left empty."""
    with written_whole(path) as part, part.open("w", encoding="utf-8", newline="\n") as handle:
        for contig, start, end, name, strand, summit, set_name in peaks.itertuples(index=False):
            place = f"{contig}\t{start}\t{end}\t{name}\t0\t{strand}"
            handle.write(f"{place}\t0\t-1\t-1\t{summit - start}\t{set_name}\n")


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
