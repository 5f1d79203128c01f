"""Write the results of a BPNet from its chunks: bigWigs per task, table of peaks, all windows."""

import csv
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.errors import SeqcovError
from seqcov_models.files import write_atomically
from seqcov_models.genome.regions import read_bed_lines
from seqcov_models.peaks.windows import Windows
from seqcov_models.run.chunk_files import Values, read_row_blocks, track_runs
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.run.track_table import statistics_row, table_row, write_table
from seqcov_models.tiling import Geometry, Segment
from seqcov_models.tracks.table import Track

PEAK_COLUMNS = ("contig", "start", "end", "name", "set", "strand", "summit", "window")
"""The first columns of the table of peaks. The statistics of their windows follow."""


def write_profile_bigwigs(
    files: Mapping[str, Path],
    table: Path,
    plan: ProfilePlan,
    task: str,
    peaks: Path,
    chunks: Sequence[Path],
) -> None:
    """Write the bigWigs of one task, and the table of these bigWigs.

    Args:
        files: The bigWigs to write, by strand; see `write_task`.
        table: The table to write.
        plan: The model's plan.
        task: A key of `plan.tasks`.
        peaks: The combined peaks, from which the jobs' segments follow.
        chunks: The files of all jobs, in order.

    Raises:
        SeqcovError: If a chunk does not have the planned shape, or a value is infinite.
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
    """Write one bigWig per strand of a task, and the table of these bigWigs.

    Args:
        files: The bigWigs to write, by strand: "plus", "minus", and "both" for the sum of the
            strands. Only "both" if the network does not predict strands.
        table: The table to write.
        model: Name of the model.
        task: Name of the task.
        row: Row of the task's first strand in the chunks.
        chunks: The files of all jobs with their segments, in order.
        contigs: Contig lengths in bp, by name.
        unit: The unit of the values in words.
        negative_minus: Whether the minus strand is written as negative values.

    Raises:
        SeqcovError: If a chunk does not have the planned shape, or a value is infinite.
    """
    signs = {"plus": "+", "minus": "-", "both": ""}
    labels = {"plus": ", plus strand", "minus": ", minus strand", "both": ""}
    rows = []
    for strand, path in files.items():
        offset = int(strand == "minus")
        is_sum = strand == "both" and len(files) > 1
        runs = track_runs(chunks, row + offset, 1)
        if is_sum:
            runs = _sum_strands(runs, track_runs(chunks, row + 1, 1))
        if strand == "minus" and negative_minus:
            runs = ((contig, first, -values) for contig, first, values in runs)
        summary = write_bigwig(path, contigs, 1, runs)
        index = -1 if is_sum else row + offset
        description = f"{task} profile{labels[strand]}"
        statistics = statistics_row(path, summary, ("", ""))
        track = Track(row, index, f"{task}{signs[strand]}", description, path.stem)
        rows.append(table_row(model, "profiles", track, 1, unit, statistics))
    with write_atomically(table) as part:
        write_table(part, rows)


def _sum_strands(
    plus: Iterable[tuple[str, int, Values]], minus: Iterable[tuple[str, int, Values]]
) -> Iterator[tuple[str, int, Values]]:
    """Yield the sums of two strands, which have values at the same positions."""
    for (contig, first, plus_values), (*_, minus_values) in zip(plus, minus, strict=True):
        yield contig, first, plus_values + minus_values


def write_peak_table(
    path: Path,
    peaks: Path,
    tables: Sequence[Path],
    columns: Sequence[str],
    uses_peak_strand: bool,
) -> None:
    """Write the statistics of every peak's prediction as a gzipped table with a header.

    The column `window` is the number of the peak's window. Peaks with the same summit share one.

    Args:
        path: The table to write, with one row per peak.
        peaks: The combined peaks, which `peaks.read.write_peaks` wrote.
        tables: The statistics that the jobs wrote, in order: one row per window.
        columns: The names of the statistics.
        uses_peak_strand: Whether peaks on the minus strand have windows of their own.

    Raises:
        SeqcovError: If the tables do not have one row per window.
    """
    rows = (row for block in read_row_blocks(tables) for row in block)
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
            key = contig, summit, uses_peak_strand and strand == "-"
            if key != last_key:
                window, last_key = window + 1, key
                row = next(rows, None)
                if row is None:
                    raise SeqcovError(_mismatch_message(peaks, "fewer"))
                statistics = [
                    _format(column, value)
                    for column, value in zip(columns, row.tolist(), strict=True)
                ]
            writer.writerow(
                [contig, start, end, name, set_name, strand, summit, window, *statistics]
            )
        if next(rows, None) is not None:
            raise SeqcovError(_mismatch_message(peaks, "more"))


def _mismatch_message(peaks: Path, quantity: str) -> str:
    """Return the message for chunks that were predicted at other peaks."""
    return f"peaks {peaks}: its chunks hold {quantity} windows; delete them and start the run again"


def _format(column: str, value: float) -> str:
    """Return a statistic as text: empty for NaN, a whole number for a position."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if column.endswith(".maximum") else f"{value:.6g}"


class _FullDiskFile(FileIO):
    """A file that HDF5 can close if the disk is full.

    HDF5 crashes at the end of a process if it could not write. So bytes without space are dropped,
    and the error is raised when HDF5 has closed the file.
    """

    _error: OSError | None = None

    def write(self, content: Any) -> int:
        """Write bytes; return their number, also if the disk is full."""
        remaining = memoryview(content).cast("B")
        size = len(remaining)
        try:
            while remaining and not self._error:
                remaining = remaining[super().write(remaining) :]
        except OSError as error:
            self._error = error
        return size

    @contextmanager
    def raise_error(self) -> Iterator[None]:
        """Raise the first error of writing when the block ends, in any way."""
        try:
            yield
        finally:
            if self._error:
                raise self._error


def write_profile_windows(
    path: Path,
    parts: Sequence[Path],
    tasks: Sequence[str],
    strands: int,
    windows: Windows,
    geometry: Geometry,
    contigs: Sequence[str],
) -> None:
    """Join the profiles of all windows into one HDF5 file.

    The file holds `profiles` (windows, length, tasks, strands) float32 and, for each window,
    `contig` and `start`: the first base of its profile, 0-based. The attribute `tasks` names the
    tasks.

    Args:
        path: The file to write.
        parts: The profiles that the jobs wrote, in order.
        tasks: Names of the tasks.
        strands: Number of strands per task.
        windows: All windows, in order.
        geometry: The geometry of a window.
        contigs: Names of the contigs, in the FASTA's order.

    Raises:
        SeqcovError: If the jobs' files do not hold these windows.
    """
    import h5py

    shape = (geometry.core, len(tasks), strands)
    with (
        write_atomically(path) as part,
        _FullDiskFile(part, "w+") as sink,
        sink.raise_error(),
        h5py.File(sink, "w") as file,
    ):
        profiles = file.create_dataset(
            "profiles", (len(windows), *shape), np.float32, chunks=(1, *shape),
            shuffle=True, compression="gzip", compression_opts=1,
        )  # fmt: skip
        first = 0
        for rows in read_row_blocks(parts):
            if rows.shape[1:] != shape or first + len(rows) > len(windows):
                raise SeqcovError(
                    f"{path}: its chunks do not hold {len(windows):,} windows of shape {shape};"
                    " delete them and start the run again"
                )
            profiles[first : first + len(rows)] = rows
            first += len(rows)
        file["start"] = windows.starts(geometry)
        names = [contigs[number] for number in windows.contig.tolist()]
        file.create_dataset("contig", data=names, dtype=h5py.string_dtype())
        profiles.attrs["tasks"] = list(tasks)
