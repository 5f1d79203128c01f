"""Add measured tracks to the table of predicted ones, for browsers."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from seqcov_models.bigwig.layout import HEADER, TOTAL
from seqcov_models.browsers.display import OBSERVED, TrackRow
from seqcov_models.run.observed import ObservedTrack
from seqcov_models.run.paths import Paths

UNIT = "as measured"
"""The unit of a measured track, which its file does not say."""


def add_observed(
    rows: Sequence[TrackRow], tracks: Iterable[ObservedTrack], paths: Paths
) -> list[TrackRow]:
    """Return the table of a run with measured tracks, each after the predicted one.

    Args:
        rows: The table.
        tracks: The tracks that are compared with measured ones, which `place_observed` has placed.
        paths: The paths of the run.

    Returns:
        The rows. Those of measured tracks have `OBSERVED` in the column `source`.
    """
    by_file = {track.table_file(paths.folder): track for track in tracks}
    added: list[TrackRow] = []
    for row in rows:
        added.append(row)
        if track := by_file.get(row["file"]):
            added.append(_describe(row, track, paths))
    return added


def _describe(row: TrackRow, track: ObservedTrack, paths: Paths) -> TrackRow:
    """Return the row of a measured track. row: that of the predicted one."""
    file = paths.observed_bigwig(track.model, track.name)
    low, high = _read_range(file)
    identifier = row["identifier"].rstrip("+-") if row["strand"] != "." else row["identifier"]
    label = row["label"].removesuffix(f" {identifier}")
    return {
        **row,
        "source": OBSERVED,
        "file": file.relative_to(paths.folder).as_posix(),
        "label": f"{label} {OBSERVED}{row['label'][len(label) :]}",
        "description": f"{row['description']}, measured: {track.path.name}",
        "unit": UNIT,
        "minimum": f"{low:.6g}",
        "maximum": f"{high:.6g}",
    }


def _read_range(path: Path) -> tuple[float, float]:
    """Return the lowest and highest value of a bigWig; zeros if it does not say them."""
    with path.open("rb") as file:
        offset = HEADER.unpack(file.read(HEADER.size))[9]
        if not offset:
            return 0.0, 0.0
        file.seek(offset)
        _, low, high, *_ = TOTAL.unpack(file.read(TOTAL.size))
    # libBigWig leaves its initial maximum if no value is above the first one, or above zero
    return low, low if high == sys.float_info.min else high
