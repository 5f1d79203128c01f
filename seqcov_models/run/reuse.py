"""Find out what earlier runs have left that is still right, and plan only what is missing.

The document of a model remembers its sets of tracks. A set is used again as long as it has the
values that the config asks for. So an added track is predicted alone, and a track that is left out
is found again when it is wanted again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.finished import is_finished, is_made_from
from seqcov_models.run.paths import Paths
from seqcov_models.run.range_files import is_packed_from
from seqcov_models.run.set_planner import SetOptions, plan_set, window_costs
from seqcov_models.run.track_set import Item, TrackSet, count_windows, set_number


@dataclass(frozen=True)
class Workload:
    """What a run of a model of coverage still has to do.

    Attributes:
        finished: Number of bigWigs that are finished.
        groups: The groups of bigWigs that are not, by the number of their set.
        chunks: The chunks to predict, by the number of their set.
        continued: Numbers of the sets that an earlier run has begun.
        set_windows: The number of windows to predict, by the number of their set.
        reason: What is predicted, and why, in words.
    """

    finished: int = 0
    groups: dict[int, list[str]] = field(default_factory=dict)
    chunks: dict[int, list[str]] = field(default_factory=dict)
    continued: list[int] = field(default_factory=list)
    set_windows: dict[int, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def windows(self) -> int:
        """Number of windows to predict."""
        return sum(self.set_windows.values())


def read_plan(path: Path) -> CoveragePlan | None:
    """Return the plan of an earlier run of a model; None if there is none that can be read."""
    try:
        return CoveragePlan.load(path)
    except SeqcovError:
        return None


def add_sets(
    plan: CoveragePlan, earlier: Sequence[TrackSet], paths: Paths, options: SetOptions
) -> tuple[CoveragePlan, Workload]:
    """Choose the sets whose bigWigs a plan asks for.

    Args:
        plan: A plan without sets.
        earlier: The sets that the document of the model remembers.
        paths: The paths of the run's results.
        options: The sizes of the jobs of a new set.

    Returns:
        The plan with its sets: those of earlier runs whose bigWigs are finished or will be, one
        more for everything else, and those of other configs whose bigWigs still exist; and what
        remains to be done.
    """

    @cache
    def is_complete(group: str, digest: str) -> bool:
        return is_finished(paths.tracks(plan.name, group), digest)

    files = paths.temporary_files(plan.name)
    missing, groups = dict.fromkeys(plan.items), dict[str, int]()
    usable = [track_set for track_set in earlier if plan.can_use(track_set)]
    finished = {
        track_set.number: [
            group
            for group in track_set.groups
            if track_set.significant_bits == options.significant_bits
            and is_complete(group, track_set.group_digest(group))
        ]
        for track_set in usable
    }
    for track_set in usable:
        _take(track_set, finished[track_set.number], missing, groups)
    continued = []
    for track_set in usable:
        track_set = _round(track_set, options.significant_bits, finished[track_set.number])
        pending = [
            group
            for group in track_set.groups
            if group not in groups and missing.keys() & track_set.items(group)
        ]
        if pending and _is_worth_continuing(
            plan, track_set, pending, missing, bool(finished[track_set.number]), paths, files
        ):
            continued.append(track_set)
            _take(track_set, pending, missing, groups)
    remembered = [track_set for track_set in earlier if _has_bigwigs(track_set, plan.name, paths)]
    sets = {track_set.number: track_set for track_set in [*remembered, *continued]}
    if missing:
        number = max([0, *sets, *map(set_number, files.values())]) + 1
        taken = {group for names in finished.values() for group in names} | {*groups}
        sets[number] = plan_set(plan, number, missing, options, taken)
        _take(sets[number], list(sets[number].groups), missing, groups)
    plan = replace(plan, group_sets=groups, sets=[sets[number] for number in sorted(sets)])
    work = Workload(continued=[track_set.number for track_set in continued])
    for group, track_set in plan.groups.items():
        if not is_complete(group, track_set.group_digest(group)):
            work.groups.setdefault(track_set.number, []).append(group)
    for number, pending in work.groups.items():
        work.chunks[number] = _chunks_to_predict(plan.name, sets[number], pending, paths, files)
        work.set_windows[number] = sum(
            count_windows(sets[number].chunks[chunk]) for chunk in work.chunks[number]
        )
    unfinished = {group for names in work.groups.values() for group in names}
    count = sum(bigwig.group not in unfinished for bigwig in plan.bigwigs)
    return plan, replace(work, finished=count)


def _take(
    track_set: TrackSet,
    names: Sequence[str],
    missing: dict[Item, None],
    groups: dict[str, int],
) -> None:
    """Let a set provide what is missing, as far as these groups of it contain it."""
    for group in names:
        if missing.keys() & (items := track_set.items(group)):
            groups[group] = track_set.number
            for item in items:
                missing.pop(item, None)


def _has_bigwigs(track_set: TrackSet, model: str, paths: Paths) -> bool:
    """Return whether bigWigs of a set exist, complete or not."""
    return any(
        is_made_from(paths.tracks(model, group), track_set.group_digest(group))
        for group in track_set.groups
    )


def _round(track_set: TrackSet, bits: int | None, finished: Sequence[str]) -> TrackSet:
    """Return a set whose bigWigs get so many significant bits, if none of them is finished."""
    return track_set if finished else replace(track_set, significant_bits=bits)


def _is_worth_continuing(
    plan: CoveragePlan,
    track_set: TrackSet,
    pending: Sequence[str],
    missing: Mapping[Item, None],
    has_finished: bool,
    paths: Paths,
    files: Mapping[str, str],
) -> bool:
    """Return whether it is cheaper to continue a set than to predict the missing tracks anew.

    Args:
        plan: The plan of the model.
        track_set: The set.
        pending: Its groups with missing tracks.
        missing: Everything that is missing.
        has_finished: Whether some groups of the set are finished: more chunks would write them
            again.
        paths: The paths of the run's results.
        files: The temporary files of the model; see `Paths.temporary_files`.
    """
    if not any(set_number(name) == track_set.number for name in files.values()):
        return False
    chunks = _chunks_to_predict(plan.name, track_set, pending, paths, files)
    if has_finished:
        return not chunks
    wanted = {item for group in pending for item in track_set.items(group)} & missing.keys()
    rows = len({row for row, _ in wanted if row >= 0}) or 1
    anew, _ = window_costs(plan, rows, any(is_deviation for _, is_deviation in wanted))
    further, _ = window_costs(plan, len(track_set.table_rows), track_set.standard_deviation)
    windows = sum(count_windows(track_set.chunks[chunk]) for chunk in chunks)
    return windows * further <= track_set.window_count * anew


def _chunks_to_predict(
    model: str,
    track_set: TrackSet,
    groups: Sequence[str],
    paths: Paths,
    files: Mapping[str, str],
) -> list[str]:
    """Return the chunks of a set that are needed to write the bigWigs of some groups."""

    def select_missing(chunks: Iterable[str]) -> list[str]:
        return [chunk for chunk in chunks if paths.chunk(model, chunk).name not in files]

    if not track_set.ranges:
        return select_missing(track_set.chunks) if groups else []
    names, batches = track_set.batch_names, list[int]()
    for group in groups:
        indices = track_set.batch_indices(group)
        is_divided = len(indices) > 1
        batches += [
            index
            for index in indices
            if not (is_divided and paths.joined(model, names[index]).name in files)
        ]
    chunks = []
    for name, members in track_set.ranges.items():
        packed = [paths.packed(model, name, batch) for batch in batches]
        if not all(file.name in files for file in packed) or (
            packed and not is_packed_from(packed[0], track_set.packing_digest)
        ):
            chunks += select_missing(members)
    return chunks
