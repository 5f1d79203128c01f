"""bigWig files of drawn values, and checks of them with independent readers."""

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pybigtools
import pyBigWig
import pytest

from seqcov_models.bigwig.layout import SIZES, Sizes
from support.bigwig_walker import walk

Run = tuple[str, int, npt.NDArray[np.float32]]
SMALL = Sizes(section=8, window=4, zoom_block=2, least_records=2, fan=3, batch=32, records=4)
"""Sizes at which a few dozen values meet every edge."""


def expand_runs(
    contigs: dict[str, int], bin_size: int, runs: list[Run]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the value of every base, by contig; NaN for bases without a value."""
    bases = {name: np.full(length, np.nan, np.float32) for name, length in contigs.items()}
    for contig, first, values in runs:
        for number, value in enumerate(values.tolist(), first):
            bases[contig][number * bin_size : (number + 1) * bin_size] = value
    return bases


def assert_holds(
    path: Path, bases: dict[str, npt.NDArray[np.float32]], sizes: Sizes = SIZES
) -> None:
    """Check with two readers and `walk` that a file has exactly these contigs and values."""
    lengths = {name: len(values) for name, values in bases.items()}
    content = walk(path, sizes)
    assert content.contigs == lengths
    assert list(content.contigs) == list(lengths)
    first_reader, second_reader = pyBigWig.open(str(path)), pybigtools.open(str(path))
    assert first_reader.chroms() == lengths
    assert list(first_reader.chroms()) == list(lengths)
    assert second_reader.chroms() == lengths
    for name, expected in bases.items():
        starts, ends, values = content.intervals[name]
        written = np.full(len(expected), np.nan, np.float32)
        for start, end, value in zip(starts.tolist(), ends.tolist(), values, strict=True):
            assert np.isnan(written[start:end]).all()
            written[start:end] = value
        np.testing.assert_array_equal(written, expected)
        if len(expected):
            bases_of_reader = second_reader.values(name, 0, len(expected), exact=True, fillna=None)
            np.testing.assert_array_equal(bases_of_reader.astype(np.float32), expected)
        if len(expected) and content.summary.bases:
            written = first_reader.values(name, 0, len(expected), numpy=True)
            np.testing.assert_array_equal(written, expected)
    first_reader.close()
    second_reader.close()


def assert_zooms(
    path: Path, bases: dict[str, npt.NDArray[np.float32]], sizes: Sizes = SIZES
) -> None:
    """Check every zoom record against the bases of its window."""
    reader = pybigtools.open(str(path))
    assert list(reader.zooms()) == walk(path, sizes).reductions
    for reduction, name in itertools.product(reader.zooms(), bases):
        if not len(bases[name]):
            continue
        records = {start // reduction: row for start, *row in reader.zoom_records(reduction, name)}
        for window in range(-(-len(bases[name]) // reduction)):
            values = bases[name][window * reduction : (window + 1) * reduction].astype(np.float64)
            valid = values[np.isfinite(values)]
            assert (window in records) == bool(valid.size)
            if valid.size:
                end, record = records.pop(window)
                assert end == window * reduction + np.flatnonzero(np.isfinite(values))[-1] + 1
                assert record["bases_covered"] == valid.size
                assert record["min_val"] == valid.min()
                assert record["max_val"] == valid.max()
                assert record["sum"] == pytest.approx(valid.sum(), rel=1e-6)
                assert record["sum_squares"] == pytest.approx((valid**2).sum(), rel=1e-6)
        assert not records
