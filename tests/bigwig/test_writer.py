"""bigWig files against two independent readers, against plain numpy, and damaged ones."""

import contextlib
import itertools
import math
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pybigtools
import pyBigWig
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqcov_models.bigwig import layout, sections, writer, zooms
from seqcov_models.bigwig.layout import SIZES, Sizes
from seqcov_models.bigwig.writer import Summary, write_bigwig
from seqcov_models.errors import SeqcovError
from support.bigwig_walker import walk

Run = tuple[str, int, npt.NDArray[np.float32]]
RNG = np.random.default_rng(7)
SMALL = Sizes(section=8, window=4, zoom_block=2, least_records=2, fan=3, batch=32, records=4)
"""Sizes at which a few dozen values meet every edge."""


@pytest.fixture(autouse=True)
def _reset_random_numbers() -> None:
    RNG.bit_generator.state = np.random.default_rng(7).bit_generator.state


def coverage(bins: int) -> npt.NDArray[np.float32]:
    return RNG.gamma(0.5, 2.0, bins).astype(np.float32)


def expanded(
    contigs: dict[str, int], bin_size: int, runs: list[Run]
) -> dict[str, npt.NDArray[np.float32]]:
    """The value of every base, NaN where there is none."""
    bases = {name: np.full(length, np.nan, np.float32) for name, length in contigs.items()}
    for contig, first, values in runs:
        for number, value in enumerate(values.tolist(), first):
            bases[contig][number * bin_size : (number + 1) * bin_size] = value
    return bases


def assert_holds(
    path: Path, bases: dict[str, npt.NDArray[np.float32]], sizes: Sizes = SIZES
) -> None:
    """Both readers and `walk` find these contigs and these values, and nothing else."""
    lengths = {name: len(values) for name, values in bases.items()}
    walked = walk(path, sizes)
    assert walked.contigs == lengths
    assert list(walked.contigs) == list(lengths)
    one, two = pyBigWig.open(str(path)), pybigtools.open(str(path))
    assert one.chroms() == lengths
    assert list(one.chroms()) == list(lengths)
    assert two.chroms() == lengths
    for name, wanted in bases.items():
        starts, ends, values = walked.intervals[name]
        found = np.full(len(wanted), np.nan, np.float32)
        for start, end, value in zip(starts.tolist(), ends.tolist(), values, strict=True):
            assert np.isnan(found[start:end]).all()
            found[start:end] = value
        np.testing.assert_array_equal(found, wanted)
        if len(wanted):
            exact = two.values(name, 0, len(wanted), exact=True, fillna=None)
            np.testing.assert_array_equal(exact.astype(np.float32), wanted)
        if len(wanted) and walked.summary.bases:
            found = one.values(name, 0, len(wanted), numpy=True)
            np.testing.assert_array_equal(found, wanted)
    one.close()
    two.close()


def assert_zooms(
    path: Path, bases: dict[str, npt.NDArray[np.float32]], sizes: Sizes = SIZES
) -> None:
    """Every zoom record of the file is what the bases of its window give."""
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


