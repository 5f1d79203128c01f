"""Plan a set of tracks: its chunks, the folders of its bigWigs, its ranges and batches."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from seqcov_models.run.chunk_files import DTYPES
from seqcov_models.run.chunk_size import choose_windows_per_chunk, seconds_per_window
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.model_document import BIGWIG_BYTES
from seqcov_models.run.track_set import MASK, Batch, Item, TrackSet, name_prefix
from seqcov_models.tiling import split_into_chunks, tile
from seqcov_models.tracks.table import Track, make_url_safe


@dataclass(frozen=True)
class SetOptions:
    """The settings of a new set that change no predicted value.

    Attributes:
        windows_per_chunk: Windows per prediction job; None if they follow from the work.
        tracks_per_job: Maximum number of tracks per group.
        significant_bits: Bits of the values in bigWigs; None if values are not rounded.
    """

    windows_per_chunk: int | None
    tracks_per_job: int
    significant_bits: int | None


def plan_set(
    plan: CoveragePlan,
    number: int,
    items: Collection[Item],
    options: SetOptions,
    taken: Collection[str] = (),
) -> TrackSet:
    """Return a new set of tracks.

    Args:
        plan: The plan of the model.
        number: Number of the set, which no other set of the model has.
        items: What the set's bigWigs contain.
        options: The sizes of the set's jobs.
        taken: Names of groups that the set must not use.
    """
    rows = sorted({row for row, _ in items if row >= 0}) or plan.table_rows[:1]
    with_deviation = any(is_deviation for _, is_deviation in items)
    tracks = plan.find_tracks(rows)
    segments = tile(plan.fasta.contigs, plan.tiling, plan.selected_bins)
    size = options.windows_per_chunk
    if size is None:
        windows = sum(segment.windows for segment in segments)
        size = choose_windows_per_chunk(windows, *window_costs(plan, len(rows), with_deviation))
    chunks = split_into_chunks(segments, plan.tiling.step, size)
    digits = len(str(len(chunks) - 1))
    names = [f"{name_prefix(number)}{index:0{digits}}" for index in range(len(chunks))]
    groups = group_tracks(tracks, options.tracks_per_job, with_deviation, plan.tracks, taken)
    track_set = TrackSet(
        number=number,
        table_rows=rows,
        file_names=[track.file_name for track in tracks],
        standard_deviation=with_deviation,
        chunks=dict(zip(names, chunks, strict=True)),
        groups=groups,
        ranges=plan_ranges(names),
        batches=[],
        significant_bits=options.significant_bits,
    )
    groups = {
        group: [row for row in members if track_set.item(row) in items]
        for group, members in groups.items()
    }
    groups = {group: members for group, members in groups.items() if members}
    bytes_per_track = int(plan.bin_count * BIGWIG_BYTES)
    batches = plan_batches(groups, bytes_per_track) if track_set.ranges else []
    track_set = replace(track_set, groups=groups, batches=batches)
    return replace(track_set, digest=plan.digest_set(track_set))


def window_costs(plan: CoveragePlan, tracks: int, standard_deviation: bool) -> tuple[float, float]:
    """Return the seconds that a window takes on an H100, and its bytes in a chunk.

    Args:
        plan: The plan of the model.
        tracks: Number of tracks that are predicted together.
        standard_deviation: Whether the chunks have a standard deviation per track, too.
    """
    config, options = plan.folds[0].config.with_tracks(tracks), plan.options
    rows = tracks * (1 + standard_deviation) + 1
    value_bytes = plan.tiling.step * rows * DTYPES[options.chunk_dtype].itemsize
    seconds = seconds_per_window(
        config, plan.tiling, plan.member_count, options.precision, value_bytes
    )
    return seconds, value_bytes


def group_tracks(
    tracks: Sequence[Track],
    limit: int,
    standard_deviation: bool = False,
    selected: Sequence[Track] | None = None,
    taken: Collection[str] = (),
) -> dict[str, list[int]]:
    """Divide the rows of the chunks into groups, each of which one job writes as bigWigs.

    Args:
        tracks: The tracks of a set, in the order of the chunks' rows.
        limit: Maximum number of tracks per group. A larger assay is divided into numbered groups.
        standard_deviation: Whether the chunks also hold a standard deviation per track. It belongs
            to its track's group.
        selected: All selected tracks, which say whether descriptions name assays; by default
            `tracks`.
        taken: Names of groups of other sets.

    Returns:
        Rows of the chunks by the group's name, which is also the name of a folder. The last row
        (-1), the fraction of unknown bases, is a group of its own.
    """
    names: dict[str, str] = {}  # by lower case: some file systems do not tell cases apart
    for track in selected or tracks:
        assay = make_url_safe(track.assay) if track.assay else "tracks"
        names.setdefault(assay.lower(), "tracks" if assay.lower() == "tracks" else assay)
    count = len(selected or tracks)
    is_assay = len(names) == 1 or count >= 2 * len(names)  # what is before the colon
    assays: dict[str, list[int]] = {}
    for row, track in enumerate(tracks):
        assay = make_url_safe(track.assay) if track.assay and is_assay else "tracks"
        assays.setdefault(assay.lower(), []).append(row)
    groups: dict[str, list[int]] = {}
    used = {MASK, *map(str.lower, taken)}
    for assay, rows in assays.items():
        count = -(-len(rows) // limit)
        number = 0
        for first in range(0, len(rows), limit):
            members = rows[first : first + limit]
            name, number = _choose_name(names.get(assay, assay), number, count, used)
            used.add(name.lower())
            deviations = [len(tracks) + row for row in members] if standard_deviation else []
            groups[name] = members + deviations
    return groups | {MASK: [-1]}


def _choose_name(assay: str, number: int, count: int, used: Collection[str]) -> tuple[str, int]:
    """Return an unused name of a group and its number, which is higher than `number`.

    A single group of an assay has no number, unless other sets have the assay, too.
    """
    digits, name = len(str(count)), assay
    if count > 1:
        number, name = number + 1, f"{assay}_{number + 1:0{digits}}"
    while name.lower() in used:
        number = max(number + 1, 2)
        name = f"{assay}_{number:0{digits}}"
    return name, number


RANGES = 50
"""Maximum number of ranges. Each is 2 % or more of a genome, and has one file per batch."""
BATCHES = 48
"""Number of batches that the tracks are divided into if all are large enough."""
BATCH_BYTES = 200_000_000
"""Minimum bytes of a batch's bigWigs: smaller ones would take less time than the start of a job."""


