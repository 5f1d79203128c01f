"""Write the table of genes and tracks: predicted coverage over the exons of each gene.

Values are on the raw scale: the transform of a model's training is undone per bin, before bins are
added up. They come from the bigWigs, so that folds are averaged before and not after the transform
if the run's `scale` is "model".
"""

import gzip
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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

PIECE = 1 << 22
"""Bases of a contig that are read at once."""

ROWS = 500
"""Genes whose rows are formatted at once."""


class Column(NamedTuple):
    """A column of the table.

    Attributes:
        name: What the header says.
        tracks: By strand ("+" and "-", or "." for a track without strand) the row of the table of
            tracks. Genes read the track of their strand; genes without a strand the sum of both.
    """

    name: str
    tracks: dict[str, TrackRow]


class _Exons:
    """The exons of genes on one contig.

    Attributes:
        starts: Start of each exon, 0-based, ascending within a gene.
        ends: End of each exon.
        genes: The number of its gene.
    """

    def __init__(self, genes: Sequence[Gene], contig: str) -> None:
        exons = [
            (start, end, number)
            for number, gene in enumerate(genes)
            if gene.contig == contig
            for start, end in gene.exons
        ]
        self.starts, self.ends, self.genes = np.array(exons, np.int64).reshape(-1, 3).T


def write_gene_table(
    path: Path, run: RunPlan, rows: Sequence[TrackRow], genes: Sequence[Gene], statistic: str
) -> None:
    """Write the table of genes and tracks, as gzip.

    One track after the other is read, and its values wait on disk, so that memory does not grow
    with the number of tracks.

    Args:
        path: The table to write.
        run: The plans of all models.
        rows: The table of tracks of the run.
        genes: The genes, in the order of the table.
        statistic: "sum" or "mean" of coverage over the bases of a gene's exons.

    Raises:
        SeqcovError: If no track of the run covers the genome.
    """
    known = _tracks_by_file(run)
    columns = list_columns([row for row in rows if row["file"] in known])
    if not columns:
        raise SeqcovError("no model of the run predicts tracks along the genome; remove the job")
    folder = run.paths.folder
    exons = {contig: _Exons(genes, contig) for contig in run.fasta.contigs}
    with write_atomically(path) as part, TemporaryFile(dir=path.parent) as file:
        reserve_space(file, 8 * len(columns) * len(genes), path)
        values = np.memmap(file, np.float64, "r+", shape=(len(columns), len(genes)))
        for number, column in enumerate(columns):
            values[number] = _column_values(column, folder, known, exons, genes, statistic)
        header = [column.name for column in columns]
        with part.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as table:
            for line in _format_rows(genes, header, values):
                table.write(line.encode())
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


def _column_values(
    column: Column,
    folder: Path,
    known: Mapping[str, tuple[CoveragePlan, Track]],
    exons: Mapping[str, _Exons],
    genes: Sequence[Gene],
    statistic: str,
) -> Floats:
    """Return the value of a column for each gene; NaN without a value."""
    sums: dict[str, Floats] = {}
    for strand, row in column.tracks.items():
        path = folder / relative_file(row)
        total, bases = sum_over_exons(path, *known[row["file"]], exons, len(genes))
        if statistic == "mean":
            total = total / np.where(bases > 0, bases, np.nan)
        sums[strand] = np.where(bases > 0, total, np.nan)
    if "." in sums:
        return sums["."]
    missing = np.full(len(genes), np.nan)
    plus, minus = sums.get("+", missing), sums.get("-", missing)
    strands = np.array([gene.strand for gene in genes])
    return np.select([strands == "+", strands == "-"], [plus, minus], plus + minus)


def sum_over_exons(
    path: Path, plan: CoveragePlan, track: Track, exons: Mapping[str, _Exons], count: int
) -> tuple[Floats, Floats]:
    """Return a track's coverage over the exons of each gene, on the raw scale.

    Args:
        path: The bigWig.
        plan: The plan of its model.
        track: The track.
        exons: The exons by contig.
        count: The number of genes.

    Returns:
        Per gene the sum over the bases of its exons, and the number of bases with a value.
    """
    import pyBigWig

    to_raw, size = _inverse(plan, track), plan.geometry.bin
    per_base = 1 / size if track.columns.get("sum_stat", "").startswith("sum") else 1.0
    count = max(
        (int(part.genes.max()) + 1 for part in exons.values() if len(part.genes)), default=0
    )
    piece = PIECE // size * size
    sums, bases = np.zeros(count), np.zeros(count)
    with pyBigWig.open(str(path)) as file:
        for contig, length in file.chroms().items():
            part = exons[contig]
            for first in range(0, length, piece) if len(part.genes) else ():
                last = min(first + piece, length)
                inside = (part.starts < last) & (part.ends > first)
                if not inside.any():
                    continue
                binned = file.values(contig, first, last, numpy=True)[::size]
                has_value = ~np.isnan(binned)
                raw = np.where(has_value, to_raw(np.where(has_value, binned, 0)), 0) * per_base
                starts = np.maximum(part.starts[inside], first) - first
                ends = np.minimum(part.ends[inside], last) - first
                for totals, levels in ((sums, raw), (bases, has_value.astype(np.float64))):
                    cumulated = np.concatenate([[0], np.cumsum(levels * size)])
                    padded = np.append(levels, 0.0)
                    at_end, at_start = (
                        cumulated[place // size] + place % size * padded[place // size]
                        for place in (ends, starts)
                    )
                    np.add.at(totals, part.genes[inside], at_end - at_start)
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


def _format_rows(genes: Sequence[Gene], header: Sequence[str], values: Floats) -> Iterator[str]:
    """Yield the lines of the table. values: shape (columns, genes)."""
    yield (
        "\t".join(("gene", "name", "contig", "start", "end", "strand", "exon_bases", *header))
        + "\n"
    )
    for first in range(0, len(genes), ROWS):
        block = np.array(values[:, first : first + ROWS]).T
        for gene, cells in zip(genes[first : first + ROWS], block.tolist(), strict=True):
            length = sum(end - start for start, end in gene.exons)
            place = (gene.identifier, gene.name, gene.contig, gene.start, gene.end, gene.strand)
            numbers = ("" if cell != cell else f"{cell:.7g}" for cell in cells)
            yield "\t".join([*map(str, place), str(length), *numbers]) + "\n"