def several(bin_size: int) -> tuple[dict[str, int], list[Run]]:
    """Contigs not in the order of their names, some without values, gaps, a clipped last bin."""
    contigs = {
        "chr2": 5_000 * bin_size + bin_size // 2,
        "chr10": 700,
        "tiny": max(1, bin_size // 3),
        "empty": 0,
        "chr1": 9_000 * bin_size,
    }
    last = (contigs["chr2"] - 1) // bin_size
    runs = [
        ("chr2", 3, coverage(2_500)),
        ("chr2", 2_503, coverage(1)),
        ("chr2", 2_506, coverage(0)),
        ("chr2", 2_510, coverage(1)),
        ("chr2", last - 40, coverage(41)),
        ("tiny", 0, coverage(1)),
        ("chr1", 5_000, coverage(4_000)),
    ]
    return contigs, runs


@pytest.mark.parametrize("bin_size", [1, 32, 128])
def test_every_base(tmp_path: Path, bin_size: int) -> None:
    contigs, runs = several(bin_size)
    summary = write_bigwig(tmp_path / "a.bw", contigs, bin_size, runs)
    bases = expanded(contigs, bin_size, runs)
    assert_holds(tmp_path / "a.bw", bases)
    assert_zooms(tmp_path / "a.bw", bases)
    found = np.concatenate(list(bases.values())).astype(np.float64)
    found = found[np.isfinite(found)]
    assert summary.bases == found.size
    assert (summary.minimum, summary.maximum) == (found.min(), found.max())
    assert summary.sum == pytest.approx(math.fsum(found), rel=1e-12)
    assert summary.sum_squares == pytest.approx(math.fsum(found**2), rel=1e-12)
    assert summary.mean == pytest.approx(found.mean(), rel=1e-12)
    assert walk(tmp_path / "a.bw").summary == summary
    with pyBigWig.open(str(tmp_path / "a.bw")) as reader:
        assert reader.header()["nBasesCovered"] == found.size
    info = pybigtools.open(str(tmp_path / "a.bw")).info()
    assert info["summary"]["sum"] == summary.sum
    assert info["summary"]["max"] == summary.maximum
    assert [file.name for file in tmp_path.iterdir()] == ["a.bw"]


def test_stats_from_zooms(tmp_path: Path) -> None:
    """Over whole windows, what is summed up from zoom records is what the bases give."""
    contigs = {"b": 3_000_000, "a": 1_000_003}
    runs = [
        ("b", 0, coverage(40_000)),
        ("b", 50_001, coverage(12_345)),
        ("a", 0, coverage(31_251)),
    ]
    write_bigwig(tmp_path / "a.bw", contigs, 32, runs)
    bases = expanded(contigs, 32, runs)
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
            wanted = {
                "mean": values.mean(),
                "min": values.min(),
                "max": values.max(),
                "coverage": values.size / (end - start),
                "std": values.std(ddof=1),
            }
            for kind, right in wanted.items():
                (found,) = reader.stats(name, start, end, type=kind)
                assert found == pytest.approx(right, rel=1e-5), (kind, name, start, end)
    assert checked == set(reductions)
    found = reader.stats("a", 12_345, 934_567, exact=True)
    assert found == [pytest.approx(np.mean(bases["a"][12_345:934_567], dtype=float), rel=1e-9)]
    (found,) = reader.stats("a", 12_345, 934_567)  # cuts windows at both ends
    assert found == pytest.approx(np.mean(bases["a"][12_345:934_567], dtype=float), rel=1e-2)


def test_a_file_without_values(tmp_path: Path) -> None:
    contigs = {"b": 1_000, "a": 10}
    summary = write_bigwig(tmp_path / "a.bw", contigs, 32, [("a", 0, coverage(0))])
    assert summary == Summary(0, 0.0, 0.0, 0.0, 0.0)
    assert summary.mean == 0
    assert_holds(tmp_path / "a.bw", expanded(contigs, 32, []))
    with pyBigWig.open(str(tmp_path / "a.bw")) as reader:
        assert reader.isBigWig()
        assert reader.stats("b") == [None]
        assert reader.intervals("b") is None
    assert walk(tmp_path / "a.bw").reductions == []


def test_many_contigs(tmp_path: Path) -> None:
    """Trees of several levels; the readers find each name."""
    contigs = {f"scaffold_{number}": 300 + number % 700 for number in range(20_001)}
    runs = [(name, 0, coverage(2)) for name in contigs if int(name[9:]) % 3]
    write_bigwig(tmp_path / "a.bw", contigs, 128, runs)
    walked = walk(tmp_path / "a.bw")
    assert list(walked.contigs.items()) == list(contigs.items())
    assert len(walked.reductions) == 1
    one, two = pyBigWig.open(str(tmp_path / "a.bw")), pybigtools.open(str(tmp_path / "a.bw"))
    assert list(one.chroms().items()) == list(contigs.items())
    assert two.chroms() == contigs
    for name, first, values in runs[::97]:
        right = [(0, 128, values[0]), (128, 256, values[1])]
        assert first == 0
        assert list(one.intervals(name)) == right
        assert list(two.records(name)) == right
        assert one.stats(name) == [pytest.approx(values.mean(), rel=1e-5)]
        assert len(walked.intervals[name][2]) == 2
    assert one.intervals("scaffold_0") is None
    assert not len(walked.intervals["scaffold_0"][0])


def test_many_tiny_runs(tmp_path: Path) -> None:
    values = coverage(100_000 * 5).reshape(-1, 5)
    contigs = {"a": 100_000 * 11}
    write_bigwig(tmp_path / "a.bw", contigs, 1, (("a", at * 11, v) for at, v in enumerate(values)))
    starts, ends, found = walk(tmp_path / "a.bw").intervals["a"]
    np.testing.assert_array_equal(found, values.ravel())
    np.testing.assert_array_equal(starts.reshape(-1, 5)[:, 0], np.arange(100_000) * 11)
    np.testing.assert_array_equal(ends - starts, 1)
    with pyBigWig.open(str(tmp_path / "a.bw")) as reader:
        (found,) = reader.stats("a", 0, 2**19, type="max")
        assert found == values.ravel()[starts < 2**19].max()


def test_streams(tmp_path: Path) -> None:
    """Memory does not grow with the values, and one array may be used for all runs."""
    values, bins = np.empty(50_000, np.float32), 60 * 50_000

    def runs() -> Iterator[Run]:
        for number in range(60):
            values[:] = number
            yield "a", number * 50_000, values

    tracemalloc.start()
    try:
        write_bigwig(tmp_path / "a.bw", {"a": bins * 32}, 32, runs())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12e6
    found = walk(tmp_path / "a.bw").intervals["a"][2]
    np.testing.assert_array_equal(found, np.repeat(np.arange(60.0), 50_000))


@st.composite
def tracks(draw: st.DrawFn) -> tuple[dict[str, int], int, list[Run], list[Run]]:
    """Contigs, bin size, runs, and the same values in other runs."""
    bin_size = draw(st.sampled_from([1, 3, 32]))
    lengths = draw(st.lists(st.integers(0, 130 * bin_size), min_size=1, max_size=5))
    contigs = {f"{'zyx'[at % 3]}{at}": length for at, length in enumerate(lengths)}
    runs, others = [], []
    for name, length in contigs.items():
        bins = -(-length // bin_size)
        edges = sorted(draw(st.sets(st.integers(0, bins), max_size=8)))
        for first, end in itertools.pairwise(edges):
            if draw(st.booleans()):
                rng = np.random.default_rng(draw(st.integers(0, 2**32)))
                values = rng.gamma(0.5, 2.0, end - first) * draw(st.sampled_from([-1, 1, 1e4]))
                runs.append((name, first, values.astype(np.float32)))
                cuts = draw(st.lists(st.integers(0, end - first), max_size=3))
                for begin, stop in itertools.pairwise([0, *sorted(cuts), end - first]):
                    others.append((name, first + begin, runs[-1][2][begin:stop]))
    return contigs, bin_size, runs, others


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(track=tracks())
def test_cutting_changes_no_byte(
    tmp_path_factory: pytest.TempPathFactory, track: tuple[dict[str, int], int, Any, Any]
) -> None:
    contigs, bin_size, runs, others = track
    folder = tmp_path_factory.mktemp("cut")
    bases = expanded(contigs, bin_size, runs)
    write_bigwig(folder / "a.bw", contigs, bin_size, runs, SMALL)
    write_bigwig(folder / "b.bw", contigs, bin_size, others, SMALL)
    assert (folder / "a.bw").read_bytes() == (folder / "b.bw").read_bytes()
    assert_holds(folder / "a.bw", bases, SMALL)
    assert_zooms(folder / "a.bw", bases, SMALL)


def test_cutting_and_batches_change_no_byte(tmp_path: Path) -> None:
    """At the sizes in use: as one run, in pieces, and with other batches."""
    values, contigs = coverage(300_000), {"a": 300_000 * 32 + 40_000 * 32, "b": 100}
    whole = [("a", 77, values[:200_000]), ("a", 200_080, values[200_000:])]
    cuts = np.sort(RNG.choice(300_000, 60)).tolist()
    pieces = [
        ("a", begin + (77 if begin < 200_000 else 80), values[begin:end])
        for begin, end in itertools.pairwise(sorted([0, 200_000, 300_000, *cuts]))
    ]
    write_bigwig(tmp_path / "a.bw", contigs, 32, whole)
    write_bigwig(tmp_path / "b.bw", contigs, 32, pieces)
    write_bigwig(tmp_path / "c.bw", contigs, 32, pieces, Sizes(batch=3 * 1024))
    found = {(tmp_path / name).read_bytes() for name in ("a.bw", "b.bw", "c.bw")}
    assert len(found) == 1


def test_largest_numbers(tmp_path: Path) -> None:
    """Contigs up to 2³²-1 bp, the widest bins, the largest values."""
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


ONE = np.ones(1, np.float32)
NAN = np.array([1, 2, np.nan, 4], np.float32)
REFUSALS: dict[str, tuple[list[Any], str]] = {
    "NaN": (
        [("a", 5, NAN)],
        r"a, bin 7 \(from base 224, counted from 0\): nan is not a finite value",
    ),
    "infinity": ([("a", 5, ONE), ("b", 0, -ONE * np.inf)], r"b, bin 0 .*: -inf is not a finite"),
    "unknown": ([("c", 2, ONE)], r"c, bin 2 .*: unknown contig; the file has 2, the first a"),
    "contigs back": ([("b", 0, ONE), ("a", 2, ONE)], r"a, bin 2 .*: comes after b"),
    "bins back": ([("a", 5, ONE), ("a", 3, ONE)], r"a, bin 3 .*: runs must ascend.* up to 5"),
    "overlap": ([("a", 5, NAN[:2]), ("a", 6, ONE)], r"a, bin 6 .*: .*not overlap.* up to 6"),
    "over the end": ([("a", 31, NAN[:2])], r"a, bin 31 .*: bins up to 32.* 1,000 bp have only 32"),
    "past the end": ([("a", 32, ONE)], r"a, bin 32 .*: bins up to 32.* have only 32"),
    "no contig to fill": ([("none", 0, ONE)], r"none, bin 0 .*0 bp have only 0"),
    "negative": ([("a", -1, ONE)], r"a, bin -1 .*: begins before the contig's start"),
    "float16": ([("a", 1, np.ones(3, np.float16))], r"a, bin 1 .*: values are float16 .*float32"),
    "float64": ([("a", 1, np.ones(3))], r"a, bin 1 .*: values are float64"),
    "two dimensions": ([("a", 1, np.ones((2, 2), np.float32))], r"shape \(2, 2\)"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(tmp_path: Path, case: str) -> None:
    runs, message = REFUSALS[case]
    contigs = {"a": 1_000, "b": 500, **({"none": 0} if case == "no contig to fill" else {})}
    with pytest.raises(SeqcovError, match=message):
        write_bigwig(tmp_path / "a.bw", contigs, 32, runs)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("contigs", "bin_size", "message"),
    [
        ({"a": 10}, 0, "bin size 0"),
        ({"a": 10}, 2**24 + 1, "bin size 16777217"),
        ({}, 1, "no contigs"),
        ({"": 10}, 1, "'' cannot be a contig's name"),
        ({"a\0b": 10}, 1, "cannot be a contig's name"),
        ({"a": 10, "b": 2**32}, 1, "contig b: 4,294,967,296 bp"),
        ({"a": -1}, 1, "contig a: -1 bp"),
    ],
)
def test_bad_arguments(
    tmp_path: Path, contigs: dict[str, int], bin_size: int, message: str
) -> None:
    with pytest.raises(SeqcovError, match=message):
        write_bigwig(tmp_path / "a.bw", contigs, bin_size, [])
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    """Also with zoom records on disk, and with an older file under the name."""
    (tmp_path / "a.bw").write_text("older")

    def runs() -> Iterator[Run]:
        yield "a", 0, coverage(3_000_000)
        assert len(list(tmp_path.iterdir())) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bigwig(tmp_path / "a.bw", {"a": 2**30}, 32, runs())
    assert [file.read_text() for file in tmp_path.iterdir()] == ["older"]
    write_bigwig(tmp_path / "a.bw", {"a": 2**30}, 32, [])
    assert walk(tmp_path / "a.bw").contigs == {"a": 2**30}


def flip(path: Path, contigs: dict[str, int], at: int, mask: int, sizes: Sizes = SIZES) -> None:
    """`walk` must refuse `path` with one byte changed, or see other contigs.

    A compressed block may mean the same in spite of a change: the bits that fill up its last byte
    mean nothing, and of two equal stretches before, either can be the one that is repeated.
    """
    data = path.read_bytes()
    with contextlib.suppress(SeqcovError):
        other = walk(cut(path, data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]), sizes)
        if other.contigs == contigs:
            begin, end, block = next(seen for seen in other.blocks if seen[0] <= at < seen[1])
            assert block == zlib.decompress(data[begin:end])


def cut(path: Path, data: bytes) -> Path:
    """Another file beside `path` that holds `data`."""
    other = path.with_name("damaged.bw")
    other.unlink(missing_ok=True)  # some file systems flush a file that is written over
    other.write_bytes(data)
    return other


@pytest.mark.slow
def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    """All bytes of a small file. Only the contigs are told by nothing else in the file."""
    contigs, path = {"b": 700, "a": 64}, tmp_path / "a.bw"
    runs = [("b", 1, coverage(21)), ("a", 0, coverage(2))]
    write_bigwig(path, contigs, 32, runs, SMALL)
    assert len(walk(path, SMALL).reductions) == 2
    data = path.read_bytes()
    for at, mask in itertools.product(range(len(data)), (1, 0xFF)):
        flip(path, contigs, at, mask, SMALL)
    for size in range(len(data)):
        with pytest.raises(SeqcovError):
            walk(cut(path, data[:size]), SMALL)
    for more in (b"\0", data):
        with pytest.raises(SeqcovError, match="end of the file"):
            walk(cut(path, data + more), SMALL)


def test_damage_in_deep_trees(tmp_path: Path) -> None:
    contigs = {f"c{number}": 9_000 for number in range(300)}
    runs = [(name, first, coverage(20)) for name in contigs for first in (0, 30, 60)]
    write_bigwig(tmp_path / "a.bw", contigs, 100, runs)
    path, data = tmp_path / "a.bw", (tmp_path / "a.bw").read_bytes()
    for at in RNG.integers(0, len(data), 150).tolist():
        flip(path, contigs, at, 1 << (at % 8))
        with pytest.raises(SeqcovError):
            walk(cut(path, data[:at]))
    with pytest.raises(SeqcovError, match=r"damaged\.bw: .*beyond the file"):
        walk(cut(path, b""))
    with pytest.raises(SeqcovError, match="magic number"):
        walk(cut(path, bytes(len(data))))
    with pytest.raises(SeqcovError, match="No such file"):
        walk(tmp_path / "c.bw")


def wrong_rows(field: str, change: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A writer's function whose first row is off by `change` in one field."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            rows = function(*arguments)
            rows[field][-1] = rows[field][-1].item() + change
            return rows

        return wrapped

    return wrap


def wrong_start(function: Callable[..., Any]) -> Callable[..., Any]:
    """The last block's header says one bin too early."""
    return wrong_rows("start", -32)(wrong_rows("end", -32)(function))


def longer(function: Callable[..., Any]) -> Callable[..., Any]:
    """The last block's header counts one bin more than there is."""
    return wrong_rows("count", 1)(wrong_rows("end", 32)(function))


def not_finite(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any) -> Any:
        for headers, values in function(*arguments):
            values[3] = np.nan
            yield headers, values

    return wrapped


def shorter(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(handle: Any, contigs: dict[str, int], fan: int) -> Any:
        function(handle, {name: length - 32 for name, length in contigs.items()}, fan)

    return wrapped


@pytest.mark.parametrize(
    ("module", "name", "wrap", "message"),
    [
        *(
            (
                zooms,
                "round_records",
                wrong_rows(field, 1),
                "zoom level of .* bp: found .*the values give",
            )
            for field in ("start", "end", "valid", "min", "max", "sum", "squares")
        ),
        (sections, "write_blocks", wrong_rows("end", -1), "data index: box of the block"),
        (sections, "write_blocks", wrong_rows("start", 1), "data index: box of the block"),
        (layout, "build_boxes", wrong_rows("end", 1), "data index"),
        (sections, "build_section_headers", wrong_start, "overlaps"),
        (
            sections,
            "build_section_headers",
            wrong_rows("count", -1),
            "data block at byte .*: its header contradicts",
        ),
        (sections, "build_section_headers", longer, "data block at byte .*: bytes"),
        (sections, "build_section_headers", wrong_rows("span", 1), "contradicts itself"),
        (sections, "build_section_headers", wrong_rows("type", -2), "type"),
        (sections, "build_section_headers", wrong_rows("chrom", 1), "beyond the contigs' ends"),
        (writer, "build_batches", not_finite, "not finite"),
        (writer, "write_contigs", shorter, "beyond the contigs' ends"),
    ],
)
def test_wrong_but_well_packed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    wrap: Callable[..., Any],
    message: str,
) -> None:
    """Files whose blocks inflate well but say something wrong."""
    with monkeypatch.context() as patch, np.errstate(invalid="ignore"):
        patch.setattr(module, name, wrap(getattr(module, name)))
        write_bigwig(tmp_path / "a.bw", {"a": 32 * 2_000}, 32, [("a", 0, coverage(2_000))])
    with pytest.raises(SeqcovError, match=message):
        walk(tmp_path / "a.bw")
