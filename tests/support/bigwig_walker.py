"""Read a bigWig of this package's writer byte by byte, and check each against the others."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from seqcov_models.bigwig import layout, zooms
from seqcov_models.bigwig.layout import Rows, Sizes, Summary
from seqcov_models.bigwig.sections import Floats, summarise_sections
from seqcov_models.errors import SeqcovError


@dataclass(frozen=True)
class Walk:
    """The content of a bigWig file.

    Attributes:
        contigs: Lengths in bp by name, in the order of their ids.
        intervals: Starts and ends (``uint32``) and values (``float32``) of the bins by contig, each
            of shape (bins with a value,).
        reductions: Window of each zoom level in bp.
        summary: The total summary.
        blocks: First byte, end and inflated content of each block, in the order of the file.
    """

    contigs: dict[str, int]
    intervals: dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Floats]]
    reductions: list[int]
    summary: Summary
    blocks: list[tuple[int, int, bytes]]


def walk(path: Path, sizes: Sizes = layout.SIZES) -> Walk:
    """Read and check every byte of a file that `write_bigwig` wrote.

    Everything that follows from other bytes of the file is computed again and compared: offsets
    and sizes, index boxes, zoom records and the total summary. Only the names and lengths of the
    contigs do not follow from other bytes. A changed bit of a compressed block is not damage if
    the inflated content is the same.

    Raises:
        SeqcovError: For the first error; also for sound files of other writers, whose layout
            differs.
    """
    try:
        cursor = Cursor(path, path.read_bytes())
    except OSError as error:
        raise SeqcovError(f"{path}: {error.strerror}") from None
    magic, version, levels, *places = cursor.unpack(layout.HEADER, "header")
    cursor.expect("magic number", magic, layout.MAGIC)
    cursor.expect("version", version, 4)
    if levels > layout.LEVELS:
        raise cursor.error(f"{levels} zoom levels, at most {layout.LEVELS} were expected")
    data_offset, index_offset = places[1:3]
    expected = [
        layout.TREE_OFFSET,
        data_offset,
        index_offset,
        0,
        0,
        0,
        layout.TREE_OFFSET - layout.TOTAL.size,
        layout.BUFFER,
        0,
    ]
    cursor.expect("fields of the header", places, expected)
    slots = [cursor.unpack(layout.ZOOM_HEADER, "zoom headers") for _ in range(layout.LEVELS)]
    zoom_headers, unused = slots[:levels], slots[levels:]
    cursor.expect("unused zoom headers", unused, [(0, 0, 0, 0)] * len(unused))
    reductions = [int(zoom[0]) for zoom in zoom_headers]
    bin_size = reductions[0] // sizes.window if reductions else 1
    expected = [sizes.window * bin_size * 4**level for level in range(levels)]
    cursor.expect("zoom reductions", reductions, expected)
    if bin_size < 1:
        raise cursor.error("a zoom level of no width")
    total = cursor.take(layout.TOTAL.size, "total summary")
    contigs = _walk_contigs(cursor, sizes)
    cursor.expect("place of the data", data_offset, cursor.offset)
    (count,) = cursor.unpack(layout.SECTION_COUNT, "data count")
    leaves, end = _walk_index(cursor, index_offset, "data index", sizes)
    cursor.expect("data count", count, len(leaves))
    sections: list[tuple[Rows, Floats]] = []
    records = _walk_sections(cursor, leaves, contigs, bin_size, sections, sizes)
    spool, next_spool = BytesIO(), BytesIO()
    zooms.fill_spool(spool, zooms.reduce_records(records, sizes.window * bin_size))
    cursor.expect("end of the data", cursor.offset, index_offset)
    cursor.offset = end
    summary = zooms.summarise_track(spool, sizes.records)
    if total != layout.pack_total(summary):
        raise cursor.error(
            f"total summary: {layout.TOTAL.unpack(total)}, but the values give {summary}"
        )
    if summary.bases and not zoom_headers:
        raise cursor.error("values, but no zoom level")
    for reduction, reserved, zoom_offset, zoom_index_offset in zoom_headers:
        label = f"zoom level of {reduction:,} bp"
        cursor.expect(f"header of the {label}", (reserved, zoom_offset), (0, cursor.offset))
        count = cursor.unpack(layout.RECORD_COUNT, label)
        cursor.expect(f"records of the {label}", count, (zooms.count_records(spool),))
        leaves, end = _walk_index(cursor, zoom_index_offset, f"index of the {label}", sizes)
        joined = zooms.reduce_records(
            _walk_zoom(cursor, leaves, spool, label, sizes), 4 * reduction
        )
        zooms.fill_spool(next_spool, joined)
        spool, next_spool = next_spool, spool
        cursor.expect(f"end of the {label}", cursor.offset, zoom_index_offset)
        cursor.offset = end
    cursor.expect(
        "magic number at the end", cursor.take(4, "magic number at the end"), layout.MAGIC
    )
    cursor.expect("end of the file", cursor.offset, len(cursor.data))
    return Walk(
        contigs, _intervals(sections, contigs, bin_size), reductions, summary, cursor.blocks
    )


class Cursor:
    """A position in the bytes of a file, which are read from front to back."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.offset = path, data, 0
        self.blocks: list[tuple[int, int, bytes]] = []  # first byte, end, content inflated

    def error(self, label: str) -> SeqcovError:
        return SeqcovError(f"{self.path}: {label}")

    def expect(self, label: str, actual: object, expected: object) -> None:
        if actual != expected:
            raise self.error(f"{label}: found {actual!r}, expected {expected!r}")

    def take(self, size: int, label: str) -> bytes:
        begin, self.offset = self.offset, self.offset + size
        if self.offset > len(self.data):
            size_of_file = f"the file's {len(self.data):,} bytes"
            raise self.error(
                f"{label}: bytes {begin:,} to {self.offset:,} are beyond {size_of_file}"
            )
        return self.data[begin : self.offset]

    def unpack(self, layout: struct.Struct, label: str) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size, label))

    def inflate(self, leaf: np.void, label: str) -> bytes:
        """Return the content of the next block, which `leaf` must describe."""
        self.expect(f"{label}: place of the next block", int(leaf["offset"]), self.offset)
        label, begin = f"{label}: block at byte {self.offset:,}", self.offset
        stream = zlib.decompressobj()
        try:
            block = stream.decompress(self.take(int(leaf["size"]), label), layout.BUFFER + 1)
        except zlib.error as error:
            raise self.error(f"{label}: {error}") from None
        if not stream.eof or stream.unused_data or len(block) > layout.BUFFER:
            raise self.error(f"{label}: does not end where it should")
        self.blocks.append((begin, self.offset, block))
        return block

    def expect_box(self, label: str, leaf: np.void, first: np.void, last: np.void) -> None:
        box = [int(leaf[name]) for name in ("chrom", "start", "end_chrom", "end")]
        ends = [int(first["chrom"]), int(first["start"]), int(last["chrom"]), int(last["end"])]
        self.expect(f"{label}: box of the block at byte {int(leaf['offset']):,}", box, ends)


