"""The plan of a model of coverage: what it predicts along a genome, in which sets of tracks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from seqcov_models.bigwig.rounding import round_values
from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.genome.fasta import Fasta
from seqcov_models.networks.shared.config import ProfileConfig
from seqcov_models.run.chunk_files import DTYPES, Values
from seqcov_models.run.digests import digest, identify_checkpoints
from seqcov_models.run.model_document import (
    BIGWIG_BYTES,
    ModelDocument,
    count_positions,
    describe_reads,
)
from seqcov_models.run.track_set import TrackSet, set_number
from seqcov_models.tiling import BinIntervals, Geometry, Tiling
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
        sets: The tracks that are predicted together.
        significant_bits: Bits of the values in bigWigs; None if values are not rounded.
    """

    name: str
    fasta: Fasta
    folds: list[Checkpoint]
    options: CoverageOptions
    tiling: Tiling
    selected_bins: dict[str, BinIntervals]
    table_rows: list[int]
    standard_deviation: bool
    sets: list[TrackSet]
    significant_bits: int | None = None

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

    @cached_property
    def tracks(self) -> list[Track]:
        """The selected tracks, in the table's order."""
        return [self._track_by_row[row] for row in self.table_rows]

    @cached_property
    def _set_by_number(self) -> dict[int, TrackSet]:
        return {track_set.number: track_set for track_set in self.sets}

    def find_set(self, name: str) -> TrackSet:
        """Return the set of the chunk, range or batch of this name."""
        return self._set_by_number[set_number(name)]

    @cached_property
    def groups(self) -> dict[str, TrackSet]:
        """The set of each group by the group's name, which is also the name of a folder."""
        return {group: track_set for track_set in self.sets for group in track_set.groups}

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
        sizes = [self._set_bytes(track_set) for track_set in self.sets]
        return sum(chunks for chunks, _ in sizes), sum(bigwigs for _, bigwigs in sizes)

    def _set_bytes(self, track_set: TrackSet) -> tuple[int, int]:
        """Return the bytes of a set, as `output_bytes` does.

        Without ranges, all chunks exist at once. Otherwise the ranges that are predicted or
        compressed do (three are assumed), and later the batches that are joined; the other
        compressed ranges take the place of bigWigs that do not exist yet.
        """
        chunk_bytes = self.chunk_bytes(track_set)
        rows = track_set.bigwig_count
        width = BIGWIG_BYTES
        if self.significant_bits is not None:  # 1.9 bytes were measured for 5 bits, 2.9 for 11
            width = min(width, 1.07 + 0.167 * self.significant_bits)
        bigwigs = int(self.bin_count * rows * width)
        if not track_set.ranges:
            return sum(chunk_bytes.values()), bigwigs
        sizes = [sum(chunk_bytes[name] for name in names) for names in track_set.ranges.values()]
        largest = max(len(batch.rows) for batch in track_set.batches)
        joined = bigwigs * largest * track_set.batches_at_once // rows
        return min(sum(sizes), max(3 * max(sizes), joined)), bigwigs

    def set_tracks(self, track_set: TrackSet) -> list[Track]:
        """Return the tracks of a set, in the order of the chunks' rows."""
        return [self._track_by_row[row] for row in track_set.table_rows]

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

    def find_bigwig(self, track: Track) -> tuple[str, str]:
        """Return the group of a selected track, and the name of its bigWig."""
        for group, track_set in self.groups.items():
            for row, member in self.members(track_set, track_set.groups[group]):
                if member.row == track.row and row < len(track_set.table_rows):
                    return group, member.file_name
        raise KeyError(track.row)

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
        """The entries of the model's card that say its units."""
        return {"scale": self.options.scale, "transform": self.options.transform}

    @property
    def card_digest(self) -> str:
        """A text that changes with anything that the model's card depends on."""
        digests = [fold.digests for fold in self.folds]  # the card lists those of all files
        return digest(identify_checkpoints(self.folds), digests, self.table_rows, self.units)

    @cached_property
    def values_digest(self) -> str:
        """A text that changes with the value of any track at any bin, and with the bins."""
        return digest(
            identify_checkpoints(self.folds), self.options, self.tiling, self.selected_bins,
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

    def chunk_identity(self, chunk: str) -> str:
        """Return a text that changes with any value of the chunk of this name."""
        return digest(self.find_set(chunk).digest, chunk)

    def bigwig_digest(self, group: str) -> str:
        """Return a text that changes with any byte of a group's bigWigs and of their table."""
        track_set = self.groups[group]
        return self._digest_rows(track_set, track_set.groups[group])

    def batch_digest(self, name: str) -> str:
        """Return a text that changes with any byte of a batch's bigWigs and of their table."""
        track_set = self.find_set(name)
        batch = track_set.batches[track_set.batch_index(name)]
        return digest(batch.group, self._digest_rows(track_set, batch.rows))

    def _digest_rows(self, track_set: TrackSet, rows: list[int]) -> str:
        """Return a text that changes with any byte of the bigWigs of these rows."""
        labels = [
            (
                row,
                track.index,
                track.identifier,
                track.description,
                track.file_name,
                self.unit(track),
            )
            for row, track in self.members(track_set, rows)
        ]
        return digest(track_set.digest, labels, *self._rounding)

    def packing_digest(self, track_set: TrackSet) -> str:
        """Return a text that changes with any byte of a set's compressed ranges."""
        return digest(track_set.digest, track_set.ranges, track_set.batches, *self._rounding)

    @property
    def _rounding(self) -> list[int]:
        """What rounding adds to digests: nothing without it, as before it existed."""
        return [] if self.significant_bits is None else [self.significant_bits]

    def round_runs(
        self, row: int, runs: Iterable[tuple[str, int, Values]]
    ) -> Iterator[tuple[str, int, Values]]:
        """Yield a row's runs of values as they are written: rounded if the config asks for it.

        The fraction of unknown bases (row -1) is not rounded.
        """
        for contig, first, values in runs:
            bits = self.significant_bits
            yield contig, first, values if bits is None or row < 0 else round_values(values, bits)
