"""Compare a predicted track with a measured one: along the genome, at peaks, and per fold."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqcov_models.report.bins import Floats, Ints, PairReader
from seqcov_models.report.correlation import Moments, RankTable, log_scale, rank
from seqcov_models.tiling import NO_INTERVALS, BinIntervals, is_inside

CELLS = 48
"""Rows and columns of the density of pairs, for the report's scatter plot."""

MAX_EXACT = 1 << 24
"""Bins of a contig up to which its ranks are exact: any human chromosome at 16 bp or more."""

Regions = Mapping[str, BinIntervals]
"""Intervals of bases by contig, 0-based half-open and disjoint."""

GENOME, PEAKS, FOLD, CONTIG = "genome", "peaks", "fold", "contig"
"""What a row of the table compares: its column `where`."""


@dataclass
class Comparison:
    """Everything that is counted of one set of bins.

    Attributes:
        raw: Moments of the values.
        log: Moments of log(1 + value).
        ranks: Moments of the ranks.
    """

    raw: Moments = field(default_factory=Moments)
    log: Moments = field(default_factory=Moments)
    ranks: Moments = field(default_factory=Moments)

    def add(self, predicted: Floats, observed: Floats) -> None:
        """Add the values of bins; their ranks are added later."""
        self.raw.add(predicted, observed)
        self.log.add(log_scale(predicted), log_scale(observed))

    def row(self, where: str, name: str, sign: int) -> dict[str, Any]:
        """Return the row of the table. sign: -1 if one of both files holds negative reads."""
        return {
            "where": where,
            "name": name,
            "bins": self.raw.count,
            "pearson": sign * self.raw.pearson,
            "pearson_log1p": sign * self.log.pearson,
            "spearman": sign * self.ranks.pearson,
        }


class Group(Comparison):
    """A set of bins that is too large for the memory: ranks come from tables, in a second pass."""

    def __init__(self, regions: Regions | None = None) -> None:
        super().__init__()
        self._regions = regions
        self._tables = RankTable(), RankTable()

    def select(self, contig: str, middles: Ints, *values: Floats) -> list[Floats]:
        """Return the values of the bins whose middles lie in the set."""
        if self._regions is None:
            return list(values)
        inside = is_inside(middles, self._regions.get(contig, NO_INTERVALS))
        return [series[inside] for series in values]

    def add(self, predicted: Floats, observed: Floats) -> None:
        """Add the values of bins in the first pass."""
        super().add(predicted, observed)
        for table, values in zip(self._tables, (predicted, observed), strict=True):
            table.add(values)

    def add_ranks(self, predicted: Floats, observed: Floats) -> None:
        """Add the ranks of bins in the second pass."""
        self.ranks.add(self._tables[0].rank(predicted), self._tables[1].rank(observed))


@dataclass
class Agreement:
    """How a predicted track agrees with a measured one.

    Attributes:
        rows: Number of bins and correlations: along the genome, at peaks, per fold, per contig.
        highest: The highest predicted and measured value, as magnitudes.
        density: Number of bins by log(1 + predicted) and log(1 + measured), both from 0 to the
            logarithm of the highest value, shape (CELLS, CELLS).
        is_opposite: Whether one of both files, but not the other, has no positive value: reads of
            a minus strand, which are compared by their magnitude.
    """

    rows: list[dict[str, Any]]
    highest: list[float]
    density: list[list[int]]
    is_opposite: bool

    def contents(self) -> dict[str, Any]:
        """Return the content of the document that the report reads."""
        return asdict(self)


