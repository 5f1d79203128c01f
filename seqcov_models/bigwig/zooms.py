"""Zoom levels of a bigWig: summaries of windows, each level from the one below."""

import math
import os
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np

from seqcov_models.bigwig.layout import RECORD, ZOOM, Rows, Sizes, Summary, compress, write_blocks
from seqcov_models.bigwig.sections import Ints


def _merge_records(records: Rows, first: Ints) -> Rows:
    """Return one record per group of `records`; a group begins at each index in `first`."""
    merged = np.empty(len(first), RECORD)
    merged["chrom"] = records["chrom"][first]
    merged["start"] = records["start"][first]
    merged["end"] = records["end"][np.append(first[1:], len(records)) - 1]
    for name in ("valid", "sum", "squares"):
        merged[name] = np.add.reduceat(records[name], first)
    merged["min"] = np.minimum.reduceat(records["min"], first)
    merged["max"] = np.maximum.reduceat(records["max"], first)
    return merged


def reduce_records(chunks: Iterable[Rows], reduction: int) -> Iterator[Rows]:
    """Join ascending records to one per window of `reduction` bp with a value.

    A record reaches from the first to the last base with a value in its window. The last window is
    kept until the end, because it may continue in the next chunk.
    """
    pending = np.empty(0, RECORD)
    for chunk in chunks:
        rows = np.concatenate([pending, chunk])
        chrom, window = rows["chrom"], rows["start"].astype(np.int64) // reduction
        changes = (chrom[1:] != chrom[:-1]) | (window[1:] != window[:-1])
        first = np.append(0, np.flatnonzero(changes) + 1)
        pending = rows[first[-1] :]
        if len(first) > 1:
            yield _merge_records(rows[: first[-1]], first[:-1])
    if len(pending):
        yield _merge_records(pending, np.zeros(1, np.int64))


def fill_spool(spool: IO[bytes], chunks: Iterable[Rows]) -> None:
    """Replace the content of `spool` with the records of all chunks."""
    spool.seek(0)
    spool.truncate()
    for chunk in chunks:
        spool.write(chunk.tobytes())


def count_records(spool: IO[bytes]) -> int:
    """Return the number of records in `spool`."""
    return spool.seek(0, os.SEEK_END) // RECORD.itemsize


def read_spool(spool: IO[bytes], records: int) -> Iterator[Rows]:
    """Yield the content of `spool` in arrays of `records` records; the last may be shorter."""
    spool.seek(0)
    while raw := spool.read(records * RECORD.itemsize):
        yield np.frombuffer(raw, RECORD)


def summarise_track(spool: IO[bytes], records: int) -> Summary:
    """Return the summary of all records in `spool`, read `records` at a time."""
    totals = [_merge_records(chunk, np.zeros(1, np.int64)) for chunk in read_spool(spool, records)]
    if not totals:
        return Summary(0, 0.0, 0.0, 0.0, 0.0)
    joined = np.concatenate(totals)
    extremes = float(joined["min"].min()), float(joined["max"].max())
    sums = math.fsum(joined["sum"]), math.fsum(joined["squares"])
    return Summary(int(joined["valid"].sum()), *extremes, *sums)


def round_records(records: Rows) -> Rows:
    """Return zoom records as they are stored; sums are clipped at the largest float32."""
    rows = np.empty(len(records), ZOOM)
    limit = np.finfo(np.float32).max
    for name in rows.dtype.names or ():
        is_sum = name in ("sum", "squares")
        rows[name] = np.clip(records[name], -limit, limit) if is_sum else records[name]
    return rows


def write_zoom(
    handle: IO[bytes], spool: IO[bytes], leaves: list[Rows], sizes: Sizes
) -> Iterator[Rows]:
    """Write the blocks of a zoom level, append index entries to `leaves`, and yield the records."""
    for records in read_spool(spool, sizes.records):
        rows, size = round_records(records), sizes.zoom_block
        groups = [rows[begin : begin + size] for begin in range(0, len(rows), size)]
        first, last = (np.array([group[end] for group in groups]) for end in (0, -1))
        blocks = [compress(group.tobytes(), sizes) for group in groups]
        leaves.append(write_blocks(handle, blocks, first, last))
        yield records
