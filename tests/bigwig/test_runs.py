"""Division of values into runs: the bytes do not depend on it, and memory does not grow."""

import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqcov_models.bigwig.layout import SIZES, Sizes
from seqcov_models.bigwig.writer import write_bigwig
from support.bigwig_walker import walk
from support.bigwigs import SMALL, Run, assert_holds, assert_zooms, expand_runs

Draw = Callable[[int], npt.NDArray[np.float32]]


def test_memory_does_not_grow_with_the_values(tmp_path: Path) -> None:
    """The same array holds the values of each run."""
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
    contents = walk(tmp_path / "a.bw").intervals["a"][2]
    np.testing.assert_array_equal(contents, np.repeat(np.arange(60.0), 50_000))


@st.composite
def draw_tracks(draw: st.DrawFn) -> tuple[dict[str, int], int, list[Run], list[Run]]:
    """Draw contigs, bin size, runs, and the same values in shorter runs."""
    bin_size = draw(st.sampled_from([1, 3, 32]))
    lengths = draw(st.lists(st.integers(0, 130 * bin_size), min_size=1, max_size=5))
    contigs = {f"{'zyx'[index % 3]}{index}": length for index, length in enumerate(lengths)}
    runs, pieces = [], []
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
                    pieces.append((name, first + begin, runs[-1][2][begin:stop]))
    return contigs, bin_size, runs, pieces


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(track=draw_tracks())
def test_cutting_changes_no_byte(
    tmp_path_factory: pytest.TempPathFactory, track: tuple[dict[str, int], int, Any, Any]
) -> None:
    contigs, bin_size, runs, pieces = track
    folder = tmp_path_factory.mktemp("cut")
    bases = expand_runs(contigs, bin_size, runs)
    write_bigwig(folder / "a.bw", contigs, bin_size, runs, SMALL)
    write_bigwig(folder / "b.bw", contigs, bin_size, pieces, SMALL)
    assert (folder / "a.bw").read_bytes() == (folder / "b.bw").read_bytes()
    assert_holds(folder / "a.bw", bases, SMALL)
    assert_zooms(folder / "a.bw", bases, SMALL)


def test_cutting_and_batches_change_no_byte(draw_coverage: Draw, tmp_path: Path) -> None:
    """At the sizes in use: as one run, in pieces, and with other batches."""
    values, contigs = draw_coverage(300_000), {"a": 300_000 * 32 + 40_000 * 32, "b": 100}
    runs = [("a", 77, values[:200_000]), ("a", 200_080, values[200_000:])]
    cuts = np.sort(np.random.default_rng(7).choice(300_000, 60)).tolist()
    pieces = [
        ("a", begin + (77 if begin < 200_000 else 80), values[begin:end])
        for begin, end in itertools.pairwise(sorted([0, 200_000, 300_000, *cuts]))
    ]
    write_bigwig(tmp_path / "a.bw", contigs, 32, runs)
    write_bigwig(tmp_path / "b.bw", contigs, 32, pieces)
    write_bigwig(tmp_path / "c.bw", contigs, 32, pieces, Sizes(batch=3 * SIZES.section))
    contents = {(tmp_path / name).read_bytes() for name in ("a.bw", "b.bw", "c.bw")}
    assert len(contents) == 1
