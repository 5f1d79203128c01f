"""The plan of a model of coverage: what it predicts along a genome, in which chunks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from seqcov_models.bigwig.rounding import round_values
from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.genome.fasta import Fasta
from seqcov_models.run.chunk_files import DTYPES, Values
from seqcov_models.run.digests import digest, identify_checkpoints
from seqcov_models.run.model_document import BIGWIG_BYTES, ModelDocument, count_positions
from seqcov_models.tiling import BinIntervals, Geometry, Segment, Tiling
from seqcov_models.tracks.table import Track
from seqcov_models.tracks.units import Untransform, describe_unit

MASK = "mask"
"""The group of one bigWig: the fraction of each bin's input window that is unknown."""
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
            track table names.
        transform: The transform that "raw" undoes: "old", "new" or "scale".
        standard_deviation: Whether the standard deviation over all members is written, too.
        precision: "float32", "tf32" or "bfloat16".
        chunk_dtype: "float32" or "float16", of the temporary files.
        min_acgt: Fraction of a window (0 to 1) that must be A, C, G or T for it to count.
    """

    reverse_complement: bool
    shifts: tuple[int, ...]
    scale: str
    transform: str
    standard_deviation: bool
    precision: str
    chunk_dtype: str
    min_acgt: float


@dataclass(frozen=True)
class Batch:
    """Tracks whose bigWigs one job joins from compressed ranges.

    Attributes:
        group: The group that they belong to.
        rows: Their rows in the chunks.
    """

    group: str
    rows: list[int]


@dataclass(frozen=True)
class CoveragePlan(ModelDocument):
    """The plan of a model of coverage: what it predicts along the genome.

    Attributes:
        name: The model's name, as in the config.
        fasta: The genome's sequence.
        folds: The checkpoints whose predictions are averaged.
        options: The settings that change values.
        table_rows: The selected tracks, as rows of the checkpoints' track table, ascending.
        tiling: How windows lie along a contig.
        selected_bins: Bins to give a value by contig, as rows (start, end), 0-based half-open.
        chunks: The segments of each prediction job by the chunk's name, in the order of the genome.
        groups: The rows of the chunks that each folder's bigWigs are written from, by its name.
        ranges: Consecutive chunks that are compressed and deleted together, by the range's name.
            Empty if there is only one chunk: then bigWigs are written from it.
        batches: The groups, divided into batches of tracks that are joined one after the other.
            Empty without ranges.
        significant_bits: Bits of the values in bigWigs; None if values are not rounded.
    """

    name: str
    fasta: Fasta
    folds: list[Checkpoint]
    options: CoverageOptions
    table_rows: list[int]
    tiling: Tiling
    selected_bins: dict[str, BinIntervals]
    chunks: dict[str, list[Segment]]
    groups: dict[str, list[int]]
    ranges: dict[str, list[str]]
    batches: list[Batch]
    significant_bits: int | None = None

    @property
    def geometry(self) -> Geometry:
        """The network's window, core and bins."""
        return self.tiling.geometry

    @property
    def checkpoint_tracks(self) -> list[Track]:
        """All tracks of the checkpoint."""
        return self.folds[0].tracks

    @cached_property
    def tracks(self) -> list[Track]:
        """The selected tracks, in the table's order."""
        track_by_row = {track.row: track for track in self.checkpoint_tracks}
        return [track_by_row[row] for row in self.table_rows]

    @property
    def window_count(self) -> int:
        """Number of windows to predict."""
        return sum(segment.windows for chunk in self.chunks.values() for segment in chunk)

    @property
    def windows_per_chunk(self) -> int:
        """Number of windows of the largest chunk."""
        return max(sum(segment.windows for segment in chunk) for chunk in self.chunks.values())

    @property
    def bin_count(self) -> int:
        """Maximum number of bins that get a value; gaps of the sequence are found later."""
        return count_positions(self.selected_bins)

    @property
    def chunk_bytes(self) -> dict[str, int]:
        """Bytes of each chunk."""
        width = DTYPES[self.options.chunk_dtype].itemsize * sum(map(len, self.groups.values()))
        return {
            name: width * sum(segment.bins for segment in chunk)
            for name, chunk in self.chunks.items()
        }

    @property
    def output_bytes(self) -> tuple[int, int]:
        """Approximate bytes of the bigWigs' temporary files at any time, and of the bigWigs.

        Without ranges, all chunks exist at once. Otherwise the ranges that are predicted or
        compressed do (three are assumed), and later the batches that are joined; the other
        compressed ranges take the place of bigWigs that do not exist yet.
        """
        chunk_bytes = self.chunk_bytes
        rows = sum(map(len, self.groups.values()))
        width = BIGWIG_BYTES
        if self.significant_bits is not None:  # 1.9 bytes were measured for 5 bits, 2.9 for 11
            width = min(width, 1.3 + 0.2 * self.significant_bits)
        bigwigs = int(self.bin_count * rows * width)
        if not self.ranges:
            return sum(chunk_bytes.values()), bigwigs
        sizes = [sum(chunk_bytes[name] for name in names) for names in self.ranges.values()]
        largest = max(len(batch.rows) for batch in self.batches)
        joined = bigwigs * largest * self.batches_at_once // rows
        return min(sum(sizes), max(3 * max(sizes), joined)), bigwigs

    @property
    def batches_at_once(self) -> int:
        """Maximum number of batches that are joined at once, so that they stay a small share."""
        return max(1, len(self.batches) // 12)

    def batch_indices(self, group: str) -> list[int]:
        """Return the indices of a group's batches, in the order of its tracks."""
        return [index for index, batch in enumerate(self.batches) if batch.group == group]

    def members(self, rows: list[int]) -> list[tuple[int, Track]]:
        """Return (row in the chunks, track) for every bigWig of a group or batch.

        A standard deviation is a track of its own. Its row follows those of all tracks.

        Args:
            rows: The rows of the group or batch.
        """
        return [(row, self._chunk_track(row)) for row in rows]

    def _chunk_track(self, row: int) -> Track:
        if row < 0:
            return MASK_TRACK
        track = self.tracks[row % len(self.tracks)]
        if row < len(self.tracks):
            return track
        description = f"{track.description} (standard deviation)".strip()
        return replace(track, description=description, file_name=f"{track.file_name}.sd")

    @property
    def untransform(self) -> Untransform | None:
        """The inverse of the training's transform; None if values stay on the model's scale.

        Raises:
            SeqcovError: If the track table lacks a column that the inverse needs.
        """
        if self.options.scale != "raw":
            return None
        return Untransform(self.tracks, self.options.transform)

    def unit(self, track: Track) -> str:
        """Return the unit of a track's values in words."""
        if track.row < 0:
            return "fraction of the input window"
        options = self.options
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
    def prediction_digest(self) -> str:
        """A text that changes with any predicted value and with the layout of the chunks."""
        pairs = [track.pair for track in self.tracks] if self.options.reverse_complement else []
        columns = [track.columns for track in self.tracks] if self.options.scale == "raw" else []
        return digest(
            identify_checkpoints(self.folds), self.options, self.table_rows, pairs, columns,
            self.tiling, self.selected_bins, self.chunks, list(self.fasta.contigs.items()),
            self.fasta.sha256,
        )  # fmt: skip

    def chunk_identity(self, chunk: str) -> str:
        """Return a text that changes with any value of a chunk, one of `chunks`."""
        return digest(self.prediction_digest, chunk)

    def bigwig_digest(self, group: str) -> str:
        """Return a text that changes with any byte of a group's bigWigs and of their table."""
        return self._digest_rows(self.groups[group])

    def batch_digest(self, batch: int) -> str:
        """Return a text that changes with any byte of a batch's bigWigs and of their table."""
        return digest(self.batches[batch].group, self._digest_rows(self.batches[batch].rows))

    def _digest_rows(self, rows: list[int]) -> str:
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
            for row, track in self.members(rows)
        ]
        return digest(self.prediction_digest, labels, *self._rounding)

    @cached_property
    def packing_digest(self) -> str:
        """A text that changes with any byte of the compressed ranges."""
        return digest(self.prediction_digest, self.ranges, self.batches, *self._rounding)

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
