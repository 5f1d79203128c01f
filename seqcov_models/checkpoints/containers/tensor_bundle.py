"""TensorFlow checkpoints, read without TensorFlow.

A checkpoint is an index, `<prefix>.index`, and data, `<prefix>.data-00000-of-00001` and so on. The
index is a LevelDB table: blocks of keys that share prefixes with their predecessor, each block
followed by its compression and checksum, and a footer that points to the block of blocks. Its
values are protocol buffers: where each tensor lies, its type and shape.

Sources: LevelDB `doc/table_format.md`; TensorFlow `tensor_bundle.proto` (BundleEntryProto: dtype 1,
shape 2, shard_id 3, offset 4, size 5, crc32c 6), `types.proto` (1 float, 2 double, 14 bfloat16,
19 half). Checked against files that TensorFlow 2.15 wrote (tests/goldens).
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np

from seqcov_models.checkpoints.arrays import (
    Arrays,
    Bytes,
    as_float32,
    check_finite,
    check_shapes,
)
from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

MAX_INDEX_BYTES = 4 << 20  # Enformer's index has 60 kB
FOOTER_BYTES = 48
DTYPES = {1: "<f4", 2: "<f8", 14: "bfloat16", 19: "<f2"}
WIDTHS = {1: 4, 2: 8, 14: 2, 19: 2}


class _Entry(NamedTuple):
    dtype: int
    shape: Shape
    shard: int
    offset: int
    size: int
    checksum: int


def open_bundle(index: Path) -> Arrays:
    """Read the `.index` file of a checkpoint; each tensor's checksum is verified as it is read.

    Entries of other than floating-point numbers (counters, the object graph) are passed over.
    Raises SeqcovError for a cut or foreign checkpoint.
    """
    try:
        entries = dict(_entries(_read_index(index)))
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise SeqcovError(f"{index}: not a complete TensorFlow checkpoint: {error}") from None
    shards = data_files(index)
    weights = {name: entry for name, entry in entries.items() if entry.dtype in DTYPES}
    shapes = {name: entry.shape for name, entry in weights.items()}
    check_shapes(shapes, *shards)

    def read(names: Sequence[str]) -> dict[str, Array]:
        return {name: _read_tensor(name, weights[name], shards) for name in names}

    return Arrays(shapes, read)


def data_files(index: Path) -> list[Path]:
    """Return the data files of an index. Raises SeqcovError if one is missing."""
    stem = index.name.removesuffix(".index")
    files = sorted(index.parent.glob(f"{stem.replace('[', '[[]')}.data-*-of-*"))
    files = [file for file in files if file.is_file()]
    counts = {file.name.rpartition("-of-")[2] for file in files}
    if len(counts) != 1 or not counts.copy().pop().isdecimal() or int(counts.pop()) != len(files):
        present = ", ".join(file.name for file in files) or "none"
        raise SeqcovError(f"{index}: its data files {stem}.data-… are not all there: {present}")
    return files


def _read_tensor(name: str, entry: _Entry, shards: Sequence[Path]) -> Array:
    if not 0 <= entry.shard < len(shards):
        raise SeqcovError(f"{name} is in data file {entry.shard}, which is missing")
    path = shards[entry.shard]
    if entry.size != WIDTHS[entry.dtype] * math.prod(entry.shape):
        raise SeqcovError(f"{path}: {name}: {entry.size} bytes for a shape of {entry.shape}")
    if entry.offset + entry.size > path.stat().st_size:
        raise SeqcovError(f"{path}: cut before the end of {name}")
    raw: Bytes = np.fromfile(path, np.uint8, entry.size, offset=entry.offset)
    if masked_crc32c(raw.tobytes()) != entry.checksum:
        raise SeqcovError(
            f"{path}: the checksum of {name} is wrong: the file is damaged; fetch it again"
        )
    if DTYPES[entry.dtype] == "bfloat16":
        values: Array = (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = as_float32(raw.view(DTYPES[entry.dtype]))
    return check_finite(name, values.reshape(entry.shape), path)


# LevelDB tables


def _read_index(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise SeqcovError(f"{path}: too large for the index of a checkpoint")
        return path.read_bytes()
    except OSError as error:
        raise SeqcovError(f"{path}: {error.strerror}") from None


def _entries(table: bytes) -> Iterator[tuple[str, _Entry]]:
    if len(table) < FOOTER_BYTES:
        raise ValueError("too short")
    position = len(table) - FOOTER_BYTES
    _, position = _varint(table, position)  # the block of meta blocks: its offset and size
    _, position = _varint(table, position)
    offset, position = _varint(table, position)
    size, position = _varint(table, position)
    left = len(table)
    for _, handle in _block(table, offset, size):
        start, after = _varint(handle, 0)
        length, _ = _varint(handle, after)
        left -= length
        if left < 0:
            raise ValueError("blocks overlap")
        for key, value in _block(table, start, length):
            if key:  # the empty key is the header
                yield key.decode(), _entry(value)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block, its checksum verified."""
    block = table[offset : offset + size]
    trailer = table[offset + size : offset + size + 5]
    if len(block) != size or len(trailer) != 5 or size < 4:
        raise ValueError("a block is cut")
    if trailer[0] != 0:
        raise ValueError("a block is compressed, which TensorFlow's checkpoints are not")
    if masked_crc32c(block + trailer[:1]) != int.from_bytes(trailer[1:], "little"):
        raise ValueError("a block's checksum is wrong")
    restarts = int.from_bytes(block[-4:], "little")
    end, position, key = size - 4 - 4 * restarts, 0, b""
    if end < 0:
        raise ValueError("a block is too short")
    while position < end:
        shared, position = _varint(block, position)
        rest, position = _varint(block, position)
        length, position = _varint(block, position)
        if shared > len(key) or position + rest + length > end:
            raise ValueError("an entry reaches beyond its block")
        if shared + rest > 1_000:
            raise ValueError("a key is too long")
        key = key[:shared] + block[position : position + rest]
        yield key, block[position + rest : position + rest + length]
        position += rest + length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than 64 bits")


def masked_crc32c(data: bytes) -> int:
    """Return LevelDB's checksum: CRC-32C, rotated by 15 bits, plus a constant."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


# Protocol buffers


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message by number: whole numbers, or the bytes of what is longer."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(message, position)
            yield number, value
        else:
            if wire == 2:
                length, position = _varint(message, position)
            else:
                length = {1: 8, 5: 4}[wire]
            if position + length > len(message):
                raise ValueError("a field reaches beyond its message")
            yield number, message[position : position + length]
            position += length


def _entry(message: bytes) -> _Entry:
    values: dict[int, int] = {}
    shape: list[int] = []
    for number, value in _fields(message):
        if number == 2 and isinstance(value, bytes):
            for field, dimension in _fields(value):
                if field == 2 and isinstance(dimension, bytes):
                    sizes = [size for field, size in _fields(dimension) if field == 1]
                    shape.append(sizes[0] if sizes and isinstance(sizes[0], int) else 0)
            if len(shape) > 8:
                raise ValueError("a tensor has too many axes")
        else:
            values[number] = value if isinstance(value, int) else int.from_bytes(value, "little")
    return _Entry(values.get(1, 0), tuple(shape), *(values.get(field, 0) for field in (3, 4, 5, 6)))
