"""What results were made from: config, versions, hashes and dates, in plain values."""

import json
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from seqcov_models import __version__

PACKAGES = ("torch", "numpy", "pyfaidx", "snakemake")


def provenance(
    config: Mapping[str, Any],
    fasta: Path,
    models: Iterable[str | Path],
    peaks: Iterable[str | Path] = (),
) -> dict[str, Any]:
    """The facts about a run. models: the model cards (JSON) of its checks; peaks: files of peaks.

    The FASTA is named by size and date: hashing it would read the whole genome once more.
    """
    return {
        "seqcov": __version__,
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in PACKAGES},
        "fasta": _file(fasta),
        "peaks": [_file(Path(file)) for file in peaks],
        "models": {
            Path(card).parent.name: json.loads(Path(card).read_text(encoding="utf-8"))
            for card in models
        },
        "config": dict(config),
    }


def _file(path: Path) -> dict[str, Any]:
    state = path.stat()
    date = datetime.fromtimestamp(state.st_mtime, UTC).isoformat(timespec="seconds")
    return {"path": str(path), "bytes": state.st_size, "date": date}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
