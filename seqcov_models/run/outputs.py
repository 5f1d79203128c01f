"""Chunks to bigWigs: the bins of all windows put back together, one file a track."""

import csv
import gzip
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqcov_models.bigwig.writer import Summary, write_bigwig
from seqcov_models.errors import SeqcovError
from seqcov_models.files import written_whole
from seqcov_models.genome.regions import bed_lines
from seqcov_models.peaks.windows import Windows
from seqcov_models.run.chunks import Values, blocks_of, track_runs
from seqcov_models.tiling import Geometry, Segment, Tiling
from seqcov_models.tracks.table import Track

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
            jumps = f"{seams.at_seams:.6g}", f"{seams.elsewhere:.6g}"
            unit = unit_of(track)
            rows.append(_row(prefix, folder.name, track, path, bin_size, unit, summary, jumps))
        write_table(part / TABLE, rows)


def write_task(
    files: Mapping[str, Path],
    table: Path,
    model: str,
    task: str,
    row: int,
    chunks: Sequence[tuple[Path, Sequence[Segment]]],
    contigs: Mapping[str, int],
    unit: str,
    negative_minus: bool = False,
) -> None:
    """Write a task's profiles: a bigWig for each of `files`, and a table of them.

    files: by what they hold, 'plus', 'minus' and 'both', the sum of the strands; where the network
    knows no strands, 'both' alone. row: of the task's first strand in the chunks.
    negative_minus: write the minus strand below zero, to be drawn so.
    Raises SeqcovError for a chunk that is not what was planned or a value that is no number.
    """
    signs = {"plus": "+", "minus": "-", "both": ""}
    rows = []
    for what, path in files.items():
        runs = track_runs(chunks, row + (what == "minus"), 1)
        if what == "both" and len(files) > 1:
            runs = _summed(runs, track_runs(chunks, row + 1, 1))
        if what == "minus" and negative_minus:
            runs = ((contig, first, -values) for contig, first, values in runs)
        summary = write_bigwig(path, contigs, 1, runs)
        name = f"{task}{signs[what]}"
        about = f"{task} profile" + {"both": "", "plus": ", plus", "minus": ", minus"}[what]
        index = -1 if what == "both" and len(files) > 1 else row + (what == "minus")
        track = Track(row, index, name, about, path.stem)
        rows.append(_row(model, "profiles", track, path, 1, unit, summary, ("", "")))
    with written_whole(table) as part:
        write_table(part, rows)


def _summed(
    one: Iterable[tuple[str, int, Values]], other: Iterable[tuple[str, int, Values]]
) -> Iterator[tuple[str, int, Values]]:
    """Runs of two tracks that have values at the same places, added up."""
    for (contig, first, values), (*_, more) in zip(one, other, strict=True):
        yield contig, first, values + more


def _row(
    model: str,
    group: str,
    track: Track,
    path: Path,
    bin_size: int,
    unit: str,
    summary: Summary,
    jumps: tuple[str, str],
) -> dict[str, Any]:
    """A bigWig's row of the table of tracks."""
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


def write_peak_table(
    path: Path,
    peaks: Path,
    tables: Sequence[Path],
    columns: Sequence[str],
    by_strand: bool,
) -> None:
    """Write what was predicted for each peak, a row a peak, as a gzipped table with a header.

    peaks: of `peaks.write_peaks`; tables: of `profiles.predict_peaks`, of all chunks in order;
    columns: theirs. The column `window` counts the windows: peaks with one summit share one.
    Raises SeqcovError where the tables do not have a row for each window.
    """
    rows = (row for block in blocks_of(tables) for row in block)
    with (
        written_whole(path) as part,
        part.open("wb") as file,
        gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed,
        TextIOWrapper(packed, "utf-8", newline="") as handle,
    ):
        writer = csv.writer(handle, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None,
                            lineterminator="\n")  # fmt: skip
        writer.writerow([*PEAK_COLUMNS, *columns])
        window, key, told = -1, ("", -1, False), [""]
        for _, (contig, start, end, name, _, strand, _, _, _, offset, set_name) in bed_lines(peaks):
            summit = int(start) + int(offset)
            if (here := (contig, summit, by_strand and strand == "-")) != key:
                window, key = window + 1, here
                row = next(rows, None)
                if row is None:
                    raise SeqcovError(f"{peaks}: more windows than its chunks have")
                told = [_told(column, x) for column, x in zip(columns, row.tolist(), strict=True)]
            place = [contig, start, end, name, set_name, strand, summit, window]
            writer.writerow([*place, *told])
        if next(rows, None) is not None:
            raise SeqcovError(f"{peaks}: fewer windows than its chunks have")


PEAK_COLUMNS = ("contig", "start", "end", "name", "set", "strand", "summit", "window")


def _told(column: str, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if column.endswith(".maximum") else f"{value:.6g}"


def write_windows(
    path: Path,
    parts: Sequence[Path],
    tasks: Sequence[str],
    strands: int,
    windows: Windows,
    geometry: Geometry,
    contigs: Sequence[str],
) -> None:
    """Join the raw windows of all chunks into one HDF5 file.

    It holds `profiles` (windows, length, tasks, strands) ``float32``, and of each window `contig`
    and `start`, its profile's first base, 0-based; the attribute `tasks` names these.
    """
    import h5py

    shape = (geometry.core, len(tasks), strands)
    with written_whole(path) as part, h5py.File(part, "w") as file:
        profiles = file.create_dataset(
            "profiles", (len(windows), *shape), np.float32, chunks=(1, *shape),
            shuffle=True, compression="gzip", compression_opts=1,
        )  # fmt: skip
        at = 0
        for rows in blocks_of(parts):
            if rows.shape[1:] != shape or at + len(rows) > len(windows):
                raise SeqcovError(f"{path}: its chunks are not those of {len(windows):,} windows")
            profiles[at : at + len(rows)] = rows
            at += len(rows)
        file["start"] = windows.starts(geometry)
        names = [contigs[at] for at in windows.contig.tolist()]
        file.create_dataset("contig", data=names, dtype=h5py.string_dtype())
        profiles.attrs["tasks"] = list(tasks)


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


def join_tables(tables: Iterable[Path], path: Path) -> None:
    """One table of all tracks at `path`; `file` becomes relative to it.

    tables: those of `write_task`, or folders of `write_group`.
    """
    tables = [table / TABLE if table.is_dir() else table for table in tables]
    rows = [
        {**row, "file": (table.parent / row["file"]).relative_to(path.parent).as_posix()}
        for table in tables
        for row in read_table(table)
    ]
    with written_whole(path) as part:
        write_table(part, rows)
