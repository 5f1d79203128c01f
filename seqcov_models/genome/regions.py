"""Read regions and BED files; find the contig that a name means."""

import difflib
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.files import describe_encoding_error
from seqcov_models.genome.fasta import is_number

Interval = tuple[str, int, int]
"""Contig, start, end: 0-based half-open, in bp."""

NO_ALIASES: Mapping[str, str] = {}


def suggest_contigs(name: str, contigs: Iterable[str]) -> str:
    """Return a hint at the contig that `name` may mean, for the end of a message.

    Args:
        name: Name that is not in the FASTA.
        contigs: Names in the FASTA.

    Returns:
        The name in another naming scheme, or else similar names, or else the first names.
    """
    candidates = list(contigs)
    if synonym := find_synonym(name, candidates):
        aliases = format_aliases({name: synonym})
        return f"this FASTA calls it {synonym!r} (genome.contig_aliases: {aliases})"
    if similar := difflib.get_close_matches(name, candidates, n=3, cutoff=0.5):
        return f"similar names: {', '.join(similar)}"
    first, ellipsis = ", ".join(candidates[:5]), ", …" if len(candidates) > 5 else ""
    return f"contigs of this FASTA: {first}{ellipsis}"


def format_aliases(aliases: Mapping[str, str]) -> str:
    """Return `aliases` as the config spells them, quoted: YAML reads a bare 1 as a number."""
    return json.dumps(aliases, ensure_ascii=False)


def find_synonym(name: str, contigs: Iterable[str]) -> str | None:
    """Return the contig that `name` means in another naming scheme, or None.

    Args:
        name: Name in UCSC's, Ensembl's or a Roman scheme.
        contigs: Names in the FASTA.

    Example:
        >>> find_synonym("chrIV", ["1", "2", "3", "4"])
        '4'
    """
    candidates = list(contigs)
    for normalise in (_strip_prefix, _read_roman):  # X: a sex chromosome, or Roman for ten
        contig_by_name = {normalise(contig): contig for contig in reversed(candidates)}
        if synonym := contig_by_name.get(normalise(name)):
            return synonym
    return None


_ROMAN_NUMERALS = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi"
_ROMAN = {roman: str(number) for number, roman in enumerate(_ROMAN_NUMERALS.split(), 1)}


def _strip_prefix(name: str) -> str:
    """Return a contig's name without 'chr': chr1 and 1 are both '1', MT and chrM are 'm'."""
    bare = name.lower().removeprefix("chr")
    return "m" if bare in ("m", "mt", "mito") else bare


def _read_roman(name: str) -> str:
    """Return a contig's name with Roman numerals as numbers: chrIV is '4'."""
    return _ROMAN.get(_strip_prefix(name), _strip_prefix(name))


