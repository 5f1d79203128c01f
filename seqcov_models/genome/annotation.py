"""Read the genes of an annotation: GTF, GFF3 or BED.

Own code on purpose: pyranges' readers of GTF and GFF3 warn under the current pandas and
name no line in errors; gffutils builds a database for minutes. Here a line is
read once, and only the exons of each gene are kept.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from seqcov_models.errors import SeqcovError
from seqcov_models.files import LARGE_FILE, content_digest, make_cache_folder, write_atomically
from seqcov_models.genome.fasta import is_number
from seqcov_models.genome.regions import (
    NO_ALIASES,
    find_synonym,
    format_aliases,
    read_bed_lines,
    read_lines,
    suggest_contigs,
)

Span = tuple[int, int]
"""Start and end, 0-based half-open, in bp."""

BED12, BED_STRAND, BED_ID = 12, 5, 12
"""Columns of BED with blocks; the column of the strand, and of the identifier behind BED12."""

NAME_LENGTH = 100
"""Maximum number of characters of a gene's name."""


@dataclass(frozen=True)
class Annotation:
    """A file of genes.

    Attributes:
        path: The file.
        sha256: Its digest: an edited file is another annotation.
    """

    path: Path
    sha256: str


@dataclass(frozen=True)
class Gene:
    """A gene, with the exons of all of its transcripts.

    Attributes:
        identifier: The gene's identifier in the file; a BED line's name.
        name: The gene's symbol, or else its identifier.
        contig: The FASTA's name of its contig.
        start: First base of the first exon, 0-based.
        end: End of the last exon, half-open.
        strand: "+", "-", or "." if the file does not say.
        exons: Start and end of the exons, in order, without overlaps.
        coding: Start and end of the coding sequence; None without one.
    """

    identifier: str
    name: str
    contig: str
    start: int
    end: int
    strand: str
    exons: tuple[Span, ...]
    coding: Span | None = None


class _Row(NamedTuple):
    """A line of an annotation: location for messages, interval, and the cells behind it.

    cells: of GTF and GFF3 feature and attributes; of BED all cells.
    """

    location: str
    contig: str
    start: int
    end: int
    strand: str
    cells: Sequence[str]


def check_annotation(
    path: Path, contigs: Mapping[str, int], aliases: Mapping[str, str] = NO_ALIASES
) -> Annotation:
    """Check that the genes of a file can lie on a genome; return the file with its digest.

    A contig that the FASTA lacks is not a mistake, unless the FASTA calls it otherwise: its genes
    are left out. A file is read once as long as nobody changes it.

    Args:
        path: GTF, GFF3 or BED, plain or gzip.
        contigs: Lengths in bp by name.
        aliases: The FASTA's name of a contig by the name used in the file.

    Raises:
        SeqcovError: If a line is wrong (with its number), if a contig has another name in the
            FASTA (with all aliases that are needed), or no contig is in the FASTA, or a gene ends
            beyond its contig.
    """
    if not path.is_file():
        raise SeqcovError(f"annotation {path}: no such file; correct the path")
    annotation = Annotation(path, content_digest(path))
    ends = _read_ends(annotation)
    if not ends:
        raise SeqcovError(
            f"annotation {path}: there are no genes in the file; name another file, or leave out"
            " genome.annotation"
        )
    missing = [name for name in ends if aliases.get(name, name) not in contigs]
    synonyms = {name: match for name in missing if (match := find_synonym(name, contigs))}
    synonyms = {
        name: match
        for name, match in synonyms.items()
        if match not in {aliases.get(other, other) for other in ends}
    }
    if synonyms:
        name, match = next(iter(synonyms.items()))
        raise SeqcovError(
            f"{ends[name][1]}: no contig {name!r}; this FASTA calls it {match!r}; write into the"
            f" config: genome: {{contig_aliases: {format_aliases(synonyms)}}}"
        )
    if len(missing) == len(ends):
        name = missing[0]
        raise SeqcovError(
            f"{ends[name][1]}: no contig {name!r}, nor any other of this file;"
            f" {suggest_contigs(name, contigs)}"
        )
    for name, (end, location) in ends.items():
        contig = aliases.get(name, name)
        if contig in contigs and end > contigs[contig]:
            raise SeqcovError(
                f"{location}: ends at {end:,}, but {contig} has {contigs[contig]:,} bp; is the"
                " annotation of another assembly?"
            )
    return annotation


