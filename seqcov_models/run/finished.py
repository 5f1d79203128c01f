"""Know which bigWigs are finished: each folder of bigWigs says what it was made from.

A folder is finished if it has the digest that the plan asks for, and all of its bigWigs with the
sizes that they were written with. A folder that was cut, emptied or made by another config is not.
"""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqcov_models.bigwig.layout import MAGIC
from seqcov_models.run.paths import IDENTITY, list_bigwigs
from seqcov_models.run.track_table import read_table


def write_identity(folder: Path, digest: str) -> None:
    """Write what a folder of bigWigs was made from, and the size of each.

    Args:
        folder: The folder with all of its bigWigs.
        digest: A text that changes with any of their bytes; see `TrackSet.group_digest`.
    """
    facts = {"digest": digest, "bytes": _bigwig_bytes(folder)}
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

    Their sizes and last bytes are compared, which shows files that are missing or cut.
    """
    sizes = read_identity(folder).get("bytes")
    if not isinstance(sizes, dict):
        return f"{folder / IDENTITY} is missing or damaged"
    for name in _bigwig_bytes(folder).keys() - sizes.keys():
        return f"{folder / name} was not there before"
    return find_damaged_bigwig({folder / name: size for name, size in sizes.items()})


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
    return find_damaged_bigwig(sizes)
