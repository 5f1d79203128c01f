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
from seqcov_models.bigwig.sections import Floats
from seqcov_models.errors import SeqcovError


@dataclass(frozen=True)
class Walk:
    """What `walk` found in a file.

    contigs: name to length in bp, in the order of their ids. intervals: for every contig the starts
    and ends (``uint32``) and values (``float32``) of its bins, each of shape (bins with a value,).
    reductions: bp of a window, per zoom level. blocks: first byte, end and inflated content of each
    compressed block, in the order of the file.
    """

    contigs: dict[str, int]
    intervals: dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Floats]]
    reductions: list[int]
    summary: Summary
    blocks: list[tuple[int, int, bytes]]


def walk(path: Path, sizes: Sizes = layout.SIZES) -> Walk:
    """Read every byte of a file that `write_bigwig` wrote, and judge each.

    Everything that follows from something else in the file is computed anew and compared: places
    and sizes, index boxes, zoom records and the total summary from the values. What nothing else in
    the file tells are names and lengths of the contigs: compare them with the genome's. Bits of a
    compressed block that can change and leave its content the same are no damage.
    Raises SeqcovError that names the first thing wrong, also for sound files of other writers,
    whose layout differs.
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
    data_at, index_at = places[1:3]
    wanted = [
        layout.TREE_OFFSET,
        data_at,
        index_at,
        0,
        0,
        0,
        layout.TREE_OFFSET - layout.TOTAL.size,
        layout.BUFFER,
        0,
    ]
    cursor.expect("fields of the header", places, wanted)
    slots = [cursor.unpack(layout.ZOOM_HEADER, "zoom headers") for _ in range(layout.LEVELS)]
    zoom_headers, unused = slots[:levels], slots[levels:]
    cursor.expect("unused zoom headers", unused, [(0, 0, 0, 0)] * len(unused))
    reductions = [int(zoom[0]) for zoom in zoom_headers]
    bin_size = reductions[0] // sizes.window if reductions else 1
    wanted = [sizes.window * bin_size * 4**level for level in range(levels)]
    cursor.expect("zoom reductions", reductions, wanted)
    if bin_size < 1:
        raise cursor.error("a zoom level of no width")
    total = cursor.take(layout.TOTAL.size, "total summary")
    contigs = _walk_contigs(cursor, sizes)
    cursor.expect("place of the data", data_at, cursor.at)
    (count,) = cursor.unpack(layout.SECTION_COUNT, "data count")
    leaves, end = _walk_index(cursor, index_at, "data index", sizes)
    cursor.expect("data count", count, len(leaves))
    found: list[tuple[Rows, Floats]] = []
    records = _walk_sections(cursor, leaves, contigs, bin_size, found, sizes)
    spool, other = BytesIO(), BytesIO()
    zooms.fill_spool(spool, zooms.reduce_records(records, sizes.window * bin_size))
    cursor.expect("end of the data", cursor.at, index_at)
    cursor.at = end
    summary = zooms.summarise_track(spool, sizes.records)
    if total != layout.pack_total(summary):
        raise cursor.error(
            f"total summary: {layout.TOTAL.unpack(total)}, but the values give {summary}"
        )
    if summary.bases and not zoom_headers:
        raise cursor.error("values, but no zoom level")
    for reduction, reserved, zoom_at, zoom_index_at in zoom_headers:
        what = f"zoom level of {reduction:,} bp"
        cursor.expect(f"header of the {what}", (reserved, zoom_at), (0, cursor.at))
        count = cursor.unpack(layout.RECORD_COUNT, what)
        cursor.expect(f"records of the {what}", count, (zooms.count_records(spool),))
        leaves, end = _walk_index(cursor, zoom_index_at, f"index of the {what}", sizes)
        joined = zooms.reduce_records(_walk_zoom(cursor, leaves, spool, what, sizes), 4 * reduction)
        zooms.fill_spool(other, joined)
        spool, other = other, spool
        cursor.expect(f"end of the {what}", cursor.at, zoom_index_at)
        cursor.at = end
    cursor.expect(
        "magic number at the end", cursor.take(4, "magic number at the end"), layout.MAGIC
    )
    cursor.expect("end of the file", cursor.at, len(cursor.data))
    return Walk(contigs, _intervals(found, contigs, bin_size), reductions, summary, cursor.blocks)


class Cursor:
    """Reads a file's bytes from front to back; each error names the file."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at = path, data, 0
        self.blocks: list[tuple[int, int, bytes]] = []  # first byte, end, content inflated

    def error(self, what: str) -> SeqcovError:
        return SeqcovError(f"{self.path}: {what}")

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            raise self.error(f"{what}: found {found!r}, expected {wanted!r}")

    def take(self, size: int, what: str) -> bytes:
        begin, self.at = self.at, self.at + size
        if self.at > len(self.data):
            size_of_file = f"the file's {len(self.data):,} bytes"
            raise self.error(f"{what}: bytes {begin:,} to {self.at:,} are beyond {size_of_file}")
        return self.data[begin : self.at]

    def unpack(self, layout: struct.Struct, what: str) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size, what))

    def inflate(self, leaf: np.void, what: str) -> bytes:
        """The block that `leaf` stands for, which must come next."""
        self.expect(f"{what}: place of the next block", int(leaf["offset"]), self.at)
        what, begin = f"{what}: block at byte {self.at:,}", self.at
        stream = zlib.decompressobj()
        try:
            block = stream.decompress(self.take(int(leaf["size"]), what), layout.BUFFER + 1)
        except zlib.error as error:
            raise self.error(f"{what}: {error}") from None
        if not stream.eof or stream.unused_data or len(block) > layout.BUFFER:
            raise self.error(f"{what}: does not end where it should")
        self.blocks.append((begin, self.at, block))
        return block

    def expect_box(self, what: str, leaf: np.void, first: np.void, last: np.void) -> None:
        box = [int(leaf[name]) for name in ("chrom", "start", "end_chrom", "end")]
        ends = [int(first["chrom"]), int(first["start"]), int(last["chrom"]), int(last["end"])]
        self.expect(f"{what}: box of the block at byte {int(leaf['offset']):,}", box, ends)


