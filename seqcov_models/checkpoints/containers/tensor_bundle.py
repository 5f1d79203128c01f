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

import numpy as np
import numpy.typing as npt

from seqcov_models.checkpoints.arrays import (
    KINDS,
    Arrays,
    Bytes,
    bytes_of,
    finite,
    fitting,
    numbers,
    plain,
)
from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

MOST_BYTES = 4 << 20  # of an index; Enformer's has 60 kB
FOOTER = 48
TYPES = {1: "F32", 2: "F64", 14: "BF16", 19: "F16"}


class _Entry(NamedTuple):
    kind: int
    shape: Shape
    shard: int
    offset: int
    size: int
    checksum: int


def open_bundle(index: Path) -> Arrays:
    """The tensors of the checkpoint of this `.index` file.

    Raises SeqcovError for a cut or foreign checkpoint. Entries of other than floating-point numbers
    (counters, the object graph) are passed over.
    """
    try:
        entries = {plain(name, index): of for name, of in _entries(_read_index(index))}
    except SeqcovError:
        raise
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise SeqcovError(f"{index}: no whole TensorFlow checkpoint: {error}") from None
    shards = data_files(index)
    weights = {name: entry for name, entry in entries.items() if entry.kind in TYPES}

    def read(names: Sequence[str]) -> dict[str, Array]:
        return {name: _tensor(name, weights[name], shards) for name in names}

    return Arrays(fitting({name: of.shape for name, of in weights.items()}, *shards), read)


def data_files(index: Path) -> list[Path]:
    """The data files of an index. Raises SeqcovError where one is missing."""
    stem = index.name.removesuffix(".index")
    files = sorted(index.parent.glob(f"{stem.replace('[', '[[]')}.data-*-of-*"))
    files = [file for file in files if file.is_file()]
    counts = {file.name.rpartition("-of-")[2] for file in files}
    if len(counts) != 1 or not counts.copy().pop().isdecimal() or int(counts.pop()) != len(files):
        said = ", ".join(file.name for file in files) or "none"
        raise SeqcovError(f"{index}: its data files {stem}.data-… are not all there: {said}")
    return files


def _tensor(name: str, entry: _Entry, shards: Sequence[Path]) -> Array:
    if not 0 <= entry.shard < len(shards):
        raise SeqcovError(f"{name} lies in data file {entry.shard}, which is not there")
    path, kind = shards[entry.shard], TYPES[entry.kind]
    if entry.size != KINDS[kind] * math.prod(entry.shape):
        raise SeqcovError(f"{path}: {name}: {entry.size} bytes for a shape of {entry.shape}")
    raw = bytes_of(name, path, entry.offset, entry.size)
    if _masked_crc32c(raw) != entry.checksum:
        raise SeqcovError(f"{path}: the checksum of {name} is wrong: damaged; fetch it anew")
    return finite(name, numbers(raw, kind).reshape(entry.shape), path)


# LevelDB tables


def _read_index(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SeqcovError(f"{path}: too large for the index of a checkpoint")
        return path.read_bytes()
    except OSError as error:
        raise SeqcovError(f"{path}: {error.strerror}") from None


def _entries(table: bytes) -> Iterator[tuple[str, _Entry]]:
    if len(table) < FOOTER:
        raise ValueError("too short")
    at = len(table) - FOOTER
    _, at = _varint(table, at)  # the block of meta blocks: its offset and size
    _, at = _varint(table, at)
    offset, at = _varint(table, at)
    size, at = _varint(table, at)
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
    if _masked_crc32c(np.frombuffer(block + trailer[:1], np.uint8)) != int.from_bytes(
        trailer[1:], "little"
    ):
        raise ValueError("a block's checksum is wrong")
    restarts = int.from_bytes(block[-4:], "little")
    end, at, key = size - 4 - 4 * restarts, 0, b""
    if end < 0:
        raise ValueError("a block is too short")
    while at < end:
        shared, at = _varint(block, at)
        rest, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + rest + length > end:
            raise ValueError("an entry reaches beyond its block")
        if shared + rest > 1_000:
            raise ValueError("a key is too long")
        key = key[:shared] + block[at : at + rest]
        yield key, block[at + rest : at + rest + length]
        at += rest + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")


# CRC-32C. A word of data, moved on by as many zero words as lie between, can be added to a later
# one: the two have the checksum that the words between them had. So a row of many words is moved on
# and added to the next, all words at once, and at last the halves of the row that is left.

Words = npt.NDArray[np.uint32]

_ROW = 1 << 12  # words
_EACH: Words = np.arange(256, dtype=np.uint32)
_BYTE = _EACH
for _ in range(8):
    _BYTE = (_BYTE >> np.uint32(1)) ^ (_BYTE & np.uint32(1)) * np.uint32(0x82F63B78)
_BYTES = _BYTE.tolist()


def _moved(words: Words, table: Words) -> Words:
    """`words` moved on as far as `table` does it, which has what each byte of a word becomes."""
    one, two, three, four = (table[at].take(words >> 8 * at & 255) for at in range(4))
    moved: Words = one ^ two ^ three ^ four
    return moved


_MOVES = [_EACH << np.array([[0], [8], [16], [24]], np.uint32)]  # by 1, 2, 4, … words
for _ in range(4):
    _MOVES[0] = _BYTE[_MOVES[0] & 255] ^ (_MOVES[0] >> 8)
while len(_MOVES) < _ROW.bit_length():
    _MOVES.append(_moved(_MOVES[-1], _MOVES[-1]))


def _masked_crc32c(data: Bytes) -> int:
    """LevelDB's checksum: CRC-32C, rotated by 15 bits, plus a constant."""
    crc, begin = 0xFFFFFFFF, len(data) % (4 * _ROW)
    for byte in data[:begin].tolist():
        crc = _BYTES[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    if begin < len(data):
        rows = data[begin:].view("<u4").reshape(-1, _ROW)
        words = rows[0].copy()
        words[0] ^= crc
        for row in rows[1:]:
            words = _moved(words, _MOVES[-1]) ^ row
        for move in _MOVES[-2::-1]:
            words = _moved(words[: len(words) // 2], move) ^ words[len(words) // 2 :]
        crc = int(_moved(words, _MOVES[0])[0])
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


# Protocol buffers


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message by number: whole numbers, or the bytes of what is longer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
        else:
            if wire == 2:
                length, at = _varint(message, at)
            else:
                length = {1: 8, 5: 4}[wire]
            if at + length > len(message):
                raise ValueError("a field reaches beyond its message")
            yield number, message[at : at + length]
            at += length


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
