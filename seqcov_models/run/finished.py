"""Know which bigWigs are finished: each folder of bigWigs says what it was made from.

A folder is finished if it has the digest that the plan asks for, and all of its bigWigs with the
sizes that they were written with. A folder that was cut, emptied or made by another config is not.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqcov_models.run.paths import IDENTITY, list_bigwigs


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
    facts = read_identity(folder)
    return facts.get("digest") == digest and facts.get("bytes") == _bigwig_bytes(folder)


def _bigwig_bytes(folder: Path) -> dict[str, int]:
    """Return the size of each bigWig of a folder by its name."""
    return {file.name: file.stat().st_size for file in list_bigwigs(folder)}
