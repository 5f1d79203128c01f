"""Write the table of genes and tracks: predicted coverage over the exons of each gene.

Values are on the raw scale: the transform of a model's training is undone per bin, before bins are
added up. They come from the bigWigs, so that folds are averaged before and not after the transform
if the run's `scale` is "model".
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import deflate
import numpy as np
import numpy.typing as npt

from seqcov_models.bigwig.reader import BigwigReader
from seqcov_models.bigwig.sections import split_ranges
from seqcov_models.browsers.display import TrackRow, relative_file, strand_unit
from seqcov_models.errors import SeqcovError
from seqcov_models.files import reserve_space, write_atomically
from seqcov_models.genome.annotation import Gene
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.plan import RunPlan
from seqcov_models.tracks.labels import is_deviation
from seqcov_models.tracks.table import Track
from seqcov_models.tracks.units import Untransform

log = logging.getLogger("seqcov")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PIECE = 1 << 20
"""Bins of a contig that are read at once."""

CELLS = 1 << 21
"""Cells of the table that are formatted at once."""

LEVEL = 1
"""libdeflate's level for the table: 6 takes four times as long and saves 8 %."""


class Column(NamedTuple):
    """A column of the table.

    Attributes:
        name: What the header says.
        tracks: By strand ("+" and "-", or "." for a track without strand) the row of the table of
            tracks. Genes read the track of their strand; genes without a strand the sum of both.
    """

    name: str
    tracks: dict[str, TrackRow]


class _Exons(NamedTuple):
    """The parts of exons that lie in a range of bins.

    Attributes:
        contig: The contig.
        spans: First bin and end of each run of bins that exons overlap, shape (runs, 2). Bins of
            all runs are numbered from 0 in what follows.
        bounds: First bin and end of each part, one after the other, shape (2 × parts,).
        before: Bases of a part's first bin that lie before the part, shape (parts,).
        behind: Bases of its last bin that lie behind it, shape (parts,).
        genes: The number of its gene, shape (parts,).
    """

    contig: str
    spans: Ints
    bounds: Ints
    before: Ints
    behind: Ints
    genes: Ints


def write_gene_table(
    path: Path,
    run: RunPlan,
    rows: Sequence[TrackRow],
    genes: Sequence[Gene],
    statistic: str,
    threads: int = 1,
) -> None:
    """Write the table of genes and tracks, as gzip.

    A thread reads one track after the other, and their values wait on disk, so that memory does
    not grow with the number of tracks.

    Args:
        path: The table to write.
        run: The plans of all models.
        rows: The table of tracks of the run.
        genes: The genes, in the order of the table.
        statistic: "sum" or "mean" of coverage over the bases of a gene's exons.
        threads: Columns that are computed at a time.

    Raises:
        SeqcovError: If no track of the run covers the genome, or a bigWig is damaged.
    """
    known = _tracks_by_file(run)
    columns = list_columns([row for row in rows if row["file"] in known])
    if not columns:
        raise SeqcovError("no model of the run predicts tracks along the genome; remove the job")
    exons = {
        size: list(_divide_exons(genes, size))
        for size in {plan.geometry.bin for plan, _ in known.values()}
    }
    compute = partial(
        _column_values,
        folder=run.paths.folder,
        known=known,
        exons=exons,
        genes=genes,
        statistic=statistic,
    )
    with write_atomically(path) as part, TemporaryFile(dir=path.parent) as values:
        reserve_space(values, 8 * len(columns) * len(genes), path)
        with ThreadPoolExecutor(threads) as pool:
            for column in pool.map(compute, columns):
                values.write(column.tobytes())
        values.flush()
        with part.open("wb") as table:
            for text in _format_rows(genes, [column.name for column in columns], values.fileno()):
                table.write(deflate.gzip_compress(text.encode(), LEVEL))
    log.info("%s genes, %s columns", f"{len(genes):,}", f"{len(columns):,}")


