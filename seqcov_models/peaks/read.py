"""Read peaks from files, combine them, write them.

A peak is an interval and in it a summit, the base on which BPNet's window is centred. Coordinates
are 0-based half-open, in bp. Tables of peaks are pandas frames with the columns of `COLUMNS`;
Chromosome, Start and End are pyranges' names for contig, start and end.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.files import write_atomically
from seqcov_models.genome.regions import (
    NO_ALIASES,
    find_synonym,
    format_aliases,
    read_bed_lines,
    suggest_contigs,
)
from seqcov_models.tiling import BinIntervals

if TYPE_CHECKING:  # the plan needs this module and must not wait for pandas
    from pandas import DataFrame

Ints = npt.NDArray[np.int64]

COLUMNS = ("Chromosome", "Start", "End", "Name", "Strand", "Summit", "Set")
"""Columns of a table of peaks: those of BED, the summit's base, and the name of the peaks' set."""

NARROW_PEAK, BED12 = 10, 12
"""Number of columns of two formats. The tenth of narrowPeak (ENCODE) is the distance of the summit
from the start, −1 if it was not called; more may follow (IDR writes twenty). The only BED format
with ten or more columns is BED12, whose tenth column counts blocks."""


def read_peaks(
    path: Path, name: str, contigs: Mapping[str, int], aliases: Mapping[str, str] = NO_ALIASES
) -> "DataFrame":
    """Read a BED or narrowPeak file into a table with the columns of `COLUMNS`, in its order.

    A line of ten columns or more is narrowPeak, except that twelve columns are BED12; the file's
    name does not matter. Intervals are clipped to the contig. Then the summit of a BED line is the
    middle of its interval.

    Args:
        path: The file, uncompressed or gzip.
        name: Name of the set of peaks.
        contigs: Contig lengths in bp.
        aliases: The FASTA's names of contigs, by the file's names of them.

    Returns:
        One row per line of the file. Coordinates are 0-based half-open.

    Raises:
        SeqcovError: If a line is not valid (with its number), a contig is not in the FASTA (with
            all names that need an alias), or the file has no peak.

    Example:
        >>> peaks = read_peaks(Path("peaks.narrowPeak"), "CTCF", {"chr1": 248_956_422})
        >>> peaks.Summit.head()
    """
    from pandas import DataFrame

    columns: dict[str, list[Any]] = {column: [] for column in COLUMNS}
    shared_names, unknown = {contig: contig for contig in contigs}, dict[str, str]()
    for line, cells in read_bed_lines(path):
        contig, start, end = aliases.get(cells[0], cells[0]), int(cells[1]), int(cells[2])
        if contig not in contigs:
            unknown.setdefault(contig, line)
            continue
        if start >= end:
            raise SeqcovError(
                f"{line}: {start:,}-{end:,} (0-based) is not an interval; it must end behind its"
                " start"
            )
        first, last = max(start, 0), min(end, contigs[contig])
        if first >= last:
            first, last = start, end
        summit = _parse_summit(cells, start, end, line)
        if summit is None:
            summit = (first + last) // 2
        if not 0 <= summit < contigs[contig]:
            raise SeqcovError(
                f"{line}: the summit is base {summit:,}, but {contig} has {contigs[contig]:,} bp;"
                " are the peaks of another assembly?"
            )
        label, strand = (cells[column] if len(cells) > column else "." for column in (3, 5))
        strand = strand if strand in ("+", "-") else "."
        row = shared_names[contig], first, last, label or ".", strand, summit, name
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    if unknown:
        raise SeqcovError(_unknown_contigs_message(unknown, contigs))
    if not columns["Summit"]:
        raise SeqcovError(
            f"peaks {path}: the file is empty or holds comments alone; name another file, or leave"
            " out this set"
        )
    return DataFrame(columns)


def _parse_summit(cells: Sequence[str], start: int, end: int, line: str) -> int | None:
    """Return the summit's base on its contig from a narrowPeak line; None without a summit."""
    if len(cells) < NARROW_PEAK or len(cells) == BED12 or cells[9] in ("-1", ".", ""):
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", cells[9]):
        raise SeqcovError(
            f"{line}: column 10, {cells[9][:20]!r}, is not a summit's offset in bp;"
            " write digits, or -1 for none"
        )
    if not 0 <= (offset := int(cells[9])) < end - start:
        raise SeqcovError(
            f"{line}: the summit, {offset:,} bp from the start, is not in its {end - start:,} bp;"
            " correct column 10"
        )
    return start + offset


