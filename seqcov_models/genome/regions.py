"""Read regions and BED files; find the contig that a name means."""

import difflib
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import (
    _is_number,
)

Interval = tuple[str, int, int]
"""Contig, start, end: 0-based half-open, in bp."""


NO_ALIASES: Mapping[str, str] = {}


def near_contigs(name: str, contigs: Iterable[str]) -> str:
    """A hint at which contig was meant by `name`: another naming scheme, or a similar name."""
    known = list(contigs)
    if same := same_contig(name, known):
        return f"this FASTA calls it {same!r} (genome.contig_aliases: {alias_table({name: same})})"
    if near := difflib.get_close_matches(name, known, n=3, cutoff=0.5):
        return f"near: {', '.join(near)}"
    return f"contigs here: {', '.join(known[:5])}{', …' if len(known) > 5 else ''}"


def alias_table(aliases: Mapping[str, str]) -> str:
    """`aliases` as they are written into the config; in quotes, since YAML takes 1 for a number."""
    return json.dumps(aliases, ensure_ascii=False)


def same_contig(name: str, contigs: Iterable[str]) -> str | None:
    """What other naming schemes make of `name`, where it is one of `contigs`."""
    known = list(contigs)
    for spelling in (_plain, _numbered):  # X is a chromosome to some and the tenth to others
        spelt = {spelling(contig): contig for contig in reversed(known)}
        if same := spelt.get(spelling(name)):
            return same
    return None


_ROMAN_NUMERALS = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi"


_ROMAN = {roman: str(number) for number, roman in enumerate(_ROMAN_NUMERALS.split(), 1)}


def _plain(name: str) -> str:
    """A contig's name without what naming schemes add: chr1 and 1 are both '1'."""
    plain = name.lower().removeprefix("chr")
    return "m" if plain in ("m", "mt", "mito") else plain


def _numbered(name: str) -> str:
    """The same, Roman numerals counted: chrIV is '4'."""
    return _ROMAN.get(_plain(name), _plain(name))


def parse_regions(
    entries: Sequence[str], contigs: Mapping[str, int], aliases: Mapping[str, str] = NO_ALIASES
) -> list[Interval]:
    """Intervals that `entries` name: contigs, `contig:start-end`, or paths of BED files.

    aliases: what the FASTA calls a contig that has another name in `entries`.
    Raises SeqcovError for an unknown contig (with the likely one), a region outside its contig, a
    missing file or a bad BED line (with its number).
    """
    intervals: list[Interval] = []
    for entry in entries:
        name, colon, span = entry.rpartition(":")
        contig = aliases.get(entry, entry)
        if contig in contigs:
            intervals.append((contig, 0, contigs[contig]))
        elif re.search(r"\.bed(\.gz)?$", entry, re.IGNORECASE) or _is_file(entry):
            intervals += read_bed(Path(entry), contigs, aliases)
        elif colon and (match := re.fullmatch(r"([\d,]+)-([\d,]+)", span)):
            start, end = (int(number.replace(",", "") or 0) for number in match.groups())
            if start < 1:
                raise SeqcovError(f"region {entry}: positions count from 1, as in browsers")
            name = aliases.get(name, name)
            intervals.append(_checked(name, start - 1, end, contigs, f"region {entry}"))
        else:
            raise SeqcovError(
                f"region {entry!r}: neither a contig, nor contig:start-end, nor a BED file;"
                f" {near_contigs(entry, contigs)}"
            )
    return intervals


def _is_file(entry: str) -> bool:
    try:
        return Path(entry).is_file()
    except (OSError, ValueError):  # longer than a name can be, or with a NUL
        return False


def read_bed(
    path: Path, contigs: Mapping[str, int], aliases: Mapping[str, str] = NO_ALIASES
) -> list[Interval]:
    """The intervals of a BED file (three columns or more, plain or gzip), in its order.

    Raises SeqcovError with the line's number for a line that is none.
    """
    return [
        _checked(aliases.get(cells[0], cells[0]), int(cells[1]), int(cells[2]), contigs, where)
        for where, cells in bed_lines(path)
    ]


def bed_lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where it stands and the cells of each line of a BED file (plain or gzip) with an interval.

    Comments and the lines of browsers are passed over; start and end are whole numbers (of a region
    widened beyond its contig's start, a negative one). Empty cells at a line's end do not count.
    Raises SeqcovError with the line's number for any other line, and for a file that is no text.
    """
    try:
        with path.open("rb") as file:
            packed = path.suffix.lower() == ".gz" or file.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, 1):
                words = line.split()
                if not words or line.startswith("#") or words[0] in ("track", "browser"):
                    continue
                cells = [cell.strip() for cell in line.rstrip().split("\t")]  # names hold spaces
                cells = cells if len(cells) >= 3 else words
                where = f"BED {path}, line {number}"
                if len(cells) < 3 or not all(
                    _is_number(cell.removeprefix("-")) for cell in cells[1:3]
                ):
                    raise SeqcovError(
                        f"{where}: {line.rstrip()[:60]!r} does not begin with contig, start, end"
                    )
                yield where, cells
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SeqcovError(f"BED {path}: {getattr(error, 'strerror', None) or error}") from None


def _checked(contig: str, start: int, end: int, contigs: Mapping[str, int], where: str) -> Interval:
    if contig not in contigs:
        raise SeqcovError(f"{where}: no contig {contig!r}; {near_contigs(contig, contigs)}")
    if not 0 <= start < end:
        raise SeqcovError(f"{where}: {start:,}-{end:,} (0-based) is no interval")
    if end > contigs[contig]:
        raise SeqcovError(f"{where}: ends at {end:,}, but {contig} has {contigs[contig]:,} bp")
    return contig, start, end


def check_aliases(aliases: Mapping[str, str], contigs: Mapping[str, int]) -> None:
    """Raise SeqcovError for an alias of no contig, or one that is a contig's own name."""
    for alias, contig in aliases.items():
        where = f"genome.contig_aliases, {alias}: {contig}"
        if contig not in contigs:
            raise SeqcovError(f"{where}: no contig {contig!r}; {near_contigs(contig, contigs)}")
        if alias in contigs and alias != contig:
            raise SeqcovError(f"{where}: {alias!r} is itself a contig of this FASTA")
