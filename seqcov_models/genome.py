"""FASTA access: contigs, sequence with N beyond a contig's ends, regions and their spelling.

Coordinates are 0-based half-open; a region that a person writes, `chr1:1-1,000,000`, counts from 1
and includes its end, as browsers and samtools do.
"""

import difflib
import gzip
import json
import re
import shutil
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import SeqcovError
from .files import written_whole
from .sequence import UNKNOWN, Codes, encode

Interval = tuple[str, int, int]
"""Contig, start, end: 0-based half-open, in bp."""
NO_ALIASES: Mapping[str, str] = {}


@dataclass(frozen=True)
class Fasta:
    """A FASTA file that can be read at random, and its contigs in the file's order."""

    path: Path
    index: Path
    contigs: dict[str, int]
    """Length in bp by name."""


def open_fasta(path: str | Path, folder: str | Path) -> Fasta:
    """Find or make what random access needs.

    A missing or outdated index is written beside the FASTA or, where that is read-only, into
    `folder`. A plain-gzip FASTA, which cannot be read at random, is unpacked into `folder` once.
    Raises SeqcovError for a file that is missing, empty, damaged or names a contig twice.
    """
    path, folder = Path(path), Path(folder)
    if not path.is_file():
        raise SeqcovError(f"FASTA {path}: {'is a folder' if path.is_dir() else 'no such file'}")
    if path.stat().st_size == 0:
        raise SeqcovError(f"FASTA {path}: the file is empty")
    kind = _compression(path)
    if kind == "gzip":
        path, kind = _unpacked(path, folder), ""
    elif not kind and path.suffix.lower() in (".gz", ".bgz"):
        raise SeqcovError(f"FASTA {path}: is not compressed, whatever its name; rename it")
    for home in (path.parent, folder):
        index = home / f"{path.name}.fai"
        needed = [index, index.with_suffix(".gzi")] if kind == "bgzip" else [index]
        if all(file.is_file() and not _older(file, path) for file in needed) and (
            home == path.parent or _is_made_from(index, path)
        ):
            return Fasta(path, index, read_index(index, path))
    try:
        index = path.parent / f"{path.name}.fai"
        _write_index(path, index, kind == "bgzip")
    except OSError:
        index = folder / f"{path.name}.fai"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_index(path, index, kind == "bgzip")
            _note_source(index, path)
        except OSError as error:
            raise SeqcovError(f"FASTA {path}: no index can be made: {error}") from None
    return Fasta(path, index, read_index(index, path))


def read_index(index: Path, fasta: Path) -> dict[str, int]:
    """Contig lengths of a .fai, in its order. Raises SeqcovError for a damaged or doubled one."""
    contigs: dict[str, int] = {}
    try:
        lines = index.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise SeqcovError(f"{index}: not an index; delete the file") from None
    for number, line in enumerate(lines, 1):
        cells = line.split("\t")
        if len(cells) != 5 or not all(_is_number(cell) for cell in cells[1:]):
            raise SeqcovError(f"{index}, line {number}: not an index line; delete the file")
        if cells[0] in contigs:
            raise SeqcovError(f"FASTA {fasta}: contig {cells[0]!r} appears twice; rename one")
        contigs[cells[0]] = int(cells[1])
    if not any(contigs.values()):
        raise SeqcovError(f"FASTA {fasta}: holds no sequence")
    return {name: length for name, length in contigs.items() if length}


def _compression(path: Path) -> str:
    with path.open("rb") as handle:
        start = handle.read(16)
    if start[:2] != b"\x1f\x8b":
        if not start.lstrip().startswith((b">", b";")):
            raise SeqcovError(f"FASTA {path}: does not begin with '>'; is it a FASTA file?")
        return ""
    return "bgzip" if len(start) == 16 and start[3] & 4 and start[12:14] == b"BC" else "gzip"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


def _older(file: Path, than: Path) -> bool:
    return file.stat().st_mtime < than.stat().st_mtime


def _source(path: Path) -> str:
    state = path.stat()
    return f"{path.resolve()}\t{state.st_size}\t{state.st_mtime_ns}\n"


def _note_source(made: Path, source: Path) -> None:
    """Remember what `made`, in a folder of ours, was made from: names alone may be shared."""
    with written_whole(made.with_name(f"{made.name}.source")) as part:
        part.write_text(_source(source), encoding="utf-8")


def _is_made_from(made: Path, source: Path) -> bool:
    note = made.with_name(f"{made.name}.source")
    return made.is_file() and note.is_file() and note.read_text("utf-8") == _source(source)


def _unpacked(path: Path, folder: Path) -> Path:
    name = re.sub(r"\.(gz|bgz|gzip)$", "", path.name, flags=re.IGNORECASE)
    target = folder / f"{name}.unpacked.fa"  # a name that nobody else's file has
    if _is_made_from(target, path):
        return target
    print(f"{path} is plain gzip; unpacking it once into {target}", file=sys.stderr)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as part, gzip.open(path) as packed, part.open("wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
        _compression(target)
        _note_source(target, path)
    except (OSError, EOFError, zlib.error) as error:
        raise SeqcovError(f"FASTA {path}: cannot be unpacked into {folder}: {error}") from None
    return target


def _write_index(path: Path, index: Path, bgzip: bool) -> None:
    from pyfaidx import Faidx, FastaIndexingError

    offsets = written_whole(index.with_suffix(".gzi")) if bgzip else nullcontext(None)
    with written_whole(index) as fai, offsets as gzi:
        try:
            Faidx(str(path), indexname=str(fai), gzi_indexname=gzi and str(gzi)).close()
        except (FastaIndexingError, ValueError, EOFError, struct.error, zlib.error) as error:
            raise SeqcovError(f"FASTA {path}: {_in_words(error)}") from None


def _in_words(error: Exception) -> str:
    if twice := re.search(r"Duplicate key ['\"]?(.+?)['\"]?(?: |$)", str(error)):
        return f"contig {twice[1]!r} appears twice; rename one"
    return str(error)


class Genome:
    """Sequence of a FASTA as codes (see `sequence`)."""

    def __init__(self, fasta: Fasta) -> None:
        from pyfaidx import Faidx

        self.contigs = fasta.contigs
        self._path = fasta.path
        self._faidx = Faidx(
            str(fasta.path),
            indexname=str(fasta.index),
            gzi_indexname=str(fasta.index.with_suffix(".gzi")),
            rebuild=False,
        )

    def fetch(self, contig: str, start: int, end: int) -> Codes:
        """Codes of [start, end) on `contig`, shape (end − start,); unknown beyond its ends.

        Raises SeqcovError where the file is shorter than its index says or holds foreign letters.
        """
        codes = np.full(end - start, UNKNOWN, np.uint8)
        first, last = max(start, 0), min(end, self.contigs[contig])
        if first < last:
            letters = self._faidx.fetch(contig, first + 1, last).seq
            if len(letters) != last - first:
                raise SeqcovError(
                    f"FASTA {self._path}: {contig} ends before {last:,}; its index is of another"
                    " file, delete it"
                )
            try:
                codes[first - start : last - start] = encode(letters)
            except SeqcovError as error:
                raise SeqcovError(
                    f"FASTA {self._path}, {contig} from {first + 1:,}: {error}"
                ) from None
        return codes

    def close(self) -> None:
        """Close the file."""
        self._faidx.close()


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
