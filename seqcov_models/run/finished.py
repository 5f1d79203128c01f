"""Know which bigWigs are finished: each folder of bigWigs says what it was made from.

A folder is finished if it has the digest that the plan asks for, and all of its bigWigs with the
sizes that they were written with. A folder that was cut, emptied or made by another config is not.
A file whose date is not the one that it was written with is read, and its bytes are compared.
"""

import csv
import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from seqcov_models.bigwig.layout import MAGIC
from seqcov_models.files import HashedFile, crc32c, read_content, write_text
from seqcov_models.run.paths import (
    IDENTITY,
    TRACK_TABLE,
    list_bigwigs,
    list_sealed_files,
    list_tables,
    seal_of,
)
from seqcov_models.run.track_table import read_table


def write_identity(folder: Path, digest: str) -> None:
    """Write what a folder of bigWigs was made from, and the size and date of each.

    Args:
        folder: The folder with all of its bigWigs.
        digest: A text that changes with any of their bytes; see `TrackSet.group_digest`.
    """
    dates = {file.name: file.stat().st_mtime_ns for file in list_bigwigs(folder)}
    facts = {"digest": digest, "bytes": _bigwig_bytes(folder), "modified": dates}
    (folder / IDENTITY).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def read_identity(folder: Path) -> Mapping[str, Any]:
    """Return what `write_identity` wrote; nothing if there is no such file or it is damaged."""
    try:
        facts = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def is_made_from(folder: Path, digest: str) -> bool:
    """Return whether a folder of bigWigs was made from what has this digest."""
    return read_identity(folder).get("digest") == digest


def is_finished(folder: Path, digest: str) -> bool:
    """Return whether a folder has this digest and all of its bigWigs in full length."""
    return is_made_from(folder, digest) and find_damage(folder) is None


def find_damage(folder: Path) -> str | None:
    """Return what is wrong with the bigWigs of a folder in words; None if nothing is seen.

    Their sizes and last bytes are compared, which shows files that are missing or cut. Files with
    another date are read.
    """
    facts = read_identity(folder)
    sizes, dates = facts.get("bytes"), facts.get("modified", {})
    if not isinstance(sizes, dict) or not isinstance(dates, dict):
        return f"{folder / IDENTITY} is missing or damaged"
    for name in _bigwig_bytes(folder).keys() - sizes.keys():
        return f"{folder / name} was not there before"
    if damage := find_damaged_bigwig({folder / name: size for name, size in sizes.items()}):
        return damage
    changed = [name for name, date in dates.items() if (folder / name).stat().st_mtime_ns != date]
    return _find_other_bytes(folder / TRACK_TABLE, changed) if changed else None


def find_damaged_bigwig(sizes: Mapping[Path, int]) -> str | None:
    """Return which bigWig is damaged, and how, in words; None if nothing is seen.

    Args:
        sizes: The size in bytes that each file was written with.
    """
    for path, size in sizes.items():
        try:
            with path.open("rb", buffering=0) as file:
                actual = os.fstat(file.fileno()).st_size
                end = os.pread(file.fileno(), len(MAGIC), max(0, actual - len(MAGIC)))
        except FileNotFoundError:
            return f"{path} is missing"
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"
        if actual != size:
            return f"{path} has {actual:,} bytes, but {size:,} were written"
        if end != MAGIC:
            return f"{path} does not end as a bigWig"
    return None


def _bigwig_bytes(folder: Path) -> dict[str, int]:
    """Return the size of each bigWig of a folder by its name."""
    return {file.name: file.stat().st_size for file in list_bigwigs(folder)}


def find_damaged_table(table: Path) -> str | None:
    """Return what is wrong with the bigWigs beside their table, as `find_damaged_bigwig` does.

    Args:
        table: The table of a task's bigWigs.
    """
    try:
        sizes = {table.parent / row["file"]: int(row["bytes"]) for row in read_table(table)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return f"{table} is damaged"
    if damage := find_damaged_bigwig(sizes):
        return damage
    written = table.stat().st_mtime_ns  # the table is written last, maybe within the same tick
    changed = [path.name for path in sizes if path.stat().st_mtime_ns >= written]
    return _find_other_bytes(table, changed) if changed else None


def _find_other_bytes(table: Path, names: Collection[str]) -> str | None:
    """Read some bigWigs beside their table; return in words which has changed.

    A file is read once as long as nobody changes it.
    """
    try:
        checksums = {row["file"]: row.get("crc32c") for row in read_table(table)}
        for name in names:
            _, (found,) = read_content(table.parent / name, _describe_bytes)
            if checksums[name] and checksums[name] != found:  # earlier versions wrote none
                return f"{table.parent / name} has other bytes than were written"
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return f"{table} is damaged"
    return None


def _describe_bytes(file: HashedFile) -> list[str]:
    """Return the CRC-32C of a file as text."""
    return [f"{crc32c(file):08x}"]


def write_seal(file: Path, digest: str) -> None:
    """Write beside a file its checksum, and what it was made from.

    Args:
        file: The file.
        digest: A text that changes with any of its bytes.
    """
    with file.open("rb") as content:
        facts = {"digest": digest, "crc32c": f"{crc32c(content):08x}"}
    write_text(seal_of(file), json.dumps(facts) + "\n")


def is_sealed_from(file: Path, digest: str) -> bool:
    """Return whether a file was made from what has this digest, or has no seal that says it."""
    try:
        made_from = json.loads(seal_of(file).read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return True
    return bool(made_from == digest)


def find_damaged_file(file: Path) -> str | None:
    """Return in words that a file differs from the one that was sealed; None if not, or no seal.

    Args:
        file: An existing file. It is read.
    """
    try:
        checksum = json.loads(seal_of(file).read_text(encoding="utf-8"))["crc32c"]
    except FileNotFoundError:  # an earlier version of seqcov wrote none
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return f"{seal_of(file)} is damaged"
    return _compare(file, checksum)


def check_results(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Read all bigWigs and peaks in a folder of results, and compare their bytes with the tables.

    Args:
        folder: The folder.

    Yields:
        Each file, and in words what is wrong with it; None if nothing is.
    """
    for table in list_tables(folder):
        try:
            rows = [row for row in read_table(table) if Path(row["file"]).parent == Path()]
            checksums = {table.parent / row["file"]: row.get("crc32c") for row in rows}
        except (OSError, KeyError, TypeError, ValueError, csv.Error):
            if (table.parent / IDENTITY).exists():
                yield table, f"{table} is damaged"
            continue  # of another program
        for file, checksum in checksums.items():
            if checksum:  # earlier versions of seqcov wrote none
                yield file, _compare(file, checksum)
    for file in list_sealed_files(folder):
        yield file, find_damaged_file(file)


def _compare(file: Path, checksum: str) -> str | None:
    """Return in words what is wrong with a file; None if it has its checksum."""
    try:
        with file.open("rb") as content:
            found = f"{crc32c(content):08x}"
    except FileNotFoundError:
        return f"{file} is missing"
    except OSError as error:
        return f"{file} cannot be read ({error.strerror})"
    return None if found == checksum else f"{file} has other bytes than were written"
