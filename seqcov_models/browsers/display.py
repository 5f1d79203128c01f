"""Choose and describe tracks for the UCSC hub and the IGV session.

Track files lie beside the table, so their paths in it are relative to the hub and the session.
Identifiers and descriptions come from tables that other people wrote: text is cleaned before it
enters a file in which it could be taken for syntax.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.regions import Interval
from seqcov_models.tracks.labels import MASK, is_deviation
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import Track

MAX_SHOWN = 40
"""Maximum number of tracks shown at first: browsers read all of them before they draw."""

TrackRow = Mapping[str, str]
"""A row of the run's table of tracks: model, group, identifier, file, bin, minimum, maximum, …"""

COLOURS = {
    "DNASE": (0, 112, 190),
    "ATAC": (0, 152, 210),
    "CAGE": (214, 99, 1),
    "RNA": (201, 103, 161),
    "CHIP": (0, 160, 111),
    "CTCF": (0, 117, 65),
    "enhancer": (168, 128, 64),
    "promoter": (183, 16, 23),
    "repressed": (110, 110, 110),
    "transcribed": (58, 97, 21),
    "polymerase": (114, 54, 146),
    "mask": (20, 20, 20),
    "observed": (90, 90, 114),
    "": (60, 60, 60),
}
"""RGB colour per kind of track; measured tracks of all kinds have the same.

Every one has a contrast of 3:1 or more on white, and people who do not tell red and green apart see
all of them as different (the distance in CIE Lab is 15 or more).
"""

OBSERVED = "observed"
"""What a row of a measured bigWig has in the column `source`, which other rows lack."""

_KINDS_OF_ASSAYS = {
    "DNASE": r"DNASE.*",
    "ATAC": r".*ATAC.*",
    "CAGE": r"CAGE.*|GRO.*|PRO-?(CAP|SEQ).*|RAMPAGE.*",
    "RNA": r".*RNA.*",
    "CHIP": r"CHIP.*|CUT.*|NEXUS|PROFILE",
    "mask": r"MASK",
}
_KINDS_OF_TARGETS = {
    "CTCF": r"CTCF|RAD21|SMC3",
    "enhancer": r"H3K27ac|H3K4me1|EP300",
    "promoter": r"H3K4me[23]|H3K9ac|H2AFZ",
    "repressed": r"H3K27me3|H3K9me[23]|EZH2.*|SUZ12",
    "transcribed": r"H3K36me3|H3K79me2|H4K20me1",
    "polymerase": r"POLR2A.*|Pol(II|2).*|RNAP.*|RPB\d",
}
"""Regular expressions of assays and of targets, by the kind of track in `COLOURS`."""


def format_locus(interval: Interval) -> str:
    """Format an interval as browsers spell it: positions count from 1, the end is included."""
    contig, start, end = interval
    return f"{contig}:{start + 1}-{end}"


def group_rows(rows: Iterable[TrackRow]) -> dict[tuple[str, str], list[TrackRow]]:
    """Group rows by (model, group), in the order of the table."""
    groups: dict[tuple[str, str], list[TrackRow]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["group"]), []).append(row)
    return groups


def first_rows(
    rows: Sequence[TrackRow], selectors: Sequence[str | int] = (), limit: int = MAX_SHOWN
) -> list[TrackRow]:
    """Choose the rows to show first, in the order of the table.

    Each biosample and assay comes once before any comes twice, with the target that most biosamples
    have. Biosamples with most assays come first; among equal ones the assays take turns. Strand
    pairs stay together, and measured tracks with the predicted ones. Shares of unknown bases come
    last. Standard deviations, and sums of strands, are only shown if asked for.

    Args:
        rows: The table of a run.
        selectors: What the user wants to see, in the words of the config's `tracks`; empty for
            anything.
        limit: Maximum number of rows.

    Raises:
        SeqcovError: If a selector does not match any row.
    """
    numbers = [number for number, row in enumerate(rows) if not is_observed(row)]
    if selectors:
        predicted = [rows[number] for number in numbers]
        numbers = [numbers[track.row] for track in select(row_tracks(predicted), selectors)]
    units: dict[tuple[str, ...], list[int]] = {}
    for number in numbers:
        units.setdefault(strand_unit(rows[number]), []).append(number)
    if not selectors:
        units = _without_extras(rows, units)
    for members in units.values():  # a measured track follows the predicted one
        members += [n + 1 for n in members if n + 1 < len(rows) and is_observed(rows[n + 1])]
    first: list[int] = []
    for members in _by_variety(rows, [*units.values()]):
        if len(first) + len(members) <= limit:
            first += members
    return [rows[number] for number in sorted(first)]


def row_tracks(rows: Iterable[Mapping[str, str]]) -> list[Track]:
    """Return tracks that selectors can be matched with, numbered as the rows of a run's table."""
    return [
        Track(number, int(row["index"] or -1), row["identifier"], row["description"])
        for number, row in enumerate(rows)
    ]


