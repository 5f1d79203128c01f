"""Correlate two series of values that are too long for the memory: Pearson and Spearman.

Values arrive in blocks. Pearson's r follows from moments that are merged exactly. Spearman's needs
ranks, which a second pass looks up in tables of the first (`RankTable`).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from seqcov_models.report.bins import Floats

Ranks = npt.NDArray[np.float64]

SHIFT = 12
"""Lowest bits of a float32 that do not count for its rank: values within 0.05 % share one."""


@dataclass
class Moments:
    """Number, means and products of two series, from which Pearson's r follows.

    Attributes:
        count: Number of pairs.
        means: Both means.
        products: Sums of products of the deviations from the means: xx, yy and xy.
    """

    count: int = 0
    means: Ranks = field(default_factory=lambda: np.zeros(2))
    products: Ranks = field(default_factory=lambda: np.zeros(3))

    def add(self, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> None:
        """Add pairs of values, both of shape (pairs,)."""
        if not len(x):
            return
        pairs = np.stack([x, y]).astype(np.float64)
        means = pairs.mean(1)
        pairs -= means[:, None]
        products = np.array([pairs[0] @ pairs[0], pairs[1] @ pairs[1], pairs[0] @ pairs[1]])
        count = self.count + len(x)
        dx, dy = means - self.means
        weight = self.count * len(x) / count  # Chan, Golub and LeVeque (1979)
        self.products += products + weight * np.array([dx * dx, dy * dy, dx * dy])
        self.means += (means - self.means) * (len(x) / count)
        self.count = count

    @property
    def pearson(self) -> float:
        """Pearson's r; NaN if a series is constant or has fewer than two values."""
        xx, yy, xy = self.products.tolist()
        return float(xy / (xx * yy) ** 0.5) if xx > 0 and yy > 0 else float("nan")


def rank(values: Floats) -> Ranks:
    """Return the rank of each value, counted from 1; equal values have the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return _mean_ranks(counts)[inverse]


def _mean_ranks(counts: npt.NDArray[np.int64]) -> Ranks:
    """Return the mean rank of each of several groups of equal values, in ascending order."""
    ranks: Ranks = np.cumsum(counts) - (counts - 1) / 2
    return ranks


class RankTable:
    """Ranks of any number of values: a count per cell of float32's upper 20 bits.

    Cells are in the order of the values. Values of a cell, which differ by less than 0.05 %, count
    as equal. Needs 8 MB.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(1 << (32 - SHIFT), np.int64)
        self._ranks: Ranks | None = None

    def add(self, values: Floats) -> None:
        """Count values."""
        self._counts += np.bincount(_cells(values), minlength=len(self._counts))
        self._ranks = None

    def rank(self, values: Floats) -> Ranks:
        """Return the ranks of values among all that were counted."""
        if self._ranks is None:
            self._ranks = _mean_ranks(self._counts)
        return self._ranks[_cells(values)]


def _cells(values: Floats) -> npt.NDArray[np.int64]:
    """Return the cell of each value: the upper bits of float32, in the order of the numbers."""
    bits = (values + np.float32(0)).view(np.uint32)  # + 0 turns -0 into 0
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (ordered >> SHIFT).astype(np.int64)


def log_scale(values: npt.NDArray[np.floating]) -> Ranks:
    """Return log(1 + x) of each value x; of a negative one -log(1 - x)."""
    scaled: Ranks = np.copysign(np.log1p(np.abs(values.astype(np.float64))), values)
    return scaled