def _walk_tree(
    cursor: Cursor,
    leaf_type: np.dtype[np.void],
    node_type: np.dtype[np.void],
    fan: int,
    build_level: Callable[[Rows, int], Rows],
    label: str,
) -> Rows:
    """Read a tree as `write_tree` lays it out; return its leaf entries."""
    offsets, upper, leaf = [cursor.offset], None, 0
    while not leaf:
        nodes: list[Rows] = []
        for offset in offsets:
            cursor.expect(f"{label}: place of the next node", offset, cursor.offset)
            kind, reserved, count = cursor.unpack(layout.NODE_HEADER, label)
            leaf = leaf if nodes else kind
            full = len(nodes) < len(offsets) - 1
            if kind != leaf or kind > 1 or reserved or count > fan or (full and count < fan):
                raise cursor.error(f"{label}: bad header of the node at byte {offset:,}")
            if not count and (upper is not None or not leaf):
                raise cursor.error(f"{label}: the node at byte {offset:,} is empty")
            dtype = leaf_type if leaf else node_type
            nodes.append(np.frombuffer(cursor.take(count * dtype.itemsize, label), dtype))
        items = np.concatenate(nodes)
        if upper is not None:
            expected = build_level(items, fan)
            expected["offset"] = upper["offset"]
            if expected.tobytes() != upper.tobytes():
                raise cursor.error(f"{label}: an entry does not fit the level below")
        upper, offsets = items, [] if leaf else items["offset"].tolist()
    return items


