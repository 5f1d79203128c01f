"""FASTA access: index, contig lengths, and sequence with N beyond a contig's ends.

Coordinates are 0-based half-open, in bp.
"""

import codecs
import gzip
import re
import shutil
import sys
import zlib
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seqcov_models.errors import SeqcovError
from seqcov_models.files import DiskFullError, describe_encoding_error, write_atomically, write_text
from seqcov_models.genome.index import DAMAGE, find_contradiction, read_index
from seqcov_models.sequence import UNKNOWN, Codes, encode

DAMAGED_BGZIP = "the compressed file is damaged; copy it again, or compress it again with bgzip"


@dataclass(frozen=True)
class Fasta:
    """A FASTA file with an index, which allows random access.

    Attributes:
        path: The file, not compressed or bgzip.
        index: Its .fai. The .gzi of a bgzip file lies beside it.
        contigs: Lengths in bp by name, in the order of the file; contigs of 0 bp are left out.
        sha256: Digest of the file's content; "" unless `genome.letters.check_letters` has read it.
        contig_digests: Digests of the letters of `contigs`, in their order; empty like `sha256`.
    """

    path: Path
    index: Path
    contigs: dict[str, int]
    sha256: str = ""
    contig_digests: list[str] = field(default_factory=list)


def open_fasta(path: str | Path, folder: str | Path) -> Fasta:
    """Open a FASTA file for random access; create or update its index if needed.

    Args:
        path: FASTA file: not compressed, bgzip or plain gzip. Plain gzip does not allow random
            access, so such a file is unpacked into `folder` once.
        folder: Folder for files that cannot be written beside the FASTA.

    Returns:
        The file, its index and its contigs' lengths in bp.

    Raises:
        SeqcovError: If the file is missing, empty or damaged, or if a contig appears twice.

    Example:
        >>> open_fasta("hg38.fa.gz", "results/hg38").contigs["chr1"]
        248956422
    """
    path, folder = Path(path), Path(folder)
    if not path.is_file():
        problem = "is a folder; name a file in it" if path.is_dir() else "no such file; correct it"
        raise SeqcovError(f"FASTA {path}: {problem}")
    if path.stat().st_size == 0:
        raise SeqcovError(f"FASTA {path}: the file is empty; copy it again")
    kind = compression(path)
    if kind == "bgzip" and not _ends_as_bgzip(path):
        raise SeqcovError(
            f"FASTA {path} is cut off, or something follows its end: a bgzip file ends with an"
            " empty block; copy it again, or compress it again with bgzip"
        )
    if kind == "gzip":
        path, kind = _unpack(path, folder), ""
    elif not kind and path.suffix.lower() in (".gz", ".bgz"):
        raise SeqcovError(f"FASTA {path} is not compressed, but its name ends in .gz; rename it")
    for index_folder in (path.parent, folder):
        index = index_folder / f"{path.name}.fai"
        needed = [index, index.with_suffix(".gzi")] if kind == "bgzip" else [index]
        if all(file.is_file() and not _is_older(file, path) for file in needed) and (
            index_folder == path.parent or _is_derived_from(index, path)
        ):
            return _use_index(path, index, kind == "bgzip")
    try:
        index = path.parent / f"{path.name}.fai"
        _write_index(path, index, kind == "bgzip")
    except (OSError, DiskFullError):
        index = folder / f"{path.name}.fai"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_index(path, index, kind == "bgzip")
            _record_source(index, path)
        except OSError as error:
            raise SeqcovError(f"FASTA {path}: no index can be made: {error}") from None
    return _use_index(path, index, kind == "bgzip")


def _use_index(path: Path, index: Path, bgzip: bool) -> Fasta:
    """Return a FASTA with an index that exists; raise SeqcovError unless it is the file's."""
    contigs = read_index(index, path)
    if wrong := find_contradiction(contigs, path, index.with_suffix(".gzi") if bgzip else None):
        raise SeqcovError(
            f"{index} is not the index of {path.name} as it is now: {wrong.text}. Delete"
            f" {index}{' and its .gzi' if bgzip else ''}; a new one is made. If they are not"
            " yours, link the FASTA into a folder of your own"
        )
    lengths = {contig.name: contig.length for contig in contigs if contig.length}
    return Fasta(path, index, lengths)


def compression(path: Path) -> str:
    """Return how a FASTA is compressed: '', 'gzip' or 'bgzip'.

    Raises:
        SeqcovError: If the file is not a FASTA.
    """
    with path.open("rb") as handle:
        start = handle.read(16)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in start[:2]:
        raise SeqcovError(
            f"FASTA {path} is UTF-16 text or not a text at all; convert UTF-16 as `iconv -f utf-16"
            " -t utf-8` does"
        )
    if start.startswith(codecs.BOM_UTF8):
        raise SeqcovError(
            f"FASTA {path} begins with a byte order mark before its first '>'; remove these 3"
            " bytes, as `tail -c +4` does"
        )
    if start[:2] != b"\x1f\x8b":
        if not start.lstrip().startswith((b">", b";")):
            raise SeqcovError(f"FASTA {path} does not begin with '>'. Is it a FASTA file?")
        return ""
    return "bgzip" if len(start) == 16 and start[3] & 4 and start[12:14] == b"BC" else "gzip"


def _ends_as_bgzip(path: Path) -> bool:
    """Return whether the last block of a file is the empty one that ends a bgzip file."""
    from Bio.bgzf import _bgzf_eof

    with path.open("rb") as file:
        file.seek(-min(len(_bgzf_eof), path.stat().st_size), 2)
        return file.read() == _bgzf_eof


def is_number(text: str) -> bool:
    """Return whether `text` is a number of 1 to 18 digits."""
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