def _walk_tree(
    cursor: Cursor,
    leaf_type: np.dtype[np.void],
    node_type: np.dtype[np.void],
    fan: int,
    above: Callable[[Rows, int], Rows],
    what: str,
) -> Rows:
    """The leaf entries of a tree as `_write_tree` lays it out."""
    offsets, upper, leaf = [cursor.at], None, 0
    while not leaf:
        nodes: list[Rows] = []
        for offset in offsets:
            cursor.expect(f"{what}: place of the next node", offset, cursor.at)
            kind, reserved, count = cursor.unpack(layout.NODE_HEADER, what)
            leaf = leaf if nodes else kind
            full = len(nodes) < len(offsets) - 1
            if kind != leaf or kind > 1 or reserved or count > fan or (full and count < fan):
                raise cursor.error(f"{what}: bad header of the node at byte {offset:,}")
            if not count and (upper is not None or not leaf):
                raise cursor.error(f"{what}: nothing in the node at byte {offset:,}")
            dtype = leaf_type if leaf else node_type
            nodes.append(np.frombuffer(cursor.take(count * dtype.itemsize, what), dtype))
        items = np.concatenate(nodes)
        if upper is not None:
            wanted = above(items, fan)
            wanted["offset"] = upper["offset"]
            if wanted.tobytes() != upper.tobytes():
                raise cursor.error(f"{what}: an entry does not fit what is below it")
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
    if any(b"\0" in key for key in keys) or any(one >= next for one, next in pairwise(keys)):
        raise cursor.error("contig tree: names are not in order")
    try:
        return {keys[at].decode(): int(leaves["length"][at]) for at in np.argsort(leaves["id"])}
    except UnicodeDecodeError:
        raise cursor.error("contig tree: a name is not text") from None


def _walk_index(cursor: Cursor, at: int, what: str, sizes: Sizes) -> tuple[Rows, int]:
    """The entries of the index at byte `at` and where it ends; `cursor` stays where it is."""
    behind, cursor.at = cursor.at, at
    header = cursor.unpack(layout.INDEX_HEADER, what)
    cursor.expect(f"magic number of the {what}", header[0], layout.INDEX_MAGIC)
    leaves = _walk_tree(cursor, layout.LEAF, layout.NODE, sizes.fan, layout.build_boxes, what)
    cursor.expect(
        f"header of the {what}",
        header,
        layout.INDEX_HEADER.unpack(layout.pack_index_header(leaves, at, sizes.fan)),
    )
    end, cursor.at = cursor.at, behind
    return leaves, end


