"""The layout of a bigWig file: its structures, its header, and the trees that index it.

The format is that of Kent et al. 2010 (its supplement) as UCSC's programs write it. All numbers are
little-endian, and parts follow each other without a gap: header, slots for zoom headers, total
summary, contig tree, count and data blocks, their index; for each zoom level its count, blocks and
index; at the end the magic number again. Coordinates are 0-based half-open, in bp.

Contig ids are not in the order of names. Readers search the contig tree by name, so its keys are
sorted by their bytes. Ids are values in that tree and must only ascend in data and indices. They
follow the order of the given contigs, so that values may come in the order of the FASTA.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import deflate
import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError

Rows = npt.NDArray[np.void]
"""Array of one of the structured types below, shape (rows,)."""

MAGIC = struct.pack("<I", 0x888FFC26)
TREE_MAGIC = 0x78CA8C91
INDEX_MAGIC = 0x2468ACE0
FIXED_STEP = 3
LEVELS = 8
"""Slots for zoom headers, the maximum number of zoom levels."""
BUFFER = 32 * 1024
"""Bytes that hold any block of this writer once it is inflated; readers allocate as much."""
MAX_LENGTH, MAX_NAME = 2**32 - 1, 65_535
"""Largest length of a contig in bp, and of its name in bytes."""

HEADER = struct.Struct("<4sHHQQQHHQQIQ")
ZOOM_HEADER = struct.Struct("<IIQQ")
TOTAL = struct.Struct("<Qdddd")
TREE_HEADER = struct.Struct("<IIIIQQ")
INDEX_HEADER = struct.Struct("<IIQIIIIQII")
NODE_HEADER = struct.Struct("<BBH")
SECTION_COUNT = struct.Struct("<Q")
RECORD_COUNT = struct.Struct("<I")
TREE_OFFSET = HEADER.size + LEVELS * ZOOM_HEADER.size + TOTAL.size
"""Byte at which the contig tree begins."""

_INTERVAL = [("chrom", "<u4"), ("start", "<u4"), ("end", "<u4")]
SECTION = np.dtype(
    [*_INTERVAL, ("step", "<u4"), ("span", "<u4"), ("type", "u1"), ("pad", "u1"), ("count", "<u2")]
)
"""Header of a data block."""
ZOOM = np.dtype(
    [*_INTERVAL, ("valid", "<u4")] + [(name, "<f4") for name in ("min", "max", "sum", "squares")]
)
"""Zoom record as it is stored."""
RECORD = np.dtype(
    [
        *_INTERVAL,
        ("valid", "<i8"),
        ("min", "<f4"),
        ("max", "<f4"),
        ("sum", "<f8"),
        ("squares", "<f8"),
    ]
)
"""Zoom record before its sums are rounded to float32."""
_BOX = [("chrom", "<u4"), ("start", "<u4"), ("end_chrom", "<u4"), ("end", "<u4"), ("offset", "<u8")]
NODE = np.dtype(_BOX)
LEAF = np.dtype([*_BOX, ("size", "<u8")])


@dataclass(frozen=True)
class Sizes:
    """How many items a block, a node or a batch holds.

    Every size but `batch` and `records` changes the bytes of a file.

    Attributes:
        section: Bins of a data block at most; a block does not cross a multiple of it.
        window: Bins of a window of the first zoom level; each further level joins 4 windows of the
            level below. Half as many would make files 10 % larger and slower to write.
        zoom_block: Records of a zoom block.
        least_records: Minimum number of records of every zoom level but the first.
        fan: Maximum number of children of a tree's node.
        batch: Bins in memory at a time, a multiple of `section`.
        records: Zoom records in memory at a time, a multiple of `zoom_block`.
        compression: libdeflate's level, 1 to 12; 0 stores blocks without compression.
    """

    section: int = 2048
    window: int = 64
    zoom_block: int = 1024
    least_records: int = 16
    fan: int = 256
    batch: int = 64 * 1024
    records: int = 8 * 1024
    compression: int = 1


SIZES = Sizes()


@dataclass(frozen=True)
class Summary:
    """Summary of all bases of a track that have a value.

    Attributes:
        bases: Number of bases with a value.
        minimum: Lowest value; 0 without values.
        maximum: Highest value; 0 without values.
        sum: Sum over bases: the value of a bin counts once per base.
        sum_squares: Sum of squares over bases.
        crc32c: CRC-32C of the file that holds them.
    """

    bases: int
    minimum: float
    maximum: float
    sum: float
    sum_squares: float
    crc32c: int = field(default=0, compare=False, repr=False)

    @property
    def mean(self) -> float:
        """Mean over bases with a value; 0 without values."""
        return self.sum / self.bases if self.bases else 0.0


def pack_total(total: Summary) -> bytes:
    """Return the bytes of the total summary."""
    return TOTAL.pack(total.bases, total.minimum, total.maximum, total.sum, total.sum_squares)


def compress(block: bytes, sizes: Sizes) -> bytes:
    """Return a compressed block.

    libdeflate is used because its output is the same in every process; igzip is as fast, but its
    output sometimes differs.
    """
    return bytes(deflate.zlib_compress(block, sizes.compression))


def write_blocks(handle: IO[bytes], blocks: Sequence[bytes], first: Rows, last: Rows) -> Rows:
    """Write compressed blocks; return their index entries.

    Args:
        handle: The file, at the offset of the first block.
        blocks: The compressed blocks.
        first: The first row of each block, with its contig and start.
        last: The last row of each block, with its contig and end.

    Returns:
        Index entries of type `LEAF`, shape (blocks,).
    """
    leaves = np.zeros(len(blocks), LEAF)
    leaves["size"] = [len(block) for block in blocks]
    leaves["offset"] = handle.tell() + np.cumsum(leaves["size"]) - leaves["size"]
    leaves["chrom"], leaves["start"] = first["chrom"], first["start"]
    leaves["end_chrom"], leaves["end"] = last["chrom"], last["end"]
    handle.writelines(blocks)
    return leaves


def build_boxes(items: Rows, fan: int) -> Rows:
    """Return the entries of the index level above `items`, without offsets."""
    first = np.arange(0, len(items), fan)
    last = np.minimum(first + fan, len(items)) - 1
    boxes = np.zeros(len(first), NODE)
    boxes["chrom"], boxes["start"] = items["chrom"][first], items["start"][first]
    boxes["end_chrom"], boxes["end"] = items["end_chrom"][last], items["end"][last]
    return boxes


def select_first_keys(items: Rows, fan: int) -> Rows:
    """Return the entries of the contig tree's level above `items`, without offsets."""
    keys = items["key"][::fan]
    nodes = np.zeros(len(keys), [("key", keys.dtype), ("offset", "<u8")])
    nodes["key"] = keys
    return nodes


