"""Find out what earlier runs have left that is still right, and plan only what is missing.

The document of a model remembers its sets of tracks. A set is used again as long as it has the
values that the config asks for. So an added track is predicted alone, and a track that is left out
is found again when it is wanted again. A set that covers other bins or another FASTA is not used
again, but the values that are still right are copied from its bigWigs; see `run.sources`.
"""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.finished import find_damage, is_made_from
from seqcov_models.run.paths import Paths
from seqcov_models.run.range_files import is_packed_from
from seqcov_models.run.set_planner import SetOptions, plan_set, window_costs
from seqcov_models.run.sources import Bins, Source, SourceBigwig
from seqcov_models.run.track_set import MASK_ITEM, Item, TrackSet, count_windows, set_number


@dataclass(frozen=True)
class Workload:
    """What a run of a model of coverage still has to do.

    Attributes:
        finished: Number of bigWigs that are finished.
        groups: The groups of bigWigs that are not, by the number of their set.
        chunks: The chunks to predict, by the number of their set.
        continued: Numbers of the sets that an earlier run has begun.
        set_windows: The number of windows to predict, by the number of their set.
        copied: Number of windows that are copied from earlier bigWigs.
        reason: What is predicted, and why, in words.
    """

    finished: int = 0
    groups: dict[int, list[str]] = field(default_factory=dict)
    chunks: dict[int, list[str]] = field(default_factory=dict)
    continued: list[int] = field(default_factory=list)
    set_windows: dict[int, int] = field(default_factory=dict)
    copied: int = 0
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


class _Results:
    """What earlier runs of a model have left.

    Attributes:
        sets: The sets that its last document remembers.
        usable: Those that have the values and the bins that the plan asks for.
        finished: The finished groups of each usable set, by its number.
        files: The temporary files of the model; see `Paths.temporary_files`.
        extents: What each of `sets` covers, by its number.
    """

    def __init__(
        self, plan: CoveragePlan, earlier: CoveragePlan | None, paths: Paths, bits: int | None
    ) -> None:
        self._plan, self._paths, self._bits = plan, paths, bits
        self.is_complete = cache(self._is_complete)
        self.shared_bins = cache(self._shared_bins)
        self.sets = earlier.sets if earlier else []
        self._by_number = {track_set.number: track_set for track_set in self.sets}
        self.extents = {
            number: earlier.find_extent(track_set)
            for number, track_set in self._by_number.items()
            if earlier
        }
        self.usable = [track_set for track_set in self.sets if plan.can_use(track_set)]
        self.finished = {
            track_set.number: self._complete_groups(track_set)
            for track_set in self.usable
            if track_set.significant_bits == bits
        }
        self.files = paths.temporary_files(plan.name)

    def _is_complete(self, group: str, digest: str) -> bool:
        """Return whether a group's bigWigs are finished and made from what has this digest."""
        folder = self._paths.tracks(self._plan.name, group)
        if not is_made_from(folder, digest):
            return False
        if damage := find_damage(folder):
            print(f"{damage}; it is made again if it is needed", file=sys.stderr)
        return damage is None

    def _complete_groups(self, track_set: TrackSet) -> list[str]:
        """Return the groups of a set whose bigWigs are finished."""
        return [
            group
            for group in track_set.groups
            if self.is_complete(group, track_set.group_digest(group))
        ]

    def _shared_bins(self, number: int) -> Bins:
        """Return the bins at which an earlier set has the values that the plan asks for."""
        plan, extent = self._plan, self.extents[number]
        then = replace(plan, fasta=extent.fasta, selected_bins=extent.selected_bins)
        is_right = then.can_use(self._by_number[number])
        return plan.shared_bins(extent) if is_right else {}

    def find_sources(
        self, number: int, items: Sequence[Item], blocked: Collection[str] = ()
    ) -> tuple[list[Source], int]:
        """Find the earlier bigWigs from which a set can copy values.

        Args:
            number: Number of the set.
            items: Contents of the rows of its chunks.
            blocked: Groups that may be written before the set is predicted.

        Returns:
            The sources, the latest first, and the number of windows to predict beside them.
        """
        rows = {item: row for row, item in enumerate(items)} | {MASK_ITEM: -1}
        sources = []
        for track_set in reversed(self.sets):
            if track_set.significant_bits not in (None, self._bits):
                continue
            if not (bins := self.shared_bins(track_set.number)):
                continue
            groups = [name for name in self._complete_groups(track_set) if name not in blocked]
            found = [
                SourceBigwig(rows[item], group, track.file_name)
                for group in groups
                for row, track in self._plan.members(track_set, track_set.groups[group])
                if (item := track_set.item(row)) in rows
            ]
            names = dict.fromkeys(bigwig.group for bigwig in found)
            folders = {group: track_set.group_digest(group) for group in names}
            sources.append(Source(number, dict(bins), folders, found))
        covered = {bigwig.row for source in sources for bigwig in source.bigwigs}
        if len(covered) < len(rows):
            return [], self._window_count
        missing = count_windows(self._plan.missing_windows(sources, len(rows)))
        return sources if missing < self._window_count else [], missing

    @cached_property
    def _window_count(self) -> int:
        """Number of windows of a set of the plan."""
        return count_windows(self._plan.missing_windows([], 1))


