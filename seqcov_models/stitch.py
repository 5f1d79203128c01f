"""Chunks to bigWigs: the bins of all windows put back together, one file a track."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .bigwig import write_bigwig
from .chunks import Values, track_runs
from .files import written_whole
from .tracks import Track
from .windows import Segment, Tiling

TABLE = "tracks.tsv"
"""The table that lies beside a group's bigWigs."""


def write_group(
    folder: Path,
    prefix: str,
    tracks: Sequence[tuple[int, Track]],
    chunks: Sequence[tuple[Path, Sequence[Segment]]],
    contigs: Mapping[str, int],
    tiling: Tiling,
    unit_of: Callable[[Track], str],
) -> None:
    """Write `{prefix}.{track}.bw` for each track into `folder`, and a table of them.

    tracks: with their rows in the chunks. The folder gets its name when all of it is written.
    Raises SeqcovError for a chunk that is not what was planned or a value that is no number.
    """
    bin_size = tiling.geometry.bin
    with written_whole(folder) as part:
        part.mkdir(parents=True)
        rows = []
        for row, track in tracks:
            path = part / f"{prefix}.{track.file_name}.bw"
            seams = Seams(tiling, contigs)
            runs = seams.watched(track_runs(chunks, row, tiling.step))
            summary = write_bigwig(path, contigs, bin_size, runs)
            rows.append(
                {
                    "model": prefix,
                    "group": folder.name,
                    "index": track.index if track.index >= 0 else "",
                    "identifier": track.identifier,
                    "file": path.name,
                    "bin": bin_size,
                    "unit": unit_of(track),
                    "bases": summary.bases,
                    "minimum": f"{summary.minimum:.6g}",
                    "maximum": f"{summary.maximum:.6g}",
                    "mean": f"{summary.mean:.6g}",
                    "seam_jump": f"{seams.at_seams:.6g}",
                    "other_jump": f"{seams.elsewhere:.6g}",
                    "description": track.description,
                }
            )
        write_table(part / TABLE, rows)


class Seams:
    """The jump from a bin to the next, where the window changes and where it does not."""

    def __init__(self, tiling: Tiling, contigs: Mapping[str, int]) -> None:
        self._tiling, self._contigs = tiling, contigs
        self._seams: tuple[str, npt.NDArray[np.int64]] = "", np.empty(0, np.int64)
        self._sums = np.zeros(2)
        self._counts = np.zeros(2, np.int64)

    def watched(self, runs: Iterable[tuple[str, int, Values]]) -> Iterator[tuple[str, int, Values]]:
        """The same runs, whose jumps are added up on their way."""
        for contig, first, values in runs:
            if contig != self._seams[0]:
                windows = self._tiling.windows(self._contigs[contig])
                self._seams = contig, self._tiling.seams(windows)
            jumps = np.abs(np.diff(values))
            low, high = np.searchsorted(self._seams[1], (first + 1, first + len(values)))
            at_seams = jumps[self._seams[1][low:high] - first - 1]
            total, seams = jumps.sum(dtype=np.float64), at_seams.sum(dtype=np.float64)
            self._sums += seams, total - seams
            self._counts += len(at_seams), len(jumps) - len(at_seams)
            yield contig, first, values

    @property
    def at_seams(self) -> float:
        """Mean absolute jump into a bin whose windows are not those of the bin before."""
        return float(self._sums[0] / self._counts[0]) if self._counts[0] else float("nan")

    @property
    def elsewhere(self) -> float:
        """Mean absolute jump between any other two neighbouring bins."""
        return float(self._sums[1] / self._counts[1]) if self._counts[1] else float("nan")


def write_mask(
    bed: Path,
    chunks: Sequence[tuple[Path, Sequence[Segment]]],
    contigs: Mapping[str, int],
    tiling: Tiling,
) -> None:
    """Write which bins' windows were partly N or beyond the contig, and how much of them, as BED.

    Columns: contig, start, end, share (0 … 1), and the share in thousandths as the score.
    """
    size = tiling.geometry.bin
    with written_whole(bed) as part, part.open("w", encoding="utf-8") as out:
        for contig, first, values in track_runs(chunks, -1, tiling.step):
            edges = np.flatnonzero(np.diff(values, prepend=np.nan, append=np.nan) != 0)
            for start, end in pairwise(edges.tolist()):
                if (share := float(values[start])) > 0:
                    stop = min((first + end) * size, contigs[contig])
                    place = f"{contig}\t{(first + start) * size}\t{stop}"
                    out.write(f"{place}\t{share:.4f}\t{round(1000 * share)}\n")


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
