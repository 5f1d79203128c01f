"""Data blocks of a bigWig: runs of values, checked and divided into sections."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import deflate
import numpy as np
import numpy.typing as npt

from seqcov_models.bigwig.layout import (
    BUFFER,
    FIXED_STEP,
    RECORD,
    SECTION,
    Rows,
    Sizes,
    compress,
)
from seqcov_models.errors import SeqcovError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Runs = Iterable[tuple[str, int, Floats]]
"""Runs of values without a gap: contig, number of the first bin, values of shape (bins,)."""
Piece = tuple[int, int, int, Floats]
"""Values of neighbouring bins of one width: contig id, first bin, bases per bin, values."""


def check_runs(
    contigs: Mapping[str, int], bin_size: int, runs: Runs, batch: int
) -> Iterator[Piece]:
    """Check the runs and yield them in pieces of at most `batch` bins.

    Args:
        contigs: Lengths in bp, by name, in the order of their ids.
        bin_size: Bases per bin.
        runs: Runs of values; see `write_bigwig`.
        batch: Maximum number of bins of a piece.

    Yields:
        Pieces in ascending order; a bin that is clipped at its contig's end is its own piece.

    Raises:
        SeqcovError: If a run cannot be written; the message names the contig and the position.
    """
    ids = {name: number for number, name in enumerate(contigs)}
    reached = (0, 0)  # contig id, and the bin before which no run may begin
    for contig, first, values in runs:
        first, chrom = operator.index(first), ids.get(contig, -1)
        if problem := _find_problem(contigs, contig, chrom, first, values, bin_size, reached):
            raise SeqcovError(f"bigWig: {contig}, {_describe_bin(first, bin_size)}: {problem}")
        if not values.size:
            continue
        end = first + values.size
        reached = (chrom, end)
        full_bins, clipped = divmod(contigs[contig], bin_size)
        for begin, stop, span in (
            (first, min(end, full_bins), bin_size),
            (max(first, full_bins), end, clipped),
        ):
            for start in range(begin, stop, batch):
                piece = values[start - first : min(start + batch, stop) - first]
                if not (finite := np.isfinite(piece)).all():
                    index = int(np.argmin(finite))
                    location = f"{contig}, {_describe_bin(start + index, bin_size)}"
                    raise SeqcovError(f"bigWig: {location}: {piece[index]} is not a finite value")
                yield chrom, start, span, piece


def _describe_bin(number: int, bin_size: int) -> str:
    """Return number and position of a bin, for messages."""
    return f"bin {number:,} (from base {number * bin_size:,}, counted from 0)"


def _find_problem(
    contigs: Mapping[str, int],
    contig: str,
    chrom: int,
    first: int,
    values: npt.NDArray[Any],
    bin_size: int,
    reached: tuple[int, int],
) -> str:
    """Return why a run cannot be written, or '' if it can."""
    if chrom < 0:
        return f"unknown contig; the file has {len(contigs):,}, the first {next(iter(contigs))}"
    if values.dtype != np.float32 or values.ndim != 1:
        return f"values are {values.dtype} of shape {values.shape}, not float32 of one dimension"
    if not values.size:
        return ""
    if first < 0:
        return "begins before the contig's start"
    bins = -(-contigs[contig] // bin_size)
    if (end := first + values.size) > bins:
        return f"bins up to {end - 1:,}, but the contig's {contigs[contig]:,} bp have only {bins:,}"
    if chrom < reached[0]:
        return f"comes after {list(contigs)[reached[0]]}; runs follow the order of the contigs"
    if (chrom, first) < reached:
        return f"runs must ascend and not overlap; bins up to {reached[1] - 1:,} are written"
    return ""


def build_batches(
    pieces: Iterable[Piece], bin_size: int, sizes: Sizes
) -> Iterator[tuple[Rows, Floats]]:
    """Yield headers of complete sections and all their values.

    A section begins at the first bin after a gap, and at every multiple of `sizes.section` bins
    from the contig's start. It thus depends on the values near it alone, so that ranges of a contig
    can be compressed separately (see `bigwig.ranges`). The division into pieces does not matter.

    Args:
        pieces: Values as `check_runs` yields them.
        bin_size: Bases per bin.
        sizes: Sizes of sections and batches.

    Yields:
        Headers of shape (sections,), and the values of all of them, a view that is valid until the
        next batch.
    """
    buffer, filled = np.empty(sizes.batch, "<f4"), 0
    stretches: list[list[int]] = []  # contig id, first bin, span, bins; adjacent pieces are joined
    for chrom, first, span, piece in pieces:
        while piece.size:
            head = piece[: sizes.batch - filled]
            last = stretches[-1] if stretches else [-1] * 4
            if [last[0], last[1] + last[3], last[2]] == [chrom, first, span]:
                last[3] += head.size
            else:
                stretches.append([chrom, first, span, head.size])
            buffer[filled : filled + head.size] = head
            filled += head.size
            first, piece = first + head.size, piece[head.size :]
            if filled == sizes.batch:
                # The next piece may continue this stretch: hold its last section back if not full.
                last = stretches.pop()
                rest = min(last[3], (last[1] + last[3]) % sizes.section)
                if last[3] > rest:
                    stretches.append([*last[:3], last[3] - rest])
                yield (
                    build_section_headers(stretches, bin_size, sizes.section),
                    buffer[: filled - rest],
                )
                buffer[:rest] = buffer[filled - rest :]
                stretches = [[chrom, first - rest, span, rest]] if rest else []
                filled = rest
    if stretches:
        yield build_section_headers(stretches, bin_size, sizes.section), buffer[:filled]


def split_ranges(length: Ints, lead: Ints, size: int) -> tuple[Ints, Ints, Ints]:
    """Split ranges [0, length) every `size`, counted from `lead` before the start of a range.

    Args:
        length: Length of each range, shape (ranges,).
        lead: Distance from the origin of the pieces to the start of each range, shape (ranges,).
        size: Maximum length of a piece.

    Returns:
        The number of each piece's range, and its begin and end in that range, each of shape
        (pieces,).
    """
    pieces = (lead + length + size - 1) // size
    source = np.repeat(np.arange(len(length)), pieces)
    number = np.arange(len(source)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = number * size - lead[source]
    return source, np.maximum(begin, 0), np.minimum(begin + size, length[source])


def build_section_headers(stretches: list[list[int]], bin_size: int, size: int) -> Rows:
    """Return the headers of sections that cover `stretches`, cut at every multiple of `size` bins.

    Args:
        stretches: Contig id, first bin, bases per bin and number of bins of each.
        bin_size: Bases between the starts of neighbouring bins.
        size: Maximum number of bins of a section.

    Returns:
        Headers of shape (sections,), of type `SECTION`.
    """
    chrom, first, span, bins = np.array(stretches, np.int64).T
    source, begin, end = split_ranges(bins, first % size, size)
    sections = np.zeros(len(source), SECTION)
    sections["chrom"] = chrom[source]
    sections["start"] = (first[source] + begin) * bin_size
    sections["end"] = (first[source] + end - 1) * bin_size + span[source]
    sections["step"] = bin_size
    sections["span"] = span[source]
    sections["type"] = FIXED_STEP
    sections["count"] = end - begin
    return sections


@dataclass(frozen=True)
class Packed:
    """Data blocks as they are in the file, with what indices and zoom levels need.

    Attributes:
        sections: Headers of the blocks, type `SECTION`, shape (blocks,).
        blocks: The compressed blocks, each with its header.
        records: Summaries of windows of the first zoom level, type `RECORD`.
    """

    sections: Rows
    blocks: list[bytes]
    records: Rows


def pack_runs(
    contigs: Mapping[str, int], bin_size: int, runs: Runs, sizes: Sizes
) -> Iterator[Packed]:
    """Check runs of values and yield them as compressed data blocks; see `write_bigwig`."""
    pieces = check_runs(contigs, bin_size, runs, sizes.batch)
    for sections, values in build_batches(pieces, bin_size, sizes):
        headers, body = sections.tobytes(), values.tobytes()
        size, ends = SECTION.itemsize, np.cumsum(sections["count"], dtype=np.int64) * 4
        blocks = [
            compress(headers[number * size : (number + 1) * size] + body[begin:end], sizes)
            for number, (begin, end) in enumerate(pairwise([0, *ends.tolist()]))
        ]
        yield Packed(sections, blocks, summarise_sections(sections, values, bin_size, sizes.window))


def unpack_block(block: bytes) -> tuple[int, int, Floats]:
    """Return the contig id, the first bin and the values of a compressed data block."""
    content = deflate.zlib_decompress(block, BUFFER)
    header = np.frombuffer(content, SECTION, 1)[0]
    first = int(header["start"]) // int(header["step"])
    return int(header["chrom"]), first, np.frombuffer(content, "<f4", offset=SECTION.itemsize)


def summary_intervals(sections: Rows, bin_size: int, window: int) -> tuple[Rows, Ints]:
    """Return the overlaps of sections with windows as zoom records without statistics.

    Args:
        sections: Headers of data blocks, shape (sections,).
        bin_size: Bases per bin.
        window: Bins per window.

    Returns:
        Records of type `RECORD`, ascending, and the index of the first value of each among the
        values of all sections; both of shape (records,).
    """
    start = sections["start"].astype(np.int64)
    count = sections["count"].astype(np.int64)
    source, begin, end = split_ranges(count, start // bin_size % window, window)
    span = sections["span"].astype(np.int64)[source]
    records = np.empty(len(source), RECORD)
    records["chrom"] = sections["chrom"][source]
    records["start"] = start[source] + begin * bin_size
    records["end"] = start[source] + (end - 1) * bin_size + span
    records["valid"] = (end - begin) * span
    return records, (np.cumsum(count) - count)[source] + begin


def summarise_sections(sections: Rows, values: Floats, bin_size: int, window: int) -> Rows:
    """Return a zoom record for each overlap of a section with a window.

    Args:
        sections: Headers of data blocks, shape (sections,).
        values: Values of all sections, shape (bins,).
        bin_size: Bases per bin.
        window: Bins per window.

    Returns:
        Records of type `RECORD`, ascending.
    """
    records, first = summary_intervals(sections, bin_size, window)
    span = records["valid"] // np.diff(first, append=len(values))
    exact = values.astype(np.float64)
    records["min"] = np.minimum.reduceat(values, first)
    records["max"] = np.maximum.reduceat(values, first)
    records["sum"] = np.add.reduceat(exact, first) * span
    exact *= exact
    records["squares"] = np.add.reduceat(exact, first) * span
    return records
