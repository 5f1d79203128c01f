"""The plan of a model of coverage: what it predicts along a genome, in which sets of tracks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.genome.fasta import Fasta
from seqcov_models.networks.shared.config import ProfileConfig
from seqcov_models.run import digests
from seqcov_models.run.chunk_files import DTYPES
from seqcov_models.run.digests import digest, identify_checkpoints
from seqcov_models.run.model_document import ModelDocument, count_positions, describe_reads
from seqcov_models.run.sources import (
    Bins,
    Extent,
    MissingWindows,
    Source,
    find_missing_windows,
    shared_bins,
)
from seqcov_models.run.track_set import (
    MASK,
    MASK_ITEM,
    Item,
    TrackSet,
    set_number,
)
from seqcov_models.tiling import BinIntervals, Geometry, Segment, Tiling
from seqcov_models.tracks.table import Track
from seqcov_models.tracks.units import Untransform, describe_unit

MASK_TRACK = Track(
    row=-1,
    index=-1,
    identifier="unknown",
    description="Fraction of the input window that is N or past the contig end",
    file_name="unknown",
)


@dataclass(frozen=True)
class CoverageOptions:
    """Every setting that changes the values that a model of coverage predicts.

    Attributes:
        reverse_complement: Whether the predictions of both strands are averaged.
        shifts: Shifts of the window in bp, to the right, whose predictions are averaged.
        scale: "model" for the network's own output, "raw" for the statistic of coverage that the
            track table names. Of a BPNet "exp" or "expm1": how reads follow from log counts.
        transform: The transform that "raw" undoes: "old", "new" or "scale".
        precision: "float32", "tf32" or "bfloat16".
        chunk_dtype: "float32" or "float16", of the temporary files.
        min_acgt: Fraction of a window (0 to 1) that must be A, C, G or T for it to count.
    """

    reverse_complement: bool
    shifts: tuple[int, ...]
    scale: str
    transform: str
    precision: str
    chunk_dtype: str
    min_acgt: float


class Bigwig(NamedTuple):
    """A bigWig that the config asks for.

    Attributes:
        group: The folder.
        row: Its row in the chunks of the group's set.
        track: The track, whose `file_name` is that of the bigWig.
    """

    group: str
    row: int
    track: Track


@dataclass(frozen=True)
class CoveragePlan(ModelDocument):
    """The plan of a model of coverage: what it predicts along the genome.

    Attributes:
        name: The model's name, as in the config.
        fasta: The genome's sequence.
        folds: The checkpoints whose predictions are averaged.
        options: The settings that change values.
        tiling: How windows lie along a contig.
        selected_bins: Bins to give a value by contig, as rows (start, end), 0-based half-open.
        table_rows: The selected tracks, as rows of the checkpoints' track table, ascending.
        standard_deviation: Whether the standard deviation over all members is wanted, too.
        group_sets: The number of the set of each group of bigWigs that this run needs, by the
            group's name, which is also the name of a folder.
        sets: The sets of these groups, and those of earlier configs whose bigWigs still exist.
        results_version: The `RESULTS_VERSION` that the plan was made with.
        extents: What sets of earlier configs cover if it is not what this plan covers, by number.
        sources: Earlier bigWigs from which sets copy values instead of predicting them.
    """

    name: str
    fasta: Fasta
    folds: list[Checkpoint]
    options: CoverageOptions
    tiling: Tiling
    selected_bins: dict[str, BinIntervals]
    table_rows: list[int]
    standard_deviation: bool
    group_sets: dict[str, int]
    sets: list[TrackSet]
    results_version: int = field(default_factory=lambda: digests.RESULTS_VERSION)
    extents: dict[str, Extent] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)

    @property
    def predicts_profiles(self) -> bool:
        """Whether the network is a BPNet: fractions and reads of a window, and not coverage."""
        return isinstance(self.folds[0].config, ProfileConfig)

    @property
    def geometry(self) -> Geometry:
        """The network's window, core and bins."""
        return self.tiling.geometry

    @property
    def checkpoint_tracks(self) -> list[Track]:
        """All tracks of the checkpoint."""
        return self.folds[0].tracks

    @cached_property
    def _track_by_row(self) -> dict[int, Track]:
        return {track.row: track for track in self.checkpoint_tracks}

    def find_tracks(self, table_rows: list[int]) -> list[Track]:
        """Return the tracks of these rows of the track table."""
        return [self._track_by_row[row] for row in table_rows]

    @cached_property
    def tracks(self) -> list[Track]:
        """The selected tracks, in the table's order."""
        return self.find_tracks(self.table_rows)

    @property
    def items(self) -> list[Item]:
        """The contents of all bigWigs that the config asks for."""
        deviations = [(row, True) for row in self.table_rows if self.standard_deviation]
        return [*((row, False) for row in self.table_rows), *deviations, MASK_ITEM]

    @cached_property
    def _set_by_number(self) -> dict[int, TrackSet]:
        return {track_set.number: track_set for track_set in self.sets}

    def find_set(self, name: str) -> TrackSet:
        """Return the set of the chunk, range or batch of this name."""
        return self._set_by_number[set_number(name)]

    @cached_property
    def groups(self) -> dict[str, TrackSet]:
        """The set of each group of bigWigs that this run needs, by the group's name."""
        return {group: self._set_by_number[number] for group, number in self.group_sets.items()}

    @property
    def needed_sets(self) -> list[TrackSet]:
        """The sets of the groups that this run needs."""
        return [
            track_set for track_set in self.sets if track_set.number in self.group_sets.values()
        ]

    @property
    def member_count(self) -> int:
        """Number of predictions per window: folds × shifts × strands."""
        options = self.options
        return len(self.folds) * len(options.shifts) * (1 + options.reverse_complement)

    @property
    def bin_count(self) -> int:
        """Maximum number of bins that get a value; gaps of the sequence are found later."""
        return count_positions(self.selected_bins)

    def chunk_bytes(self, track_set: TrackSet) -> dict[str, int]:
        """Return the bytes of each chunk of a set."""
        width = DTYPES[self.options.chunk_dtype].itemsize * track_set.row_count
        return {
            name: width * sum(segment.bins for segment in chunk)
            for name, chunk in track_set.chunks.items()
        }

    @property
    def output_bytes(self) -> tuple[int, int]:
        """Approximate bytes of the bigWigs' temporary files at any time, and of the bigWigs."""
        return self.group_bytes({tracks.number: [*tracks.groups] for tracks in self.needed_sets})

    def group_bytes(self, groups: Mapping[int, Sequence[str]]) -> tuple[int, int]:
        """Return the bytes of some groups' bigWigs, as `output_bytes` does for all.

        Args:
            groups: Names of groups, by the number of their set.
        """
        sizes = [
            self._set_bytes(
                self._set_by_number[number],
                sum(len(self._set_by_number[number].groups[name]) for name in names),
            )
            for number, names in groups.items()
        ]
        return sum(chunks for chunks, _ in sizes), sum(bigwigs for _, bigwigs in sizes)

    def _set_bytes(self, track_set: TrackSet, rows: int) -> tuple[int, int]:
        """Return the bytes of so many bigWigs of a set, as `output_bytes` does.

        Without ranges, all chunks exist at once. Otherwise the ranges that are predicted or
        compressed do (three are assumed), and later the batches that are joined; the other
        compressed ranges take the place of bigWigs that do not exist yet.
        """
        chunk_bytes = self.chunk_bytes(track_set)
        bigwigs = int(self.bin_count * rows * track_set.bytes_per_value)
        if not track_set.ranges:
            return sum(chunk_bytes.values()), bigwigs
        sizes = [sum(chunk_bytes[name] for name in names) for names in track_set.ranges.values()]
        largest = max(len(batch.rows) for batch in track_set.batches)
        joined = bigwigs * largest * track_set.batches_at_once // max(1, rows)
        return min(sum(sizes), max(3 * max(sizes), joined)), bigwigs

    def set_tracks(self, track_set: TrackSet) -> list[Track]:
        """Return the tracks of a set, in the order of the chunks' rows."""
        return self.find_tracks(track_set.table_rows)

    def members(self, track_set: TrackSet, rows: list[int]) -> list[tuple[int, Track]]:
        """Return (row in the chunks, track) for every bigWig of a group or batch.

        A standard deviation is a track of its own. Its row follows those of all tracks.

        Args:
            track_set: The set of the group or batch.
            rows: The rows of the group or batch.
        """
        return [(row, self._chunk_track(track_set, row)) for row in rows]

    def _chunk_track(self, track_set: TrackSet, row: int) -> Track:
        if row < 0:
            return MASK_TRACK
        number = row % len(track_set.table_rows)
        track, file_name = (
            self._track_by_row[track_set.table_rows[number]],
            track_set.file_names[number],
        )
        if row == number:
            return replace(track, file_name=file_name)
        description = f"{track.description} (standard deviation)".strip()
        return replace(track, description=description, file_name=f"{file_name}.sd")

    @cached_property
    def bigwigs(self) -> list[Bigwig]:
        """All bigWigs that the config asks for, each once, in the order of the track table."""
        wanted, found = set(self.items), dict[Item, Bigwig]()
        for group, track_set in self.groups.items():
            for row, track in self.members(track_set, track_set.groups[group]):
                if (item := track_set.item(row)) in wanted:
                    found.setdefault(item, Bigwig(group, row, track))
        first_row: dict[str, int] = {}
        for bigwig in found.values():
            rows = first_row.get(bigwig.group, bigwig.track.row), bigwig.track.row
            first_row[bigwig.group] = min(rows)
        order = sorted(first_row, key=lambda group: (group == MASK, first_row[group]))
        return sorted(found.values(), key=lambda bigwig: order.index(bigwig.group))

    def find_bigwig(self, track: Track) -> tuple[str, str]:
        """Return the group of a selected track, and the name of its bigWig."""
        return next(
            (bigwig.group, bigwig.track.file_name)
            for bigwig in self.bigwigs
            if self.groups[bigwig.group].item(bigwig.row) == (track.row, False)
        )

    @property
    def extent(self) -> Extent:
        """What the sets of this plan cover."""
        return Extent(self.fasta, self.selected_bins)

    def find_extent(self, track_set: TrackSet) -> Extent:
        """Return what a set covers, which may be one of an earlier config."""
        return self.extents.get(str(track_set.number), self.extent)

    def shared_bins(self, extent: Extent) -> Bins:
        """Return the bins of an earlier extent whose values are the same in this plan."""
        config = self.folds[0].config
        by_runs = isinstance(config, ProfileConfig) and config.is_window_independent
        return shared_bins(extent, self.extent, self.tiling, by_runs)

    def missing_windows(self, sources: Sequence[Source], rows: int) -> list[Segment]:
        """Return the runs of windows to predict for chunks of so many rows, beside sources."""
        return find_missing_windows(sources, rows, self.extent, self.tiling)

    def find_sources(self, track_set: TrackSet) -> list[Source]:
        """Return the earlier bigWigs from which a set copies values."""
        return [source for source in self.sources if source.set_number == track_set.number]

    @cached_property
    def _missing_by_set(self) -> dict[int, MissingWindows]:
        """The windows to predict of each set that copies others."""
        missing = {}
        for number in {source.set_number for source in self.sources}:
            track_set = self._set_by_number[number]
            runs = self.missing_windows(self.find_sources(track_set), track_set.row_count)
            missing[number] = MissingWindows(runs, self.tiling)
        return missing

    def split_segment(
        self, track_set: TrackSet, segment: Segment
    ) -> Iterable[tuple[Segment, bool]]:
        """Return the parts of a segment of a set, each with whether it is predicted or copied."""
        missing = self._missing_by_set.get(track_set.number)
        return missing.split(segment) if missing else [(segment, True)]

    def count_predicted(self, track_set: TrackSet, chunk: str) -> int:
        """Return how many windows of a chunk are predicted and not copied."""
        return sum(
            part.windows
            for segment in track_set.chunks[chunk]
            for part, is_predicted in self.split_segment(track_set, segment)
            if is_predicted
        )

    @property
    def labels_digest(self) -> str:
        """A text that changes with anything that the table of tracks says besides statistics."""
        rows = [
            (
                bigwig.group,
                bigwig.track.index,
                bigwig.track.identifier,
                bigwig.track.description,
                bigwig.track.file_name,
                self.unit(bigwig.track),
            )
            for bigwig in self.bigwigs
        ]
        return digest(self.name, self.geometry.bin, rows)

    def untransform(self, tracks: list[Track]) -> Untransform | None:
        """Return the inverse of the training's transform; None if values stay on the model's scale.

        Args:
            tracks: The tracks to predict.

        Raises:
            SeqcovError: If the track table lacks a column that the inverse needs.
        """
        if self.options.scale != "raw":
            return None
        return Untransform(tracks, self.options.transform)

    def unit(self, track: Track) -> str:
        """Return the unit of a track's values in words."""
        if track.row < 0:
            return "fraction of the input window"
        options = self.options
        config = self.folds[0].config
        if isinstance(config, ProfileConfig):
            reads = describe_reads(config, options.scale)
            return f"reads per base ({reads}; mean of windows every {self.tiling.step} bp)"
        return describe_unit(track, self.geometry.bin, options.scale, options.transform)

    @property
    def units(self) -> dict[str, str]:
        """The entries of the provenance that say the model's units."""
        return {"scale": self.options.scale, "transform": self.options.transform}

    @property
    def card_digest(self) -> str:
        """A text that changes with anything that the model's card depends on.

        It must not change with tracks and their names: a new card makes all predictions run again.
        """
        return digest(identify_checkpoints(self.folds))

    @cached_property
    def values_digest(self) -> str:
        """A text that changes with the value of any track at any bin, and with the bins."""
        options = (
            self.options if self.options.scale == "raw" else replace(self.options, transform="")
        )
        return digest(
            identify_checkpoints(self.folds), options, self.tiling, self.selected_bins,
            list(self.fasta.contigs.items()), self.fasta.sha256,
        )  # fmt: skip

    def digest_set(self, track_set: TrackSet) -> str:
        """Return a text that changes with any value of a set and with the layout of its chunks."""
        tracks = self.set_tracks(track_set)
        pairs = [track.pair for track in tracks] if self.options.reverse_complement else []
        columns = [track.columns for track in tracks] if self.options.scale == "raw" else []
        return digest(
            self.values_digest, track_set.number, track_set.table_rows,
            track_set.standard_deviation, pairs, columns, track_set.chunks,
        )  # fmt: skip

    def can_use(self, track_set: TrackSet) -> bool:
        """Return whether a set that was planned earlier has the values that this plan asks for."""
        known = all(row in self._track_by_row for row in track_set.table_rows)
        return known and self.digest_set(track_set) == track_set.digest

    def chunk_identity(self, chunk: str) -> str:
        """Return a text that changes with any value of the chunk of this name."""
        return digest(self.find_set(chunk).digest, chunk)