def _walk_contigs(cursor: Cursor, sizes: Sizes) -> dict[str, int]:
    magic, fan, key_size, value_size, count, reserved = cursor.unpack(
        layout.TREE_HEADER, "contig tree"
    )
    cursor.expect("magic number of the contig tree", magic, layout.TREE_MAGIC)
    cursor.expect("nodes of the contig tree", fan, min(sizes.fan, count))
    cursor.expect("values of the contig tree", (value_size, reserved), (8, 0))
    if not 0 < key_size <= layout.MAX_NAME:
        raise cursor.error(f"contig tree: keys of {key_size:,} bytes")
    leaf_type = layout.build_contig_type(key_size)
    node_type = layout.select_first_keys(np.empty(0, leaf_type), 1).dtype
    leaves = _walk_tree(cursor, leaf_type, node_type, fan, layout.select_first_keys, "contig tree")
    cursor.expect("entries of the contig tree", len(leaves), count)
    keys: list[bytes] = leaves["key"].tolist()
    cursor.expect("longest name of the contig tree", max(map(len, keys), default=0), key_size)
    if sorted(leaves["id"].tolist()) != list(range(count)):
        raise cursor.error("contig tree: ids are not the numbers from 0 on")
    if any(b"\0" in key for key in keys) or any(
        name >= next_name for name, next_name in pairwise(keys)
    ):
        raise cursor.error("contig tree: names are not in order")
    try:
        return {keys[row].decode(): int(leaves["length"][row]) for row in np.argsort(leaves["id"])}
    except UnicodeDecodeError:
        raise cursor.error("contig tree: a name is not text") from None


def _walk_index(cursor: Cursor, offset: int, label: str, sizes: Sizes) -> tuple[Rows, int]:
    """Read the index at byte `offset` and return its entries and end; `cursor` does not move."""
    saved, cursor.offset = cursor.offset, offset
    header = cursor.unpack(layout.INDEX_HEADER, label)
    cursor.expect(f"magic number of the {label}", header[0], layout.INDEX_MAGIC)
    leaves = _walk_tree(cursor, layout.LEAF, layout.NODE, sizes.fan, layout.build_boxes, label)
    cursor.expect(
        f"header of the {label}",
        header,
        layout.INDEX_HEADER.unpack(layout.pack_index_header(leaves, offset, sizes.fan)),
    )
    end, cursor.offset = cursor.offset, saved
    return leaves, end