def _read_ends(annotation: Annotation) -> dict[str, tuple[int, str]]:
    """Return the last end on each contig of a file, and the location of its line.

    It is remembered in the user's cache folder, by the content of the file.
    """
    path, name = annotation.path, f"annotation-{annotation.sha256[:32]}"
    with suppress(OSError, ValueError, TypeError, AttributeError, SeqcovError):
        values = json.loads((make_cache_folder() / "digests" / name).read_text())
        return {contig: (int(end), _locate(path, line)) for contig, (end, line) in values.items()}
    if path.stat().st_size >= LARGE_FILE // 10:
        print(f"reading the genes of {path} once", file=sys.stderr)
    ends: dict[str, tuple[int, str]] = {}
    circular = set()
    for row in _read_rows(path):
        if row.contig not in ends or row.end > ends[row.contig][0]:
            ends[row.contig] = row.end, row.location
        if "Is_circular=true" in row.cells[-1]:  # genes may lie across its origin
            circular.add(row.contig)
    ends |= {contig: (0, ends[contig][1]) for contig in circular}
    lines = {contig: (end, at.rpartition(" ")[2]) for contig, (end, at) in ends.items()}
    with (
        suppress(OSError, SeqcovError),
        write_atomically(make_cache_folder() / "digests" / name) as part,
    ):
        part.write_text(json.dumps(lines))
    return ends


def _locate(path: Path, number: int | str) -> str:
    """Return the location of a line, for a message."""
    return f"annotation {path}, line {number}"


def read_genes(
    path: Path, contigs: Mapping[str, int], aliases: Mapping[str, str] = NO_ALIASES
) -> list[Gene]:
    """Read the genes of a file. A gene has the exons of all of its transcripts.

    GTF: lines of one gene_id are a gene. GFF3: a line without Parent is a gene, with everything
    below it. A gene without exons has its coding sequence, or else is one exon. BED: a line is a
    gene, whose blocks are its exons.

    Args:
        path: GTF, GFF3 or BED, plain or gzip.
        contigs: Lengths in bp by name.
        aliases: The FASTA's name of a contig by the name used in the file.

    Returns:
        The genes on `contigs`, in their order, clipped to the contig.

    Raises:
        SeqcovError: If a line is wrong; the message names it.

    Example:
        >>> genes = read_genes(Path("gencode.gtf.gz"), {"chr1": 248_956_422})
        >>> genes[0].name
        'DDX11L2'
    """
    collected = _Collector()
    read = {"gtf": collected.add_gtf, "gff3": collected.add_gff3, "bed": collected.add_bed}
    kind = _recognise(path)
    for row in _read_rows(path, kind):
        contig = aliases.get(row.contig, row.contig)
        if contig in contigs:
            read[kind](row, contig)
    genes = collected.genes(contigs)
    number = {name: index for index, name in enumerate(contigs)}
    return sorted(genes, key=lambda g: (number[g.contig], g.start, g.end, g.name, g.identifier))


