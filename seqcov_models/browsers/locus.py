"""Find the loci at which the tracks of a run have most to show, from the bigWigs' zoom levels."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqcov_models.bigwig.layout import SIZES
from seqcov_models.bigwig.reader import BigwigReader
from seqcov_models.browsers.display import TrackRow, relative_file
from seqcov_models.genome.regions import Interval

WIDTH, BASE_WIDTH = 100_000, 4_000
"""Width of a locus in bp; that of a run with base-resolution profiles alone, which is also the
least width in a small genome."""

PARTS = 12
"""Number of stretches of a locus that are compared."""

MARGINS = ((0, 1.0), (PARTS // 4, 0.25), (PARTS // 2 - 1, 0.25))
"""Stretches that are left out at each end of a locus, and what the sum over the others counts."""

MAX_CELLS = 400_000
"""Number of stretches into which a genome is divided to compare them, besides one per contig."""

HIGH = 0.999
"""Share of the stretches that are lower than what counts as a track's full height."""

SHOWN_WEIGHT = 0.3
"""Weight of a track that another locus shows at its full height already."""

THREADS = 4
"""Number of bigWigs that are read at a time."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class _Cells(NamedTuple):
    """Stretches of equal width of all contigs, one contig after the other.

    Attributes:
        size: bp per stretch; the last one of a contig may be shorter.
        total: Number of stretches.
        firsts: Number of the first stretch of each contig.
        starts: Start of each stretch on its contig.
        ends: Number of the stretch behind the locus that begins with each stretch.
    """

    size: int
    total: int
    firsts: dict[str, int]
    starts: Ints
    ends: Ints


def find_loci(
    rows: Sequence[TrackRow], folder: Path, contigs: Mapping[str, int], count: int
) -> list[Interval]:
    """Return the loci with the highest and most different signals, the best first.

    A locus is divided into stretches. In each, a track counts with its highest value above its
    mean, as a share of its full height. A stretch scores the root of the sum of these squares over
    all tracks, and a locus the sum over its stretches: so signals at many places win over equal
    signals at one place, such as a promoter that all tracks have. Each locus lowers the weight of
    the tracks that it shows well, so that the next one shows others.

    Args:
        rows: Rows of the table of tracks, best not more than 40.
        folder: The folder of the table.
        contigs: Lengths of the contigs in bp.
        count: Maximum number of loci.

    Returns:
        Intervals (contig, start, end) that do not overlap, 0-based half-open.

    Raises:
        SeqcovError: If a bigWig is damaged.
    """
    bins = max(int(row["bin"]) for row in rows)
    width = WIDTH if bins > 1 else BASE_WIDTH
    width = min(width, max(BASE_WIDTH, sum(contigs.values()) // (2 * count)))
    cells = _divide(contigs, width, SIZES.window * bins)
    width = max(width, cells.size)
    files = [folder / relative_file(row) for row in rows]
    with ThreadPoolExecutor(THREADS) as pool:
        heights = np.stack([*pool.map(partial(_measure, cells=cells), files, rows)])
    squares = heights**2
    weights = np.ones(len(rows), np.float32)
    loci: list[Interval] = []
    free = np.ones(cells.total, np.bool_)
    while len(loci) < count:
        scores = np.where(free, _score(weights @ squares, cells), 0)
        best = int(scores.argmax())
        if scores[best] <= 0:
            break
        contig, start, end = locus = _frame(cells, best, width, contigs)
        loci.append(locus)
        first = cells.firsts[contig]
        members = slice(first, first - (-contigs[contig] // cells.size))
        ends = cells.starts[members] + width
        free[members] &= (ends <= start) | (cells.starts[members] >= end)
        weights *= 1 - (1 - SHOWN_WEIGHT) * heights[:, best : cells.ends[best]].max(1)
    return loci


def _divide(contigs: Mapping[str, int], width: int, least: int) -> _Cells:
    """Divide contigs into stretches for loci of `width` bp, of `least` bp or more."""
    size = max(width // PARTS, least, sum(contigs.values()) // MAX_CELLS)
    counts = np.array([-(-length // size) for length in contigs.values()])
    firsts = np.cumsum(counts) - counts
    number = np.arange(counts.sum())
    ends = np.minimum(number + max(1, width // size), np.repeat(firsts + counts, counts))
    starts = (number - np.repeat(firsts, counts)) * size
    return _Cells(size, len(number), dict(zip(contigs, firsts.tolist(), strict=True)), starts, ends)


def _measure(path: Path, row: TrackRow, cells: _Cells) -> Floats:
    """Return how far each stretch is from the track's mean, as a share of its full height."""
    with BigwigReader(path, int(row["bin"])) as file:
        summaries = file.read_summaries(cells.size)
        firsts = np.array([cells.firsts.get(name, -1) for name in file.contigs], np.int64)
    heights = np.zeros(cells.total, np.float32)
    if not len(summaries):
        return heights
    mean = summaries["sum"].sum(dtype=np.float64) / summaries["valid"].sum(dtype=np.float64)
    above = np.maximum(summaries["max"] - mean, mean - summaries["min"])
    is_known = firsts[summaries["chrom"]] >= 0
    place = firsts[summaries["chrom"]] + summaries["start"] // cells.size
    np.maximum.at(heights, place[is_known], above[is_known].astype(np.float32))
    full = np.quantile(heights[heights > 0], HIGH, method="higher") if heights.any() else 1
    share: Floats = np.minimum(heights / full, 1)
    return share


def _score(squares: Floats, cells: _Cells) -> npt.NDArray[np.float64]:
    """Return the score of the locus that begins with each stretch; its middle counts more.

    Args:
        squares: The sum of the squares of all tracks in each stretch, shape (stretches,).
        cells: The stretches.
    """
    totals = np.append(0.0, np.cumsum(np.sqrt(squares), dtype=np.float64))
    number = np.arange(cells.total)
    scores = np.zeros(cells.total)
    for margin, share in MARGINS:
        first = np.minimum(number + margin, cells.ends)
        scores += share * (totals[np.maximum(first, cells.ends - margin)] - totals[first])
    return scores


def _frame(cells: _Cells, cell: int, width: int, contigs: Mapping[str, int]) -> Interval:
    """Return the locus that begins with a stretch, within its contig."""
    names = [*cells.firsts]
    contig = names[bisect_right([*cells.firsts.values()], cell) - 1]
    start = max(0, min(int(cells.starts[cell]), contigs[contig] - width))
    return contig, start, min(start + width, contigs[contig])