def _is_older(file: Path, reference: Path) -> bool:
    """Return whether `file` was changed before `reference`."""
    return file.stat().st_mtime < reference.stat().st_mtime


def _describe_source(path: Path) -> str:
    """Return path, size and date of a file as one line."""
    state = path.stat()
    return f"{path.resolve()}\t{state.st_size}\t{state.st_mtime_ns}\n"


def _record_source(derived: Path, source: Path) -> None:
    """Write beside `derived` which file it comes from: two sources may share a name."""
    write_text(derived.with_name(f"{derived.name}.source"), _describe_source(source))


def _is_derived_from(derived: Path, source: Path) -> bool:
    """Return whether `derived` exists and comes from `source` as it is now."""
    note = derived.with_name(f"{derived.name}.source")
    return (
        derived.is_file() and note.is_file() and note.read_text("utf-8") == _describe_source(source)
    )


def _unpack(path: Path, folder: Path) -> Path:
    """Unpack a gzip file into `folder`, once; return the unpacked file."""
    name = re.sub(r"\.(gz|bgz|gzip)$", "", path.name, flags=re.IGNORECASE)
    target = folder / f"{name}.unpacked.fa"  # not a name that a user's file has
    if _is_derived_from(target, path):
        return target
    print(f"{path} is plain gzip; unpacking it once into {target}", file=sys.stderr)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            write_atomically(target) as temporary,
            gzip.open(path) as packed,
            temporary.open("wb") as unpacked,
        ):
            shutil.copyfileobj(packed, unpacked, 1 << 20)
        compression(target)
        _record_source(target, path)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "the file is cut off or damaged; copy it again"
        raise SeqcovError(f"FASTA {path}: cannot be unpacked into {folder}: {reason}") from None
    return target


def _write_index(path: Path, index: Path, bgzip: bool) -> None:
    """Write the .fai of a FASTA and, if it is bgzip, the .gzi."""
    from pyfaidx import Faidx, FastaIndexingError

    offsets = write_atomically(index.with_suffix(".gzi")) if bgzip else nullcontext(None)
    with write_atomically(index) as fai, offsets as gzi:
        try:
            Faidx(str(path), indexname=str(fai), gzi_indexname=gzi and str(gzi)).close()
        except UnicodeDecodeError as error:
            raise SeqcovError(f"FASTA {path}: {describe_encoding_error(error)}") from None
        except (*DAMAGE, FastaIndexingError) as error:
            if bgzip and not isinstance(error, FastaIndexingError) and "Dupl" not in str(error):
                raise SeqcovError(f"FASTA {path}: {DAMAGED_BGZIP}") from None
            raise SeqcovError(f"FASTA {path}: {_explain_index_error(error)}") from None
        # pyfaidx does not compare the last line of a contig with the others, nor the ends of lines
        if wrong := find_contradiction(read_index(fai, path), path, gzi):
            raise SeqcovError(f"FASTA {path}: {describe_ragged_lines(wrong.contig)}")


def _explain_index_error(error: Exception) -> str:
    """Return a message for a FASTA that cannot be indexed."""
    if duplicate := re.search(r"Duplicate key ['\"]?(.+?)['\"]?(?: |$)", str(error)):
        return f"contig {duplicate[1]!r} appears twice; rename one"
    if ragged := re.search(r"Inconsistent line found in >(.*) at line (\d+)", str(error)):
        return describe_ragged_lines(ragged[1], int(ragged[2]))
    if nameless := re.search(r"Bad sequence name .*at line (\d+)", str(error)):
        return f"line {int(nameless[1]):,}: a record without a name; write one behind its '>'"
    return str(error)


def describe_ragged_lines(contig: str, line: int | None = None) -> str:
    """Return a message for a contig whose lines differ; `line` is counted from 1."""
    return (
        f"contig {contig!r}{f', line {line:,} of the file' if line else ''}: not all lines of this"
        " contig have the same length and the same line end (only the last may be shorter), so"
        " positions cannot be found; write the file again with even lines and without blank ones,"
        " as `seqkit seq -w 60` does"
    )


class Genome:
    """Sequence of a FASTA as codes (see `sequence`).

    Args:
        fasta: The file, as `open_fasta` returns it.

    Attributes:
        contigs: Lengths in bp by name, in the order of the file.

    Example:
        >>> genome = Genome(open_fasta("hg38.fa", "results/hg38"))
        >>> genome.fetch("chr1", 10_000, 10_004).tolist()  # TAAC
        [3, 0, 0, 1]
    """

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
        """Read the sequence of an interval.

        Args:
            contig: Name of the contig.
            start: First base, 0-based; may lie before the contig's start.
            end: Base after the last one; may lie beyond the contig's end.

        Returns:
            Codes of shape (end − start,), ``uint8``. Positions outside the contig have the code of
            an unknown base.

        Raises:
            SeqcovError: If the file is shorter than its index says, or if a character is not a
                nucleotide letter.
        """
        codes = np.full(end - start, UNKNOWN, np.uint8)
        first, last = max(start, 0), min(end, self.contigs[contig])
        if first < last:
            try:
                letters = self._faidx.fetch(contig, first + 1, last).seq
            except DAMAGE:
                raise SeqcovError(
                    f"FASTA {self._path}, {contig} from {first + 1:,}: {DAMAGED_BGZIP}"
                ) from None
            if len(letters) != last - first:
                raise SeqcovError(
                    f"FASTA {self._path}: {contig} ends before {last:,}; its index belongs to"
                    " another file: delete the index"
                )
            try:
                codes[first - start : last - start] = encode(letters)
            except SeqcovError as error:
                raise SeqcovError(
                    f"FASTA {self._path}, {contig} from {first + 1:,}: {error}"
                ) from None
        return codes

    def close(self) -> None:
        """Close the FASTA and its index."""
        self._faidx.close()
