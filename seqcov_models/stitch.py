"""Chunks to bigWigs: the bins of all windows put back together, one file a track."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .bigwig import write_bigwig
from .chunks import track_runs
from .configs import Geometry
from .files import written_whole
from .tracks import Track
from .windows import Segment

TABLE = "tracks.tsv"
"""The table that lies beside a group's bigWigs."""


def write_group(
    folder: Path,
    prefix: str,
    tracks: Sequence[tuple[int, Track]],
    chunks: Sequence[tuple[Path, Sequence[Segment]]],
    contigs: Mapping[str, int],
    geometry: Geometry,
) -> None:
    """Write `{prefix}.{track}.bw` for each track into `folder`, and a table of them.

    tracks: with their rows in the chunks. The folder gets its name when all of it is written.
    Raises SeqcovError for a chunk that is not what was planned or a value that is no number.
    """
    with written_whole(folder) as part:
        part.mkdir(parents=True)
        rows = []
        for row, track in tracks:
            path = part / f"{prefix}.{track.file_name}.bw"
            runs = track_runs(chunks, row, geometry.bins)
            summary = write_bigwig(path, contigs, geometry.bin, runs)
            rows.append(
                {
                    "model": prefix,
                    "group": folder.name,
                    "index": track.index,
                    "identifier": track.identifier,
                    "file": path.name,
                    "bin": geometry.bin,
                    "bases": summary.bases,
                    "minimum": f"{summary.minimum:.6g}",
                    "maximum": f"{summary.maximum:.6g}",
                    "mean": f"{summary.mean:.6g}",
                    "description": track.description,
                }
            )
        write_table(part / TABLE, rows)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as a tab-separated table with a header."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table that `write_table` wrote."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def join_tables(folders: Iterable[Path], path: Path) -> None:
    """One table of all groups' tracks at `path`; `file` becomes relative to it."""
    rows = [
        {**row, "file": (folder / row["file"]).relative_to(path.parent).as_posix()}
        for folder in folders
        for row in read_table(folder / TABLE)
    ]
    with written_whole(path) as part:
        write_table(part, rows)