def add_sets(
    plan: CoveragePlan, earlier: CoveragePlan | None, paths: Paths, options: SetOptions
) -> tuple[CoveragePlan, Workload]:
    """Choose the sets whose bigWigs a plan asks for.

    Args:
        plan: A plan without sets.
        earlier: The last plan of the model; None if there is none.
        paths: The paths of the run's results.
        options: The sizes of the jobs of a new set.

    Returns:
        The plan with its sets: those of earlier runs whose bigWigs are finished or will be, one
        more for everything else, and those of other configs whose bigWigs still exist; and what
        remains to be done.
    """
    results = _Results(plan, earlier, paths, options.significant_bits)
    missing, groups = dict.fromkeys(plan.items), dict[str, int]()
    for track_set in results.usable:
        _take(track_set, results.finished.get(track_set.number, []), missing, groups)
    continued = []
    for track_set in results.usable:
        finished = results.finished.get(track_set.number, [])
        track_set = _round(track_set, options.significant_bits, finished)
        pending = [
            group
            for group in track_set.groups
            if group not in groups and missing.keys() & track_set.items(group)
        ]
        if pending and _is_worth_continuing(plan, track_set, pending, missing, paths, results):
            continued.append(track_set)
            _take(track_set, pending, missing, groups)
    remembered = [
        track_set for track_set in results.sets if _has_bigwigs(track_set, plan.name, paths)
    ]
    sets = {track_set.number: track_set for track_set in [*remembered, *continued]}
    if missing:
        number = max([0, *sets, *map(set_number, results.files.values())]) + 1
        taken = {group for names in results.finished.values() for group in names} | {*groups}
        sets[number] = plan_set(plan, number, missing, options, taken)
        _take(sets[number], list(sets[number].groups), missing, groups)
    plan = replace(
        plan,
        group_sets=groups,
        sets=[sets[number] for number in sorted(sets)],
        extents={
            str(number): extent
            for number, extent in results.extents.items()
            if number in sets and not extent.is_equal(plan.extent)
        },
    )
    return _plan_work(plan, results, [track_set.number for track_set in continued], paths)


def _plan_work(
    plan: CoveragePlan, results: _Results, continued: list[int], paths: Paths
) -> tuple[CoveragePlan, Workload]:
    """Return a plan with the sources of its sets, and what remains to be done."""
    work = Workload(continued=continued)
    for group, track_set in plan.groups.items():
        if not results.is_complete(group, track_set.group_digest(group)):
            work.groups.setdefault(track_set.number, []).append(group)
    sets = {track_set.number: track_set for track_set in plan.needed_sets}
    sources = []
    for number, pending in work.groups.items():
        chunks = _chunks_to_predict(plan.name, sets[number], pending, paths, results.files)
        work.chunks[number] = chunks
        others = [names for other, names in work.groups.items() if other != number]
        if chunks:
            blocked = {name for names in others for name in names}
            sources += results.find_sources(number, sets[number].row_items, blocked)[0]
    plan, copied = replace(plan, sources=sources), 0
    for number, chunks in work.chunks.items():
        windows = sum(count_windows(sets[number].chunks[chunk]) for chunk in chunks)
        predicted = sum(plan.count_predicted(sets[number], chunk) for chunk in chunks)
        work.set_windows[number] = predicted
        copied += windows - predicted
    unfinished = {group for names in work.groups.values() for group in names}
    count = sum(bigwig.group not in unfinished for bigwig in plan.bigwigs)
    return plan, replace(work, finished=count, copied=copied)


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
    paths: Paths,
    results: _Results,
) -> bool:
    """Return whether it is cheaper to continue a set than to predict the missing tracks anew.

    Args:
        plan: The plan of the model.
        track_set: The set.
        pending: Its groups with missing tracks.
        missing: Everything that is missing.
        paths: The paths of the run's results.
        results: What earlier runs have left.
    """
    if not any(set_number(name) == track_set.number for name in results.files.values()):
        return False
    chunks = _chunks_to_predict(plan.name, track_set, pending, paths, results.files)
    if results.finished.get(track_set.number):  # more chunks would write these groups again
        return not chunks
    wanted = {item for group in pending for item in track_set.items(group)} & missing.keys()
    rows = len({row for row, _ in wanted if row >= 0}) or 1
    anew, _ = window_costs(plan, rows, any(is_deviation for _, is_deviation in wanted))
    further, _ = window_costs(plan, len(track_set.table_rows), track_set.standard_deviation)
    number, items = track_set.number, track_set.row_items
    every = results.find_sources(number, [item for item in items if item in wanted])[1]
    sources = results.find_sources(number, items)[0]
    copying = replace(plan, sets=[track_set], sources=sources)
    windows = sum(copying.count_predicted(track_set, chunk) for chunk in chunks)
    return windows * further <= every * anew


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
