"""Ranges of a track that are compressed separately: the joined file is that of the whole track."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqcov_models.bigwig import sections
from seqcov_models.bigwig.layout import SIZES, Sizes
from seqcov_models.bigwig.ranges import PackedRange, Place, pack_range
from seqcov_models.bigwig.writer import join_bigwig, write_bigwig
from seqcov_models.errors import SeqcovError
from support.bigwigs import SMALL, Run, assert_holds, assert_zooms, expand_runs

Draw = Callable[[int], npt.NDArray[np.float32]]


def cut(runs: list[Run], start: Place, end: Place, order: list[str]) -> list[Run]:
    """Return what of `runs` lies from `start` to before `end`."""
    inside = []
    for contig, first, values in runs:
        number = order.index(contig)
        if not order.index(start[0]) <= number <= order.index(end[0]):
            continue
        low = max(start[1] - first, 0) if contig == start[0] else 0
        high = max(end[1] - first, 0) if contig == end[0] else len(values)
        if low < min(high, len(values)):
            inside.append((contig, first + low, values[low:high]))
    return inside


def pack_all(
    contigs: dict[str, int], bin_size: int, runs: list[Run], cuts: list[Place], sizes: Sizes
) -> list[PackedRange]:
    """Return the ranges of a track between neighbouring `cuts`, as they are read from a file."""
    packed = []
    for start, end in itertools.pairwise(cuts):
        inside = cut(runs, start, end, list(contigs))
        piece = pack_range(contigs, bin_size, inside, start, end, sizes)
        packed.append(PackedRange.from_bytes(piece.to_bytes()))
    return packed


@st.composite
def draw_ranges(draw: st.DrawFn) -> tuple[dict[str, int], int, list[Run], list[Place]]:
    """Draw contigs, bin size, runs, and places at which the track is cut."""
    bin_size = draw(st.sampled_from([1, 3, 32]))
    lengths = draw(st.lists(st.integers(1, 90 * bin_size), min_size=1, max_size=4))
    contigs = {f"{'zyx'[index % 3]}{index}": length for index, length in enumerate(lengths)}
    runs: list[Run] = []
    for name, length in contigs.items():
        edges = sorted(draw(st.sets(st.integers(0, -(-length // bin_size)), max_size=9)))
        for first, end in itertools.pairwise(edges):
            if draw(st.booleans()):
                rng = np.random.default_rng(draw(st.integers(0, 2**32)))
                runs.append((name, first, rng.gamma(0.5, 2.0, end - first).astype(np.float32)))
    bins = [(name, n) for name, length in contigs.items() for n in range(-(-length // bin_size))]
    inner = draw(st.sets(st.sampled_from(bins), max_size=12))
    last = list(contigs)[-1]
    return contigs, bin_size, runs, [*sorted({bins[0], *inner}, key=bins.index),
                                     (last, -(-contigs[last] // bin_size))]  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(track=draw_ranges())
def test_joined_ranges_are_the_bytes_of_the_track_written_at_once(
    tmp_path_factory: pytest.TempPathFactory,
    track: tuple[dict[str, int], int, list[Run], list[Place]],
) -> None:
    contigs, bin_size, runs, cuts = track
    folder = tmp_path_factory.mktemp("ranges")
    # A range that ends with a contig ends there, not at the start of the next one
    cuts = sorted(cuts, key=lambda place: (list(contigs).index(place[0]), place[1]))
    ranges = pack_all(contigs, bin_size, runs, cuts, SMALL)
    summary = write_bigwig(folder / "a.bw", contigs, bin_size, runs, SMALL)
    assert join_bigwig(folder / "b.bw", contigs, bin_size, ranges, SMALL) == summary
    assert (folder / "a.bw").read_bytes() == (folder / "b.bw").read_bytes()
    bases = expand_runs(contigs, bin_size, runs)
    assert_holds(folder / "b.bw", bases, SMALL)
    assert_zooms(folder / "b.bw", bases, SMALL)
    unpacked = expand_runs(
        contigs, bin_size, [run for piece in ranges for run in piece.runs(contigs)]
    )
    for name, values in bases.items():
        np.testing.assert_array_equal(unpacked[name], values)


def test_ranges_at_the_sizes_in_use(draw_coverage: Draw, tmp_path: Path) -> None:
    contigs = {"a": 340_000 * 32, "b": 100, "c": 9_000 * 32 - 5}
    runs = [
        ("a", 77, draw_coverage(200_000)), ("a", 200_080, draw_coverage(100_000)),
        ("b", 0, draw_coverage(4)), ("c", 0, draw_coverage(9_000)),
    ]  # fmt: skip
    cuts = [("a", 0), ("a", 896 * 7), ("a", 6_144 * 16), ("a", 200_050), ("a", 250_001), ("c", 3),
            ("c", 9_000)]  # fmt: skip
    write_bigwig(tmp_path / "a.bw", contigs, 32, runs)
    join_bigwig(tmp_path / "b.bw", contigs, 32, pack_all(contigs, 32, runs, cuts, SIZES))
    assert (tmp_path / "a.bw").read_bytes() == (tmp_path / "b.bw").read_bytes()


def test_joining_compresses_only_the_blocks_across_a_border(
    draw_coverage: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contigs, runs = {"a": 100 * 2048}, [("a", 0, draw_coverage(100 * 2048))]
    aligned = [("a", 0), ("a", 30 * 2048), ("a", 100 * 2048)]
    across = [("a", 0), ("a", 30 * 2048 + 5), ("a", 100 * 2048)]
    packed = [pack_all(contigs, 1, runs, cuts, SIZES) for cuts in (aligned, across)]
    compressed = 0

    def count(block: bytes, sizes: Sizes) -> bytes:
        nonlocal compressed
        compressed += 1
        return layout_compress(block, sizes)

    layout_compress = sections.compress
    monkeypatch.setattr(sections, "compress", count)
    for ranges, expected in zip(packed, (0, 1), strict=True):
        compressed = 0
        join_bigwig(tmp_path / "a.bw", contigs, 1, ranges)
        assert compressed == expected


def test_ranges_out_of_order_are_refused(draw_coverage: Draw, tmp_path: Path) -> None:
    contigs, runs = {"a": 8_192}, [("a", 0, draw_coverage(8_192))]
    first, second = pack_all(contigs, 1, runs, [("a", 0), ("a", 4_096), ("a", 8_192)], SIZES)
    for ranges in ([second, first], [first, first, second]):
        with pytest.raises(SeqcovError, match="ascend"):
            join_bigwig(tmp_path / "a.bw", contigs, 1, ranges)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [-1, 1])
def test_a_range_with_missing_bytes_is_refused(change: int, draw_coverage: Draw) -> None:
    contigs = {"a": 5_000}
    content = pack_range(contigs, 1, [("a", 3, draw_coverage(4_000))], ("a", 3), ("a", 4_003))
    cut_off = (content.to_bytes() + b"x")[: len(content.to_bytes()) + change]
    with pytest.raises(ValueError, match="bytes instead of"):
        PackedRange.from_bytes(cut_off)
