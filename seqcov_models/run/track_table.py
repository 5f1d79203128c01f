"""Write and read tables of tracks, with one row per bigWig."""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqcov_models.bigwig.layout import MAGIC
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
    """Return the row of a bigWig in a table of tracks.

    Args:
        model: Name of the model.
        group: Name of the group of tracks.
        track: The track.
        path: The bigWig, beside the table.
        bin_size: Bases per bin.
        unit: The unit of the values in words.
        summary: Statistics of the values.
        jumps: Mean absolute jump between neighbouring bins at seams and elsewhere, as text.
    """
    return {
        "model": model,
        "group": group,
        "index": track.index if track.index >= 0 else "",
        "identifier": track.identifier,
        "file": path.name,
        "bin": bin_size,
        "unit": unit,
        "bytes": path.stat().st_size,
        "bases": summary.bases,
        "minimum": f"{summary.minimum:.6g}",
        "maximum": f"{summary.maximum:.6g}",
        "mean": f"{summary.mean:.6g}",
        "seam_jump": jumps[0],
        "other_jump": jumps[1],
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


def find_damage(table: Path) -> str | None:
    """Return what is wrong with the bigWigs of a table in words; None if nothing is seen.

    Their sizes and last bytes are compared, which shows files that are missing or cut.

    Args:
        table: The table of a task's bigWigs, or the folder of a group's bigWigs with their table.
    """
    table = table / TRACK_TABLE if table.is_dir() else table
    try:
        rows = [(table.parent / row["file"], int(row["bytes"])) for row in read_table(table)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return f"{table} is missing or damaged"
    for path, size in rows:
        try:
            with path.open("rb", buffering=0) as file:
                actual = os.fstat(file.fileno()).st_size
                end = os.pread(file.fileno(), len(MAGIC), max(0, size - len(MAGIC)))
        except FileNotFoundError:
            return f"{path} is missing"
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"
        if actual != size:
            return f"{path} has {actual:,} bytes, but {size:,} were written"
        if end != MAGIC:
            return f"{path} does not end as a bigWig"
    return None


def join_tables(tables: Iterable[Path], path: Path) -> None:
    """Write the rows of all tables as one table.

    Args:
        tables: Tables of tasks' bigWigs, or folders of groups' bigWigs that contain their table.
        path: The table to write. The paths in its column `file` are relative to its folder.
    """
    tables = [table / TRACK_TABLE if table.is_dir() else table for table in tables]
    rows = [
        {**row, "file": (table.parent / row["file"]).relative_to(path.parent).as_posix()}
        for table in tables
        for row in read_table(table)
    ]
    with write_atomically(path) as part:
        write_table(part, rows)