def plan_ranges(chunks: Sequence[str]) -> dict[str, list[str]]:
    """Divide the chunks into at most `RANGES` ranges; return their chunks by name.

    Args:
        chunks: The names of all chunks, in the order of the genome.

    Returns:
        No range for a single chunk, whose bigWigs are written from it without another job.
    """
    if len(chunks) < 2:
        return {}
    size = -(-len(chunks) // RANGES)
    return {
        chunks[first]: list(chunks[first : first + size]) for first in range(0, len(chunks), size)
    }


def plan_batches(groups: Mapping[str, list[int]], bytes_per_track: int) -> list[Batch]:
    """Divide the groups into batches of tracks.

    The compressed ranges of a batch are deleted when its bigWigs are written. So batches are a
    small share of all tracks, unless they are small anyway.

    Args:
        groups: Rows of the chunks by the group's name.
        bytes_per_track: Approximate bytes of a bigWig.
    """
    total = sum(map(len, groups.values()))
    limit = max(-(-total // BATCHES), -(-BATCH_BYTES // max(1, bytes_per_track)))
    batches = []
    for group, rows in groups.items():
        count = -(-len(rows) // limit)
        size = -(-len(rows) // count)
        batches += [Batch(group, rows[first : first + size]) for first in range(0, len(rows), size)]
    return batches
