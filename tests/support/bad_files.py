"""Files that are wrong: genomes and their indices, regions, track tables, peaks."""

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqcov_models.genome.fasta import open_fasta
from support.bad_inputs import Case, file, plan, setting
from support.fasta import build_fasta, write_bgzip, write_sparse_fasta
from support.plans import Config, changed


def fasta(what: str, content: str | bytes) -> Case:
    """Return the case of a wrong FASTA."""
    return file(what, "g.fa", content)


def genome(what: str, lengths: dict[str, int]) -> Case:
    """Return the case of contigs that a format cannot hold."""

    def refused(config: Config) -> None:
        write_sparse_fasta(Path("g.fa"), lengths)
        plan(changed(config, "genome.regions", [f"{next(iter(lengths))}:1-9"]))

    return what, refused


def bgzip(what: str, damage: Callable[[bytes], bytes]) -> Case:
    """Return the case of a damaged bgzip file."""

    def refused(config: Config) -> None:
        letters = "".join(random.Random(1).choices("ACGT", k=300_000))
        path = write_bgzip(Path("d"), build_fasta({"chrI": letters, "chrII": letters[:300]}))
        path.write_bytes(damage(path.read_bytes()))
        plan(changed(config, "genome.fasta", "d/genome.fa.gz"))

    return what, refused


def index(what: str, edit: Callable[[str], str]) -> Case:
    """Return the case of an index that is edited after it was made."""

    def refused(config: Config) -> None:
        open_fasta("g.fa", "results")
        Path("g.fa.fai").write_text(edit(Path("g.fa.fai").read_text()))
        plan(config)

    return what, refused


def replaced(what: str, content: str) -> Case:
    """Return the case of a FASTA that is replaced by an older file, so that its index is newer."""

    def refused(config: Config) -> None:
        open_fasta("g.fa", "results")
        Path("g.fa").write_text(content)
        os.utime("g.fa", (1_000_000_000, 1_000_000_000))
        plan(config)

    return what, refused


def swap_names(text: str) -> str:
    return text.replace("chrII", "x").replace("chrI", "chrII").replace("x", "chrI")


