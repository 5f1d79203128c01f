"""Write what becomes of a BPNet's chunks: bigWigs per task, a table of peaks, all windows."""

import csv
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path

import numpy as np

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.errors import SeqcovError
from seqcov_models.files import write_atomically
from seqcov_models.genome.regions import read_bed_lines
from seqcov_models.peaks.windows import Windows
from seqcov_models.run.chunk_files import Values, blocks_of, track_runs
from seqcov_models.run.plan import ProfilePlan
from seqcov_models.run.track_table import table_row, write_table
from seqcov_models.tiling import Geometry, Segment
from seqcov_models.tracks.table import Track

PEAK_COLUMNS = ("contig", "start", "end", "name", "set", "strand", "summit", "window")
"""The first columns of the table of peaks; the statistics of their windows follow."""


def write_profile_bigwigs(
    files: Mapping[str, Path],
    table: Path,
    plan: ProfilePlan,
    task: str,
    peaks: Path,
    chunks: Sequence[Path],
) -> None:
    """Write the bigWigs of a task of `plan`, and a table of them.

    Args:
        files: as for `write_task`.
        task: the name of the task's files.
        peaks: the combined peaks, from which the jobs' segments follow.
        chunks: the files of all jobs, in order.

    Raises:
        SeqcovError: a chunk is not what the plan says, or a value is not a number.
    """
    _, planned = plan.chunks(peaks)
    segments = [chunk.segments for chunk in planned]
    name, row = plan.tasks[task]
    write_task(
        files,
        table,
        plan.name,
        name,
        row,
        list(zip(chunks, segments, strict=True)),
        plan.fasta.contigs,
        plan.unit,
        plan.negative_minus,
    )


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
    """Write a bigWig of a task's profiles for each of `files`, and a table of them.

    Args:
        files: by what they hold: 'plus', 'minus' and 'both', the sum of the strands; only 'both'
            if the network predicts no strands.
        row: the row of the task's first strand in the chunks.
        chunks: the files of all jobs, in order, with what they hold.
        negative_minus: write the minus strand below zero, to be drawn so.

    Raises:
        SeqcovError: a chunk is not what was planned, or a value is not a number.
    """
    signs = {"plus": "+", "minus": "-", "both": ""}
    labels = {"plus": ", plus", "minus": ", minus", "both": ""}
    rows = []
    for strand, path in files.items():
        offset = int(strand == "minus")
        is_sum = strand == "both" and len(files) > 1
        runs = track_runs(chunks, row + offset, 1)
        if is_sum:
            runs = _summed(runs, track_runs(chunks, row + 1, 1))
        if strand == "minus" and negative_minus:
            runs = ((contig, first, -values) for contig, first, values in runs)
        summary = write_bigwig(path, contigs, 1, runs)
        index = -1 if is_sum else row + offset
        description = f"{task} profile{labels[strand]}"
        track = Track(row, index, f"{task}{signs[strand]}", description, path.stem)
        rows.append(table_row(model, "profiles", track, path, 1, unit, summary, ("", "")))
    with write_atomically(table) as part:
        write_table(part, rows)


def _summed(
    one: Iterable[tuple[str, int, Values]], other: Iterable[tuple[str, int, Values]]
) -> Iterator[tuple[str, int, Values]]:
    """Yield the sums of two tracks' runs, which have values at the same positions."""
    for (contig, first, values), (*_, more) in zip(one, other, strict=True):
        yield contig, first, values + more


def write_peak_table(
    path: Path,
    peaks: Path,
    tables: Sequence[Path],
    columns: Sequence[str],
    by_strand: bool,
) -> None:
    """Write what was predicted for each peak, one row per peak, as a gzipped table with a header.

    The column `window` counts the windows: peaks with one summit share one.

    Args:
        peaks: the combined peaks, of `peaks.write_peaks`.
        tables: the statistics that all jobs wrote, in order.
        columns: the names of their columns.
        by_strand: whether peaks on the minus strand have windows of their own.

    Raises:
        SeqcovError: the tables do not have one row per window.
    """
    rows = (row for block in blocks_of(tables) for row in block)
    with (
        write_atomically(path) as part,
        part.open("wb") as file,
        gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed,
        TextIOWrapper(packed, "utf-8", newline="") as handle,
    ):
        writer = csv.writer(handle, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None,
                            lineterminator="\n")  # fmt: skip
        writer.writerow([*PEAK_COLUMNS, *columns])
        window, last_key, statistics = -1, ("", -1, False), [""]
        for _, (contig, start, end, name, _, strand, _, _, _, offset, set_name) in read_bed_lines(
            peaks
        ):
            summit = int(start) + int(offset)
            key = contig, summit, by_strand and strand == "-"
            if key != last_key:
                window, last_key = window + 1, key
                row = next(rows, None)
                if row is None:
                    raise SeqcovError(f"{peaks}: more windows than its chunks have")
                statistics = [
                    _format(column, value)
                    for column, value in zip(columns, row.tolist(), strict=True)
                ]
            writer.writerow(
                [contig, start, end, name, set_name, strand, summit, window, *statistics]
            )
        if next(rows, None) is not None:
            raise SeqcovError(f"{peaks}: fewer windows than its chunks have")


def _format(column: str, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if column.endswith(".maximum") else f"{value:.6g}"


def write_profile_windows(
    path: Path,
    parts: Sequence[Path],
    tasks: Sequence[str],
    strands: int,
    windows: Windows,
    geometry: Geometry,
    contigs: Sequence[str],
) -> None:
    """Join the profiles of all windows, which the jobs wrote, into one HDF5 file.

    It holds `profiles` (windows, length, tasks, strands) ``float32``, and of each window `contig`
    and `start`, the first base of its profile, 0-based. The attribute `tasks` names the tasks.

    Raises:
        SeqcovError: the jobs' files do not hold these windows.
    """
    import h5py

    shape = (geometry.core, len(tasks), strands)
    with write_atomically(path) as part, h5py.File(part, "w") as file:
        profiles = file.create_dataset(
            "profiles", (len(windows), *shape), np.float32, chunks=(1, *shape),
            shuffle=True, compression="gzip", compression_opts=1,
        )  # fmt: skip
        first = 0
        for rows in blocks_of(parts):
            if rows.shape[1:] != shape or first + len(rows) > len(windows):
                raise SeqcovError(f"{path}: its chunks are not those of {len(windows):,} windows")
            profiles[first : first + len(rows)] = rows
            first += len(rows)
        file["start"] = windows.starts(geometry)
        names = [contigs[number] for number in windows.contig.tolist()]
        file.create_dataset("contig", data=names, dtype=h5py.string_dtype())
        profiles.attrs["tasks"] = list(tasks)
