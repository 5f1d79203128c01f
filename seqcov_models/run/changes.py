"""Say in words what a run will predict, and why."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.run.reuse import Workload


def describe_work(plan: CoveragePlan, work: Workload, earlier: CoveragePlan | None) -> str:
    """Return what a run will predict, and why.

    Args:
        plan: The plan of the model.
        work: What the run has to do.
        earlier: The plan of the last run; None if there was none.
    """
    total = len(plan.items)
    if work.finished == total:
        return f"nothing to predict: all {total:,} bigWigs are finished"
    windows = f"{_count(work.windows or 'no', 'window')} to predict"
    parts = [f"{work.finished:,} of {total:,} bigWigs are finished"] if work.finished else []
    for number in work.continued:
        chunks = next(tracks.chunks for tracks in plan.sets if tracks.number == number)
        done = len(chunks) - len(work.chunks[number])
        parts.append(f"continues: {done:,} of {len(chunks):,} chunks are finished")
    if work.copied:
        parts.append(f"{_count(work.copied, 'window')} copied from earlier bigWigs")
    changes = list(list_changes(earlier, plan)) if earlier else []
    added = [number for number in work.groups if number not in work.continued]
    if changes and work.copied:
        parts[-1] += f", because {'; '.join(changes)}"
    elif changes and not work.finished and not work.continued:
        parts.append(f"everything, because {'; '.join(changes)}")
    elif added and earlier and not work.copied:
        count = sum(len(tracks.table_rows) for tracks in plan.sets if tracks.number in added)
        parts.append(f"{count:,} {'tracks are' if count > 1 else 'track is'} new or missing")
    return ", ".join([windows, *parts]) if len(parts) < 2 else f"{windows}: {'; '.join(parts)}"


def describe_profile_work(plan: ProfilePlan, peaks: int, earlier: ProfilePlan | None) -> str:
    """Return what a run will predict of a BPNet at peaks, and why.

    Args:
        plan: The plan of the model.
        peaks: Number of peaks to predict.
        earlier: The plan of the last run; None if there was none.
    """
    if not peaks:
        return "nothing to predict: all bigWigs are finished"
    changes = list(_list_shared_changes(earlier, plan)) if earlier else []
    if earlier and earlier.peaks_digest != plan.peaks_digest:
        changes.append("the peaks, regions or exclude changed")
    reason = f", everything, because {'; '.join(changes)}" if changes else ""
    return f"{_count(peaks, 'peak')} to predict{reason}"


def list_changes(earlier: CoveragePlan, plan: CoveragePlan) -> Iterator[str]:
    """Yield in words each difference between two plans that changes what bigWigs contain.

    Args:
        earlier: The plan of the last run.
        plan: The plan of this run.
    """
    if earlier.results_version != plan.results_version:
        yield "this version of seqcov computes other numbers"
    yield from _list_shared_changes(earlier, plan)
    if earlier.tiling.geometry != plan.tiling.geometry:
        yield "the network has another window or other bins"
    else:
        bins = plan.geometry.bins
        if earlier.tiling.step != plan.tiling.step:
            steps = earlier.tiling.step, plan.tiling.step
            yield _change("overlap", *(round(1 - step / bins, 3) for step in steps))
        if earlier.tiling.blend != plan.tiling.blend:
            yield _change("blend", earlier.tiling.blend, plan.tiling.blend)
    rounding = [other.needed_sets[-1].significant_bits for other in (earlier, plan)]
    if rounding[0] != rounding[1]:
        yield _change("significant_bits", *rounding)
    same_contigs = earlier.fasta.contigs == plan.fasta.contigs
    if same_contigs and not earlier.extent.has_equal_bins(plan.extent):
        yield "regions or exclude changed"


def _list_shared_changes(
    earlier: CoveragePlan | ProfilePlan, plan: CoveragePlan | ProfilePlan
) -> Iterator[str]:
    """Yield the changes of what plans of both kinds have: options, weights, FASTA."""
    for option in dataclasses.fields(plan.options):
        before, after = (getattr(other.options, option.name, None) for other in (earlier, plan))
        if before != after:
            yield _change(option.name, before, after)
    if len(earlier.folds) != len(plan.folds):
        yield f"the number of folds changed from {len(earlier.folds)} to {len(plan.folds)}"
    elif earlier.card_digest != plan.card_digest:
        yield "the weights changed"
    if earlier.fasta.contigs != plan.fasta.contigs:
        yield "the contigs of the FASTA changed"
    elif earlier.fasta.sha256 != plan.fasta.sha256:
        yield "the sequence in the FASTA changed"


def _change(name: str, before: Any, after: Any) -> str:
    """Return in words that a setting changed."""
    return f"{name} changed from {json.dumps(before)} to {json.dumps(after)}"


def _count(number: int | str, noun: str) -> str:
    """Return a number with its noun: 1 window, 2 windows, no windows."""
    text = f"{number:,}" if isinstance(number, int) else number
    return f"{text} {noun}{'s' * (number != 1)}"
