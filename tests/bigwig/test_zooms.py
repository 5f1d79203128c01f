"""What browsers compute from zoom levels."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig
import pytest

from seqcov_models.bigwig.writer import write_bigwig
from support.bigwig_walker import walk
from support.bigwigs import expand_runs

Draw = Callable[[int], npt.NDArray[np.float32]]


def test_statistics_from_zooms_equal_those_of_the_bases(
    draw_coverage: Draw, tmp_path: Path
) -> None:

    contigs = {"b": 3_000_000, "a": 1_000_003}
    runs = [
        ("b", 0, draw_coverage(40_000)),
        ("b", 50_001, draw_coverage(12_345)),
        ("a", 0, draw_coverage(31_251)),
    ]
    write_bigwig(tmp_path / "a.bw", contigs, 32, runs)
    bases = expand_runs(contigs, 32, runs)
    reductions = walk(tmp_path / "a.bw").reductions
    assert reductions == [2048, 8192, 32768, 131072]
    reader, checked = pyBigWig.open(str(tmp_path / "a.bw")), set()
    for name, first, windows in itertools.product(contigs, [0, 3, 40], [2, 7, 8, 30, 1_000]):
        for reduction in reductions:
            start, end = first * reduction, min((first + windows) * reduction, contigs[name])
            if max((r for r in reductions if r <= (end - start) // 2), default=0) != reduction:
                continue
            values = bases[name][start:end].astype(np.float64)
            values = values[np.isfinite(values)]
            if not values.size:
                continue
            checked.add(reduction)
            expected = {
                "mean": values.mean(),
                "min": values.min(),
                "max": values.max(),
                "coverage": values.size / (end - start),
                "std": values.std(ddof=1),
            }
            for kind, value in expected.items():
                (statistic,) = reader.stats(name, start, end, type=kind)
                assert statistic == pytest.approx(value, rel=1e-5), (kind, name, start, end)
    assert checked == set(reductions)
    statistic = reader.stats("a", 12_345, 934_567, exact=True)
    assert statistic == [pytest.approx(np.mean(bases["a"][12_345:934_567], dtype=float), rel=1e-9)]
    (statistic,) = reader.stats("a", 12_345, 934_567)  # cuts windows at both ends
    assert statistic == pytest.approx(np.mean(bases["a"][12_345:934_567], dtype=float), rel=1e-2)
