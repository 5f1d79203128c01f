"""Write and read tables of tracks, with one row per bigWig."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqcov_models.bigwig.writer import Summary
from seqcov_models.tracks.table import Track


def statistics_row(path: Path, summary: Summary, jumps: tuple[str, str]) -> dict[str, Any]:
    """Return what was measured while a bigWig was written, as a row of its folder's table.

    Args:
        path: The bigWig, beside the table.
        summary: Statistics of the values.
        jumps: Mean absolute jump between neighbouring bins at seams and elsewhere, as text.
    """
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "crc32c": f"{summary.crc32c:08x}",
        "bases": summary.bases,
        "minimum": f"{summary.minimum:.6g}",
        "maximum": f"{summary.maximum:.6g}",
        "mean": f"{summary.mean:.6g}",
        "seam_jump": jumps[0],
        "other_jump": jumps[1],
    }


def table_row(
    model: str, group: str, track: Track, bin_size: int, unit: str, statistics: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the row of a bigWig in the table of a run.

    Args:
        model: Name of the model.
        group: Name of the group of tracks.
        track: The track.
        bin_size: Bases per bin.
        unit: The unit of the values in words.
        statistics: What `statistics_row` returned.
    """
    return {
        "model": model,
        "group": group,
        "index": track.index if track.index >= 0 else "",
        "identifier": track.identifier,
        "file": statistics["file"],
        "bin": bin_size,
        "unit": unit,
        **statistics,
        "crc32c": statistics.get("crc32c", ""),  # earlier versions wrote none
        "description": track.description,
    }


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with equal keys as a tab-separated table with a header."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that `write_table` wrote."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))
