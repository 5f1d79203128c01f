"""The first view: what the search for the most interesting locus finds in made signals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.browsers.locus import find_loci
from seqcov_models.genome.regions import Interval

CONTIGS = {"chr1": 3_000_000, "short": 20_000, "chr2": 1_500_000}
BIN = 32
Values = dict[str, npt.NDArray[np.float32]]


def background(number: int, contigs: dict[str, int] = CONTIGS) -> Values:
    """Return low noise along all contigs."""
    draw = np.random.default_rng(number)
    return {
        name: draw.gamma(2, 0.05, -(-length // BIN)).astype(np.float32)
        for name, length in contigs.items()
    }


def write(
    folder: Path, tracks: Sequence[Values], contigs: dict[str, int] = CONTIGS
) -> list[dict[str, str]]:
    """Write tracks; return their rows of the table of tracks."""
    rows = []
    for number, values in enumerate(tracks):
        runs = [(name, 0, values[name]) for name in contigs if name in values]
        write_bigwig(folder / f"{number}.bw", contigs, BIN, runs)
        rows.append({"file": f"{number}.bw", "bin": str(BIN)})
    return rows


def raise_at(values: Values, contig: str, start: int, height: float, bases: int = 600) -> None:
    """Add a peak to a track."""
    values[contig][start // BIN : (start + bases) // BIN] += np.float32(height)


def holds(locus: Interval, contig: str, start: int, end: int) -> bool:
    """Return whether most of an interval lies in a locus."""
    return locus[0] == contig and min(locus[2], end) - max(locus[1], start) > 0.7 * (end - start)


@pytest.mark.parametrize("count", [3, 40])
def test_varied_signals_win_over_a_promoter_of_all_tracks(tmp_path: Path, count: int) -> None:
    draw = np.random.default_rng(1)
    tracks = [background(number) for number in range(count)]
    for values in tracks:
        raise_at(values, "chr1", 500_000, 40)  # the promoter: every track's highest value
        for start in draw.choice(np.arange(2_000_000, 2_080_000, 1_000), 4, replace=False):
            raise_at(values, "chr1", int(start), 25)
    first, *others = find_loci(write(tmp_path, tracks), tmp_path, CONTIGS, 4)
    assert holds(first, "chr1", 2_000_000, 2_080_000)
    assert any(holds(locus, "chr1", 500_000, 500_600) for locus in others[:1]), "the promoter next"


def test_one_outlier_of_a_track_does_not_hide_its_other_signals(tmp_path: Path) -> None:
    """An artefact 1,000 times as high as peaks, as over repeats; and gaps without values."""
    contigs = CONTIGS | {"chr1": 24_000_000}
    tracks = [background(number, contigs) for number in range(2)]
    for values in tracks:
        del values["short"]
        raise_at(values, "chr2", 1_400_000, 20_000, 64)
        for start in range(300_000, 380_000, 16_000):
            raise_at(values, "chr2", start, 20)
    first, *_ = find_loci(write(tmp_path, tracks, contigs), tmp_path, contigs, 4)
    assert holds(first, "chr2", 300_000, 380_000)


def test_a_single_peak_is_in_the_middle(tmp_path: Path) -> None:
    values = background(1)
    raise_at(values, "chr2", 800_000, 30)
    (locus,) = find_loci(write(tmp_path, [values]), tmp_path, CONTIGS, 1)
    assert locus[0] == "chr2"
    assert 0.3 < (800_300 - locus[1]) / (locus[2] - locus[1]) < 0.7
    negative = {name: -part for name, part in values.items()}
    assert find_loci(write(tmp_path, [negative]), tmp_path, CONTIGS, 1) == [locus]


def test_loci_do_not_overlap_and_lie_in_their_contigs(tmp_path: Path) -> None:
    tracks = [background(number) for number in range(3)]
    for number, values in enumerate(tracks):
        raise_at(values, "short", 15_000, 30)
        raise_at(values, "chr1", 2_999_000, 20 + number, 1_000)
        raise_at(values, "chr2", 0, 20 - number, 1_000)
    loci = find_loci(write(tmp_path, tracks), tmp_path, CONTIGS, 12)
    assert len(loci) == 12
    assert {"short", "chr1", "chr2"} == {contig for contig, _, _ in loci[:3]}
    for number, (contig, start, end) in enumerate(loci):
        assert 0 <= start < end <= CONTIGS[contig]
        for other in loci[:number]:
            assert other[0] != contig or other[2] <= start or end <= other[1]


@pytest.mark.parametrize("bin_size", [1, 128])
def test_profiles_at_peaks_and_wide_bins(tmp_path: Path, bin_size: int) -> None:
    path = tmp_path / "a.bw"
    draw = np.random.default_rng(1)
    runs = []
    for start in (100_096, 900_096, 1_600_000):
        values = draw.gamma(1, 1, 1_024).astype(np.float32) * (5 if start == 900_096 else 1)
        runs.append(("chr1", start // bin_size, values[::bin_size]))
    write_bigwig(path, CONTIGS, bin_size, runs)
    first, *_ = find_loci([{"file": "a.bw", "bin": str(bin_size)}], tmp_path, CONTIGS, 3)
    assert holds(first, "chr1", 900_096, 901_120)
    assert first[2] - first[1] == (4_000 if bin_size == 1 else 100_000)


def test_tracks_without_values_have_no_locus(tmp_path: Path) -> None:
    assert find_loci(write(tmp_path, [{}]), tmp_path, CONTIGS, 3) == []
    constant = {"chr1": np.full(3_000_000 // BIN, 2, np.float32)}
    assert find_loci(write(tmp_path, [constant]), tmp_path, CONTIGS, 3) == []
