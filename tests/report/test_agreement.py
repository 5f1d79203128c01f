"""Agreement of predicted and measured bigWigs, against a computation on the arrays themselves."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig
import pytest

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.errors import SeqcovError
from seqcov_models.report import agreement, bins
from seqcov_models.report.agreement import FOLD, PEAKS, compare_tracks
from seqcov_models.report.correlation import Moments, RankTable, rank

CONTIGS = {"chr1": 40_007, "chr2": 9_600, "tiny": 5}
Array = npt.NDArray[np.float64]


def ranks_by_sorting(values: npt.NDArray[np.floating]) -> Array:
    """Rank one value after the other, as a textbook does."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = np.empty(len(values))
    first = 0
    for last in range(1, len(order) + 1):
        if last == len(order) or values[order[last]] != values[order[first]]:
            ranks[order[first:last]] = (first + 1 + last) / 2
            first = last
    return ranks


def correlate(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> tuple[float, ...]:
    """Return Pearson's r, that of log1p, and Spearman's, by numpy alone."""
    pairs = (x, y), (np.log1p(x), np.log1p(y)), (ranks_by_sorting(x), ranks_by_sorting(y))
    return tuple(float(np.corrcoef(a, b)[0, 1]) for a, b in pairs)


class Tracks:
    """A predicted track with gaps, and a measured one in which zeros are not written."""

    def __init__(self, folder: Path, bin_size: int, sign: int = 1) -> None:
        draw = np.random.default_rng(7)
        self.bin_size = bin_size
        self.predicted: dict[str, npt.NDArray[np.float32]] = {}
        self.observed: dict[str, Array] = {}
        self.paths = folder / "predicted.bw", folder / "observed.bw"
        with pyBigWig.open(str(self.paths[1]), "w") as file:
            file.addHeader([(name.removeprefix("chr"), size) for name, size in CONTIGS.items()])
            for name, size in CONTIGS.items():
                count = -(-size // bin_size)
                values = draw.gamma(0.3, 4, count).astype(np.float32)
                bases = np.repeat(values * draw.gamma(2, 1, count), bin_size)[:size]
                bases = np.round(bases * draw.integers(0, 3, size))  # many zeros and ties
                values[draw.random(count) < 0.1] = np.nan
                self.predicted[name] = values
                starts = np.arange(0, size, bin_size)
                self.observed[name] = np.array([bases[s : s + bin_size].mean() for s in starts])
                where = np.flatnonzero(bases)
                label = name.removeprefix("chr")
                file.addEntries(
                    label, where.tolist(), values=(sign * bases[where]).tolist(), span=1
                )
        runs = (
            (name, int(index), values[index : index + 1])
            for name, values in self.predicted.items()
            for index in np.flatnonzero(~np.isnan(values))
        )
        write_bigwig(self.paths[0], CONTIGS, bin_size, runs)

    def select(self, name: str, spans: list[tuple[int, int]] | None = None) -> tuple[Array, Array]:
        """Return the values of a contig's bins that have a predicted one, and lie in a span."""
        x, y = self.predicted[name], self.observed[name]
        middles = np.arange(len(x)) * self.bin_size + self.bin_size // 2
        inside = np.ones(len(x), bool)
        if spans is not None:
            inside = np.any([(start <= middles) & (middles < end) for start, end in spans], 0)
        inside &= ~np.isnan(x)
        return x[inside].astype(np.float64), y[inside].astype(np.float32).astype(np.float64)


NAMES = {name: name.removeprefix("chr") for name in CONTIGS}
SPANS = {(PEAKS, ""): [(100, 900), (5_000, 9_000)], (FOLD, "fold3"): [(0, 20_000)]}


@pytest.mark.parametrize("bin_size", [1, 32])
def test_every_set_of_bins_equals_a_computation_on_arrays(tmp_path: Path, bin_size: int) -> None:
    tracks = Tracks(tmp_path, bin_size)
    regions = {key: {"chr1": np.array(spans)} for key, spans in SPANS.items()}
    result = compare_tracks(*tracks.paths, bin_size, NAMES, regions)
    rows = {(row["where"], row["name"]): row for row in result.rows}
    pairs = {("contig", name): tracks.select(name) for name in ("chr1", "chr2")}
    everything = [tracks.select(name) for name in CONTIGS]
    pairs["genome", ""] = tuple(np.concatenate(values) for values in zip(*everything, strict=True))
    pairs |= {key: tracks.select("chr1", spans) for key, spans in SPANS.items()}
    for key, (x, y) in pairs.items():
        row, expected = rows[key], correlate(x, y)
        assert row["bins"] == len(x)
        found = [row["pearson"], row["pearson_log1p"], row["spearman"]]
        # ranks of sets over several contigs come from a table
        np.testing.assert_allclose(found, expected, atol=1e-6 if key[0] == "contig" else 1e-4)
        assert expected[0] > 0.3, "the test would not see a mistake"
    assert set(rows) - {("contig", "tiny")} == set(pairs)
    assert np.sum(result.density) == rows["genome", ""]["bins"]


def test_blocks_and_tables_of_large_contigs_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracks = Tracks(tmp_path, 32)
    whole = compare_tracks(*tracks.paths, 32, NAMES, {})
    monkeypatch.setattr(bins, "BLOCK", 1_000)
    monkeypatch.setattr(agreement, "MAX_EXACT", 100)
    pieces = compare_tracks(*tracks.paths, 32, NAMES, {})
    for row, other in zip(whole.rows, pieces.rows, strict=True):
        assert row["bins"] == other["bins"]
        for column in ("pearson", "pearson_log1p", "spearman"):
            np.testing.assert_allclose(other[column], row[column], atol=1e-4, err_msg=column)


def test_negative_reads_of_a_minus_strand_count_as_reads(tmp_path: Path) -> None:
    (tmp_path / "plus").mkdir()
    (tmp_path / "minus").mkdir()
    plus = compare_tracks(*Tracks(tmp_path / "plus", 32).paths, 32, NAMES, {})
    minus = compare_tracks(*Tracks(tmp_path / "minus", 32, -1).paths, 32, NAMES, {})
    assert minus.is_opposite
    assert not plus.is_opposite
    assert minus.density == plus.density
    for row, other in zip(plus.rows, minus.rows, strict=True):
        for column in ("pearson", "pearson_log1p", "spearman"):
            np.testing.assert_allclose(other[column], row[column], atol=1e-9)


def test_ranks_from_tables_are_close_to_exact_ones() -> None:
    """Values as networks predict them: most are a low background within a few per cent."""
    draw = np.random.default_rng(3)
    x = (0.01 + 0.0005 * draw.random(60_000)).astype(np.float32)
    x[:1_200] += draw.gamma(0.5, 5, 1_200).astype(np.float32)
    y = draw.poisson(x * 30).astype(np.float32)
    y += (x * draw.random(len(x)) + (x - 0.0102) * 40).astype(np.float32)  # also below zero
    tables, exact, approximate = (RankTable(), RankTable()), Moments(), Moments()
    for table, values in zip(tables, (x, y), strict=True):
        for part in np.array_split(values, 7):
            table.add(part)
    approximate.add(tables[0].rank(x), tables[1].rank(y))
    exact.add(rank(x), rank(y))
    np.testing.assert_array_equal(rank(x), ranks_by_sorting(x))
    assert abs(exact.pearson) > 0.1
    assert abs(approximate.pearson - exact.pearson) < 1e-4


def test_a_measured_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    tracks = Tracks(tmp_path, 32)
    content = bytearray(tracks.paths[1].read_bytes())
    content[600:-200] = bytes(len(content) - 800)
    tracks.paths[1].write_bytes(content)
    with pytest.raises(SeqcovError, match=r"observed\.bw: damaged bigWig"):
        compare_tracks(*tracks.paths, 32, NAMES, {})
