"""Find the local maxima of a predicted track."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.peaks.read import COLUMNS
from seqcov_models.tiling import NO_INTERVALS, BinIntervals, is_inside

if TYPE_CHECKING:  # the plan needs this module and must not wait for pandas
    from pandas import DataFrame


def find_maxima(
    path: Path,
    name: str,
    bin_size: int,
    distance: int,
    selected: Mapping[str, BinIntervals],
    threshold: float | None = None,
    number: int | None = None,
    block: int = 1 << 21,
) -> "DataFrame":
    """Find the local maxima of a bigWig; return them as peaks with the columns of `COLUMNS`.

    A maximum is a bin higher than all others within `distance` bp on either side; of neighbours of
    equal height the first counts. Its summit is the bin's middle.

    Args:
        path: The bigWig, with bins of `bin_size` bp.
        name: Name of the set of peaks.
        bin_size: Bases per bin.
        distance: bp on either side in which no other bin may be as high.
        selected: Intervals of bases in which summits must lie, by contig, 0-based half-open.
        threshold: Least height, in the unit of the track; None for no limit.
        number: Number of the highest maxima to return; None for all.
        block: bp to read at once; the result does not depend on it.

    Returns:
        One row per maximum, the highest first. Coordinates are 0-based half-open.

    Raises:
        SeqcovError: If there is no such maximum.
    """
    import pyBigWig
    from pandas import DataFrame

    reach = max(1, distance // bin_size)
    rows: list[tuple[float, str, int, int]] = []
    highest = -math.inf
    with pyBigWig.open(str(path)) as file:
        for contig, length in file.chroms().items():
            for first, values in _read_blocks(file, contig, length, bin_size, reach, block):
                centre = values[reach : len(values) - reach]
                highest = max(highest, float(centre.max(initial=-math.inf)))
                neighbours = np.lib.stride_tricks.sliding_window_view(values, reach)
                is_maximum = (centre > neighbours[: len(centre)].max(1)) & (
                    centre >= neighbours[reach + 1 : reach + 1 + len(centre)].max(1)
                )
                if threshold is not None:
                    is_maximum &= centre >= threshold
                starts = (first + np.flatnonzero(is_maximum)) * bin_size
                ends = np.minimum(starts + bin_size, length)
                is_selected = is_inside((starts + ends) // 2, selected.get(contig, NO_INTERVALS))
                for start, end in zip(
                    starts[is_selected].tolist(), ends[is_selected].tolist(), strict=True
                ):
                    rows.append((float(centre[start // bin_size - first]), contig, start, end))
            rows = _select_highest(rows, number)
    if not rows:
        if highest == -math.inf:
            raise SeqcovError(f"peaks {name}: {path.name} does not contain any value")
        failure = " lies in a selected region"
        if threshold is not None:
            failure = f" reaches the threshold {threshold:g}"
        raise SeqcovError(
            f"peaks {name}: no local maximum of {path.name}{failure};"
            f" its highest value is {highest:.4g}"
        )
    return DataFrame(
        [
            (contig, start, end, f"{name}_{rank}", ".", (start + end) // 2, name)
            for rank, (_, contig, start, end) in enumerate(_select_highest(rows, len(rows)), 1)
        ],
        columns=COLUMNS,
    )


def _select_highest(
    rows: list[tuple[float, str, int, int]], number: int | None
) -> list[tuple[float, str, int, int]]:
    """Return the `number` rows of the highest values, highest first; all rows if it is None."""
    return rows if number is None else sorted(rows, key=lambda row: -row[0])[:number]


def _read_blocks(
    file: Any, contig: str, length: int, bin_size: int, reach: int, block: int
) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Yield a contig's values per bin in blocks of `block` bp: the first bin and the values.

    Each block has `reach` more bins on either side. A bin without a value is −inf.
    """
    count, bins = -(-length // bin_size), max(1, block // bin_size)
    for first in range(0, count, bins):
        last = min(first + bins, count)
        low, high = max(0, first - reach), min(last + reach, count)
        values = np.full(last - first + 2 * reach, -math.inf)
        span = low * bin_size, min(high * bin_size, length)
        bases = np.asarray(file.values(contig, *span, numpy=True))
        values[low - first + reach : high - first + reach] = bases[::bin_size]
        yield first, np.nan_to_num(values, nan=-math.inf, neginf=-math.inf)
