"""Write a track of binned coverage as a bigWig file.

A run writes thousands of tracks; general writers handle them value by value and would take longer
than the predictions. This one knows that the values are float32 in bins of one width and works on
arrays.

The bytes of a file depend on the arguments alone (and on the versions of libdeflate and numpy).
They do not depend on how the caller divides the values into runs or ranges: a data block begins at
the first bin after a gap and at every multiple of 2,048 bins from the contig's start, and a zoom
window is summed only when all of its values are known.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, cast

import google_crc32c

from seqcov_models.bigwig.layout import (
    BUFFER,
    HEADER,
    LEVELS,
    MAGIC,
    RECORD_COUNT,
    SECTION_COUNT,
    SIZES,
    TOTAL,
    TREE_OFFSET,
    ZOOM_HEADER,
    Rows,
    Sizes,
    Summary,
    check_contigs,
    pack_total,
    write_blocks,
    write_contigs,
    write_index,
)
from seqcov_models.bigwig.ranges import PackedRange, join_ranges
from seqcov_models.bigwig.sections import Packed, Runs, pack_runs
from seqcov_models.bigwig.zooms import (
    count_records,
    fill_spool,
    reduce_records,
    summarise_track,
    write_zoom,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.files import combine_crc32c, write_atomically

__all__ = ["Summary", "join_bigwig", "write_bigwig"]

_SPOOL = 2**20  # bytes of zoom records in memory; more go to disk
_BUFFER = 2**20  # bytes per system call; the default, 8 KiB, takes 3 times as long in the kernel


def write_bigwig(
    path: Path, contigs: Mapping[str, int], bin_size: int, runs: Runs, sizes: Sizes = SIZES
) -> Summary:
    """Write one track as a bigWig file and return its summary.

    The file is written under a temporary name in the same folder, flushed to disk, and renamed. On
    any exception the temporary file is removed and `path` is left as it was.

    Args:
        path: File to write.
        contigs: Lengths in bp, by name. The file lists all of them, also those without values.
        bin_size: Bases per bin.
        runs: Runs of values without a gap: (contig, number of the first bin, values). Bin n covers
            the bases from n × `bin_size` on, 0-based; the last bin is clipped at the contig's end.
            Runs follow the order of `contigs`, ascend and do not overlap. Values are float32, shape
            (bins,); they are copied, so the array may be used again. Bases without a value have no
            entry.
        sizes: Sizes of blocks and batches; tests use small ones.

    Returns:
        The summary of all values. Sums in zoom records are clipped at the largest float32.

    Raises:
        SeqcovError: If contigs or bin size cannot be stored, or if a run has an unknown contig, is
            out of order, overlaps another, lies beyond its contig, is not a float32 array of one
            dimension or holds a value that is not finite. The message names contig and position.

    Example:
        >>> write_bigwig(Path("a.bw"), {"chr1": 100}, 32, [("chr1", 0, np.ones(4, np.float32))])
        Summary(bases=100, minimum=1.0, maximum=1.0, sum=100.0, sum_squares=100.0)
    """
    _check_arguments(contigs, bin_size)
    return _write_file(path, contigs, bin_size, pack_runs(contigs, bin_size, runs, sizes), sizes)


def join_bigwig(
    path: Path,
    contigs: Mapping[str, int],
    bin_size: int,
    ranges: Iterable[PackedRange],
    sizes: Sizes = SIZES,
) -> Summary:
    """Write a bigWig from ranges that `bigwig.ranges.pack_range` compressed; return its summary.

    Data blocks are copied. The file has the bytes that `write_bigwig` writes for the same values.

    Args:
        path: File to write, as `write_bigwig` does.
        contigs: Lengths in bp, by name, as the ranges were compressed with.
        bin_size: Bases per bin.
        ranges: The ranges in the order of the contigs, neither overlapping nor repeated.
        sizes: Sizes of blocks, as the ranges were compressed with.

    Returns:
        The summary of all values.

    Raises:
        SeqcovError: If ranges overlap or are out of order.
    """
    _check_arguments(contigs, bin_size)
    return _write_file(
        path, contigs, bin_size, join_ranges(contigs, bin_size, ranges, sizes), sizes
    )


def _write_file(
    path: Path,
    contigs: Mapping[str, int],
    bin_size: int,
    batches: Iterable[Packed],
    sizes: Sizes,
) -> Summary:
    """Write a bigWig of compressed data blocks under a temporary name, flush and rename it."""
    with write_atomically(path) as temporary, temporary.open("w+b", _BUFFER) as handle:
        summary = _write(handle, contigs, bin_size, batches, path.parent, sizes)
        handle.flush()
        os.fsync(handle.fileno())
        _check_written(handle, path)
    return summary


def _check_arguments(contigs: Mapping[str, int], bin_size: int) -> None:
    """Raise SeqcovError if the format cannot hold the contigs or the bin size."""
    if not 1 <= bin_size <= 2**24:
        raise SeqcovError(f"bigWig: bin size {bin_size} is not from 1 to {2**24:,} bp")
    check_contigs(contigs)


class _ChecksumWriter:
    """Appends to a file, and knows the checksum of what was appended.

    Attributes:
        crc32c: CRC-32C of these bytes.
    """

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle, self.crc32c = handle, 0
        self.tell = handle.tell

    def write(self, content: bytes) -> int:
        """Append bytes; return their number."""
        self.crc32c = google_crc32c.extend(self.crc32c, content)
        return self._handle.write(content)

    def writelines(self, blocks: Sequence[bytes]) -> None:
        """Append blocks of bytes."""
        self.write(b"".join(blocks))


def _write(
    handle: IO[bytes],
    contigs: Mapping[str, int],
    bin_size: int,
    batches: Iterable[Packed],
    folder: Path,
    sizes: Sizes,
) -> Summary:
    """Write all parts of the file in order, then fill in the header with their offsets."""
    handle.write(bytes(TREE_OFFSET))
    write_contigs(handle, contigs, sizes.fan)
    data_offset = handle.tell()
    handle.write(bytes(SECTION_COUNT.size))
    begin, writer = handle.tell(), _ChecksumWriter(handle)
    body = cast(IO[bytes], writer)
    reductions = [sizes.window * bin_size * 4**level for level in range(LEVELS)]
    zooms: list[tuple[int, int, int, int]] = []
    leaves: list[Rows] = []
    with (
        SpooledTemporaryFile(_SPOOL, dir=str(folder)) as first_spool,
        SpooledTemporaryFile(_SPOOL, dir=str(folder)) as second_spool,
    ):
        spool, next_spool = first_spool, second_spool
        records = _write_data(body, batches, leaves)
        fill_spool(spool, reduce_records(records, reductions[0]))
        summary = summarise_track(spool, sizes.records)
        index_offset = body.tell()
        sections = write_index(body, leaves, sizes.fan)
        for reduction in reductions:
            count = count_records(spool)
            if count < (sizes.least_records if zooms else 1):
                break
            if zooms and reduction > max(contigs.values()):
                break
            leaves, zoom_offset = [], body.tell()
            body.write(RECORD_COUNT.pack(count))
            level = write_zoom(body, spool, leaves, sizes)
            fill_spool(next_spool, reduce_records(level, 4 * reduction))
            spool, next_spool = next_spool, spool
            zooms.append((reduction, 0, zoom_offset, body.tell()))
            write_index(body, leaves, sizes.fan)
    body.write(MAGIC)
    end = handle.tell()
    handle.seek(data_offset)
    handle.write(SECTION_COUNT.pack(sections))
    handle.seek(0)
    total_offset = TREE_OFFSET - TOTAL.size
    offsets = (TREE_OFFSET, data_offset, index_offset, 0, 0, 0, total_offset, BUFFER, 0)
    handle.write(HEADER.pack(MAGIC, 4, len(zooms), *offsets))
    for zoom in zooms:
        handle.write(ZOOM_HEADER.pack(*zoom))
    handle.seek(total_offset)
    handle.write(pack_total(summary))
    handle.seek(0)
    head = google_crc32c.value(handle.read(begin))
    return replace(summary, crc32c=combine_crc32c(head, writer.crc32c, end - begin))


def _write_data(handle: IO[bytes], batches: Iterable[Packed], leaves: list[Rows]) -> Iterator[Rows]:
    """Write data blocks, append their index entries to `leaves`, and yield their zoom records."""
    for batch in batches:
        leaves.append(write_blocks(handle, batch.blocks, batch.sections, batch.sections))
        yield batch.records


def _check_written(handle: IO[bytes], path: Path) -> None:
    """Read both ends of the file; raise SeqcovError if they differ from what was written."""
    handle.seek(0)
    first = handle.read(4)
    handle.seek(-4, os.SEEK_END)
    if first != MAGIC or handle.read(4) != MAGIC:
        raise SeqcovError(f"{path}: the disk returns other bytes than were written")