FASTAS: list[Case] = [
    fasta("the FASTA is empty", ""),
    fasta("the FASTA has blank lines only", "\n\n"),
    fasta("a table instead of a FASTA", "chr1\t5\nACGT\n"),
    fasta("FASTQ instead of FASTA", "@read\nACGT\n+\nIIII\n"),
    fasta("binary instead of a FASTA", bytes(range(200, 256)) * 30),
    fasta("headers without sequence", ">a\n>b\n"),
    fasta("two contigs of one name", ">chr1\nACGT\n>chr2\nACGT\n>chr1\nACGT\n"),
    fasta("a record without a name", ">a\nAC\n>\nACGT\n"),
    fasta("a contig that is called `track`", ">track\nACGT\n"),
    fasta("a contig that is called `#x`", ">a\nACGT\n>#x\nAC\n"),
    fasta("lines of different length", ">a\nACGT\n>b\nACGT\nACGTAC\nACGT\n"),
    fasta("a blank line within a contig", ">c\nACGT\n\nAC\n"),
    fasta("two blank lines at the end", ">c\nACGT\nAC\n\n\n"),
    fasta("lines with two kinds of ends", ">a\nACGT\r\nACGTA\nACGT\r\n"),
    fasta("a byte order mark", b"\xef\xbb\xbf>a\nAC\n"),
    fasta("UTF-16 text", b"\xff\xfe" + ">a\nACGT\n".encode("utf-16-le")),
    fasta("UTF-16 text without a mark", ">a\nACGT\n".encode("utf-16-le")),
    fasta("a name in Latin-1", b">caf\xe9\nACGT\n"),
    fasta("a protein", ">p\nMSTE\n"),
    fasta("a digit among the letters", ">a\nACGT1ACGT\n"),
    fasta("RNA with a gap that is `-`", ">a\nACGU-ACGU!\n"),
    file("a FASTA that is not compressed, but called .gz", "g.fa.gz", ">a\nACGT\n",
         genome__fasta="g.fa.gz"),
    file("a gzip file that is cut", "g.fa.gz", gzip.compress(b">a\nACGT\n" * 99, mtime=0)[:-9],
         genome__fasta="g.fa.gz"),
    bgzip("a bgzip file without its last block", lambda content: content[:-28]),
    bgzip("a bgzip file that is cut", lambda content: content[: len(content) // 2]),
    bgzip("a bgzip file with bytes behind its end", lambda content: content + b"x"),
    bgzip("a bgzip file with another byte",
          lambda content: content[:30_000] + bytes([content[30_000] ^ 255]) + content[30_001:]),
    genome("a contig of more than 2³² bp", {"a": 2**32, "b": 10}),
    genome("a name of more than 255 letters without `genome.assembly`", {"x" * 256: 10}),
    genome("more than 17 Gb without `genome.assembly`",
           dict.fromkeys("abcd", 2**32 - 1) | {"e": 90}),
    index("the index is another file", lambda text: "some text\n"),
    index("the index lacks a cell", lambda text: text.replace("\t61\n", "\n", 1)),
    index("contigs are swapped in the index", swap_names),
    index("a contig is missing in the index", lambda text: text.splitlines(keepends=True)[0]),
    index("the index says other lengths", lambda text: text.replace("\t2000\t", "\t1990\t")),
    replaced("the FASTA was replaced by an older one", ">chrI\nACGT\n>chrX\nAC\n"),
]  # fmt: skip


def bed(what: str, content: str | bytes, name: str = "regions.bed") -> Case:
    """Return the case of a wrong BED file of regions."""
    return file(what, name, content, genome__regions=[name])


def aliased(**settings: Any) -> Case:
    """Return the case of regions and exclusions together."""

    def refused(config: Config) -> None:
        config["genome"] |= settings
        plan(config)

    return f"`genome: {settings}`".replace("'", ""), refused


def apart(config: Config) -> None:
    """Refuse regions of a model that lie outside those of the run, though in the same bin."""
    plan(
        changed(
            changed(config, "genome.regions", ["chrI:1-2"]), "models.tiny.regions", ["chrI:3-4"]
        )
    )


REGIONS: list[Case] = [
    setting('genome.regions', ['chrI:1,900-2,100']),
    setting('genome.regions', ['chr1:1-100']),
    setting('genome.regions', ['scafold_2']),
    setting('genome.regions', 'chrI'),
    setting('genome.exclude', ['chr9']),
    setting('genome.exclude', ['chrI', 'chrII', 'scaffold_2']),
    setting('genome.contig_aliases', {'chr1': 1}),
    setting('genome.contig_aliases', {'chr1': 'chrl'}),
    setting('genome.contig_aliases', {'chrII': 'chrI'}),
    setting('genome.regions', ['~/a.bed']),
    setting("genome.regions", ["chrI:0-10"]),
    setting("genome.regions", ["chrI:10-9"]),
    setting("genome.regions", ["chrI:1..9"]),
    setting("genome.regions", ["chrI:5"]),
    setting("genome.regions", ["absent.bed"]),
    setting("genome.regions", [""]),
    setting("genome.regions", [5]),
    aliased(regions=["chrI:101-200"], exclude=["chrI"]),
    setting("models.bpnet.regions", ["chr1:1-100"]),
    setting("models.tiny.regions", "open.bed"),
    setting("models.tiny.regions", ["~/open.bed"]),
    ("`genome.regions` and regions of a model that do not overlap", apart),
    file("an empty BED file of a model", "open.bed", "", models__tiny__regions=["open.bed"]),
    bed("an empty BED file", ""),
    bed("a BED file of comments", "# x\n"),
    bed("a BED line with words for numbers", "# loci\nchrI\t10\t20\nchrI\tten\t20\n"),
    bed("a BED line of two columns", "chrI\t10\n"),
    bed("a BED line with thousands separators", "chrI\t1,000\t2,000\n"),
    bed("a BED line that ends before it starts", "chrI\t20\t10\n"),
    bed("a BED line beyond its contig", "chrI\t0\t2001\n"),
    bed("a BED line with a negative start", "chrI\t-5\t10\n"),
    bed("a BED line with another name of a contig", "1\t10\t20\n"),
    bed("a BED file in Latin-1", b"chrI\t0\t9\tcaf\xe9\n"),
    bed("a BED file in UTF-16", b"\xff\xfe" + "chrI\t0\t9\n".encode("utf-16-le")),
    bed("a BED file that is not compressed, but called .gz", "chrI\t0\t9\n", "r.bed.gz"),
    bed("a BED file that is cut", gzip.compress(b"chrI\t0\t9\n" * 99, mtime=0)[:-9], "r.bed.gz"),
]  # fmt: skip

TABLE = "\tidentifier\n" + "".join(f"{row}\tE{row}\n" for row in range(7))
PAIRS = "\tidentifier\tstrand_pair\n0\tE1+\t1\n1\tE1-\t1\n" + "".join(
    f"{row}\tE{row}\t{row}\n" for row in range(2, 7)
)
STATISTICS = "\tidentifier\tclip_soft\tscale\tsum_stat\n" + "".join(
    f"{row}\tE{row}\t384\t0.3\tsum_sqrt\n" for row in range(7)
)


def table(what: str, content: str | bytes, **settings: Any) -> Case:
    """Return the case of a wrong track table."""
    return file(what, "tiny/targets.txt", content, **settings)


def statistic(what: str, cells: str) -> Case:
    """Return the case of a statistic that `scale: raw` cannot undo."""
    text = STATISTICS.replace("3\tE3\t384\t0.3\tsum_sqrt", f"3\tE3\t{cells}")
    settings = {"models__tiny__scale": "raw", "models__tiny__transform": "old"}
    return table(f"{what}, and `scale: raw`", text, **settings)


def listed(what: str, content: str | bytes) -> Case:
    """Return the case of a wrong file of indices."""
    return file(what, "rows.txt", content, models__tiny__tracks=["file:rows.txt"])


TRACKS: list[Case] = [
    setting('models.tiny.targets', 'nowhere.txt'),
    setting('models.tiny.tracks', 'assay:CHIP'),
    setting('models.tiny.tracks', ['id2', 'DNASE:cell x']),
    setting('models.tiny.tracks', ['assay:CAEG']),
    setting('models.tiny.tracks', [7]),
    setting('models.tiny.tracks', ['id2\n']),
    setting('models.tiny.tracks', ['file:tiny/params.json']),
    setting('models.tiny.targets', 't{x}.txt'),
    setting("models.tiny.tracks", []),
    setting("models.tiny.tracks", [-1]),
    setting("models.tiny.tracks", [1.5]),
    setting("models.tiny.tracks", [""]),
    setting("models.tiny.tracks", ["99"]),
    setting("models.tiny.tracks", ["assay:"]),
    setting("models.tiny.tracks", ["id22"]),
    setting("models.tiny.tracks", ["(cell"]),
    setting("models.tiny.tracks", ["file:nowhere.txt"]),
    setting("models.tiny.tracks", ["file:"]),
    table("a number that is an identifier, written without quotes",
          TABLE.replace("E3", "5000"), models__tiny__tracks=[5000]),
    table("an identifier without its strand",
          TABLE.replace("E3", "C2+").replace("E4", "C2-"), models__tiny__tracks=["C2"]),
    listed("a file of indices that is empty", ""),
    listed("an index that the table does not have", "0\n17\n"),
    listed("a file of indices with identifiers", "0\nENC3\n"),
    listed("a file of indices in UTF-16", b"\xff\xfe0\x00\n\x00"),
    table("an empty track table", ""),
    table("a track table without the column `identifier`", "index\tname\n0\ta\n"),
    table("a track table with commas", "index,identifier\n0,a\n"),
    table("a track table that names a column twice", "\tidentifier\tidentifier\n"),
    table("a row with a cell too many", TABLE.replace("E3", "E3\textra")),
    table("a row with a cell too few", TABLE.replace("3\tE3", "3")),
    table("a row without an identifier", TABLE.replace("E3", "")),
    table("an index that is a word", TABLE.replace("3\tE3", "x\tE3")),
    table("an index that is negative", TABLE.replace("3\tE3", "-1\tE3")),
    table("an index that a row above has", TABLE.replace("3\tE3", "2\tE3")),
    table("a NUL character", TABLE.replace("E3", "E\0003")),
    table("a track table in Latin-1", TABLE.replace("E3", "\u00e9").encode("latin-1")),
    table("a track table in UTF-16", b"\xff\xfe" + TABLE.encode("utf-16-le")),
    table("fewer rows than the head has tracks", "\tidentifier\n0\tENCFF1\n"),
    table("strand pairs that contradict each other", PAIRS),
    statistic("an unknown `sum_stat`", "384\t0.3\tsum_log"),
    statistic("a `sum_stat` that is missing", "384\t0.3\t"),
    statistic("a `scale` that is infinite", "384\tinf\tsum"),
    statistic("a `clip_soft` that is not a number", "nan\t0.3\tsum"),
]  # fmt: skip

NARROW = "chrI\t100\t200\tp\t0\t.\t5.1\t-1\t3.2\t"


def peaks(what: str, content: str | bytes) -> Case:
    """Return the case of a wrong file of peaks."""
    return file(what, "b.bed", content)


def outside(config: Config) -> None:
    config["genome"]["regions"] = ["scaffold_2:1-30"]
    plan(config)


def not_predicted(config: Config) -> None:
    config["models"]["tiny"]["tracks"] = [0, 1]
    source = {"x": {"model": "tiny", "track": "id2", "number": 5}}
    plan(changed(config, "models.bpnet.peaks", source))


PEAKS: list[Case] = [
    peaks("an empty file of peaks", ""),
    peaks("a file of peaks with comments only", "# nothing\n"),
    peaks("another name of a contig", "chr1\t5\t9\nchr2\t5\t9\n"),
    peaks("a contig that the FASTA does not have", "chrI\t5\t9\nplasmid\t1\t2\n"),
    peaks("a summit beyond the contig", "chrI\t5\t9\nchrI\t2000\t2003\n"),
    peaks("an interval of 0 bp", "chrI\t9\t9\n"),
    peaks("a summit outside its peak", NARROW + "100\n"),
    peaks("a summit before its peak", NARROW + "-2\n"),
    peaks("a summit that is a word", NARROW + "x\n"),
    peaks("a start that is a word", "chrI\tx\t9\n"),
    peaks("a file of peaks in Latin-1", b"chrI\t0\t9\tcaf\xe9\n"),
    peaks("a file of peaks that is cut", gzip.compress(b"chrI\t0\t9\n" * 99, mtime=0)[:-9]),
    ("no summit in `genome.regions`", outside),
    ("peaks of a track that the run does not predict", not_predicted),
]


def annotation(what: str, content: str, name: str = "genes.gtf") -> Case:
    """Return the case of a wrong file of genes."""
    return file(what, name, content, genome__annotation=name)


def exon(contig: str, start: int, end: int) -> str:
    """Return a line of a GTF."""
    return f'{contig}\t.\texon\t{start}\t{end}\t.\t+\t.\tgene_id "x";\n'


ANNOTATIONS: list[Case] = [
    setting("genome.annotation", "missing.gtf"),
    annotation("a file of genes without genes", "#!genome-build x\n"),
    annotation("genes separated by spaces", "chrI 1 5 x\n"),
    annotation("a line of a GTF that is cut", exon("chrI", 1, 5) + "chrI\t.\texon\n"),
    annotation("a gene whose end is before its start", exon("chrI", 9, 5)),
    annotation("genes with other names of contigs", exon("1", 1, 5) + exon("2", 1, 5)),
    annotation("genes of another genome", exon("NC_000913.3", 1, 5)),
    annotation("a gene beyond its contig", exon("chrII", 290, 301)),
]
