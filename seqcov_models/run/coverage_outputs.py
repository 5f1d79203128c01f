"""Write the results of a model of coverage: bigWigs from chunks or packed ranges, and the mask."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqcov_models.bigwig.writer import join_bigwig, write_bigwig
from seqcov_models.files import write_atomically
from seqcov_models.run.chunk_files import Values, track_runs
from seqcov_models.run.coverage_plan import MASK_TRACK, CoveragePlan
from seqcov_models.run.finished import write_identity
from seqcov_models.run.paths import TRACK_TABLE, bigwig_name
from seqcov_models.run.range_files import PackedTrack
from seqcov_models.run.seams import Seams
from seqcov_models.run.track_set import Batch, TrackSet
from seqcov_models.run.track_table import read_table, statistics_row, write_table
from seqcov_models.tiling import Segment

BASES_IN_MEMORY = 1 << 22
"""Bases of a bigWig that are read at a time."""


def write_coverage_bigwigs(
    folder: Path, plan: CoveragePlan, group: str, files: Sequence[Path]
) -> None:
    """Write one bigWig per track of a group, the table of their statistics, and their identity.

    Args:
        folder: The folder to write. It appears when all of its files are complete.
        plan: The model's plan.
        group: A key of `plan.groups`.
        files: The only chunk, if the group's set has no ranges. Else the files of all ranges if the
            group is a single batch, or the folders that `join_batch` wrote for its batches; in
            order.

    Raises:
        SeqcovError: If a file is damaged or does not have the planned shape, or a value is
            infinite.
    """
    track_set = plan.groups[group]
    batches = track_set.batch_indices(group)
    with write_atomically(folder) as part:
        part.mkdir(parents=True)
        if not track_set.ranges:
            _write_group(part, plan, group, files)
        elif len(batches) == 1:
            _write_batch(part, plan, track_set, track_set.batches[batches[0]], files)
        else:
            _gather(part, files)
        write_identity(part, track_set.group_digest(group))


def _write_group(folder: Path, plan: CoveragePlan, group: str, chunks: Sequence[Path]) -> None:
    """Write the bigWigs of a group and their table from chunks."""
    contigs, bin_size = plan.fasta.contigs, plan.geometry.bin
    track_set = plan.groups[group]
    rows = []
    for row, track in plan.members(track_set, track_set.groups[group]):
        path = folder / bigwig_name(plan.name, track.file_name)
        seams = Seams(plan.tiling, contigs)
        runs = track_runs(_with_segments(track_set, chunks), row, plan.tiling.step)
        runs = seams.observe(track_set.round_runs(row, runs))
        summary = write_bigwig(path, contigs, bin_size, runs)
        rows.append(statistics_row(path, summary, seams.jumps.cells))
    write_table(folder / TRACK_TABLE, rows)


def join_batch(folder: Path, plan: CoveragePlan, name: str, ranges: Sequence[Path]) -> None:
    """Write one bigWig per track of a batch from compressed ranges, and the table of these.

    Args:
        folder: The folder to write. It appears when all of its files are complete.
        plan: The model's plan.
        name: Name of the batch.
        ranges: The batch's files of all ranges, in the plan's order.

    Raises:
        SeqcovError: If a file is damaged or from another run.
    """
    track_set = plan.find_set(name)
    with write_atomically(folder) as part:
        part.mkdir(parents=True)
        _write_batch(part, plan, track_set, track_set.batches[track_set.batch_index(name)], ranges)


def _write_batch(
    folder: Path, plan: CoveragePlan, track_set: TrackSet, batch: Batch, ranges: Sequence[Path]
) -> None:
    """Write the bigWigs of a batch and their table from compressed ranges."""
    rows = []
    for number, (_, track) in enumerate(plan.members(track_set, batch.rows)):
        path = folder / bigwig_name(plan.name, track.file_name)
        packed = PackedTrack(ranges, number, track_set.packing_digest)
        summary = join_bigwig(path, plan.fasta.contigs, plan.geometry.bin, packed.read())
        rows.append(statistics_row(path, summary, packed.jumps.cells))
    write_table(folder / TRACK_TABLE, rows)


def _gather(folder: Path, batches: Sequence[Path]) -> None:
    """Put the bigWigs of a group's batches into one folder, with the table of all of them.

    The files get a second name (a hard link), so they take no space twice. On a file system without
    hard links they are copied.
    """
    rows = [(batch, row) for batch in batches for row in read_table(batch / TRACK_TABLE)]
    for batch, row in rows:
        source, target = batch / row["file"], folder / row["file"]
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    write_table(folder / TRACK_TABLE, [row for _, row in rows])


def write_mask(bed: Path, plan: CoveragePlan, folder: Path) -> None:
    """Write a BED of the regions whose input window contained N or ran past the contig end.

    Columns: contig, start, end (0-based half-open), the fraction of the window that was unknown (0
    to 1), and that fraction in thousandths as the score.

    Args:
        bed: The file to write.
        plan: The model's plan.
        folder: The folder of the group `MASK`.
    """
    import pyBigWig

    bigwig, size = folder / bigwig_name(plan.name, MASK_TRACK.file_name), plan.geometry.bin
    with (
        write_atomically(bed) as part,
        part.open("w", encoding="utf-8") as out,
        pyBigWig.open(str(bigwig)) as file,
    ):
        for contig, start, end, fraction in _equal_values(_read_bins(file, plan)):
            if fraction > 0:
                stop = min(end * size, plan.fasta.contigs[contig])
                interval = f"{contig}\t{start * size}\t{stop}"
                out.write(f"{interval}\t{fraction:.4f}\t{round(1000 * fraction)}\n")


def _read_bins(file: Any, plan: CoveragePlan) -> Iterator[tuple[str, int, Values]]:
    """Yield the values of an open bigWig as runs of bins; -1 is a bin without a value."""
    size = plan.geometry.bin
    step = max(1, BASES_IN_MEMORY // size)
    for contig, intervals in plan.selected_bins.items():
        length = plan.fasta.contigs[contig]
        for start, end in intervals.tolist():
            for first in range(start, end, step):
                last = min(first + step, end)
                bases = file.values(contig, first * size, min(last * size, length), numpy=True)
                yield contig, first, np.nan_to_num(np.asarray(bases, np.float32)[::size], nan=-1)


def _equal_values(
    runs: Iterable[tuple[str, int, Values]],
) -> Iterator[tuple[str, int, int, float]]:
    """Yield (contig, first bin, bin after the last, value) of neighbouring bins of equal value."""
    last: tuple[str, int, int, float] | None = None
    for contig, first, values in runs:
        edges = np.flatnonzero(np.diff(values, prepend=np.nan, append=np.nan) != 0)
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            item = contig, first + start, first + end, float(values[start])
            if last and (last[0], last[2], last[3]) == (item[0], item[1], item[3]):
                item = contig, last[1], item[2], item[3]
            elif last:
                yield last
            last = item
    if last:
        yield last


def _with_segments(
    track_set: TrackSet, chunks: Sequence[Path]
) -> list[tuple[Path, Sequence[Segment]]]:
    """Return the files of all chunks of a set, each with its segments."""
    return list(zip(chunks, track_set.chunks.values(), strict=True))
