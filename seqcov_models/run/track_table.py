"""Write and read the tables of tracks: one row per bigWig."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqcov_models.bigwig.writer import Summary
from seqcov_models.files import write_atomically
from seqcov_models.run.paths import TRACK_TABLE
from seqcov_models.tracks.table import Track


def table_row(
    model: str,
    group: str,
    track: Track,
    path: Path,
    bin_size: int,
    unit: str,
    summary: Summary,
    jumps: tuple[str, str],
) -> dict[str, Any]:
    """Return a bigWig's row. jumps: as text, from bin to bin at seams and elsewhere."""
    return {
        "model": model,
        "group": group,
        "index": track.index if track.index >= 0 else "",
        "identifier": track.identifier,
        "file": path.name,
        "bin": bin_size,
        "unit": unit,
        "bases": summary.bases,
        "minimum": f"{summary.minimum:.6g}",
        "maximum": f"{summary.maximum:.6g}",
        "mean": f"{summary.mean:.6g}",
        "seam_jump": jumps[0],
        "other_jump": jumps[1],
        "description": track.description,
    }


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as a tab-separated table with a header."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that `write_table` wrote."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def join_tables(tables: Iterable[Path], path: Path) -> None:
    """Write the rows of all tables as one table at `path`; `file` becomes relative to it.

    Args:
        tables: tables of tasks' bigWigs, or folders of groups' bigWigs, which hold theirs.
    """
    tables = [table / TRACK_TABLE if table.is_dir() else table for table in tables]
    rows = [
        {**row, "file": (table.parent / row["file"]).relative_to(path.parent).as_posix()}
        for table in tables
        for row in read_table(table)
    ]
    with write_atomically(path) as part:
        write_table(part, rows)