class _Collector:
    """The exons of genes, as the lines of a file name them. Keys: identifier, contig, strand."""

    def __init__(self) -> None:
        self._exons: dict[tuple[str, str, str], list[Span]] = {}
        self._coding: dict[tuple[str, str, str], list[Span]] = {}
        self._spans: dict[tuple[str, str, str], list[Span]] = {}
        self._names: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._rows: list[Gene] = []

    def add_gtf(self, row: _Row, contig: str) -> None:
        """Add a line of a GTF."""
        feature, attributes = row.cells
        values = dict(_GTF_ATTRIBUTE.findall(attributes))
        identifier = values.get("gene_id", "").strip('"')
        if not identifier:
            if feature in ("exon", "CDS", "gene"):
                raise SeqcovError(f"{row.location}: there is no gene_id; correct the line")
            return
        for key in ("gene_name", "gene"):
            if name := values.get(key, "").strip('"'):
                self._names.setdefault(identifier, name)
        self._add(feature, identifier, row, contig)

    def add_gff3(self, row: _Row, contig: str) -> None:
        """Add a line of a GFF3."""
        feature, attributes = row.cells
        values = {
            key.strip(): unquote(value)
            for key, _, value in (item.partition("=") for item in attributes.split(";"))
        }
        identifier, parent = values.get("ID", ""), values.get("Parent", "").split(",")[0]
        is_part = feature in ("exon", "CDS")
        if parent and not is_part and identifier and identifier != parent:
            self._parents[identifier] = parent
        key = parent if is_part and parent else identifier
        if not key:
            if not is_part:
                return
            key = f"{contig}:{row.start + 1}-{row.end}"
        if not (is_part and parent):
            for label in ("Name", "gene_name", "gene", "locus_tag"):
                if label in values:
                    self._names.setdefault(key, values[label])
                    break
        self._add(feature if is_part or not parent else "", key, row, contig)

    def add_bed(self, row: _Row, contig: str) -> None:
        """Add a line of a BED file."""
        cells = row.cells
        name = cells[3] if len(cells) > 3 and cells[3] not in ("", ".") else ""
        name = name or f"{contig}:{row.start + 1}-{row.end}"
        exons: tuple[Span, ...] = ((row.start, row.end),)
        coding = None
        if len(cells) >= BED12:
            sizes, starts = (
                [int(text) for text in cells[column].split(",") if is_number(text)]
                for column in (10, 11)
            )
            if not len(sizes) == len(starts) == int(cells[9] if is_number(cells[9]) else -1):
                raise SeqcovError(
                    f"{row.location}: columns 10 to 12 are not the number, sizes and starts of"
                    " blocks; correct the line"
                )
            exons = tuple(
                (row.start + start, row.start + start + size)
                for start, size in zip(starts, sizes, strict=True)
            )
            if is_number(cells[6]) and is_number(cells[7]) and int(cells[6]) < int(cells[7]):
                coding = int(cells[6]), int(cells[7])
        identifier = cells[BED_ID] if len(cells) > BED_ID and cells[BED_ID] else name
        self._rows.append(
            Gene(identifier, name, contig, row.start, row.end, row.strand, exons, coding)
        )

    def _add(self, feature: str, key: str, row: _Row, contig: str) -> None:
        """Add the interval of a line to its gene, or to what it is a part of."""
        spans = {"exon": self._exons, "CDS": self._coding}.get(feature)
        if spans is None and "gene" in feature.lower():
            spans = self._spans
        if spans is not None:
            key = sys.intern(key)
            spans.setdefault((key, contig, row.strand), []).append((row.start, row.end))

    def genes(self, contigs: Mapping[str, int]) -> list[Gene]:
        """Return the genes, clipped to their contigs."""
        exons, coding, spans = map(self._by_gene, (self._exons, self._coding, self._spans))
        genes = list(self._rows)
        for key in {**exons, **coding, **spans}:
            identifier, contig, strand = key
            merged = _merge(exons.get(key) or coding.get(key) or spans[key])
            cds = coding.get(key)
            thick = (min(cds)[0], max(end for _, end in cds)) if cds else None
            name = self._names.get(identifier) or re.sub("^gene[:-]", "", identifier)
            first, last = merged[0][0], merged[-1][1]
            genes.append(Gene(identifier, name, contig, first, last, strand, merged, thick))
        clipped = (_clip(gene, contigs[gene.contig]) for gene in genes)
        return [gene for gene in clipped if gene]

    def _by_gene(
        self, parts: Mapping[tuple[str, str, str], list[Span]]
    ) -> dict[tuple[str, str, str], list[Span]]:
        """Return intervals by gene, of intervals by the parts of genes that they belong to."""
        by_gene: dict[tuple[str, str, str], list[Span]] = {}
        for (key, contig, strand), intervals in parts.items():
            for _ in range(10):  # a file may name a circle of parents
                key = self._parents.get(key, key)
            by_gene.setdefault((key, contig, strand), []).extend(intervals)
        return by_gene


