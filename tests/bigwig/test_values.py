"""Values and contigs of bigWig files, read by two independent readers."""

import math
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt
import pybigtools
import pyBigWig
import pytest

from seqcov_models.bigwig.writer import Summary, write_bigwig
from support.bigwig_walker import walk
from support.bigwigs import Run, assert_holds, assert_zooms, expand_runs

Draw = Callable[[int], npt.NDArray[np.float32]]


def draw_runs(draw_coverage: Draw, bin_size: int) -> tuple[dict[str, int], list[Run]]:
    """Draw runs with gaps and a clipped last bin, on contigs that are not in alphabetical order."""
    contigs = {
        "chr2": 5_000 * bin_size + bin_size // 2,
        "chr10": 700,
        "tiny": max(1, bin_size // 3),
        "empty": 0,
        "chr1": 9_000 * bin_size,
    }
    last = (contigs["chr2"] - 1) // bin_size
    runs = [
        ("chr2", 3, draw_coverage(2_500)),
        ("chr2", 2_503, draw_coverage(1)),
        ("chr2", 2_506, draw_coverage(0)),
        ("chr2", 2_510, draw_coverage(1)),
        ("chr2", last - 40, draw_coverage(41)),
        ("tiny", 0, draw_coverage(1)),
        ("chr1", 5_000, draw_coverage(4_000)),
    ]
    return contigs, runs


@pytest.mark.parametrize("bin_size", [1, 32, 128])
def test_every_base(bin_size: int, draw_coverage: Draw, tmp_path: Path) -> None:
    contigs, runs = draw_runs(draw_coverage, bin_size)
    summary = write_bigwig(tmp_path / "a.bw", contigs, bin_size, runs)
    bases = expand_runs(contigs, bin_size, runs)
    assert_holds(tmp_path / "a.bw", bases)
    assert_zooms(tmp_path / "a.bw", bases)
    values = np.concatenate(list(bases.values())).astype(np.float64)
    values = values[np.isfinite(values)]
    assert summary.bases == values.size
    assert (summary.minimum, summary.maximum) == (values.min(), values.max())
    assert summary.sum == pytest.approx(math.fsum(values), rel=1e-12)
    assert summary.sum_squares == pytest.approx(math.fsum(values**2), rel=1e-12)
    assert summary.mean == pytest.approx(values.mean(), rel=1e-12)
    assert walk(tmp_path / "a.bw").summary == summary
    assert summary.crc32c == google_crc32c.value((tmp_path / "a.bw").read_bytes())
    with pyBigWig.open(str(tmp_path / "a.bw")) as reader:
        assert reader.header()["nBasesCovered"] == values.size
    info = pybigtools.open(str(tmp_path / "a.bw")).info()
    assert info["summary"]["sum"] == summary.sum
    assert info["summary"]["max"] == summary.maximum
    assert [file.name for file in tmp_path.iterdir()] == ["a.bw"]


def test_a_file_without_values(draw_coverage: Draw, tmp_path: Path) -> None:
    contigs = {"b": 1_000, "a": 10}
    summary = write_bigwig(tmp_path / "a.bw", contigs, 32, [("a", 0, draw_coverage(0))])
    assert summary == Summary(0, 0.0, 0.0, 0.0, 0.0)
    assert summary.mean == 0
    assert_holds(tmp_path / "a.bw", expand_runs(contigs, 32, []))
    with pyBigWig.open(str(tmp_path / "a.bw")) as reader:
        assert reader.isBigWig()
        assert reader.stats("b") == [None]
        assert reader.intervals("b") is None
    assert walk(tmp_path / "a.bw").reductions == []


def test_many_contigs(draw_coverage: Draw, tmp_path: Path) -> None:
    """The trees of the file have several levels."""
    contigs = {f"scaffold_{number}": 300 + number % 700 for number in range(20_001)}
    runs = [(name, 0, draw_coverage(2)) for name in contigs if int(name[9:]) % 3]
    write_bigwig(tmp_path / "a.bw", contigs, 128, runs)
    walked = walk(tmp_path / "a.bw")
    assert list(walked.contigs.items()) == list(contigs.items())
    assert len(walked.reductions) == 1
    pybigwig, pybigtools_reader = (
        pyBigWig.open(str(tmp_path / "a.bw")),
        pybigtools.open(str(tmp_path / "a.bw")),
    )
    assert list(pybigwig.chroms().items()) == list(contigs.items())
    assert pybigtools_reader.chroms() == contigs
    for name, first, values in runs[::97]:
        expected = [(0, 128, values[0]), (128, 256, values[1])]
        assert first == 0
        assert list(pybigwig.intervals(name)) == expected
        assert list(pybigtools_reader.records(name)) == expected
        assert pybigwig.stats(name) == [pytest.approx(values.mean(), rel=1e-5)]
        assert len(walked.intervals[name][2]) == 2
    assert pybigwig.intervals("scaffold_0") is None
    assert not len(walked.intervals["scaffold_0"][0])


def test_many_tiny_runs(draw_coverage: Draw, tmp_path: Path) -> None:
    values = draw_coverage(100_000 * 5).reshape(-1, 5)
    contigs = {"a": 100_000 * 11}
    write_bigwig(
        tmp_path / "a.bw", contigs, 1, (("a", number * 11, v) for number, v in enumerate(values))
    )
    starts, ends, written = walk(tmp_path / "a.bw").intervals["a"]
    np.testing.assert_array_equal(written, values.ravel())
    np.testing.assert_array_equal(starts.reshape(-1, 5)[:, 0], np.arange(100_000) * 11)
    np.testing.assert_array_equal(ends - starts, 1)
    with pyBigWig.open(str(tmp_path / "a.bw")) as reader:
        (written,) = reader.stats("a", 0, 2**19, type="max")
        assert written == values.ravel()[starts < 2**19].max()


def test_largest_numbers(tmp_path: Path) -> None:
    """A contig of 2³²-1 bp, the widest bins, the largest values."""
    contigs = {"a": 2**32 - 1, "b": 2**24}
    largest = float(np.finfo(np.float32).max)
    values = np.array([largest] * 255 + [-largest], np.float32)
    summary = write_bigwig(tmp_path / "a.bw", contigs, 2**24, [("a", 0, values)])
    assert summary.bases == 2**32 - 1
    assert summary.sum == pytest.approx(largest * (255 * 2**24 - 2**24 + 1))
    assert walk(tmp_path / "a.bw").summary == summary
    reader = pybigtools.open(str(tmp_path / "a.bw"))
    assert list(reader.records("a"))[-1] == (255 * 2**24, 2**32 - 1, -largest)
    assert {record[2]["sum"] for record in reader.zoom_records(2**30, "a")} == {largest}
