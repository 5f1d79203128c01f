"""Data blocks of a bigWig: runs of values, checked and divided into sections."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from seqcov_models.bigwig.layout import FIXED_STEP, SECTION, Rows, Sizes, write_blocks
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

    Raises:
        SeqcovError: If a run cannot be written; the message names the contig and the position.
    """
    ids = {name: number for number, name in enumerate(contigs)}
    written = (0, 0)  # contig id, and the bin before which no run may begin
    for contig, first, values in runs:
        first, chrom = operator.index(first), ids.get(contig, -1)
        if problem := _find_problem(contigs, contig, chrom, first, values, bin_size, written):
            raise SeqcovError(f"bigWig: {contig}, {_describe_bin(first, bin_size)}: {problem}")
        if not values.size:
            continue
        end = first + values.size
        written = (chrom, end)
        full_bins, clipped = divmod(contigs[contig], bin_size)
        for begin, stop, span in (
            (first, min(end, full_bins), bin_size),
            (max(first, full_bins), end, clipped),
        ):
            for start in range(begin, stop, batch):
                piece = values[start - first : min(start + batch, stop) - first]
                if not (finite := np.isfinite(piece)).all():
                    bad = int(np.argmin(finite))
                    where = f"{contig}, {_describe_bin(start + bad, bin_size)}"
                    raise SeqcovError(f"bigWig: {where}: {piece[bad]} is not a finite value")
                yield chrom, start, span, piece


def _describe_bin(number: int, bin_size: int) -> str:
    """Return where a bin lies, for messages."""
    return f"bin {number:,} (from base {number * bin_size:,}, counted from 0)"


def _find_problem(
    contigs: Mapping[str, int],
    contig: str,
    chrom: int,
    first: int,
    values: npt.NDArray[Any],
    bin_size: int,
    written: tuple[int, int],
) -> str:
    """Return why a run cannot be written, or '' if it can."""
    if chrom < 0:
        return f"unknown contig; the file has {len(contigs):,}, the first {next(iter(contigs))}"
    if values.dtype != np.float32 or values.ndim != 1:
        return f"values are {values.dtype} of shape {values.shape}, not float32 of one dimension"
    if not values.size:
        return ""
    if first < 0:
        return "there is no bin before the contig's start"
    bins = -(-contigs[contig] // bin_size)
    if (end := first + values.size) > bins:
        return f"bins up to {end - 1:,}, but the contig's {contigs[contig]:,} bp have only {bins:,}"
    if chrom < written[0]:
        return f"comes after {list(contigs)[written[0]]}; runs follow the order of the contigs"
    if (chrom, first) < written:
        return f"runs must ascend and not overlap; bins up to {written[1] - 1:,} are written"
    return ""


def build_batches(
    pieces: Iterable[Piece], bin_size: int, sizes: Sizes
) -> Iterator[tuple[Rows, Floats]]:
    """Yield headers of complete sections and all their values.

    A section begins at the first bin after a gap, and after every `sizes.section` bins from there,
    however the pieces are divided. The values are a view that is valid until the next batch.
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
                held = last[3] % sizes.section
                if last[3] > held:
                    stretches.append([*last[:3], last[3] - held])
                yield (
                    build_section_headers(stretches, bin_size, sizes.section),
                    buffer[: filled - held],
                )
                buffer[:held] = buffer[filled - held :]
                stretches = [[chrom, first - held, span, held]] if held else []
                filled = held
    if stretches:
        yield build_section_headers(stretches, bin_size, sizes.section), buffer[:filled]


def split_ranges(length: Ints, lead: Ints, size: int) -> tuple[Ints, Ints, Ints]:
    """Split ranges [0, length) every `size`, counted from `lead` before the start of a range.

    Returns:
        For each piece the number of its range, and its begin and end in that range.
    """
    pieces = (lead + length + size - 1) // size
    source = np.repeat(np.arange(len(length)), pieces)
    number = np.arange(len(source)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = number * size - lead[source]
    return source, np.maximum(begin, 0), np.minimum(begin + size, length[source])


def build_section_headers(stretches: list[list[int]], bin_size: int, size: int) -> Rows:
    """Return the headers of sections of `size` bins that cover `stretches`.

    Args:
        stretches: Contig id, first bin, bases per bin and number of bins of each.
        bin_size: Bases between the starts of neighbouring bins.
        size: Maximum number of bins of a section.
    """
    chrom, first, span, bins = np.array(stretches, np.int64).T
    source, begin, end = split_ranges(bins, np.zeros_like(bins), size)
    sections = np.zeros(len(source), SECTION)
    sections["chrom"] = chrom[source]
    sections["start"] = (first[source] + begin) * bin_size
    sections["end"] = (first[source] + end - 1) * bin_size + span[source]
    sections["step"] = bin_size
    sections["span"] = span[source]
    sections["type"] = FIXED_STEP
    sections["count"] = end - begin
    return sections


def write_sections(
    handle: IO[bytes], batches: Iterable[tuple[Rows, Floats]], leaves: list[Rows]
) -> Iterator[tuple[Rows, Floats]]:
    """Write the data blocks, append their index entries to `leaves`, yield the batches again."""
    for sections, values in batches:
        headers, body = sections.tobytes(), values.tobytes()
        size, ends = SECTION.itemsize, np.cumsum(sections["count"], dtype=np.int64) * 4
        blocks = (
            headers[number * size : (number + 1) * size] + body[begin:end]
            for number, (begin, end) in enumerate(pairwise([0, *ends.tolist()]))
        )
        leaves.append(write_blocks(handle, blocks, sections, sections))
        yield sections, values