def _walk_sections(
    cursor: Cursor,
    leaves: Rows,
    contigs: dict[str, int],
    bin_size: int,
    found: list[tuple[Rows, Floats]],
    sizes: Sizes,
) -> Iterator[Rows]:
    """Check the data blocks, put headers and values in `found`, and pass on their zoom records."""
    lengths, reached = list(contigs.values()), (0, 0)
    for at in range(0, len(leaves), sizes.fan):
        headers, bodies = [], []
        for leaf in leaves[at : at + sizes.fan]:
            what = f"data block at byte {cursor.at:,}"
            block = cursor.inflate(leaf, "data")
            if len(block) < layout.SECTION.itemsize:
                raise cursor.error(f"{what}: has no header")
            section = np.frombuffer(block, layout.SECTION, 1)[0]
            chrom, start, end, step, span, kind, pad, count = section.tolist()
            cursor.expect(f"{what}: step, type, padding", [step, kind, pad], [bin_size, 3, 0])
            cursor.expect(f"{what}: bytes", len(block), layout.SECTION.itemsize + 4 * count)
            if chrom >= len(lengths) or end > lengths[chrom]:
                raise cursor.error(f"{what}: beyond the contigs' ends")
            clipped = count == 1 and 0 < span < step and end == lengths[chrom]
            if (
                not 0 < count <= sizes.section
                or start % step
                or end != start + (count - 1) * step + span
                or not (span == step or clipped)
            ):
                raise cursor.error(f"{what}: its header contradicts itself")
            if (chrom, start) < reached:
                raise cursor.error(f"{what}: overlaps the one before or is out of order")
            reached = (chrom, end)
            cursor.expect_box("data index", leaf, section, section)
            values = np.frombuffer(block, "<f4", offset=layout.SECTION.itemsize)
            if not np.isfinite(values).all():
                raise cursor.error(f"{what}: holds a value that is not finite")
            headers.append(section)
            bodies.append(values)
        found.append((np.array(headers, layout.SECTION), np.concatenate(bodies)))
        yield zooms.summarise_sections(*found[-1], bin_size, sizes.window)


def _walk_zoom(
    cursor: Cursor, leaves: Rows, spool: IO[bytes], what: str, sizes: Sizes
) -> Iterator[Rows]:
    """Compare a zoom level's blocks with the records that the values give; pass these on."""
    at = 0
    for records in zooms.read_spool(spool, sizes.records):
        for begin in range(0, len(records), sizes.zoom_block):
            wanted = zooms.round_records(records[begin : begin + sizes.zoom_block])
            if at == len(leaves):
                raise cursor.error(f"{what}: its index has only {at:,} blocks")
            block = cursor.inflate(leaves[at], what)
            cursor.expect(f"{what}: bytes of a block", len(block), wanted.nbytes)
            if block != wanted.tobytes():
                pairs = zip(np.frombuffer(block, layout.ZOOM), wanted, strict=True)
                row, right = next(pair for pair in pairs if pair[0].tobytes() != pair[1].tobytes())
                fields = ", ".join(layout.ZOOM.names or ())
                raise cursor.error(f"{what}: found {row}, the values give {right} ({fields})")
            cursor.expect_box(f"index of the {what}", leaves[at], wanted[0], wanted[-1])
            at += 1
        yield records
    cursor.expect(f"{what}: blocks in its index", len(leaves), at)


def _intervals(
    found: list[tuple[Rows, Floats]], contigs: dict[str, int], bin_size: int
) -> dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Floats]]:
    sections = np.concatenate([np.empty(0, layout.SECTION), *(rows for rows, _ in found)])
    values = np.concatenate([np.empty(0, np.float32), *(values for _, values in found)])
    count = sections["count"].astype(np.int64)
    ends_at = np.cumsum(count)
    steps = np.arange(len(values)) - np.repeat(ends_at - count, count)
    starts = np.repeat(sections["start"], count) + (steps * bin_size).astype(np.uint32)
    ends = starts + np.repeat(sections["span"], count)
    of_contig = np.searchsorted(sections["chrom"], np.arange(len(contigs) + 1))
    edges = np.append(0, ends_at)[of_contig]
    return {
        name: (starts[begin:end], ends[begin:end], values[begin:end])
        for name, begin, end in zip(contigs, edges[:-1], edges[1:], strict=True)
    }
