"""Peaks from files and tracks, their windows and chunks."""

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from seqcov_models import SeqcovError
from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.peaks.maxima import find_maxima
from seqcov_models.peaks.read import combine_peaks, read_peaks, write_peaks
from seqcov_models.peaks.windows import read_windows, split_windows
from seqcov_models.tiling import BinIntervals, Geometry, select_bins

CONTIGS = {"chr2": 5_000, "chr10": 3_000, "chrIX": 900}
BINS = select_bins(CONTIGS, 1, None, [])


def summits(path: Path, **aliases: str) -> list[tuple[str, int]]:
    peaks = read_peaks(path, "set", CONTIGS, aliases)
    return list(zip(peaks.Chromosome, peaks.Summit.tolist(), strict=True))


def write_lines(folder: Path, *lines: str, name: str = "peaks.bed") -> Path:
    text = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return folder / name


NARROW = "chr2\t100\t200\tp\t0\t.\t5.1\t-1\t3.2\t"
IDR = "\t0.01\t2.3\t99\t201\t5.1\t20\t100\t200\t5.0\t21"  # ten more columns


@pytest.mark.parametrize(
    ("line", "summit"),
    [
        ("chr2\t100\t200", 150),
        ("chr2\t100\t201", 150),
        ("chr2 100 200", 150),
        ("chr2\t100\t101\tname\t1000\t+", 100),
        (NARROW + "0", 100),
        (NARROW + "99", 199),
        (NARROW + "-1", 150),
        (NARROW + ".", 150),
        (NARROW, 150),
        (NARROW + "20\t", 120),
        (NARROW + "20" + IDR, 120),
        ("\ufeffchr2\t100\t200", 150),  # the byte order mark of another system's text files
        # BED12: the tenth column counts blocks
        ("chr2\t100\t200\tp\t0\t+\t100\t200\t0\t2\t10,10\t0,90", 150),
        # broadPeak has nine columns
        ("chr2\t100\t200\tp\t0\t.\t5.1\t-1\t3.2", 150),
    ],
)
@pytest.mark.parametrize("name", ["peaks.bed", "peaks.narrowPeak", "peaks.narrowPeak.gz", "x.gz"])
def test_the_summit_is_read_from_the_line(
    line: str, summit: int, name: str, tmp_path: Path
) -> None:
    assert summits(write_lines(tmp_path, line, name=name)) == [("chr2", summit)]


def test_comments_and_browser_lines_are_skipped(tmp_path: Path) -> None:
    path = write_lines(tmp_path, "# made by hand", "browser position chr2:1-9", "track name=x", "",
                   "chr10\t4\t6", "chr2\t0\t3")  # fmt: skip
    assert summits(path) == [("chr10", 5), ("chr2", 1)]


def test_intervals_are_clipped_to_the_contig(tmp_path: Path) -> None:
    lines = ["chrIX\t800\t9000", "chrIX\t-50\t20", "chrIX\t-5\t40\tp\t0\t.\t1\t-1\t-1\t6"]
    peaks = read_peaks(write_lines(tmp_path, *lines), "set", CONTIGS)
    assert peaks[["Start", "End", "Summit"]].to_numpy().tolist() == [
        [800, 900, 850],
        [0, 20, 10],
        [0, 40, 1],
    ]


@pytest.mark.parametrize("start", [900, 950])
def test_a_summit_beyond_the_contig_is_refused(start: int, tmp_path: Path) -> None:
    message = rf"line 1: the summit is base {start}, but chrIX has 900 bp; .* another assembly"
    narrow_peak = f"chrIX\t800\t1000\tp\t0\t.\t1\t-1\t-1\t{start - 800}"
    for line in (f"chrIX\t{start}\t{start + 1}", narrow_peak):
        with pytest.raises(SeqcovError, match=message):
            summits(write_lines(tmp_path, line))


