"""Blend the values of overlapping windows into one value per bin or base.

How much a bin of a window counts comes from `Tiling.blend_weights`; the rules for peaks are here.
Windows are added in order of position. A blend holds only the places (bins or bases) that a later
window may still cover: `add` adds a window, `take` removes the places before a position.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.sequence import Floats

OVERLAPS = ("nearest", "mean", "max")
"""Rules for the value of a base that several windows cover; see `PeakOverlap`."""


class _Blend:
    """Values and weights of neighbouring places, from place `first` on."""

    def __init__(
        self, first: int, columns: int, dtype: npt.DTypeLike, empty_weight: int = 0
    ) -> None:
        self.first, self.empty_weight = first, empty_weight
        self.values = np.zeros((0, columns), np.float32)
        self.weights = np.zeros(0, dtype)

    def reserve(self, end: int) -> None:
        """Make room for all places before `end`; one call for many windows saves time."""
        if (more := end - self.first - len(self.weights)) > 0:
            self.values = np.pad(self.values, ((0, more), (0, 0)))
            self.weights = np.pad(self.weights, (0, more), constant_values=self.empty_weight)

    def _span(self, first: int, count: int) -> slice:
        """Return the slice of the arrays that holds `count` places from place `first` on."""
        self.reserve(first + count)
        return slice(first - self.first, first - self.first + count)

    def _remove(self, end: int) -> tuple[Floats, npt.NDArray[Any]]:
        """Remove the places before `end`; return their values and weights."""
        span = self._span(self.first, end - self.first)
        values, weights = self.values[span], self.weights[span]
        self.values, self.weights = (
            self.values[span.stop :].copy(),
            self.weights[span.stop :].copy(),
        )
        self.first = end
        return values, weights


class WeightedMean(_Blend):
    """The weighted mean of the windows that cover a bin."""

    def __init__(self, first: int, columns: int) -> None:
        """Begin at bin `first`, with `columns` values per bin."""
        super().__init__(first, columns, np.float32)

    def add(self, first: int, values: Floats, weights: Floats) -> None:
        """Add a window's values (bins, columns) and weights (bins,), from bin `first` on."""
        span = self._span(first, len(values))
        self.values[span] += weights[:, None] * values
        self.weights[span] += weights

    def take(self, end: int) -> tuple[int, Floats]:
        """Remove the bins before `end`; return the first one's number and values (bins, columns).

        A bin without a window of weight above 0 is NaN.
        """
        first = self.first
        sums, weights = self._remove(end)
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no window, no value
            return first, sums / weights[:, None]


class PeakOverlap(_Blend):
    """The value of the nearest summit, or the mean or maximum of all windows that cover a base."""

    def __init__(self, rule: str, columns: int, first: int = 0) -> None:
        """Begin at base `first`.

        Args:
            rule: One of `OVERLAPS`.
            columns: Values per base.
            first: The first base.

        Raises:
            SeqcovError: If the rule is unknown.
        """
        # With "nearest" a weight is the distance of the nearest summit in bp, −1 without a window.
        # With the other rules it is the number of windows.
        if rule not in OVERLAPS:
            raise SeqcovError(f"overlap {rule!r} is unknown: choose one of {', '.join(OVERLAPS)}")
        super().__init__(first, columns, np.int32, empty_weight=-1 if rule == "nearest" else 0)
        self.rule = rule

    def add(self, first: int, values: Floats, distances: npt.NDArray[np.int64]) -> None:
        """Add a window.

        Args:
            first: The window's first base.
            values: (bases, columns).
            distances: Distance of each base from the summit in bp, (bases,). Of two equally near
                summits the first that was added counts.
        """
        span = self._span(first, len(values))
        blended, weights = self.values[span], self.weights[span]
        match self.rule:
            case "nearest":
                nearer = (weights < 0) | (distances < weights)
                blended[nearer], weights[nearer] = values[nearer], distances[nearer]
            case "mean":
                blended += values
                weights += 1
            case "max":
                np.maximum(blended, values, out=blended)
                weights += 1

    def take(self, end: int) -> tuple[int, Floats]:
        """Remove the bases before `end`; return the first one's number and values (bases, columns).

        A base that no window covers is NaN.
        """
        first = self.first
        values, weights = self._remove(end)
        if self.rule == "mean":
            values /= np.maximum(weights, 1)[:, None]
        values[weights == self.empty_weight] = np.nan
        return first, values