def list_columns(rows: Sequence[TrackRow]) -> list[Column]:
    """Return the columns of the table: one per strand pair, and per track without strand.

    Args:
        rows: Rows of the table of tracks.
    """
    units: dict[tuple[str, ...], dict[str, TrackRow]] = {}
    for row in rows:
        unit = strand_unit(row)
        is_second = row["strand"] in units.get(unit, {})  # for example a replicate
        units.setdefault((*unit, row["file"]) if is_second else unit, {})[row["strand"]] = row
    columns = []
    for tracks in units.values():
        stranded = {strand: row for strand, row in tracks.items() if strand != "."}
        chosen = stranded or tracks
        label = next(iter(chosen.values()))["label"]
        name = re.sub(r" [+-](?= |$)", "", label) if stranded else label
        columns.append(Column(name, chosen))
    return columns


def _tracks_by_file(run: RunPlan) -> dict[str, tuple[CoveragePlan, Track]]:
    """Return the plan and the track of each bigWig of coverage, by its path in the results."""
    paths, found = run.paths, dict[str, tuple[CoveragePlan, Track]]()
    for plan in run.models.values():
        for bigwig in plan.bigwigs:
            if bigwig.track.row >= 0 and not is_deviation(bigwig.track.description):
                file = paths.bigwig(plan.name, bigwig.group, bigwig.track.file_name)
                found[file.relative_to(paths.folder).as_posix()] = plan, bigwig.track
    return found