def test_the_message_lists_all_names_that_need_an_alias(tmp_path: Path) -> None:
    path = write_lines(tmp_path, "plasmid\t1\t2", "2\t1\t3", "chr9\t1\t3", "chr10\t1\t3", "2\t5\t6")
    with pytest.raises(SeqcovError) as message:
        summits(path)
    assert "line 2: no contig '2'; this FASTA calls it 'chr2'" in str(message.value)
    assert 'contig_aliases: {"2": "chr2", "chr9": "chrIX"}' in str(message.value)
    assert str(message.value).endswith("not similar to any contig: plasmid")
    with pytest.raises(
        SeqcovError, match=r"no contig 'plasmid'; .*; remove the lines of: plasmid, y1$"
    ):
        summits(write_lines(tmp_path, "plasmid\t1\t2", "y1\t1\t2", "chr2\t1\t2", "plasmid\t5\t6"))
    path = write_lines(tmp_path, "2\t1\t3", "chr9\t1\t3")
    assert summits(path, **{"2": "chr2", "chr9": "chrIX"}) == [("chr2", 2), ("chrIX", 2)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr2\t9\t9", "line 2: 9-9 .* is not an interval"),
        (NARROW + "100", "line 2: the summit, 100 bp from the start, is not in its 100 bp"),
        (NARROW + "-2", "line 2: the summit"),
        (NARROW + "x", "line 2: column 10, 'x', is not a summit"),
        (NARROW + "1_0", "line 2: column 10, '1_0', is not a summit"),
        ("chr2\tx\t9", "line 2: .* does not begin with contig, start, end"),
        ("chr2\t1\t" + "9" * 5_000, "line 2: .* does not begin with contig, start, end"),
    ],
)
def test_an_invalid_line_is_refused(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match=message):
        summits(write_lines(tmp_path, "#", line))


def test_a_file_without_a_peak_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match="the file is empty or holds comments alone"):
        summits(write_lines(tmp_path, "# nothing"))


LINES = [
    "chr10\t50\t60\ta",
    "chr10\t50\t60\ta\t0\t+",
    "chr2\t4000\t4100\tb\t0\t-",
    "chr2\t10\t20\tc\t0\t+",
    "chr2\t10\t20\tc\t0\t+",  # twice
    "chr2\t5\t25\tanother with the same summit\t0\t-",
    "chrIX\t0\t2\td",
]


def test_peaks_are_sorted_by_contig_and_summit(tmp_path: Path) -> None:
    texts = set()
    for number, lines in enumerate(itertools.permutations(LINES)):
        if number % 37:
            continue
        paths = [write_lines(tmp_path, *selection, name=name)
                 for name, selection in (("1.bed", lines[:4]), ("2.bed", lines[4:]))]  # fmt: skip
        sets = [read_peaks(path, "one", CONTIGS) for path in paths]
        write_peaks(tmp_path / "all.bed", combine_peaks(sets, CONTIGS, BINS))
        texts.add((tmp_path / "all.bed").read_text())
    (text,) = texts
    places = [
        (cells[0], int(cells[1]) + int(cells[9]))
        for cells in map(str.split, text.replace(" ", "_").split("\n")[:-1])
    ]
    chr10 = [("chr10", 55)] * 2
    assert places == [("chr2", 15), ("chr2", 15), ("chr2", 4050), *chr10, ("chrIX", 1)]
    combined = read_peaks(write_lines(tmp_path, text.rstrip("\n")), "combined", CONTIGS)
    assert combined.Summit.tolist() == [summit for _, summit in places], "it is narrowPeak itself"


def test_a_summit_has_one_window_or_one_per_strand(
    tmp_path: Path,
) -> None:
    peaks = combine_peaks([read_peaks(write_lines(tmp_path, *LINES), "a", CONTIGS)], CONTIGS, BINS)
    write_peaks(tmp_path / "all.bed", peaks)
    windows = read_windows(tmp_path / "all.bed", CONTIGS, by_strand=False)
    assert windows.contig.tolist() == [0, 0, 1, 2]
    assert windows.summit.tolist() == [15, 4050, 55, 1]
    assert not windows.minus.any()
    windows = read_windows(tmp_path / "all.bed", CONTIGS, by_strand=True)
    assert windows.summit.tolist() == [15, 15, 4050, 55, 1]
    assert windows.minus.tolist() == [False, True, True, False, False]


def test_only_summits_in_selected_regions_count(tmp_path: Path) -> None:
    peaks = read_peaks(write_lines(tmp_path, *LINES), "a", CONTIGS)
    bins = select_bins(CONTIGS, 1, [("chr2", 0, 16), ("chr10", 0, 55)], [])
    assert combine_peaks([peaks], CONTIGS, bins).Summit.tolist() == [15, 15]
    with pytest.raises(
        SeqcovError, match="all 6 summits of peaks lie outside the selected regions"
    ):
        combine_peaks([peaks], CONTIGS, select_bins(CONTIGS, 1, [("chr10", 56, 60)], []))