def _unknown_contigs_message(unknown: Mapping[str, str], contigs: Mapping[str, int]) -> str:
    """Return the message for unknown contigs; `unknown` holds the first line of each name."""
    similar = {name: match for name in unknown if (match := find_synonym(name, contigs))}
    name = next(iter(similar or unknown))
    unknown_names = [name for name in unknown if name not in similar]
    message = f"{unknown[name]}: no contig {name!r}; "
    if similar:
        message += f"this FASTA calls it {similar[name]!r}; write into the config: genome:"
        message += f" {{contig_aliases: {format_aliases(similar)}}}"
        message += "; not similar to any contig: " if unknown_names else ""
    else:
        message += f"{suggest_contigs(name, contigs)}; remove the lines of: "
    return message + ", ".join(unknown_names[:20]) + ", …" * (len(unknown_names) > 20)


def combine_peaks(
    sets: Sequence["DataFrame"], contigs: Mapping[str, int], selected: Mapping[str, BinIntervals]
) -> "DataFrame":
    """Combine sets of peaks into one table, sorted by contig and summit.

    A line that a set has twice counts once.

    Args:
        sets: Tables of `read_peaks` and `find_maxima`.
        contigs: Contig lengths in bp, in the FASTA's order.
        selected: Intervals of bases in which summits must lie, by contig, 0-based half-open.

    Returns:
        The peaks with selected summits, with the columns of `COLUMNS`.

    Raises:
        SeqcovError: If no summit lies in the selected intervals.
    """
    import pandas as pd
    from pyranges import PyRanges

    peaks = pd.concat(sets).drop_duplicates()
    summits = peaks.assign(Start=peaks.Summit, End=peaks.Summit + 1, Row=np.arange(len(peaks)))
    spans = [(name, start, end) for name, bins in selected.items() for start, end in bins.tolist()]
    regions = pd.DataFrame(spans, columns=list(COLUMNS[:3]))
    # pyranges would compare strands if there were a column of that name.
    columns = ["Chromosome", "Start", "End", "Row"]
    overlaps = PyRanges(summits[columns]).overlap(PyRanges(regions))
    if not len(overlaps):
        raise SeqcovError(
            f"all {len(peaks):,} summits of peaks lie outside the selected regions; check the"
            " keys regions and exclude"
        )
    peaks = peaks.iloc[np.sort(overlaps.df["Row"].to_numpy())]
    number = {name: index for index, name in enumerate(contigs)}
    order = peaks.assign(Chromosome=peaks.Chromosome.map(number), Strand=peaks.Strand == "-")
    order["Sign"] = peaks.Strand
    keys = ["Chromosome", "Summit", "Strand", "Start", "End", "Set", "Name", "Sign"]
    return peaks.iloc[order.reset_index(drop=True).sort_values(keys, kind="stable").index]


def write_peaks(path: Path, peaks: "DataFrame") -> None:
    """Write peaks as narrowPeak with an eleventh column, the name of the set.

    Args:
        path: The file, which appears when it is complete.
        peaks: A table with the columns of `COLUMNS`. Score, signal and significance stay empty.
    """
    with (
        write_atomically(path) as partial_file,
        partial_file.open("w", encoding="utf-8", newline="\n") as handle,
    ):
        for contig, start, end, name, strand, summit, set_name in peaks.itertuples(index=False):
            interval = f"{contig}\t{start}\t{end}\t{name}\t0\t{strand}"
            handle.write(f"{interval}\t0\t-1\t-1\t{summit - start}\t{set_name}\n")
