"""Read the sets of peaks that a plan names, from files and from predicted tracks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqcov_models.errors import SeqcovError
from seqcov_models.peaks.maxima import find_maxima
from seqcov_models.peaks.read import combine_peaks, read_peaks
from seqcov_models.run.paths import bigwig_name
from seqcov_models.run.plan import PeakFile, ProfilePlan, TrackPeaks

if TYPE_CHECKING:  # counting without peaks must not wait for pandas
    from pandas import DataFrame


def combine_peak_sets(plan: ProfilePlan, folders: Sequence[Path]) -> "DataFrame":
    """Return the peaks of all sets of a model, in order.

    Args:
        folders: the folders of the bigWigs that `plan.peak_tracks` lie in, in that order.

    Raises:
        SeqcovError: a file is wrong, or there is no peak.
    """
    sets, remaining = _read_files(plan), iter(folders)
    for label, source in plan.peaks.items():
        if isinstance(source, TrackPeaks):
            bigwig = next(remaining) / bigwig_name(source.model, source.track)
            distance = plan.geometry.core // 2
            limits = source.threshold, source.number
            sets.append(find_maxima(bigwig, label, source.bin, distance, plan.wanted, *limits))
    return combine_peaks(sets, plan.fasta.contigs, plan.wanted)


def count_peaks(plans: Mapping[str, ProfilePlan]) -> dict[str, tuple[int, int]]:
    """Read all files of peaks; return per model how many are predicted, and how many left out.

    For a track's local maxima the number that the config asks for counts, 0 if it has none.

    Raises:
        SeqcovError: a file is wrong.
    """
    counts = {}
    for plan in plans.values():
        try:
            sets = _read_files(plan)
            total = wanted = sum(map(len, sets))
            if sets and not plan.peak_tracks:
                wanted = len(combine_peaks(sets, plan.fasta.contigs, plan.wanted))
        except SeqcovError as error:
            raise SeqcovError(f"models.{plan.name}: {error}") from None
        of_tracks = sum(track.number or 0 for track in plan.peak_tracks)
        counts[plan.name] = wanted + of_tracks, total - wanted
    return counts


def _read_files(plan: ProfilePlan) -> "list[DataFrame]":
    return [
        read_peaks(source.path, label, plan.fasta.contigs, plan.contig_aliases)
        for label, source in plan.peaks.items()
        if isinstance(source, PeakFile)
    ]