def _divide_exons(genes: Sequence[Gene], size: int) -> Iterator[_Exons]:
    """Yield the exons of genes in ranges of `PIECE` bins of `size` bp."""
    by_contig: dict[str, list[tuple[int, int, int]]] = {}
    for number, gene in enumerate(genes):
        by_contig.setdefault(gene.contig, []).extend((*exon, number) for exon in gene.exons)
    for contig, exons in by_contig.items():
        starts, ends, numbers = np.array(sorted(exons), np.int64).T
        first, last = starts // size, -(-ends // size)
        source, begin, end = split_ranges(last - first, first % PIECE, PIECE)
        begin, end = begin + first[source], end + first[source]
        parts = np.column_stack(
            (
                begin,
                end,
                np.maximum(starts[source] - begin * size, 0),
                np.maximum(end * size - ends[source], 0),
                numbers[source],
            )
        )
        parts = parts[np.argsort(begin, kind="stable")]
        borders = np.flatnonzero(np.diff(parts[:, 0] // PIECE)) + 1
        for piece in np.split(parts, borders):
            spans, bounds = _unite(*piece[:, :2].T)
            yield _Exons(contig, spans, bounds, *piece[:, 2:].T)


def _unite(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Return the runs of bins that intervals cover, and `_Exons.bounds` of the intervals.

    Args:
        begin: First bin of each interval, ascending.
        end: End of each interval.
    """
    reached = np.maximum.accumulate(end)
    is_new = np.append(True, begin[1:] > reached[:-1])
    heads = np.flatnonzero(is_new)
    spans = np.column_stack((begin[heads], reached[np.append(heads[1:], len(end)) - 1]))
    lengths = spans[:, 1] - spans[:, 0]
    shift = (np.cumsum(lengths) - lengths - spans[:, 0])[np.cumsum(is_new) - 1]
    return spans, np.column_stack((begin + shift, end + shift)).ravel()


def _column_values(
    column: Column,
    folder: Path,
    known: Mapping[str, tuple[CoveragePlan, Track]],
    exons: Mapping[int, Sequence[_Exons]],
    genes: Sequence[Gene],
    statistic: str,
) -> Floats:
    """Return the value of a column for each gene; NaN without a value."""
    values: dict[str, Floats] = {}
    for strand, row in column.tracks.items():
        plan, track = known[row["file"]]
        parts = exons[plan.geometry.bin]
        sums, bases = _sum_over_exons(folder / relative_file(row), plan, track, parts, len(genes))
        values[strand] = np.where(bases > 0, sums, np.nan)
        if statistic == "mean":
            values[strand] /= np.maximum(bases, 1)
    if "." in values:
        return values["."]
    missing = np.full(len(genes), np.nan)
    plus, minus = values.get("+", missing), values.get("-", missing)
    strands = np.array([gene.strand for gene in genes])
    return np.select([strands == "+", strands == "-"], [plus, minus], plus + minus)


def _sum_over_exons(
    path: Path, plan: CoveragePlan, track: Track, exons: Sequence[_Exons], count: int
) -> tuple[Floats, Floats]:
    """Return a track's coverage over the exons of each gene, on the raw scale.

    Args:
        path: The bigWig.
        plan: The plan of its model.
        track: The track.
        exons: The exons, divided for the bins of the model.
        count: Number of genes.

    Returns:
        Per gene the sum over the bases of its exons, and the number of bases with a value.

    Raises:
        SeqcovError: If the bigWig is damaged.
    """
    size, to_raw = plan.geometry.bin, _inverse(plan, track)
    per_base = 1 / size if track.columns.get("sum_stat", "").startswith("sum") else 1.0
    sums, bases = np.zeros(count), np.zeros(count)
    with BigwigReader(path, size) as file:
        for part in exons:
            binned = file.read(part.contig, part.spans)
            has_value = ~np.isnan(binned)
            raw = np.where(has_value, to_raw(np.where(has_value, binned, 0)), 0) * per_base
            for totals, levels in ((sums, raw), (bases, has_value.astype(np.float64))):
                first, last = levels[part.bounds[::2]], levels[part.bounds[1::2] - 1]
                # Sums between the pairs of bounds, too, are computed, and skipped.
                levels = np.add.reduceat(np.append(levels, 0.0), part.bounds)[::2]
                np.add.at(
                    totals, part.genes, levels * size - first * part.before - last * part.behind
                )
    return sums, bases


class _Inverse:
    """The inverse of a track's transform, for values of one track."""

    def __init__(self, untransform: Untransform | None) -> None:
        self._untransform = untransform

    def __call__(self, values: npt.NDArray[np.float32]) -> Floats:
        """Return values on the raw scale, shape (bins,)."""
        if self._untransform is None:
            return values.astype(np.float64)
        import torch

        tensor = torch.from_numpy(values.astype(np.float64))[:, None]
        return np.asarray(self._untransform(tensor)[:, 0].numpy(), np.float64)


def _inverse(plan: CoveragePlan, track: Track) -> _Inverse:
    """Return the inverse of what separates a bigWig's values from raw coverage."""
    if plan.options.scale == "raw" or plan.predicts_profiles:
        return _Inverse(None)
    try:
        return _Inverse(Untransform([track], plan.options.transform))
    except SeqcovError as error:
        log.warning("%s stays in the model's units: %s", track.identifier, error)
        return _Inverse(None)


def _format_rows(genes: Sequence[Gene], header: Sequence[str], values: int) -> Iterator[str]:
    """Yield the text of the table, some rows at a time.

    Args:
        genes: The genes.
        header: Names of the columns.
        values: Descriptor of the file of values, float64 of shape (columns, genes).
    """
    names = ("gene", "name", "contig", "start", "end", "strand", "exon_bases", *header)
    text = "\t".join(names) + "\n"
    pattern = "\t%.7g" * len(header) + "\n"
    step = max(1, CELLS // len(header))
    for first in range(0, len(genes), step):
        block = genes[first : first + step]
        columns = [
            os.pread(values, 8 * len(block), 8 * (number * len(genes) + first))
            for number in range(len(header))
        ]
        cells = np.frombuffer(b"".join(columns), np.float64).reshape(len(header), -1).T
        lines = [text]
        for gene, row in zip(block, cells, strict=True):
            length = sum(end - start for start, end in gene.exons)
            place = (gene.identifier, gene.name, gene.contig, gene.start, gene.end, gene.strand)
            numbers = (pattern % tuple(row.tolist())).replace("nan", "")
            lines.append("\t".join(map(str, (*place, length))) + numbers)
        yield "".join(lines)
        text = ""