def strand_unit(row: TrackRow) -> tuple[str, ...]:
    """Return what the tracks of a strand pair, and their sum, have in common with no other row."""
    stranded = row["strand"] in ("+", "-")
    identifier = row["identifier"][:-1] if stranded else row["identifier"]
    deviation = str(is_deviation(row["description"]))
    return row["model"], row["assay"], row["target"], row["biosample"], identifier, deviation


def _without_extras(
    rows: Sequence[TrackRow], units: Mapping[tuple[str, ...], list[int]]
) -> dict[tuple[str, ...], list[int]]:
    """Return units without sums of strands and, if others are left, standard deviations."""
    chosen = {}
    for unit, members in units.items():
        stranded = [number for number in members if rows[number]["strand"] != "."]
        if not is_deviation(rows[members[0]]["description"]):
            chosen[unit] = stranded or members
    return chosen or dict(units)


def _by_variety(rows: Sequence[TrackRow], units: Sequence[list[int]]) -> list[list[int]]:
    """Return units in the order in which they are shown; see `first_rows`."""
    heads = [rows[members[0]] for members in units]
    kinds: dict[str, set[tuple[str, str]]] = {}
    targets: Counter[tuple[str, str]] = Counter()
    for row in heads:
        kinds.setdefault(row["biosample"], set()).add((row["assay"], row["target"]))
    for assays in kinds.values():
        targets.update(assays)
    rounds: Counter[tuple[str, str, str]] = Counter()
    turns: Counter[tuple[object, ...]] = Counter()
    ranked = []
    by_target = sorted(
        range(len(units)), key=lambda n: (-targets[heads[n]["assay"], heads[n]["target"]], n)
    )
    for number in by_target:
        row = heads[number]
        key = row["model"], row["biosample"], row["assay"]
        rounds[key] += 1
        different = len({assay for assay, _ in kinds[row["biosample"]]})
        is_mask = row["assay"] == MASK
        wealth = (-different, -len(kinds[row["biosample"]])) if row["biosample"] else (0, 0)
        turns[rounds[key], wealth, row["model"], row["assay"]] += 1
        turn = turns[rounds[key], wealth, row["model"], row["assay"]]
        ranked.append((is_mask, rounds[key], wealth, turn, number))
    return [units[number] for *_, number in sorted(ranked)]


def is_observed(row: TrackRow) -> bool:
    """Return whether a row is that of a measured bigWig; see `browsers.observed`."""
    return row.get("source") == OBSERVED


def scale_group(row: TrackRow) -> tuple[str, ...]:
    """Return what tracks with one y scale have in common: model, assay, target and unit.

    Measured tracks have a scale of their own, since their units are those of their laboratories.
    """
    if is_observed(row):
        return OBSERVED, *strand_unit(row)
    kind = "SD" if is_deviation(row["description"]) else ""
    return row["model"], row["assay"], row["target"], row["unit"], kind


def fixed_range(row: TrackRow) -> tuple[float, float] | None:
    """Return the y range of a row that does not follow from its data: 0 to 1 for a share."""
    return (0.0, 1.0) if row["assay"] == MASK else None


def rows_of_signals(rows: Iterable[TrackRow]) -> list[TrackRow]:
    """Return the rows of predicted signals: neither shares of unknown bases nor measured tracks."""
    return [row for row in rows if fixed_range(row) is None and not is_observed(row)]


def rgb_colour(row: TrackRow) -> tuple[int, int, int]:
    """Return the RGB colour of the row's assay and target, the same for both strands."""
    if is_observed(row):
        return COLOURS[OBSERVED]
    for column, kinds in (("target", _KINDS_OF_TARGETS), ("assay", _KINDS_OF_ASSAYS)):
        for kind, pattern in kinds.items():
            if re.fullmatch(pattern, row[column], re.IGNORECASE):
                return COLOURS[kind]
    return COLOURS[""]


def track_colour(row: TrackRow) -> str:
    """Return `rgb_colour` as 'red,green,blue'."""
    return ",".join(map(str, rgb_colour(row)))


def is_below_zero(row: TrackRow) -> bool:
    """Return whether a row's values are negative: the minus strand, if the config asks for it."""
    return float(row["minimum"]) < 0 >= float(row["maximum"])


def value_range(rows: Iterable[TrackRow]) -> tuple[float, float]:
    """Return the range that encloses zero and all finite values of `rows`."""
    values = [float(row[column]) for row in rows for column in ("minimum", "maximum")]
    values = [0.0, *(value for value in values if math.isfinite(value))]
    return min(values), max(values)


def window_function(row: TrackRow) -> str:
    """Return which of several values per pixel is drawn: 'maximum' or 'minimum'.

    A mean would hide narrow peaks in a wide view. Tracks of negative values have their peaks below.
    """
    return "minimum" if is_below_zero(row) else "maximum"


def relative_file(row: TrackRow) -> str:
    """Return the row's file, relative to the table.

    Raises:
        SeqcovError: If the path could lead to a place outside the table's folder.
    """
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", row["file"], re.ASCII):
        raise SeqcovError(
            f"Table of tracks: {row['file']!r} is not the path of a file below the table's folder"
        )
    return row["file"]


def single_line(text: str) -> str:
    """Return `text` on one line, without control characters and lone surrogates."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