def _walk_sections(
    cursor: Cursor,
    leaves: Rows,
    contigs: dict[str, int],
    bin_size: int,
    sections: list[tuple[Rows, Floats]],
    sizes: Sizes,
) -> Iterator[Rows]:
    """Check the data blocks, append headers and values to `sections`, yield their zoom records."""
    lengths, reached = list(contigs.values()), (0, 0)
    for first in range(0, len(leaves), sizes.fan):
        headers, bodies = [], []
        for leaf in leaves[first : first + sizes.fan]:
            label = f"data block at byte {cursor.offset:,}"
            block = cursor.inflate(leaf, "data")
            if len(block) < layout.SECTION.itemsize:
                raise cursor.error(f"{label}: is shorter than a header")
            section = np.frombuffer(block, layout.SECTION, 1)[0]
            chrom, start, end, step, span, kind, pad, count = section.tolist()
            cursor.expect(f"{label}: step, type, padding", [step, kind, pad], [bin_size, 3, 0])
            cursor.expect(f"{label}: bytes", len(block), layout.SECTION.itemsize + 4 * count)
            if chrom >= len(lengths) or end > lengths[chrom]:
                raise cursor.error(f"{label}: beyond the contigs' ends")
            clipped = count == 1 and 0 < span < step and end == lengths[chrom]
            if (
                not 0 < count <= sizes.section
                or start % step
                or end != start + (count - 1) * step + span
                or not (span == step or clipped)
            ):
                raise cursor.error(f"{label}: its header contradicts itself")
            if (chrom, start) < reached:
                raise cursor.error(f"{label}: overlaps the one before or is out of order")
            if start // step % sizes.section + count > sizes.section:
                raise cursor.error(f"{label}: crosses a multiple of {sizes.section} bins")
            reached = (chrom, end)
            cursor.expect_box("data index", leaf, section, section)
            values = np.frombuffer(block, "<f4", offset=layout.SECTION.itemsize)
            if not np.isfinite(values).all():
                raise cursor.error(f"{label}: holds a value that is not finite")
            headers.append(section)
            bodies.append(values)
        sections.append((np.array(headers, layout.SECTION), np.concatenate(bodies)))
        yield summarise_sections(*sections[-1], bin_size, sizes.window)


def _walk_zoom(
    cursor: Cursor, leaves: Rows, spool: IO[bytes], label: str, sizes: Sizes
) -> Iterator[Rows]:
    """Compare a zoom level's blocks with the records that follow from the values; yield these."""
    index = 0
    for records in zooms.read_spool(spool, sizes.records):
        for begin in range(0, len(records), sizes.zoom_block):
            expected = zooms.round_records(records[begin : begin + sizes.zoom_block])
            if index == len(leaves):
                raise cursor.error(f"{label}: its index has only {index:,} blocks")
            block = cursor.inflate(leaves[index], label)
            cursor.expect(f"{label}: bytes of a block", len(block), expected.nbytes)
            if block != expected.tobytes():
                pairs = zip(np.frombuffer(block, layout.ZOOM), expected, strict=True)
                row, expected_row = next(
                    pair for pair in pairs if pair[0].tobytes() != pair[1].tobytes()
                )
                fields = ", ".join(layout.ZOOM.names or ())
                raise cursor.error(
                    f"{label}: found {row}, the values give {expected_row} ({fields})"
                )
            cursor.expect_box(f"index of the {label}", leaves[index], expected[0], expected[-1])
            index += 1
        yield records
    cursor.expect(f"{label}: blocks in its index", len(leaves), index)


def _intervals(
    pieces: list[tuple[Rows, Floats]], contigs: dict[str, int], bin_size: int
) -> dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Floats]]:
    sections = np.concatenate([np.empty(0, layout.SECTION), *(rows for rows, _ in pieces)])
    values = np.concatenate([np.empty(0, np.float32), *(values for _, values in pieces)])
    count = sections["count"].astype(np.int64)
    section_ends = np.cumsum(count)
    steps = np.arange(len(values)) - np.repeat(section_ends - count, count)
    starts = np.repeat(sections["start"], count) + (steps * bin_size).astype(np.uint32)
    ends = starts + np.repeat(sections["span"], count)
    first_sections = np.searchsorted(sections["chrom"], np.arange(len(contigs) + 1))
    edges = np.append(0, section_ends)[first_sections]
    return {
        name: (starts[begin:end], ends[begin:end], values[begin:end])
        for name, begin, end in zip(contigs, edges[:-1], edges[1:], strict=True)
    }
