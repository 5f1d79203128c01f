"""Tiling against brute force over every base, bin and window of small random genomes."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.regions import Interval
from seqcov_models.tiling import (
    BinIntervals,
    Geometry,
    Segment,
    Tiling,
    count_bins,
    select_bins,
    split_into_chunks,
    tile,
)

BORZOI = Tiling.from_overlap(Geometry(window=524_288, bin=32, bins=6_144, crop=5_120))
TILINGS = [
    Tiling.from_overlap(Geometry(window=24, bin=4, bins=3, crop=1)),
    Tiling.from_overlap(Geometry(window=8, bin=1, bins=8, crop=0)),
    Tiling.from_overlap(Geometry(window=70, bin=7, bins=2, crop=4)),
    Tiling.from_overlap(Geometry(window=24, bin=4, bins=3, crop=1), 0.4),
    Tiling.from_overlap(Geometry(window=60, bin=5, bins=10, crop=1), 0.6, "taper"),
]
"""Cores side by side, and cores that overlap, whose windows lie a step apart."""

lengths = st.dictionaries(st.sampled_from("zyxabc"), st.integers(1, 130), min_size=1, max_size=4)


@st.composite
def genomes(draw: st.DrawFn) -> tuple[dict[str, int], list[Interval] | None, list[Interval]]:
    """Contigs, regions to include (None: all) and to exclude, within the contigs."""
    contigs = draw(lengths)

    def interval() -> st.SearchStrategy[Interval]:
        return st.sampled_from(sorted(contigs)).flatmap(
            lambda name: st.lists(
                st.integers(0, contigs[name]), min_size=2, max_size=2, unique=True
            ).map(lambda ends: (name, min(ends), max(ends)))
        )

    include = draw(st.none() | st.lists(interval(), min_size=1, max_size=5))
    return contigs, include, draw(st.lists(interval(), max_size=5))


def select_by_hand(
    contigs: Mapping[str, int],
    size: int,
    include: Sequence[Interval] | None,
    exclude: Sequence[Interval],
) -> dict[str, set[int]]:
    """Return the bins with an included base and without an excluded one, base by base."""
    bins_by_contig: dict[str, set[int]] = {}
    for contig, length in contigs.items():

        def bins(intervals: Sequence[Interval], contig: str = contig) -> set[int]:
            return {
                base // size
                for name, start, end in intervals
                if name == contig
                for base in range(start, end)
            }

        selected = bins([(contig, 0, length)] if include is None else include) - bins(exclude)
        if selected:
            bins_by_contig[contig] = selected
    return bins_by_contig


def expand_bins(bins: BinIntervals) -> list[int]:
    return [number for start, end in bins.tolist() for number in range(start, end)]


@given(genomes(), st.sampled_from([1, 3, 4, 7, 200]))
def test_selected_bins_touch_a_region_and_no_exclusion(
    genome: tuple[dict[str, int], list[Interval] | None, list[Interval]], size: int
) -> None:
    contigs, include, exclude = genome
    selected_bins = select_bins(contigs, size, include, exclude)
    assert {
        contig: set(expand_bins(bins)) for contig, bins in selected_bins.items()
    } == select_by_hand(contigs, size, include, exclude)
    assert list(selected_bins) == [contig for contig in contigs if contig in selected_bins]
    for bins in selected_bins.values():
        assert bins.dtype == np.int64
        ends = bins.ravel().tolist()  # sorted, disjoint, not touching
        assert all(low < high for low, high in itertools.pairwise(ends))


@settings(max_examples=150)
@given(genomes(), st.sampled_from(TILINGS))
def test_each_selected_bin_is_in_one_window_and_each_window_has_one(
    genome: tuple[dict[str, int], list[Interval] | None, list[Interval]], tiling: Tiling
) -> None:
    contigs, include, exclude = genome
    size, step = tiling.geometry.bin, tiling.step
    segments = tile(contigs, tiling, select_bins(contigs, size, include, exclude))
    by_hand = select_by_hand(contigs, size, include, exclude)
    windows = [
        (segment.contig, number)
        for segment in segments
        for number in range(segment.first_window, segment.first_window + segment.windows)
    ]
    assert sorted(windows) == sorted(
        {(contig, number // step) for contig, bins in by_hand.items() for number in bins}
    )
    order = list(contigs)
    assert windows == sorted(windows, key=lambda window: (order.index(window[0]), window[1]))
    for segment in segments:
        total = -(-contigs[segment.contig] // size)
        steps = range(segment.first_window * step, (segment.first_window + segment.windows) * step)
        assert segment.bins == sum(number < total for number in steps)


def list_windows(segments: Sequence[Segment], step: int) -> list[tuple[str, int, int]]:
    """Return contig, number and bins of each window."""
    windows = []
    for segment in segments:
        remaining = segment.bins
        for number in range(segment.first_window, segment.first_window + segment.windows):
            windows.append((segment.contig, number, min(remaining, step)))
            remaining -= step
        assert -step < remaining <= 0
    return windows


@settings(max_examples=150)
@given(genomes(), st.sampled_from(TILINGS), st.integers(1, 9))
def test_chunks_of_any_size_have_the_same_windows_in_the_same_order(
    genome: tuple[dict[str, int], list[Interval] | None, list[Interval]],
    tiling: Tiling,
    size: int,
) -> None:
    contigs, include, exclude = genome
    selected_bins = select_bins(contigs, tiling.geometry.bin, include, exclude)
    segments = tile(contigs, tiling, selected_bins)
    chunks = split_into_chunks(segments, tiling.step, size)
    joined = [window for chunk in chunks for window in list_windows(chunk, tiling.step)]
    assert joined == list_windows(segments, tiling.step)
    full, rest = divmod(len(joined), size)
    counts = [sum(segment.windows for segment in chunk) for chunk in chunks]
    assert counts == [size] * full + [rest] * (rest > 0)
    assert all(segment.windows > 0 and segment.bins > 0 for chunk in chunks for segment in chunk)


def test_a_last_bin_shorter_than_the_others_counts() -> None:
    assert [count_bins(length, 32) for length in (1, 31, 32, 33, 64)] == [1, 1, 1, 2, 2]


def test_a_contig_shorter_than_a_bin_is_one_bin_in_one_window() -> None:
    contigs = {"tiny": 5}
    assert tile(contigs, BORZOI, select_bins(contigs, 32, None, [])) == [Segment("tiny", 0, 1, 1)]


def test_human_chromosome_1_has_1267_borzoi_windows() -> None:
    contigs = {"chr1": 248_956_422}
    [segment] = tile(contigs, BORZOI, select_bins(contigs, 32, None, []))
    assert (segment.first_window, segment.windows, segment.bins) == (0, 1_267, 7_779_889)


def test_thousands_of_short_contigs_make_few_chunks() -> None:
    contigs = {f"ctg{number}": 100 + number for number in range(5_000)}
    segments = tile(contigs, BORZOI, select_bins(contigs, 32, None, []))
    assert len(split_into_chunks(segments, BORZOI.step, 1_000)) == 5


def test_excluding_everything_selects_no_bins() -> None:
    contigs = {"a": 100, "b": 7}
    assert select_bins(contigs, 4, None, [("a", 0, 100), ("b", 0, 7)]) == {}
    assert tile(contigs, BORZOI, {}) == []
    assert split_into_chunks([], BORZOI.step, 5) == []


@pytest.mark.parametrize("repeats", [1, 3])
def test_regions_may_overlap_touch_repeat_and_come_in_any_order(repeats: int) -> None:
    contigs = {"a": 1_000}
    regions = [("a", 500, 600), ("a", 0, 50), ("a", 90, 120), ("a", 40, 90)] * repeats
    assert select_bins(contigs, 10, regions, [])["a"].tolist() == [[0, 12], [50, 60]]


# Overlapping cores


CROPPED = Geometry(window=512, bin=4, bins=118, crop=5)


@pytest.mark.parametrize("step", [1, 7, 50, 118])
@pytest.mark.parametrize("blend", ["crop", "mean", "taper"])
@pytest.mark.parametrize("length", [1, 31, 118, 119, 700])
def test_every_bin_is_covered_and_crop_covers_once(step: int, blend: str, length: int) -> None:
    tiling = Tiling(CROPPED, step, blend)
    windows = tiling.count_windows(length * CROPPED.bin)
    total = np.zeros(length + 2 * CROPPED.bins)
    for number in range(windows):
        start = number * step
        total[start : start + CROPPED.bins] += tiling.blend_weights(number, windows)
    assert (total[:length] > 0).all()
    if blend == "crop":
        assert (total[:length] == 1).all()


def test_seams_are_the_bins_at_which_the_covering_windows_change() -> None:
    for tiling in (
        Tiling(CROPPED, 118),
        Tiling(CROPPED, 30, "crop"),
        Tiling(CROPPED, 30, "mean"),
    ):
        windows = 9
        covering: list[set[int]] = [set() for _ in range(8 * tiling.step)]
        for number in range(windows):
            for at, weight in enumerate(tiling.blend_weights(number, windows)):
                if weight and number * tiling.step + at < len(covering):
                    covering[number * tiling.step + at].add(number)
        expected = [at for at in range(1, len(covering)) if covering[at] != covering[at - 1]]
        assert tiling.seams(windows, 1, len(covering)).tolist() == expected
        for first, end in ((40, 101), (118, 119), (119, 119)):
            found = tiling.seams(windows, first, end).tolist()
            assert found == [at for at in expected if first <= at < end]


@pytest.mark.parametrize(
    ("overlap", "blend", "message"),
    [
        (0.001, "crop", "overlap 0.001 has no effect: it is less than one of the 118 bins"),
        (0.0, "taper", "blend 'taper' has no effect without overlap"),
        (0.95, "mean", "choose a number from 0 to 0.9"),
    ],
)
def test_overlap_without_an_effect_is_refused(overlap: float, blend: str, message: str) -> None:
    with pytest.raises(SeqcovError, match=message):
        Tiling.from_overlap(CROPPED, overlap, blend)
