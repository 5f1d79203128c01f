"""Check that the results of a run can be written, and that the disk has space for them."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.run.observed_files import copied_bytes
from seqcov_models.run.plan import RunPlan

MARGIN = 1.2
"""Space for bigWigs that are larger than estimated: values that compress badly, short contigs."""


def check_space(run: RunPlan, peaks: Mapping[str, tuple[int, int]]) -> None:
    """Check that the disk has space for everything that the run still has to write.

    A finished run needs none: its temporary files are deleted, and nothing is written again.

    Args:
        run: The plan.
        peaks: Numbers of predicted and of omitted peaks by BPNet; see `run.peak_sets.count_peaks`.

    Raises:
        SeqcovError: If the free space is smaller than the temporary files and bigWigs that do not
            exist yet.
    """
    folder, finished = run.paths.folder, run.finished_folders
    disk = nearest_existing(folder)
    free = shutil.disk_usage(disk).free
    sizes = [model.group_bytes(run.works[name].groups) for name, model in run.models.items()]
    if not run.is_finished(run.paths):
        sizes += [plan.output_bytes(peaks[name][0]) for name, plan in run.profiles.items()]
    needed = sum(temporary + int(MARGIN * bigwigs) for temporary, bigwigs in sizes)
    needed += copied_bytes(run.observed, run.paths, disk.stat().st_dev)
    needed -= run.paths.written_bytes(finished)  # by an earlier, unfinished run
    if needed > free:
        raise SeqcovError(
            f"output {folder}: the run needs about {format_bytes(needed)}, but only"
            f" {format_bytes(free)} are free; choose fewer tracks or regions, or set"
            " significant_bits under bigwig"
        )


def check_writable(folder: Path, name: str = "output") -> None:
    """Raise SeqcovError if a folder cannot be created or written.

    Args:
        folder: The folder; it need not exist.
        name: What it is, for the message.
    """
    ancestor = nearest_existing(folder)
    if not ancestor.is_dir():
        raise SeqcovError(
            f"{name} {folder}: {ancestor} is a file, not a folder; rename the file, or choose"
            " another folder"
        )
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise SeqcovError(
            f"{name} {folder}: no permission to write in {ancestor}; choose another folder"
        )


def nearest_existing(path: Path) -> Path:
    """Return a path or the nearest folder above it that exists.

    Args:
        path: Any path.
    """
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def format_bytes(count: float) -> str:
    """Return a number of bytes with three digits and a decimal prefix: 1.5e12 is '1.5 TB'.

    Args:
        count: Number of bytes.
    """
    for prefix in ("", "k", "M", "G"):
        if count < 1000:
            return f"{count:.3g} {prefix}B"
        count /= 1000
    return f"{count:.3g} TB"