class Limits:
    """The lowest and highest predicted and measured value."""

    def __init__(self) -> None:
        self._low, self._high = np.zeros(2), np.zeros(2)

    def add(self, *pair: Floats) -> None:
        """Take values into account."""
        self._low = np.minimum(self._low, [values.min() for values in pair])
        self._high = np.maximum(self._high, [values.max() for values in pair])

    @property
    def highest(self) -> npt.NDArray[np.float64]:
        """The highest magnitudes."""
        magnitudes: npt.NDArray[np.float64] = np.maximum(self._high, -self._low)
        return magnitudes

    @property
    def is_opposite(self) -> bool:
        """Whether one of the files holds negative reads, as those of minus strands may."""
        is_negative = (self._low < 0) & (self._high <= 0)
        return bool(is_negative[0] != is_negative[1])

    def count_cells(self, *pair: Floats) -> npt.NDArray[np.int64]:
        """Return the number of pairs per cell of both logarithms, shape (CELLS, CELLS)."""
        scale = CELLS / np.maximum(np.log1p(self.highest), 1e-9)
        columns = [
            np.minimum(np.abs(log_scale(values)) * factor, CELLS - 1).astype(np.int64)
            for values, factor in zip(pair, scale, strict=True)
        ]
        counts = np.bincount(columns[0] * CELLS + columns[1], minlength=CELLS * CELLS)
        return counts.reshape(CELLS, CELLS)


def compare_tracks(
    predicted: Path,
    observed: Path,
    bin_size: int,
    contigs: Mapping[str, str],
    regions: Mapping[tuple[str, str], Regions],
) -> Agreement:
    """Compare a predicted bigWig with a measured one, in two passes of bounded memory.

    Bins without a predicted value are left out. A measured base without an entry counts as 0, and
    the measured value of a bin is the mean over its bases.

    Ranks of a contig are exact up to `MAX_EXACT` bins. Otherwise values that differ by less than
    0.05 % share a rank (`RankTable`).

    Args:
        predicted: The predicted bigWig.
        observed: The measured bigWig.
        bin_size: bp per bin of the prediction.
        contigs: The measured file's name of each contig to compare.
        regions: Sets of regions by (`PEAKS` or `FOLD`, name). A bin belongs to a set if its middle
            lies in it.

    Returns:
        The agreement along the genome, of every set, and of every contig with bins.

    Raises:
        SeqcovError: If a file cannot be read.
    """
    groups = {(GENOME, ""): Group()} | {key: Group(spans) for key, spans in regions.items()}
    limits, density = Limits(), np.zeros((CELLS, CELLS), np.int64)
    comparisons: dict[tuple[str, str], Comparison] = dict(groups)
    with PairReader(predicted, observed, bin_size) as reader:
        names = {name: other for name, other in contigs.items() if name in reader.contigs}
        for contig, other in names.items():
            compared = _compare_contig(reader, contig, other, groups.values(), limits)
            if compared.raw.count:
                comparisons[CONTIG, contig] = compared
        for contig, other in names.items():
            for bins, *pair in reader.read(contig, other):
                density += limits.count_cells(*pair)
                middles = bins * bin_size + bin_size // 2
                for group in groups.values():
                    group.add_ranks(*group.select(contig, middles, *pair))
    sign = -1 if limits.is_opposite else 1
    rows = [comparison.row(*key, sign) for key, comparison in comparisons.items()]
    return Agreement(rows, limits.highest.tolist(), density.tolist(), limits.is_opposite)


def _compare_contig(
    reader: PairReader, contig: str, other: str, groups: Iterable[Group], limits: Limits
) -> Comparison:
    """Return the comparison of one contig, and add its values to `groups` and `limits`."""
    is_small = reader.contigs[contig] // reader.bin_size < MAX_EXACT
    comparison = Comparison() if is_small else Group()
    blocks: list[list[Floats]] = []
    for bins, *pair in reader.read(contig, other):
        limits.add(*pair)
        comparison.add(*pair)
        middles = bins * reader.bin_size + reader.bin_size // 2
        for group in groups:
            group.add(*group.select(contig, middles, *pair))
        if is_small:
            blocks.append(pair)
    if isinstance(comparison, Group):
        for _, *pair in reader.read(contig, other):
            comparison.add_ranks(*pair)
        return Comparison(comparison.raw, comparison.log, comparison.ranks)  # without the tables
    if blocks:
        predicted, observed = map(np.concatenate, zip(*blocks, strict=True))
        comparison.ranks.add(rank(predicted), rank(observed))
    return comparison
