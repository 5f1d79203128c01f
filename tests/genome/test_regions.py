"""Regions and BED files."""

import gzip
import random
from pathlib import Path

import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.regions import parse_regions, read_bed

CONTIGS = {"chr1": 1_000_000, "chr2": 500, "HLA-A*01:01": 300, "a:1-9": 50, "track7": 100}
CONTIGS |= {"browser_x": 60, "notes.bed": 40}


@pytest.mark.parametrize(
    ("region", "interval"),
    [
        ("chr2", ("chr2", 0, 500)),
        ("chr1:1-1", ("chr1", 0, 1)),
        ("chr1:1-1,000,000", ("chr1", 0, 1_000_000)),
        ("chr1:1,001-2,000", ("chr1", 1_000, 2_000)),
        ("chr2:500-500", ("chr2", 499, 500)),
        ("HLA-A*01:01", ("HLA-A*01:01", 0, 300)),
        ("HLA-A*01:01:5-10", ("HLA-A*01:01", 4, 10)),
        ("a:1-9", ("a:1-9", 0, 50)),
        ("a:1-9:2-3", ("a:1-9", 1, 3)),
        ("notes.bed", ("notes.bed", 0, 40)),
    ],
)
def test_a_region_is_parsed(region: str, interval: tuple[str, int, int]) -> None:
    assert parse_regions([region], CONTIGS) == [interval]


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("1", "'chr1'"),
        ("1:5-10", "'chr1'"),
        ("chrII", "'chr2'"),
        ("chr2:1-501", "500"),
        ("chr2:501-600", "500"),
        ("chr2:0-10", "chr2:0-10"),
        ("chr2:10-9", "chr2:10-9"),
        ("chr2:5", "chr2"),
        ("chr2:5-", "chr2"),
        ("chr2:-5", "chr2"),
        ("chr2:,-,", "chr2"),
        ("chr2:1..9", "chr2"),
        ("chr2:1-9:+", "chr2"),
        ("chr2:-1-9", "chr2"),
        ("", "chr1"),
        ("absent.bed", r"absent\.bed"),
        ("chr2:1-" + "9" * 30, "500"),
        ("x" * 300, "xxx"),
        ("x\0y", "region"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_malformed_region_is_refused(region: str, message: str) -> None:
    with pytest.raises(SeqcovError, match=message):
        parse_regions(["chr1", region], CONTIGS)


def test_the_message_for_position_0_has_no_negative_coordinate() -> None:
    with pytest.raises(SeqcovError) as caught:
        parse_regions(["chr2:0-10"], CONTIGS)
    assert "-1" not in str(caught.value).replace("0-10", "")


def write_bed(tmp_path: Path, content: str, name: str = "some.bed") -> Path:
    raw = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return tmp_path / name


@pytest.mark.parametrize("name", ["some.bed", "some.BED", "some.bed.gz", "regions.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_bed_file_is_read_with_any_name_and_line_end(name: str, end: str, tmp_path: Path) -> None:
    lines = ['track name="x"', "browser position chr1", "# chr9\t1\t2", "", "chr1\t0\t10"]
    lines += ["chr2 5 500 name 0 +", "chr1\t7\t8\tx"]
    path = write_bed(tmp_path, end.join(lines), name)
    intervals = parse_regions([str(path), "chr2:2-3"], CONTIGS)
    assert intervals == [("chr1", 0, 10), ("chr2", 5, 500), ("chr1", 7, 8), ("chr2", 1, 3)]


@pytest.mark.parametrize("contig", ["track7", "browser_x"])
def test_a_contig_whose_name_begins_like_a_header_is_read(contig: str, tmp_path: Path) -> None:
    path = write_bed(tmp_path, f"track name=x\n{contig}\t1\t9\n")
    assert read_bed(path, CONTIGS) == [(contig, 1, 9)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t5", "does not begin"),
        ("chr1\tx\t9", "does not begin"),
        ("chr1\t-1\t9", r"-1-9 \(0-based\) is not an interval"),
        ("chr1\t1e3\t2e3", "does not begin"),
        ("chr1\t1,000\t2,000", "does not begin"),
        ("chr1\t²\t9", "does not begin"),
        ("chr1\t9\t9", "not an interval"),
        ("chr1\t9\t8", "not an interval"),
        ("chr2\t0\t501", "500"),
        ("1\t0\t5", "'chr1'"),
    ],
)
def test_a_bad_bed_line_is_refused_with_its_number(line: str, message: str, tmp_path: Path) -> None:
    path = write_bed(tmp_path, f"# header\nchr1\t0\t10\n\n{line}\nchr1\t0\t10\n")
    with pytest.raises(SeqcovError, match=rf"line 4\b.*{message}"):
        read_bed(path, CONTIGS)


@pytest.mark.parametrize("name", ["binary.bed", "plain.bed.gz", "cut.bed.gz", "absent.bed"])
def test_a_bed_file_that_cannot_be_read_is_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "binary.bed").write_bytes(b"\xff\xfe\n")
    (tmp_path / "plain.bed.gz").write_bytes(b"chr1\t0\t10\n")
    cut = gzip.compress(random.Random(4).randbytes(5_000).hex().encode())[:3_000]
    (tmp_path / "cut.bed.gz").write_bytes(cut)
    with pytest.raises(SeqcovError, match=name):
        read_bed(tmp_path / name, CONTIGS)
