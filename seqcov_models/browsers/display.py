"""Choose and describe tracks for the UCSC hub and the IGV session.

Track files lie beside the table, so their paths in it are relative to the hub and the session.
Identifiers and descriptions come from tables that other people wrote: text is cleaned before it
enters a file in which it could be taken for syntax.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.regions import Interval

TrackRow = Mapping[str, str]
"""A row of the run's table of tracks: model, group, identifier, file, bin, minimum, maximum, …"""

COLOURS = {
    "CAGE": (213, 94, 0),
    "DNASE": (0, 114, 178),
    "ATAC": (86, 180, 233),
    "CHIP": (0, 158, 115),
    "RNA": (204, 121, 167),
}
"""RGB colour per assay, from the colour-blind safe palette of Okabe and Ito (2008)."""
OTHER_COLOUR = (90, 90, 90)


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


def initial_rows(rows: Sequence[TrackRow], per_assay: int, limit: int) -> list[TrackRow]:
    """Choose the rows to show first, in the order of the table.

    Models and assays take turns until `limit` rows are chosen, at most `per_assay` of each assay of
    each model.
    """
    assays: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        assays.setdefault((row["model"], assay_name(row)), []).append(number)
    rounds = zip_longest(*(members[:per_assay] for members in assays.values()))
    chosen = [number for round_ in rounds for number in round_ if number is not None][:limit]
    return [rows[number] for number in sorted(chosen)]


def assay_name(row: TrackRow) -> str:
    """Return the row's group without the number of a divided group: CHIP_02 is CHIP."""
    return re.sub(r"_\d+$", "", row["group"])


def track_colour(row: TrackRow) -> str:
    """Return 'red,green,blue' of the row's assay, lighter for the minus strand."""
    colour = COLOURS.get(assay_name(row).upper(), OTHER_COLOUR)
    if row["identifier"].endswith("-"):
        colour = (colour[0] + 255) // 2, (colour[1] + 255) // 2, (colour[2] + 255) // 2
    return ",".join(map(str, colour))


def window_function(row: TrackRow) -> str:
    """Return which of several values per pixel is drawn: 'maximum' or 'minimum'.

    A mean would hide narrow peaks in a wide view. Tracks of negative values have their peaks below.
    """
    return "minimum" if float(row["minimum"]) < 0 >= float(row["maximum"]) else "maximum"


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
