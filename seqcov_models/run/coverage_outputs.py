"""Write the results of a model of coverage: bigWigs and the mask, from chunks or packed ranges."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from seqcov_models.bigwig.writer import Summary, join_bigwig, write_bigwig
from seqcov_models.files import write_atomically
from seqcov_models.run.chunk_files import ChunkFile, Values, track_runs
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.paths import TRACK_TABLE, bigwig_name
from seqcov_models.run.range_files import PackedTrack
from seqcov_models.run.sealed_array import discard
from seqcov_models.run.seams import Jumps, Seams
from seqcov_models.run.track_set import MASK, TrackSet
from seqcov_models.run.track_table import find_damage, read_table, table_row, write_table
from seqcov_models.tracks.table import Track

_MADE_FROM = "made_from"
"""The file in a folder of a batch that says what its bigWigs were made from."""


def write_coverage_bigwigs(
    folder: Path, plan: CoveragePlan, group: str, files: Sequence[Path]
) -> None:
    """Write one bigWig per track of a group, and the table of these bigWigs.

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
    if not track_set.ranges:
        _write_group(folder, plan, group, files)
    elif len(batches) == 1:
        with write_atomically(folder) as part:
            _join(part, plan, track_set.batch_names[batches[0]], files)
    else:
        names = [track_set.batch_names[batch] for batch in batches]
        _gather(folder, plan, dict(zip(names, files, strict=True)))


def _write_group(folder: Path, plan: CoveragePlan, group: str, chunks: Sequence[Path]) -> None:
    """Write the bigWigs of a group and their table from chunks."""
    contigs, bin_size = plan.fasta.contigs, plan.geometry.bin
    track_set = plan.groups[group]
    with write_atomically(folder) as part:
        part.mkdir(parents=True)
        rows = []
        for row, track in plan.members(track_set, track_set.groups[group]):
            path = part / bigwig_name(plan.name, track.file_name)
            seams = Seams(plan.tiling, contigs)
            runs = track_runs(_chunk_files(plan, track_set, chunks), row, plan.tiling.step)
            runs = seams.observe(plan.round_runs(row, runs))
            summary = write_bigwig(path, contigs, bin_size, runs)
            rows.append(_table_row(plan, group, track, path, summary, seams.jumps))
        write_table(part / TRACK_TABLE, rows)


def join_batch(folder: Path, plan: CoveragePlan, name: str, ranges: Sequence[Path]) -> None:
    """Write one bigWig per track of a batch from compressed ranges, and the table of these.

    The folder also says what it was made from.

    Args:
        folder: The folder to write. It appears when all of its files are complete.
        plan: The model's plan.
        name: Name of the batch.
        ranges: The batch's files of all ranges, in the plan's order.

    Raises:
        SeqcovError: If a file is damaged or from another run.
    """
    with write_atomically(folder) as part:
        _join(part, plan, name, ranges)
        (part / _MADE_FROM).write_text(plan.batch_digest(name), encoding="utf-8")


def _join(folder: Path, plan: CoveragePlan, name: str, ranges: Sequence[Path]) -> None:
    """Write the bigWigs of a batch and their table from compressed ranges."""
    contigs, bin_size, track_set = plan.fasta.contigs, plan.geometry.bin, plan.find_set(name)
    batch, digest = track_set.batches[track_set.batch_index(name)], plan.packing_digest(track_set)
    folder.mkdir(parents=True)
    rows = []
    for number, (_, track) in enumerate(plan.members(track_set, batch.rows)):
        path = folder / bigwig_name(plan.name, track.file_name)
        packed = PackedTrack(ranges, number, digest)
        summary = join_bigwig(path, contigs, bin_size, packed.read())
        rows.append(_table_row(plan, batch.group, track, path, summary, packed.jumps))
    write_table(folder / TRACK_TABLE, rows)


def _gather(folder: Path, plan: CoveragePlan, batches: Mapping[str, Path]) -> None:
    """Put the bigWigs of a group's batches into one folder, with the table of all of them.

    batches: the folders that `join_batch` wrote, by the batch's name.
    The files get a second name (a hard link), so they take no space twice. On a file system without
    hard links they are copied.
    """
    for name, batch in batches.items():
        made_from = batch / _MADE_FROM
        if not made_from.is_file() or made_from.read_text("utf-8") != plan.batch_digest(name):
            raise discard(batch, "damaged, or from another run")
        if damage := find_damage(batch):
            raise discard(batch, f"damaged: {damage}")
    with write_atomically(folder) as part:
        part.mkdir(parents=True)
        folders = batches.values()
        rows = [(batch, row) for batch in folders for row in read_table(batch / TRACK_TABLE)]
        for batch, row in rows:
            source, target = batch / row["file"], part / row["file"]
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)
        write_table(part / TRACK_TABLE, [row for _, row in rows])


def _table_row(
    plan: CoveragePlan, group: str, track: Track, path: Path, summary: Summary, jumps: Jumps
) -> dict[str, Any]:
    """Return the row of a bigWig in the table of its group."""
    bin_size, unit = plan.geometry.bin, plan.unit(track)
    return table_row(plan.name, group, track, path, bin_size, unit, summary, jumps.cells)


def write_mask(bed: Path, plan: CoveragePlan, files: Sequence[Path]) -> None:
    """Write a BED of the regions whose input window contained N or ran past the contig end.

    Columns: contig, start, end (0-based half-open), the fraction of the window that was unknown (0
    to 1), and that fraction in thousandths as the score.

    Args:
        bed: The file to write.
        plan: The model's plan.
        files: The files of all chunks of the mask's set, in the plan's order. If it has ranges:
            their files of the mask's batch.

    Raises:
        SeqcovError: If a file is damaged or does not have the planned shape.
    """
    runs: Iterator[tuple[str, int, Values]]
    track_set = plan.groups[MASK]
    if track_set.ranges:
        pieces = PackedTrack(files, 0, plan.packing_digest(track_set)).read()
        runs = chain.from_iterable(piece.runs(plan.fasta.contigs) for piece in pieces)
    else:
        runs = track_runs(_chunk_files(plan, track_set, files), -1, plan.tiling.step)
    size = plan.geometry.bin
    with write_atomically(bed) as part, part.open("w", encoding="utf-8") as out:
        for contig, start, end, fraction in _equal_values(runs):
            if fraction > 0:
                stop = min(end * size, plan.fasta.contigs[contig])
                interval = f"{contig}\t{start * size}\t{stop}"
                out.write(f"{interval}\t{fraction:.4f}\t{round(1000 * fraction)}\n")


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


def _chunk_files(
    plan: CoveragePlan, track_set: TrackSet, chunks: Sequence[Path]
) -> list[ChunkFile]:
    """Return the files of all chunks of a set, each with what must be in it."""
    identities = map(plan.chunk_identity, track_set.chunks)
    return list(map(ChunkFile, chunks, track_set.chunks.values(), identities))