# Peaks of a track


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("block", [40, 1 << 21])
def test_local_maxima_agree_with_a_search_bin_by_bin(seed: int, block: int, tmp_path: Path) -> None:
    """Plateaus, gaps, contigs' ends and equal heights, in blocks of any size."""
    rng = np.random.default_rng(seed)
    size, distance = 10, 30
    contigs = {"b": 1_003, "a": 25, "empty": 500}
    tracks = {
        name: rng.integers(0, 6, -(-contigs[name] // size)).astype(np.float32) for name in "ba"
    }
    gaps = {name: rng.random(len(values)) < 0.2 for name, values in tracks.items()}
    gaps["a"][:] = False
    runs = [
        (name, number, tracks[name][number : number + 1])
        for name in "ba"
        for number in np.flatnonzero(~gaps[name]).tolist()
    ]
    write_bigwig(tmp_path / "t.bw", contigs, size, runs)

    expected = []
    for name in "ba":
        values = [
            -np.inf if gap else float(v) for v, gap in zip(tracks[name], gaps[name], strict=True)
        ]
        for number, value in enumerate(values):
            left, right = values[max(0, number - 3) : number], values[number + 1 : number + 4]
            if value > max(left, default=-np.inf) and value >= max(right, default=-np.inf):
                end = min(contigs[name], number * size + size)
                expected.append((-value, len(expected), name, number * size, end))
    bins = select_bins(contigs, 1, None, [])

    def find(bins: dict[str, BinIntervals] = bins, **limits: float) -> list[tuple[str, int, int]]:
        table = find_maxima(tmp_path / "t.bw", "t", size, distance, bins, block=block, **limits)  # type: ignore[arg-type]
        return list(zip(table.Chromosome, table.Start.tolist(), table.End.tolist(), strict=True))

    peaks = [tuple(peak[2:]) for peak in sorted(expected)]
    assert sorted(find(threshold=-1.0)) == sorted(peaks)
    assert find(number=4) == peaks[:4]
    assert sorted(find(threshold=4.0)) == sorted(tuple(p[2:]) for p in expected if p[0] <= -4)
    with pytest.raises(SeqcovError, match=r"reaches the threshold 7; its highest value is 5"):
        find(threshold=7.0)
    (_, _, name, start, end), *remainder = sorted(expected)
    other_bins = select_bins(contigs, 1, None, [(name, (start + end) // 2, (start + end) // 2 + 1)])
    assert find(other_bins, number=3) == [tuple(peak[2:]) for peak in remainder[:3]]
    with pytest.raises(SeqcovError, match=r"no local maximum of t\.bw lies in a selected region"):
        find({}, number=3)


# Chunks


@pytest.mark.parametrize("seed", range(6))
def test_each_base_belongs_to_one_chunk_of_equal_size(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    geometry = Geometry(window=60, bin=1, bins=40, crop=10)
    lines = []
    for name, length in CONTIGS.items():
        for summit in rng.integers(0, length, rng.integers(1, 60)).tolist():
            lines.append(f"{name}\t{summit}\t{summit + 1}\tx\t0\t{rng.choice(['+', '-'])}")
    peaks = combine_peaks([read_peaks(write_lines(tmp_path, *lines), "a", CONTIGS)], CONTIGS, BINS)
    write_peaks(tmp_path / "all.bed", peaks)
    windows = read_windows(tmp_path / "all.bed", CONTIGS, by_strand=bool(seed % 2))
    covered = set()
    for contig, summit in zip(windows.contig.tolist(), windows.summit.tolist(), strict=True):
        length = list(CONTIGS.values())[contig]
        covered |= {(contig, x) for x in range(summit - 20, summit + 20) if 0 <= x < length}
    for count in (1, 2, 3, 7, len(windows), len(windows) + 5):
        chunks = split_windows(windows, CONTIGS, geometry, count)
        sizes = [len(chunk.windows) for chunk in chunks]
        assert sum(sizes) == len(windows)
        assert max(sizes) - min(sizes) <= 1
        bases = [
            (list(CONTIGS).index(segment.contig), base)
            for chunk in chunks
            for segment in chunk.segments
            for base in range(segment.first_window, segment.first_window + segment.bins)
        ]
        assert sorted(bases) == sorted(covered), "each base once"
        assert bases == sorted(bases), "in order"
