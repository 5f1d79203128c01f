"""FASTA access and regions: files in every state that users have them in, and four real genomes."""

import contextlib
import gzip
import os
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from Bio import bgzf
from hypothesis import given
from hypothesis import strategies as st

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Fasta, Genome, open_fasta
from seqcov_models.genome.regions import parse_regions, read_bed, suggest_contigs
from support.fasta import write_fasta

TWO = {"chr1": "ACGTNacgtnRYKM" * 10 + "A", "chr2": "TTGCA"}


@contextmanager
def opened(fasta: Fasta) -> Iterator[Genome]:
    genome = Genome(fasta)
    try:
        yield genome
    finally:
        genome.close()


def letters(genome: Genome, contig: str, start: int, end: int) -> str:
    return "".join("ACGTN"[code] for code in genome.fetch(contig, start, end))


def expected(sequence: str, start: int, end: int) -> str:
    """[start, end) in upper case, N for whatever is no base and for what lies beyond the ends."""
    letters_upper = sequence.upper()
    seen = (letters_upper[at] if 0 <= at < len(letters_upper) else "N" for at in range(start, end))
    return "".join(letter if letter in "ACGT" else "N" for letter in seen)


def as_plain(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genome.fa").write_bytes(content)
    return folder / "genome.fa"


def as_gzip(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genome.fa.gz").write_bytes(gzip.compress(content))
    return folder / "genome.fa.gz"


def as_bgzip(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with bgzf.BgzfWriter(str(folder / "genome.fa.gz")) as handle:
        handle.write(content)
    return folder / "genome.fa.gz"


Writer = Callable[[Path, bytes], Path]
every_kind = pytest.mark.parametrize("kind", [as_plain, as_gzip, as_bgzip])


def content_of(contigs: dict[str, str], folder: Path, **how: object) -> bytes:
    return write_fasta(folder / "draft.fa", contigs, **how).read_bytes()  # type: ignore[arg-type]


@contextmanager
def read_only(path: Path) -> Iterator[Path]:
    """A file by a name in a folder, always the same, in which not even root may write."""
    handle = os.open(path, os.O_RDONLY)
    os.dup2(handle, 500)
    os.close(handle)
    try:
        yield Path("/dev/fd/500")
    finally:
        os.close(500)


def age(path: Path, seconds: float) -> None:
    """Make a file look as if written `seconds` ago."""
    state = path.stat()
    os.utime(path, (state.st_atime - seconds, state.st_mtime - seconds))


# What is read


@every_kind
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_kind_of_file_gives_the_same_bases(kind: Writer, end: str, tmp_path: Path) -> None:
    path = kind(tmp_path, content_of(TWO, tmp_path, width=7, end=end))
    fasta = open_fasta(path, tmp_path / "out")
    assert list(fasta.contigs.items()) == [("chr1", 141), ("chr2", 5)]
    with opened(fasta) as genome:
        for contig, sequence in TWO.items():
            for start, end_ in [(0, len(sequence)), (-10, 12), (3, 5), (0, 1), (4, 200)]:
                found = letters(genome, contig, start, end_)
                assert found == expected(sequence, start, end_)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Genome]:
    folder = tmp_path_factory.mktemp("two")
    with opened(open_fasta(write_fasta(folder / "two.fa", TWO, width=9), folder)) as genome:
        yield genome


@given(st.sampled_from(sorted(TWO)), st.integers(-300, 300), st.integers(0, 400))
def test_any_interval_is_read_with_n_beyond_both_ends(
    two: Genome, contig: str, start: int, length: int
) -> None:
    found = letters(two, contig, start, start + length)
    assert found == expected(TWO[contig], start, start + length)


@every_kind
def test_blocks_of_bgzip_and_buffers_of_gzip_leave_no_seam(kind: Writer, tmp_path: Path) -> None:
    sequence = "".join(random.Random(1).choices("ACGT", k=200_000))  # four blocks of 64 kB
    path = kind(tmp_path, content_of({"c": sequence}, tmp_path))
    with opened(open_fasta(path, tmp_path / "out")) as genome:
        assert letters(genome, "c", 0, 200_000) == sequence
        for at in (65_000, 66_000, 131_000, 199_990):
            assert letters(genome, "c", at, at + 500) == expected(sequence, at, at + 500)


def test_names_end_at_white_space_and_keep_other_signs(tmp_path: Path) -> None:
    content = b">HLA-A*01:01:01:01 some gene\nACGT\n>a|b=c;d\tx\nAC\n"
    fasta = open_fasta(as_plain(tmp_path, content), tmp_path)
    assert list(fasta.contigs) == ["HLA-A*01:01:01:01", "a|b=c;d"]


def test_a_record_without_sequence_is_left_out(tmp_path: Path) -> None:
    fasta = open_fasta(as_plain(tmp_path, b">a\n>b\nACGT\n>c\n"), tmp_path)
    assert fasta.contigs == {"b": 4}


def test_a_last_line_without_an_end_is_read(tmp_path: Path) -> None:
    with opened(open_fasta(as_plain(tmp_path, b">a\nACGT\nTG"), tmp_path)) as genome:
        assert letters(genome, "a", 0, 6) == "ACGTTG"


# Indices


def test_a_missing_index_is_made_beside_the_fasta(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "data/genome.fa", TWO)
    open_fasta(path, tmp_path / "out")
    assert (tmp_path / "data/genome.fa.fai").read_text().startswith("chr1\t141\t6\t60\t61\n")
    assert not (tmp_path / "out").exists()
    assert sorted(file.name for file in path.parent.iterdir()) == ["genome.fa", "genome.fa.fai"]


def test_missing_indices_of_bgzip_are_made_beside_the_fasta(tmp_path: Path) -> None:
    path = as_bgzip(tmp_path / "data", content_of(TWO, tmp_path))
    open_fasta(path, tmp_path / "out")
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["genome.fa.gz", "genome.fa.gz.fai", "genome.fa.gz.gzi"]


def test_an_index_that_is_up_to_date_is_used_as_it_is(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", TWO)
    index = open_fasta(path, tmp_path).index
    age(path, 60)
    age(index, 30)
    before = index.stat()
    assert open_fasta(path, tmp_path).contigs == {"chr1": 141, "chr2": 5}
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("kind", [as_plain, as_bgzip])
def test_an_outdated_index_is_made_anew(kind: Writer, tmp_path: Path) -> None:
    old = open_fasta(kind(tmp_path, b">a\nACGT\n"), tmp_path)
    for file in tmp_path.iterdir():
        age(file, 60)
    path = kind(tmp_path, b">other\nACGTAC\nGT\n")
    with opened(open_fasta(path, tmp_path)) as genome:
        assert genome.contigs == {"other": 8}
        assert letters(genome, "other", 0, 8) == "ACGTACGT"
    assert old.contigs == {"a": 4}


def test_where_the_folder_is_read_only_the_index_goes_into_the_other(tmp_path: Path) -> None:
    with read_only(write_fasta(tmp_path / "genome.fa", TWO)) as path:
        fasta = open_fasta(path, tmp_path / "out")
        assert fasta.index.parent == tmp_path / "out"
        with opened(fasta) as genome:
            assert letters(genome, "chr1", 0, 141) == expected(TWO["chr1"], 0, 141)
        made = fasta.index.stat().st_mtime_ns
        assert open_fasta(path, tmp_path / "out").index.stat().st_mtime_ns == made


def test_where_neither_folder_can_be_written_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with (
        read_only(write_fasta(tmp_path / "genome.fa", TWO)) as path,
        pytest.raises(SeqcovError, match="out"),
    ):
        open_fasta(path, tmp_path / "out")


DAMAGED_INDICES = {
    "empty": b"",
    "cut": b"chr1\t141\n",
    "no number": b"chr1\tx\t6\t60\t61\n",
    "doubled": b"chr1\t141\t6\t60\t61\nchr1\t5\t6\t60\t61\n",
    "foreign digit": "chr1\t²\t6\t60\t61\n".encode(),
    "no sequence": b"chr1\t0\t6\t60\t61\n",
    "binary": b"\xff\xfe\n",
}


@pytest.mark.parametrize("content", DAMAGED_INDICES.values(), ids=DAMAGED_INDICES)
def test_a_damaged_index_is_refused_or_made_anew(content: bytes, tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", TWO)
    (tmp_path / "genome.fa.fai").write_bytes(content)
    with contextlib.suppress(SeqcovError):
        assert open_fasta(path, tmp_path).contigs == {"chr1": 141, "chr2": 5}


def test_an_index_that_promises_more_than_the_file_holds_is_noticed(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", {"a": "ACGT" * 50})
    (tmp_path / "genome.fa.fai").write_text("a\t5000\t3\t60\t61\n")
    with (
        opened(open_fasta(path, tmp_path)) as genome,
        pytest.raises(SeqcovError, match="index"),
    ):
        genome.fetch("a", 150, 1_000)


# Plain gzip


def test_plain_gzip_is_unpacked_once(tmp_path: Path) -> None:
    path = as_gzip(tmp_path / "data", content_of(TWO, tmp_path))
    first = open_fasta(path, tmp_path / "out")
    made = first.path.stat()
    again = open_fasta(path, tmp_path / "out").path.stat()
    assert (again.st_ino, again.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert first.path.parent == tmp_path / "out"
    assert [file.name for file in path.parent.iterdir()] == ["genome.fa.gz"]


def test_a_newer_gzip_is_unpacked_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    open_fasta(as_gzip(tmp_path, b">a\nACGT\n"), out)
    for file in [*tmp_path.glob("*.gz"), *out.iterdir()]:
        age(file, 60)
    assert open_fasta(as_gzip(tmp_path, b">b\nAC\n"), out).contigs == {"b": 2}


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.bgz", "genome.gz", "GENOME.FA.GZ"])
@pytest.mark.parametrize("out", ["data", "out"])
def test_plain_gzip_of_any_name_is_unpacked_and_left_as_it_is(
    name: str, out: str, tmp_path: Path
) -> None:
    path = as_gzip(tmp_path / "data", b">a\nACGT\n").rename(tmp_path / "data" / name)
    before = path.read_bytes()
    for _ in range(2):
        with opened(open_fasta(path, tmp_path / out)) as genome:
            assert letters(genome, "a", 0, 4) == "ACGT"
        assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [as_plain, as_gzip])
def test_another_fasta_of_the_same_name_is_not_taken_for_the_first(
    kind: Writer, tmp_path: Path
) -> None:
    """Two folders hold a genome.fa, the second older than what was made from the first."""
    first = kind(tmp_path / "first", b">a\nACGT\n")
    second = kind(tmp_path / "second", b">b\nGG\nTT\nC\n")
    age(second, 3600)
    out = tmp_path / "out"
    if kind is as_gzip:
        open_fasta(first, out)
        found = open_fasta(second, out)
    else:
        with read_only(first) as path:
            open_fasta(path, out)
        with read_only(second) as path:
            found = open_fasta(path, out)
    assert found.contigs == {"b": 5}


# What is refused


BAD = {
    "no record": (b"ACGT\nACGT\n", ">"),
    "only blank lines": (b"\n\n\n", "FASTA"),
    "FASTQ": (b"@read\nACGT\n+\nIIII\n", ">"),
    "a table": (b"chr1\t0\t10\n", ">"),
    "binary": (bytes(range(200, 256)) * 30, "FASTA"),
    "two contigs of one name": (b">a x\nACGT\n>b\nAC\n>a y\nTT\n", "'a' appears twice"),
    "lines of different length": (b">a\nACGT\n>b\nACGT\nACGTAC\nACGT\n", "b"),
    "a short line before the last": (b">b\nACGTAC\nACGT\nACGTAC\n", "b"),
    "a blank line inside": (b">b\nACGT\n\nACGT\n", "b"),
    "a record without a name": (b">a\nAC\n>\nACGT\n", "name"),
    "no sequence": (b">a\n>b\n", "sequence"),
    "a name that is not UTF-8": (b">\xe9\nACGT\n", "FASTA"),
}


@every_kind
@pytest.mark.parametrize("bad", BAD)
def test_a_file_that_is_not_fasta_is_refused(kind: Writer, bad: str, tmp_path: Path) -> None:
    content, message = BAD[bad]
    path = kind(tmp_path, content)
    with pytest.raises(SeqcovError, match=re.escape(message)) as caught:
        open_fasta(path, tmp_path / "out")
    assert "genome.fa" in str(caught.value)


@every_kind
def test_nothing_inside_the_compression_is_refused(kind: Writer, tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match=r"genome\.fa"):
        open_fasta(kind(tmp_path, b""), tmp_path / "out")


def test_an_empty_missing_or_foreign_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.fa").touch()
    for name, message in (("empty.fa", "empty"), ("absent.fa", "no such file"), (".", "folder")):
        with pytest.raises(SeqcovError, match=message):
            open_fasta(tmp_path / name, tmp_path / "out")


def test_a_plain_fasta_named_gz_is_refused_for_what_it_is(tmp_path: Path) -> None:
    path = as_plain(tmp_path, b">a\nACGT\n").rename(tmp_path / "genome.fa.gz")
    with pytest.raises(SeqcovError) as caught:
        open_fasta(path, tmp_path / "out")
    assert "cannot be written" not in str(caught.value)  # nothing is wrong with the folder


@pytest.mark.parametrize("kind", [as_gzip, as_bgzip])
def test_a_cut_compressed_file_is_refused_wherever_it_ends(kind: Writer, tmp_path: Path) -> None:
    sequence = "".join(random.Random(2).choices("ACGT", k=150_000))
    whole = kind(tmp_path / "whole", content_of({"c": sequence}, tmp_path)).read_bytes()
    lengths = {*range(2, 40, 3), *range(40, len(whole), len(whole) // 12)}
    lengths |= {len(whole) - cut for cut in (1, 2, 5, 10, 17, 28, 30)}
    path = tmp_path / "genome.fa.gz"
    accepted = []
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        try:
            open_fasta(path, tmp_path / f"out{length}")
        except SeqcovError:
            continue
        accepted.append(length)
    assert not accepted


def test_a_foreign_letter_is_refused_with_file_and_contig(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "protein.fa", {"p": "ACGTEACGT"})
    with (
        opened(open_fasta(path, tmp_path)) as genome,
        pytest.raises(SeqcovError, match=r"protein\.fa.*p\b.*'E'"),
    ):
        genome.fetch("p", 2, 9)


# Real genomes


def parsed(path: Path) -> dict[str, str]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    records = [record.partition("\n") for record in text.split(">")[1:]]
    return {head.split()[0]: body.replace("\n", "") for head, _, body in records}


@pytest.mark.parametrize(
    ("name", "contigs", "bases"),
    [
        ("bacterial_draft_78_contigs_iupac.fna.gz", 78, None),
        ("hg19_short_contigs_masked.fa", 2, None),
        ("sacCer3.fa.gz", 17, 12_157_105),
        ("hg38_chr1_1Mb.fa.gz", 1, 1_000_000),
    ],
)
def test_a_real_genome_is_read_as_its_text_says(
    name: str, contigs: int, bases: int | None, real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    source = real_input(f"genomes/{name}")
    (tmp_path / name).symlink_to(source)  # so that no index is written beside the original
    sequences = parsed(source)
    fasta = open_fasta(tmp_path / name, tmp_path / "out")
    assert fasta.contigs == {contig: len(text) for contig, text in sequences.items()}
    assert len(fasta.contigs) == contigs
    assert bases in (None, sum(fasta.contigs.values()))
    rng = random.Random(3)
    with opened(fasta) as genome:
        for contig, text in sequences.items():
            odd = [match.start() for match in re.finditer("[^ACGTacgtNn]", text)][:3]
            for centre in (0, len(text), rng.randrange(len(text)), *odd):
                start, end = centre - 150, centre + 150
                assert letters(genome, contig, start, end) == expected(text, start, end)


def test_the_bacterial_draft_holds_ambiguous_letters(real_input: Callable[[str], Path]) -> None:
    sequences = parsed(real_input("genomes/bacterial_draft_78_contigs_iupac.fna.gz"))
    assert any(re.search("[RYSWKMBDHV]", text) for text in sequences.values())


# Contig names


HUMAN = [f"chr{name}" for name in [*range(1, 23), "X", "Y", "M"]]
ENSEMBL = [str(name) for name in [*range(1, 23), "X", "Y", "MT"]]
YEAST = [f"chr{roman}" for roman in ("I", "II", "III", "IV", "V", "IX", "X", "XII")] + ["chrmt"]
YEAST_NUMBERS = [f"chr{number}" for number in range(1, 17)] + ["chrM"]


@pytest.mark.parametrize(
    ("asked", "contigs", "meant"),
    [
        ("1", HUMAN, "chr1"),
        ("chr1", ENSEMBL, "1"),
        ("CHR1", HUMAN, "chr1"),
        ("chr22", ENSEMBL, "22"),
        ("X", HUMAN, "chrX"),
        ("chrX", ENSEMBL, "X"),
        ("chrY", ENSEMBL, "Y"),
        ("chrM", ENSEMBL, "MT"),
        ("MT", HUMAN, "chrM"),
        ("chrMT", HUMAN, "chrM"),
        ("MT", YEAST, "chrmt"),
        ("chr1", YEAST, "chrI"),
        ("4", YEAST, "chrIV"),
        ("chr10", YEAST, "chrX"),
        ("IV", YEAST, "chrIV"),
        ("chrIX", YEAST_NUMBERS, "chr9"),
        ("chrX", YEAST_NUMBERS, "chr10"),
        ("X", YEAST, "chrX"),
    ],
)
def test_a_contig_in_another_naming_scheme_is_found(
    asked: str, contigs: list[str], meant: str
) -> None:
    assert f"'{meant}'" in suggest_contigs(asked, contigs)


def test_a_mistyped_contig_is_near_and_a_strange_one_lists_what_there_is() -> None:
    assert "scaffold_12" in suggest_contigs("scafold_12", ["scaffold_12", "chrM"])
    message = suggest_contigs("zzz", [f"ctg{number}" for number in range(1000)])
    assert "ctg0" in message
    assert len(message) < 200


# Regions


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
def test_what_a_region_names(region: str, interval: tuple[str, int, int]) -> None:
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
    ids=lambda given: repr(given)[:30],
)
def test_a_malformed_region_is_refused(region: str, message: str) -> None:
    with pytest.raises(SeqcovError, match=message):
        parse_regions(["chr1", region], CONTIGS)


def test_a_refused_region_never_speaks_of_negative_coordinates() -> None:
    with pytest.raises(SeqcovError) as caught:
        parse_regions(["chr2:0-10"], CONTIGS)
    assert "-1" not in str(caught.value).replace("0-10", "")


def bed(tmp_path: Path, content: str, name: str = "some.bed") -> Path:
    raw = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return tmp_path / name


@pytest.mark.parametrize("name", ["some.bed", "some.BED", "some.bed.gz", "regions.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_bed_file_of_any_dress_is_read(name: str, end: str, tmp_path: Path) -> None:
    lines = ['track name="x"', "browser position chr1", "# chr9\t1\t2", "", "chr1\t0\t10"]
    lines += ["chr2 5 500 name 0 +", "chr1\t7\t8\tx"]
    intervals = parse_regions([str(bed(tmp_path, end.join(lines), name)), "chr2:2-3"], CONTIGS)
    assert intervals == [("chr1", 0, 10), ("chr2", 5, 500), ("chr1", 7, 8), ("chr2", 1, 3)]


@pytest.mark.parametrize("contig", ["track7", "browser_x"])
def test_a_contig_whose_name_begins_like_a_header_is_not_lost(contig: str, tmp_path: Path) -> None:
    found = read_bed(bed(tmp_path, f"track name=x\n{contig}\t1\t9\n"), CONTIGS)
    assert found == [(contig, 1, 9)]


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
    path = bed(tmp_path, f"# header\nchr1\t0\t10\n\n{line}\nchr1\t0\t10\n")
    with pytest.raises(SeqcovError, match=rf"line 4\b.*{message}"):
        read_bed(path, CONTIGS)


def test_a_bed_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "binary.bed").write_bytes(b"\xff\xfe\n")
    (tmp_path / "plain.bed.gz").write_bytes(b"chr1\t0\t10\n")
    cut = gzip.compress(random.Random(4).randbytes(5_000).hex().encode())[:3_000]
    (tmp_path / "cut.bed.gz").write_bytes(cut)
    for name in ("binary.bed", "plain.bed.gz", "cut.bed.gz", "absent.bed"):
        with pytest.raises(SeqcovError, match=name):
            read_bed(tmp_path / name, CONTIGS)
