"""Write the provenance of a run's results: config, versions, hashes and dates."""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from seqcov_models import __version__
from seqcov_models.files import content_digest, write_text
from seqcov_models.run.digests import RESULTS_VERSION
from seqcov_models.run.observed import ObservedTrack
from seqcov_models.run.plan import RunPlan

PACKAGES = ("torch", "numpy", "pyfaidx", "snakemake")
"""Packages whose versions are recorded."""


def write_provenance(
    path: Path, run: RunPlan, cards: Sequence[Path], peaks: Sequence[Path]
) -> None:
    """Write the provenance of a run as JSON.

    Args:
        path: The file to write.
        run: The plans of all models.
        cards: The model cards of all models, each in its model's folder.
        peaks: The files of peaks that the config names.
    """
    facts = {
        "seqcov": __version__,
        "results_version": RESULTS_VERSION,
        "versions": {"python": platform.python_version()}
        | {package: _installed_version(package) for package in PACKAGES},
        "fasta": _file_facts(run.fasta.path) | {"sha256": run.fasta.sha256},
        "peaks": [_file_facts(file) | {"sha256": content_digest(file)} for file in peaks],
        **_describe_observed(run.observed),
        "models": {card.parent.name: _describe_model(run, card) for card in cards},
        **_describe_rounding(run.config["bigwig"]["significant_bits"]),
        "config": run.config,
    }
    write_text(path, json.dumps(facts, indent=2) + "\n")


def _describe_model(run: RunPlan, card: Path) -> list[dict[str, Any]]:
    """Return a model's cards, with what depends on its tracks."""
    plan = (run.models | run.profiles)[card.parent.name]
    facts = []
    for fold, checked in zip(plan.folds, json.loads(card.read_text("utf-8")), strict=True):
        table = {fold.table.name: fold.table_digest} if fold.table else {}
        tracks = {"tracks": [track.row for track in plan.tracks], **plan.units}
        facts.append(checked | tracks | {"sha256": checked["sha256"] | table})
    return facts


def _describe_observed(tracks: Sequence[ObservedTrack]) -> dict[str, Any]:
    """Return the entry of the measured files; nothing if there are none."""
    if not tracks:
        return {}
    return {"observed": [_file_facts(track.path) | {"sha256": track.sha256} for track in tracks]}


def _describe_rounding(bits: int | None) -> dict[str, Any]:
    """Return the entry that says how values were rounded; nothing if they were not."""
    if bits is None:
        return {}
    return {"rounding": {"significant_bits": bits, "largest_relative_error": 2.0**-bits}}


def _file_facts(path: Path) -> dict[str, Any]:
    """Return the path, size and date of a file, which need not be the date of its content."""
    state = path.stat()
    date = datetime.fromtimestamp(state.st_mtime, UTC).isoformat(timespec="seconds")
    return {"path": str(path), "bytes": state.st_size, "date": date}


def _installed_version(package: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
