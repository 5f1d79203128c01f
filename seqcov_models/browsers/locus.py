"""Find the loci at which the tracks of a run have most to show, from the bigWigs' zoom levels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqcov_models.browsers.display import TrackRow, relative_file
from seqcov_models.genome.regions import Interval

WIDTH, BASE_WIDTH = 100_000, 4_000
"""Width of a locus in bp; that of a run with base-resolution profiles alone, which is also the
least width in a small genome."""

MAX_CELLS = 20_000
"""Number of stretches into which a genome is divided to compare them."""

SHOWN_WEIGHT = 0.3
"""Weight of a track whose highest value another locus shows already."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Cells:
    """Stretches of contigs of nearly equal width.

    Attributes:
        contigs: The contig of each.
        starts: Start of each.
        ends: End of each.
    """

    contigs: list[str]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def find_loci(
    rows: Sequence[TrackRow], folder: Path, contigs: Mapping[str, int], count: int
) -> list[Interval]:
    """Return the loci with the highest and most different signals, the best first.

    A stretch counts for a track with its highest value above its mean, as a share of the track's
    highest value. Each locus lowers the weight of the tracks that it shows well, so that the next
    one shows others.

    Args:
        rows: Rows of the table of tracks, best not more than 40.
        folder: The folder of the table.
        contigs: Lengths of the contigs in bp.
        count: Maximum number of loci.

    Returns:
        Intervals (contig, start, end) that do not overlap, 0-based half-open.
    """
    width = WIDTH if any(row["bin"] != "1" for row in rows) else BASE_WIDTH
    width = min(width, max(BASE_WIDTH, sum(contigs.values()) // (2 * count)))
    cells = _divide(contigs, width)
    heights = np.stack([_measure(folder / relative_file(row), cells) for row in rows])
    heights /= np.maximum(heights.max(1, keepdims=True), 1e-9)
    weights = np.ones(len(rows))
    loci: list[Interval] = []
    free = heights.max(0) > 0
    while len(loci) < count and free.any():
        scores = np.where(free, weights @ heights, -np.inf)
        best = int(scores.argmax())
        locus = _frame(cells, best, width, contigs)
        loci.append(locus)
        weights *= 1 - (1 - SHOWN_WEIGHT) * heights[:, best]
        for cell in np.flatnonzero(free).tolist():
            free[cell] = _is_apart(_frame(cells, cell, width, contigs), locus)
    return loci


def _divide(contigs: Mapping[str, int], width: int) -> _Cells:
    """Divide contigs into stretches of a quarter of a locus, or more in a large genome."""
    size = max(width // 4, sum(contigs.values()) // MAX_CELLS, 1)
    names: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for name, length in contigs.items():
        pieces = max(1, round(length / size))
        bounds = [length * piece // pieces for piece in range(pieces + 1)]
        names += [name] * pieces
        starts += bounds[:-1]
        ends += bounds[1:]
    return _Cells(names, np.array(starts), np.array(ends))


def _measure(path: Path, cells: _Cells) -> Matrix:
    """Return how far the highest value of each stretch is above its mean; 0 without values."""
    import pyBigWig

    heights = np.zeros(len(cells.contigs))
    names = np.array(cells.contigs)
    with pyBigWig.open(str(path)) as file:
        for name, length in file.chroms().items():
            (where,) = np.nonzero(names == name)
            if not len(where):
                continue
            columns = [
                np.array(file.stats(name, 0, length, type=kind, nBins=len(where)), np.float64)
                for kind in ("max", "min", "mean")
            ]
            high, low, mean = (np.nan_to_num(column) for column in columns)
            heights[where] = np.maximum(high - mean, mean - low)
    return heights


def _frame(cells: _Cells, cell: int, width: int, contigs: Mapping[str, int]) -> Interval:
    """Return the locus around a stretch, within its contig."""
    contig = cells.contigs[cell]
    middle = int(cells.starts[cell] + cells.ends[cell]) // 2
    start = max(0, min(middle - width // 2, contigs[contig] - width))
    return contig, start, min(start + width, contigs[contig])


def _is_apart(locus: Interval, other: Interval) -> bool:
    """Return whether two loci do not overlap."""
    return locus[0] != other[0] or locus[2] <= other[1] or locus[1] >= other[2]
