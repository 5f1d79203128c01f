"""Peaks: read from files or taken from a predicted track, combined, cut into windows and chunks.

A peak is an interval and in it a summit, the base that BPNet's window is centred on. Coordinates
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
from seqcov_models.files import written_whole
from seqcov_models.genome.regions import (
    NO_ALIASES,
    alias_table,
    bed_lines,
    near_contigs,
    same_contig,
)
from seqcov_models.tiling import Bins

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
