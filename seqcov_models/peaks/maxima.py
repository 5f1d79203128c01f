"""Find the local maxima of a predicted track."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.peaks.read import COLUMNS
from seqcov_models.tiling import NOTHING, Bins, contains

if TYPE_CHECKING:  # the plan needs this module and must not wait for pandas
    from pandas import DataFrame


def peaks_of_track(
    path: Path,
    name: str,
    bin_size: int,
    apart: int,
    wanted: Mapping[str, Bins],
    threshold: float | None = None,
    number: int | None = None,
) -> "DataFrame":
    """The local maxima of a bigWig of bins: highest bins within `apart` bp at both sides.

    Of bins as high as one another the first counts. Summits are the bins' middles; only those in
    wanted bases are taken, only those of at least `threshold`, only the `number` highest; what is
    None does not matter. Raises SeqcovError where there is none.
    """
    import pyBigWig
    from pandas import DataFrame

    reach = max(1, apart // bin_size)
    rows: list[tuple[float, str, int, int]] = []
    highest = -math.inf
    with pyBigWig.open(str(path)) as file:
        for contig, length in file.chroms().items():
            for first, values in _pieces(file, contig, length, bin_size, reach):
                inner = values[reach : len(values) - reach]
                highest = max(highest, float(inner.max(initial=-math.inf)))
                around = np.lib.stride_tricks.sliding_window_view(values, reach)
                is_top = (inner > around[: len(inner)].max(1)) & (
                    inner >= around[reach + 1 : reach + 1 + len(inner)].max(1)
                )
                if threshold is not None:
                    is_top &= inner >= threshold
                starts = (first + np.flatnonzero(is_top)) * bin_size
                ends = np.minimum(starts + bin_size, length)
                there = contains(wanted.get(contig, NOTHING), (starts + ends) // 2)
                for start, end in zip(starts[there].tolist(), ends[there].tolist(), strict=True):
                    rows.append((float(inner[start // bin_size - first]), contig, start, end))
            rows = _highest(rows, number)
    if not rows:
        if highest == -math.inf:
            raise SeqcovError(f"peaks {name}: {path.name} has no value")
        reaches = "" if threshold is None else f" reaches the threshold {threshold:g}"
        raise SeqcovError(
            f"peaks {name}: no local maximum of {path.name}{reaches or ' lies in a wanted region'};"
            f" its highest value is {highest:.4g}"
        )
    return DataFrame(
        [
            (contig, start, end, f"{name}_{rank}", ".", (start + end) // 2, name)
            for rank, (_, contig, start, end) in enumerate(_highest(rows, len(rows)), 1)
        ],
        columns=COLUMNS,
    )


def _highest(
    rows: list[tuple[float, str, int, int]], number: int | None
) -> list[tuple[float, str, int, int]]:
    """The `number` rows of the highest values, those first; of equals the earlier ones."""
    return rows if number is None else sorted(rows, key=lambda row: -row[0])[:number]


def _pieces(
    file: Any, contig: str, length: int, bin_size: int, reach: int, bases: int = 1 << 21
) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """A contig's values a bin, piece by piece: (first bin, values with `reach` more at each side).

    −inf where there is no value.
    """
    total, bins = -(-length // bin_size), max(1, bases // bin_size)
    for first in range(0, total, bins):
        last = min(first + bins, total)
        low, high = max(0, first - reach), min(last + reach, total)
        values = np.full(last - first + 2 * reach, -math.inf)
        span = low * bin_size, min(high * bin_size, length)
        read = np.asarray(file.values(contig, *span, numpy=True))
        values[low - first + reach : high - first + reach] = read[::bin_size]
        yield first, np.nan_to_num(values, nan=-math.inf, neginf=-math.inf)