def parse_regions(
    entries: Sequence[str], contigs: Mapping[str, int], aliases: Mapping[str, str] = NO_ALIASES
) -> list[Interval]:
    """Return the intervals that `entries` name.

    Args:
        entries: Contigs, `contig:start-end` (counted from 1, end included, as browsers do), or
            paths of BED files.
        contigs: Length in bp by contig.
        aliases: The FASTA's name of a contig by the name used in `entries`.

    Returns:
        Intervals in the order of `entries`, 0-based half-open.

    Raises:
        SeqcovError: If a contig is unknown (the message names the likely one), a region lies
            outside its contig, a file is missing, or a BED line is wrong (with its number).

    Example:
        >>> parse_regions(["chr1:1-1,000"], {"chr1": 5_000})
        [('chr1', 0, 1000)]
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
                raise SeqcovError(
                    f"region {entry}: positions count from 1, as in browsers; begin with 1 or more"
                )
            name = aliases.get(name, name)
            intervals.append(_check_interval(name, start - 1, end, contigs, f"region {entry}"))
        else:
            raise SeqcovError(
                f"region {entry!r} is not a contig, a contig:start-end or a BED file;"
                f" {suggest_contigs(entry, contigs)}"
            )
    return intervals


def _is_file(entry: str) -> bool:
    """Return whether `entry` is the path of a file."""
    try:
        return Path(entry).is_file()
    except (OSError, ValueError):  # longer than a name can be, or with a NUL
        return False


def read_bed(
    path: Path, contigs: Mapping[str, int], aliases: Mapping[str, str] = NO_ALIASES
) -> list[Interval]:
    """Read the intervals of a BED file.

    Args:
        path: File of three columns or more, plain or gzip.
        contigs: Lengths in bp by name.
        aliases: The FASTA's name of a contig by the name used in the file.

    Returns:
        Intervals in the order of the file, 0-based half-open.

    Raises:
        SeqcovError: If a line is not an interval within a contig; the message names the line.
    """
    return [
        _check_interval(
            aliases.get(cells[0], cells[0]), int(cells[1]), int(cells[2]), contigs, location
        )
        for location, cells in read_bed_lines(path)
    ]


def read_bed_lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Read the lines of a BED file that hold intervals.

    Comments, 'track' and 'browser' lines are skipped. Start and end are integers; start is negative
    if a region was widened beyond its contig's start. Empty cells at the end of a line are ignored.

    Args:
        path: File of three columns or more, plain or gzip.

    Yields:
        The location (file and line number, for messages) and the cells of a line.

    Raises:
        SeqcovError: If a line is anything else (with its number), or the file is not text.
    """
    for number, line in read_lines(path, "BED"):
        words = line.split()
        if not words or line.startswith("#") or words[0] in ("track", "browser"):
            continue
        cells = [cell.strip() for cell in line.rstrip().split("\t")]  # names hold spaces
        cells = cells if len(cells) >= 3 else words
        location = f"BED {path}, line {number}"
        if len(cells) < 3 or not all(is_number(cell.removeprefix("-")) for cell in cells[1:3]):
            raise SeqcovError(
                f"{location}: {line.rstrip()[:60]!r} does not begin with contig, start,"
                " end; write numbers in digits, and a tab between columns"
            )
        yield location, cells


def read_lines(path: Path, kind: str) -> Iterator[tuple[int, str]]:
    """Read the lines of a text file, plain or gzip.

    Args:
        path: The file.
        kind: What the file is, for messages.

    Yields:
        The number of a line, counted from 1, and the line.

    Raises:
        SeqcovError: If the file cannot be read, is cut off, or is not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            packed = path.suffix.lower() == ".gz" or file.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig") as handle:
            yield from enumerate(handle, 1)
    except UnicodeDecodeError as error:
        raise SeqcovError(f"{kind} {path}: {describe_encoding_error(error)}") from None
    except gzip.BadGzipFile:
        raise SeqcovError(
            f"{kind} {path}: not a gzip file, or a damaged one; copy it again, or remove .gz from"
            " its name if it is not compressed"
        ) from None
    except (EOFError, zlib.error):
        raise SeqcovError(
            f"{kind} {path}: the compressed file is cut off or damaged; copy it again"
        ) from None
    except OSError as error:
        raise SeqcovError(f"{kind} {path}: {error.strerror}; correct the path") from None


def _check_interval(
    contig: str, start: int, end: int, contigs: Mapping[str, int], location: str
) -> Interval:
    """Return the interval; raise SeqcovError if it does not lie within a known contig."""
    if contig not in contigs:
        raise SeqcovError(f"{location}: no contig {contig!r}; {suggest_contigs(contig, contigs)}")
    if not 0 <= start < end:
        raise SeqcovError(
            f"{location}: {start:,}-{end:,} (0-based) is not an interval; it must begin at 0 or"
            " later and end behind its start"
        )
    if end > contigs[contig]:
        raise SeqcovError(
            f"{location}: ends at {end:,}, but {contig} has {contigs[contig]:,} bp; is it of"
            " another assembly?"
        )
    return contig, start, end


def check_aliases(aliases: Mapping[str, str], contigs: Mapping[str, int]) -> None:
    """Check that aliases name contigs of the FASTA.

    Args:
        aliases: The FASTA's name of a contig by another name.
        contigs: Lengths in bp by name.

    Raises:
        SeqcovError: If an alias stands for an unknown contig, or is the name of another contig.
    """
    for alias, contig in aliases.items():
        location = f"genome.contig_aliases, {alias}: {contig}"
        if contig not in contigs:
            hint = suggest_contigs(contig, contigs)
            raise SeqcovError(f"{location}: no contig {contig!r}; {hint}")
        if alias in contigs and alias != contig:
            raise SeqcovError(
                f"{location}: {alias!r} is itself a contig of this FASTA; remove the alias"
            )