def write_tree(
    handle: IO[bytes], leaves: Rows, fan: int, build_level: Callable[[Rows, int], Rows]
) -> None:
    """Write the nodes of a tree, level by level from the root; only a level's last may be partial.

    Args:
        handle: The file, at the offset of the root.
        leaves: Entries of the lowest level.
        fan: Maximum number of entries per node.
        build_level: Function of entries and `fan` that returns the entries of the level above,
            without offsets.
    """
    levels = [leaves]
    while len(levels[0]) > fan:
        levels.insert(0, build_level(levels[0], fan))
    end = handle.tell()
    for depth, items in enumerate(levels, 1):
        nodes = range(0, max(len(items), 1), fan)
        end += len(nodes) * NODE_HEADER.size + items.nbytes
        if depth < len(levels):
            stride = NODE_HEADER.size + fan * levels[depth].itemsize
            items["offset"] = end + np.arange(len(items)) * stride
        for begin in nodes:
            node = items[begin : begin + fan]
            handle.write(NODE_HEADER.pack(depth == len(levels), 0, len(node)) + node.tobytes())


def build_contig_type(key_size: int) -> np.dtype[np.void]:
    """Return the type of a contig's entry if the longest name has `key_size` bytes."""
    return np.dtype([("key", f"S{key_size}"), ("id", "<u4"), ("length", "<u4")])


def check_contigs(contigs: Mapping[str, int]) -> None:
    """Check that a bigWig can hold contigs.

    Args:
        contigs: Lengths in bp, by name.

    Raises:
        SeqcovError: If there is none, or if one has a name or a length that the format cannot hold.
    """
    if not contigs:
        raise SeqcovError("a bigWig needs a contig")
    for name, length in contigs.items():
        if not 0 < len(name.encode()) <= MAX_NAME or "\0" in name:
            raise SeqcovError(f"{name[:80]!r} cannot be a contig's name in a bigWig; rename it")
        if not 0 <= length <= MAX_LENGTH:
            raise SeqcovError(
                f"contig {name!r} has {length:,} bp, but a bigWig holds at most {MAX_LENGTH:,} bp"
                " per contig; split it, or leave it out of the FASTA"
            )


def write_contigs(handle: IO[bytes], contigs: Mapping[str, int], fan: int) -> None:
    """Write the contig tree; ids follow the order of `contigs` (lengths in bp, by name)."""
    keys = [name.encode() for name in contigs]
    leaves = np.zeros(len(keys), build_contig_type(max(map(len, keys))))
    leaves["key"], leaves["id"], leaves["length"] = keys, range(len(keys)), list(contigs.values())
    leaves = leaves[sorted(range(len(keys)), key=keys.__getitem__)]
    fan = min(fan, len(keys))
    key_size = leaves.dtype["key"].itemsize
    handle.write(TREE_HEADER.pack(TREE_MAGIC, fan, key_size, 8, len(keys), 0))
    write_tree(handle, leaves, fan, select_first_keys)


def pack_index_header(leaves: Rows, end_of_data: int, fan: int) -> bytes:
    """Return the header of the index of `leaves`, whose blocks end at byte `end_of_data`."""
    box = build_boxes(leaves, len(leaves)).tolist()[0][:4] if len(leaves) else [0] * 4
    return INDEX_HEADER.pack(INDEX_MAGIC, fan, len(leaves), *box, end_of_data, 1, 0)


def write_index(handle: IO[bytes], leaves: list[Rows], fan: int) -> int:
    """Write the index of the blocks just written; return their number."""
    entries = np.concatenate([np.empty(0, LEAF), *leaves])
    handle.write(pack_index_header(entries, handle.tell(), fan))
    write_tree(handle, entries, fan, build_boxes)
    return len(entries)
