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

from seqcov_models.checkpoints.arrays import Arrays, check_shapes
from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

MAX_INDEX_BYTES = 4 << 20  # Enformer's index has 60 kB
FOOTER_BYTES = 48
DTYPES = {1: ("float32", 4), 2: ("float64", 8), 14: ("bfloat16", 2), 19: ("float16", 2)}
"""Names of torch's dtypes, and bytes of a number, by TensorFlow's numbers."""


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
    if index.stat().st_size > MAX_INDEX_BYTES:
        raise SeqcovError(f"{index}: too large for the index of a checkpoint")
    try:
        entries = dict(_entries(index.read_bytes()))
    except (ValueError, IndexError, KeyError, OverflowError):
        raise SeqcovError(
            f"{index}: not a complete TensorFlow checkpoint; copy or download it again"
        ) from None
    shards = data_files(index)
    weights = {name: entry for name, entry in entries.items() if entry.dtype in DTYPES}
    shapes = {name: entry.shape for name, entry in weights.items()}
    check_shapes(shapes, *shards)
    return Arrays(shapes, lambda name: _read_tensor(name, weights[name], shards))


def data_files(index: Path) -> list[Path]:
    """Return the data files of an index. Raises SeqcovError if one is missing."""
    stem = index.name.removesuffix(".index")
    prefix = f"{stem}.data-"
    files = sorted(f for f in index.parent.iterdir() if f.name.startswith(prefix) and f.is_file())
    expected = [f"{prefix}{shard:05}-of-{len(files):05}" for shard in range(len(files))]
    if not files or [file.name for file in files] != expected:
        present = ", ".join(file.name for file in files) or "none"
        raise SeqcovError(f"{index}: its data files {prefix}… are not all there: {present}")
    return files


def _read_tensor(name: str, entry: _Entry, shards: Sequence[Path]) -> Array:
    import torch

    from seqcov_models.checkpoints.containers.torch_file import to_array

    if entry.shard >= len(shards):
        raise SeqcovError(f"{name} is in data file {entry.shard}, which is missing")
    path, (dtype, width) = shards[entry.shard], DTYPES[entry.dtype]
    if entry.size != width * math.prod(entry.shape):
        raise SeqcovError(f"{path}: {name}: {entry.size} bytes for a shape of {entry.shape}")
    if entry.offset + entry.size > path.stat().st_size:
        raise SeqcovError(f"{path}: cut before the end of {name}")
    raw = np.fromfile(path, np.uint8, entry.size, offset=entry.offset)
    if masked_crc32c(raw.tobytes()) != entry.checksum:
        raise SeqcovError(
            f"{path}: the checksum of {name} is wrong: the file is damaged; fetch it again"
        )
    tensor = torch.from_numpy(raw).view(getattr(torch, dtype))
    return to_array(tensor, name, path).reshape(entry.shape)


# LevelDB tables


def _entries(table: bytes) -> Iterator[tuple[str, _Entry]]:
    """Yield the entries of an index. Raises ValueError or IndexError for a damaged one."""
    if len(table) < FOOTER_BYTES:
        raise ValueError("too short")
    position = len(table) - FOOTER_BYTES
    _, position = _varint(table, position)  # the block of meta blocks: its offset and size
    _, position = _varint(table, position)
    for _, handle in _block(table, *_handle(table, position)):
        for key, value in _block(table, *_handle(handle, 0)):
            if key:  # the empty key is the header
                yield key.decode(), _entry(value)


def _handle(data: bytes, position: int) -> tuple[int, int]:
    """Return the offset and the size of a block."""
    offset, position = _varint(data, position)
    return offset, _varint(data, position)[0]


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block, its checksum verified."""
    block, trailer = table[offset : offset + size], table[offset + size : offset + size + 5]
    if len(trailer) != 5 or size < 4:
        raise ValueError("a block is cut")
    if trailer[0] != 0:
        raise ValueError("a block is compressed, which TensorFlow's checkpoints are not")
    if masked_crc32c(block + trailer[:1]) != int.from_bytes(trailer[1:], "little"):
        raise ValueError("a block's checksum is wrong")
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")  # behind it, places to start from
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        suffix_length, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + suffix_length]
        yield key, block[position + suffix_length : position + suffix_length + length]
        position += suffix_length + length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a number of 7 bits per byte, lowest first, and the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def masked_crc32c(data: bytes) -> int:
    """Return LevelDB's checksum: CRC-32C, rotated by 15 bits, plus a constant."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


# Protocol buffers


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the fields of a message: numbers, whole-number values, bytes of what is longer."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type, value, length = tag & 7, 0, 0
        if wire_type == 0:
            value, position = _varint(message, position)
        elif wire_type == 2:
            length, position = _varint(message, position)
        else:
            length = {1: 8, 5: 4}[wire_type]
            value = int.from_bytes(message[position : position + length], "little")
        yield tag >> 3, value, message[position : position + length]
        position += length


def _entry(message: bytes) -> _Entry:
    """Return where a tensor lies, its type and shape."""
    numbers: dict[int, int] = {}
    shape: list[int] = []
    for field, value, content in _fields(message):
        numbers[field] = value
        dimensions = _fields(content) if field == 2 else ()
        for number_of_field, _, dimension in dimensions:
            if number_of_field == 2:
                shape.append({number: size for number, size, _ in _fields(dimension)}.get(1, 0))
    dtype, *location = (numbers.get(field, 0) for field in (1, 3, 4, 5, 6))
    return _Entry(dtype, tuple(shape), *location)