def _merge(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return intervals in order, with those joined that overlap or touch."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return tuple(merged)


def _clip(gene: Gene, length: int) -> Gene | None:
    """Return a gene with clean names within a contig of `length` bp; None if it lies beyond."""
    exons = _merge(
        (max(0, start), min(end, length)) for start, end in gene.exons if start < min(end, length)
    )
    if not exons:
        return None
    coding = gene.coding
    if coding:
        coding = max(coding[0], exons[0][0]), min(coding[1], exons[-1][1])
        coding = coding if coding[0] < coding[1] else None
    identifier, name = (
        " ".join("".join(c if c.isprintable() else " " for c in text).split())[:NAME_LENGTH] or "?"
        for text in (gene.identifier, gene.name)
    )
    first, last = exons[0][0], exons[-1][1]
    return Gene(identifier, name, gene.contig, first, last, gene.strand, exons, coding)


_GTF_ATTRIBUTE = re.compile(r'(\w+)[ =]("[^"]*"|[^";\s]+)')


def _recognise(path: Path) -> str:
    """Return the format of a file: gtf, gff3 or bed. Raises SeqcovError if it is none of them."""
    for number, line in read_lines(path, "annotation"):
        if line.startswith("##gff-version 3") or line.startswith("##gff-version   3"):
            return "gff3"
        if not line.strip() or line.startswith(("#", "track ", "browser ")):
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) >= 3 and is_number(cells[1]) and is_number(cells[2]):
            return "bed"
        if len(cells) >= 9 and is_number(cells[3]) and is_number(cells[4]):
            return "gtf" if re.search(r'\w "|\bgene_id ', cells[8]) else "gff3"
        raise SeqcovError(
            f"{_locate(path, number)}: {line.rstrip()[:60]!r} is neither GTF, GFF3 nor BED;"
            " separate the columns by tabs"
        )
    raise SeqcovError(
        f"annotation {path}: there are no genes in the file; name another file, or leave out"
        " genome.annotation"
    )


def _read_rows(path: Path, kind: str | None = None) -> Iterator[_Row]:
    """Read the lines of a file that hold intervals. Raises SeqcovError if one is wrong."""
    kind = kind or _recognise(path)
    if kind == "bed":
        for location, cells in read_bed_lines(path):
            start, end = int(cells[1]), int(cells[2])
            location = location.replace("BED ", "annotation ", 1)
            if not 0 <= start < end:
                raise _not_an_interval(location, start, end)
            strand = cells[BED_STRAND] if len(cells) > BED_STRAND else "."
            yield _Row(location, cells[0], start, end, _clean(strand), cells)
        return
    for number, line in read_lines(path, "annotation"):
        if line.startswith("##FASTA"):
            return
        if line.startswith("#") or not line.strip():
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) < 9 or not (is_number(cells[3]) and is_number(cells[4])):
            raise SeqcovError(
                f"{_locate(path, number)}: {line.rstrip()[:60]!r} does not have nine columns with"
                " start and end in columns 4 and 5; separate the columns by tabs"
            )
        start, end = int(cells[3]) - 1, int(cells[4])
        if not 0 <= start < end:
            raise _not_an_interval(_locate(path, number), start, end)
        yield _Row(
            _locate(path, number), cells[0], start, end, _clean(cells[6]), (cells[2], cells[8])
        )


def _clean(strand: str) -> str:
    """Return a strand as + or -, and anything else as a dot."""
    return strand if strand in ("+", "-") else "."


def _not_an_interval(location: str, start: int, end: int) -> SeqcovError:
    """Return the error of a line whose end is not behind its start."""
    return SeqcovError(
        f"{location}: {start:,}-{end:,} (0-based) is not an interval; it must end behind its start"
    )


def format_bed(gene: Gene) -> str:
    """Return a gene as a line of BED12 with a thirteenth column, its identifier.

    Args:
        gene: The gene.
    """
    thick = gene.coding or (gene.start, gene.start)
    sizes = ",".join(str(end - start) for start, end in gene.exons)
    starts = ",".join(str(start - gene.start) for start, _ in gene.exons)
    cells = (
        gene.contig, gene.start, gene.end, gene.name, 0, gene.strand, *thick, 0, len(gene.exons),
        sizes, starts, gene.identifier,
    )  # fmt: skip
    return "\t".join(map(str, cells)) + "\n"
