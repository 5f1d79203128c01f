"""A reader of .2bit files that shares nothing with the writer."""

import struct
from pathlib import Path


def read_two_bit(path: Path) -> dict[str, str]:
    """Return the sequences by name, letter by letter as the format's description says."""
    data = path.read_bytes()

    def words(offset: int, count: int) -> tuple[tuple[int, ...], int]:
        return struct.unpack_from(f"<{count}I", data, offset), offset + 4 * count

    (magic, version, count, reserved), offset = words(0, 4)
    assert (magic, version, reserved) == (0x1A412743, 0, 0)
    starts = {}
    for _ in range(count):
        size = data[offset]
        name = data[offset + 1 : offset + 1 + size].decode()
        (starts[name],), offset = words(offset + 1 + size, 1)
    sequences = {}
    for name, start in starts.items():
        assert start == offset, "records follow each other without a gap"
        (length,), offset = words(start, 1)
        blocks = []
        for _ in range(2):
            (runs,), offset = words(offset, 1)
            first_bases, offset = words(offset, runs)
            sizes, offset = words(offset, runs)
            ends = [first + size for first, size in zip(first_bases, sizes, strict=True)]
            assert all(size > 0 for size in sizes)
            assert all(
                end < next_first for end, next_first in zip(ends, first_bases[1:], strict=False)
            )
            blocks.append(list(zip(first_bases, ends, strict=True)))
        (reserved,), offset = words(offset, 1)
        assert reserved == 0
        letters = ["TCAG"[data[offset + i // 4] >> (6 - 2 * (i % 4)) & 3] for i in range(length)]
        offset += -(-length // 4)
        for first, end in blocks[0]:
            letters[first:end] = "N" * (end - first)
        for first, end in blocks[1]:
            letters[first:end] = "".join(letters[first:end]).lower()
        sequences[name] = "".join(letters)
    assert offset == len(data)
    return sequences
