"""Read the sets of peaks that a plan names, from files and from predicted tracks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqcov_models.errors import SeqcovError
from seqcov_models.peaks.maxima import find_maxima
from seqcov_models.peaks.read import combine_peaks, read_peaks
from seqcov_models.run.paths import bigwig_name
from seqcov_models.run.profile_plan import PeakFile, ProfilePlan, TrackPeaks

if TYPE_CHECKING:  # pandas takes 0.4 s to import, and a run without peaks does not need it
    from pandas import DataFrame


def combine_peak_sets(plan: ProfilePlan, folders: Sequence[Path]) -> "DataFrame":
    """Return the peaks of all sets of a model in one table, by contig and summit.

    Args:
        plan: The model's plan.
        folders: The folder of the bigWigs of each of `plan.peak_tracks`, in that order.

    Returns:
        The table that `peaks.read.combine_peaks` returns.

    Raises:
        SeqcovError: If a file cannot be read, or no peak lies in the selected bases.
    """
    sets, remaining = _read_files(plan), iter(folders)
    for label, source in plan.peaks.items():
        if isinstance(source, TrackPeaks):
            bigwig = next(remaining) / bigwig_name(source.model, source.track)
            distance = plan.geometry.core // 2
            limits = source.threshold, source.number
            sets.append(
                find_maxima(bigwig, label, source.bin, distance, plan.selected_bases, *limits)
            )
    return combine_peaks(sets, plan.fasta.contigs, plan.selected_bases)


def count_peaks(plans: Mapping[str, ProfilePlan]) -> dict[str, tuple[int, int]]:
    """Count the peaks of every BPNet before anything is predicted.

    Args:
        plans: The plans of the BPNets, by name.

    Returns:
        (predicted, omitted) by name. A set of a track's local maxima counts with the number that
        the config asks for, or as 0 without one.

    Raises:
        SeqcovError: If a file cannot be read, or none of its peaks lies in the selected bases.
    """
    counts: dict[str, tuple[int, int]] = {}
    counted: dict[str, tuple[int, int]] = {}  # by digest: many models may share their peaks
    for plan in plans.values():
        if plan.peaks_digest in counted:
            counts[plan.name] = counted[plan.peaks_digest]
            continue
        try:
            sets = _read_files(plan)
            total = predicted = sum(map(len, sets))
            if sets and not plan.peak_tracks:
                peaks = combine_peaks(sets, plan.fasta.contigs, plan.selected_bases)
                predicted = len(peaks)
        except SeqcovError as error:
            raise SeqcovError(f"models.{plan.name}: {error}") from None
        maxima = sum(track.number or 0 for track in plan.peak_tracks)
        counts[plan.name] = counted[plan.peaks_digest] = predicted + maxima, total - predicted
    return counts


def _read_files(plan: ProfilePlan) -> "list[DataFrame]":
    """Return the peaks of every set that is a file."""
    return [
        read_peaks(source.path, label, plan.fasta.contigs, plan.contig_aliases)
        for label, source in plan.peaks.items()
        if isinstance(source, PeakFile)
    ]
