"""A set of tracks that are predicted together: their chunks, and the folders of their bigWigs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from seqcov_models.bigwig.rounding import round_values
from seqcov_models.run.chunk_files import Values
from seqcov_models.run.digests import digest
from seqcov_models.run.model_document import BIGWIG_BYTES
from seqcov_models.tiling import Segment

MASK = "mask"
"""The group of one bigWig: the fraction of each bin's input window that is unknown."""


Item = tuple[int, bool]
"""Content of a bigWig: a row of the track table, and whether it is the standard deviation."""

MASK_ITEM: Item = (-1, False)
"""Content of the bigWig of the group `MASK`."""


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
class TrackSet:
    """Tracks of a model that are predicted together, in the same chunks.

    A set stays as it was planned: tracks that are added to the config later form another set.

    Attributes:
        number: Number of the set. The names of its chunks, ranges and batches begin with it.
        table_rows: The tracks, as rows of the checkpoints' track table, ascending.
        file_names: The name of each track's bigWig, without the model's name and an ending.
        standard_deviation: Whether the chunks have a standard deviation per track, too.
        chunks: The segments of each prediction job by the chunk's name, in the order of the genome.
        groups: The rows of the chunks that each folder's bigWigs are written from, by its name.
        ranges: Consecutive chunks that are compressed and deleted together, by the range's name.
            Empty if there is only one chunk: then bigWigs are written from it.
        batches: The groups, divided into batches of tracks that are joined one after the other.
            Empty without ranges.
        significant_bits: Bits of the values in bigWigs; None if values are not rounded.
        digest: A text that differs if any predicted value or the layout of the chunks differs.
    """

    number: int
    table_rows: list[int]
    file_names: list[str]
    standard_deviation: bool
    chunks: dict[str, list[Segment]]
    groups: dict[str, list[int]]
    ranges: dict[str, list[str]]
    batches: list[Batch]
    significant_bits: int | None = None
    digest: str = ""

    @property
    def row_count(self) -> int:
        """Number of rows of the chunks; the last one is the fraction of unknown bases."""
        return len(self.table_rows) * (1 + self.standard_deviation) + 1

    @property
    def window_count(self) -> int:
        """Number of windows to predict."""
        return sum(map(count_windows, self.chunks.values()))

    @property
    def windows_per_chunk(self) -> int:
        """Number of windows of the largest chunk."""
        return max(map(count_windows, self.chunks.values()))

    @property
    def batch_names(self) -> list[str]:
        """The names of the batches, in order."""
        return [f"{name_prefix(self.number)}{index}" for index in range(len(self.batches))]

    @property
    def batches_at_once(self) -> int:
        """Maximum number of batches that are joined at once, so that they stay a small share."""
        return max(1, len(self.batches) // 12)

    def item(self, row: int) -> Item:
        """Return the content of a row of the chunks."""
        count = len(self.table_rows)
        return MASK_ITEM if row < 0 else (self.table_rows[row % count], row >= count)

    @property
    def row_items(self) -> list[Item]:
        """The contents of all rows of the chunks, in order."""
        return [self.item(row) for row in [*range(self.row_count - 1), -1]]

    def items(self, group: str) -> list[Item]:
        """Return the contents of a group's bigWigs."""
        return [self.item(row) for row in self.groups[group]]

    def batch_indices(self, group: str) -> list[int]:
        """Return the indices of a group's batches, in the order of its tracks."""
        return [index for index, batch in enumerate(self.batches) if batch.group == group]

    def batch_index(self, name: str) -> int:
        """Return the index of the batch of this name."""
        return int(name.rpartition("-")[2])

    @property
    def bytes_per_value(self) -> float:
        """Approximate bytes of a value in a bigWig."""
        if self.significant_bits is None:
            return BIGWIG_BYTES
        return min(BIGWIG_BYTES, 1.07 + 0.167 * self.significant_bits)  # 1.9 for 5 bits, 2.9 for 11

    @property
    def _rounding(self) -> list[int]:
        """What rounding adds to digests: nothing without it, as before it existed."""
        return [] if self.significant_bits is None else [self.significant_bits]

    @cached_property
    def packing_digest(self) -> str:
        """A text that changes with any byte of the compressed ranges."""
        return digest(self.digest, self.ranges, self.batches, *self._rounding)

    def group_digest(self, group: str) -> str:
        """Return a text that changes with any byte of a group's bigWigs and of their table."""
        return self._digest_rows(self.groups[group])

    def batch_digest(self, name: str) -> str:
        """Return a text that changes with any byte of a batch's bigWigs and of their table."""
        batch = self.batches[self.batch_index(name)]
        return digest(batch.group, self._digest_rows(batch.rows))

    def _digest_rows(self, rows: list[int]) -> str:
        """Return a text that changes with any byte of the bigWigs of these rows."""
        count = len(self.table_rows)
        names = [self.file_names[row % count] for row in rows if row >= 0]
        return digest(self.digest, rows, names, *self._rounding)

    def round_runs(
        self, row: int, runs: Iterable[tuple[str, int, Values]]
    ) -> Iterator[tuple[str, int, Values]]:
        """Yield a row's runs of values as they are written: rounded if the config asks for it.

        The fraction of unknown bases (row -1) is not rounded.
        """
        bits = self.significant_bits
        for contig, first, values in runs:
            yield contig, first, values if bits is None or row < 0 else round_values(values, bits)


def name_prefix(number: int) -> str:
    """Return what the names of a set's chunks, ranges and batches begin with.

    Args:
        number: Number of the set.

    Returns:
        Nothing for the set 1.

    Example:
        >>> name_prefix(2)
        '2-'
    """
    return "" if number == 1 else f"{number}-"


def set_number(name: str) -> int:
    """Return the number of the set that a chunk, range or batch of this name belongs to."""
    return int(name.rpartition("-")[0] or 1)


def count_windows(segments: Iterable[Segment]) -> int:
    """Return the number of windows of some segments."""
    return sum(segment.windows for segment in segments)
