"""Say what a run costs before it starts, and check that the disk has space for it."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.run.plan import RunPlan


def describe(run: RunPlan, peaks: Mapping[str, tuple[int, int]]) -> str:
    """Return a summary of the run: one line for the genome and one per model.

    Args:
        run: The plan.
        peaks: Numbers of predicted and of omitted peaks by BPNet; see `run.peak_sets.count_peaks`.
    """
    lines = [
        f"genome {run.genome['name']}: {len(run.fasta.contigs):,} contigs,"
        f" {sum(run.fasta.contigs.values()):,} bp"
    ]
    for model in run.models.values():
        chunk_bytes, track_bytes = model.output_bytes
        chunks = [len(tracks.chunks) for tracks in model.needed_sets]
        largest = max(tracks.windows_per_chunk for tracks in model.needed_sets)
        chosen = run.config["prediction"]["windows_per_chunk"] == "auto"
        lines.append(
            f"model {model.name}: {run.works[model.name].reason}; windows of"
            f" {model.geometry.window:,} bp in {sum(chunks):,} chunks of up to {largest:,} windows"
            f"{' (windows_per_chunk: auto)' * chosen}; {len(model.tracks):,} of"
            f" {len(model.checkpoint_tracks):,} tracks, {model.bin_count:,} bins of"
            f" {model.geometry.bin} bp; bigWigs about {_format_bytes(track_bytes)}, and"
            f" {_format_bytes(chunk_bytes)} of temporary files at a time"
        )
    for profile in run.profiles.values():
        predicted, omitted = peaks[profile.name]
        chunk_bytes, track_bytes = profile.output_bytes(predicted)
        strands = " on both strands" if len(profile.strands) > 1 else ""
        omission = f", {omitted:,} left out (duplicates, or outside genome.regions)"
        open_ended = any(track.number is None for track in profile.peak_tracks)
        lines.append(
            f"model {profile.name}: profiles of {profile.geometry.core:,} bp for"
            f" {', '.join(profile.config.tasks)}{strands} at {predicted:,} peaks"
            f"{' and at all maxima of tracks above their threshold' * open_ended}"
            f" ({', '.join(profile.peaks)}){omission * bool(omitted)}; chunks at most"
            f" {_format_bytes(chunk_bytes)} (temporary), bigWigs about"
            f" {_format_bytes(track_bytes)}"
            f"{', plus those of the maxima above a threshold' * open_ended}"
        )
    return "\n".join(lines)


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
    free = shutil.disk_usage(_nearest_existing(folder)).free
    needed = sum(
        sum(model.group_bytes(run.works[name].groups)) for name, model in run.models.items()
    )
    if not run.is_finished(run.paths):
        needed += sum(sum(plan.output_bytes(peaks[name][0])) for name, plan in run.profiles.items())
    needed -= run.paths.written_bytes(finished)  # by an earlier, unfinished run
    if needed > free:
        raise SeqcovError(
            f"output {folder}: the run needs about {_format_bytes(needed)}, but only"
            f" {_format_bytes(free)} are free; choose fewer tracks or regions, or set"
            " significant_bits under bigwig"
        )


def check_writable(folder: Path, name: str = "output") -> None:
    """Raise SeqcovError if a folder cannot be created or written.

    Args:
        folder: The folder; it need not exist.
        name: What it is, for the message.
    """
    ancestor = _nearest_existing(folder)
    if not ancestor.is_dir():
        raise SeqcovError(
            f"{name} {folder}: {ancestor} is a file, not a folder; rename the file, or choose"
            " another folder"
        )
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise SeqcovError(
            f"{name} {folder}: no permission to write in {ancestor}; choose another folder"
        )


def _nearest_existing(path: Path) -> Path:
    """Return `path` or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _format_bytes(count: float) -> str:
    """Return a number of bytes with three digits and a decimal prefix: 1.5e12 is '1.5 TB'."""
    for prefix in ("", "k", "M", "G"):
        if count < 1000:
            return f"{count:.3g} {prefix}B"
        count /= 1000
    return f"{count:.3g} TB"
