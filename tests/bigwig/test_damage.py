"""Damaged and wrong files, which the walker of the tests must refuse."""

import contextlib
import itertools
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from seqcov_models.bigwig import layout
from seqcov_models.bigwig.layout import SIZES, Sizes
from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.errors import SeqcovError
from support.bigwig_walker import walk
from support.bigwigs import SMALL

Draw = Callable[[int], npt.NDArray[np.float32]]
Content = bytearray | memoryview


def write_damaged(path: Path, data: bytes) -> Path:
    """Write `data` into another file beside `path`."""
    damaged = path.with_name("damaged.bw")
    damaged.unlink(missing_ok=True)  # some file systems flush a file that is overwritten
    damaged.write_bytes(data)
    return damaged


def check_flipped(
    path: Path, contigs: dict[str, int], index: int, mask: int, sizes: Sizes = SIZES
) -> None:
    """Check that `walk` refuses `path` with one byte changed, or returns other contigs.

    A compressed block may have the same content in spite of a change: the bits that fill up its
    last byte have no meaning, and a repeated stretch can be copied from either of two equal ones.
    """
    data = path.read_bytes()
    flipped = data[:index] + bytes([data[index] ^ mask]) + data[index + 1 :]
    with contextlib.suppress(SeqcovError):
        result = walk(write_damaged(path, flipped), sizes)
        if result.contigs == contigs:
            begin, end, content = next(
                block for block in result.blocks if block[0] <= index < block[1]
            )
            assert content == zlib.decompress(data[begin:end])


@pytest.mark.slow
def test_every_flipped_byte_of_a_small_file_is_found(draw_coverage: Draw, tmp_path: Path) -> None:
    contigs, path = {"b": 700, "a": 64}, tmp_path / "a.bw"
    runs = [("b", 1, draw_coverage(21)), ("a", 0, draw_coverage(2))]
    write_bigwig(path, contigs, 32, runs, SMALL)
    assert len(walk(path, SMALL).reductions) == 2
    for index, mask in itertools.product(range(len(path.read_bytes())), (1, 0xFF)):
        check_flipped(path, contigs, index, mask, SMALL)


def test_a_small_file_of_another_length_is_refused(draw_coverage: Draw, tmp_path: Path) -> None:
    path = tmp_path / "a.bw"
    runs = [("b", 1, draw_coverage(21)), ("a", 0, draw_coverage(2))]
    write_bigwig(path, {"b": 700, "a": 64}, 32, runs, SMALL)
    data = path.read_bytes()
    for size in range(len(data)):
        with pytest.raises(SeqcovError):
            walk(write_damaged(path, data[:size]), SMALL)
    for addition in (b"\0", data):
        with pytest.raises(SeqcovError, match="end of the file"):
            walk(write_damaged(path, data + addition), SMALL)


def test_damage_in_deep_trees_is_found(draw_coverage: Draw, tmp_path: Path) -> None:
    contigs = {f"c{number}": 9_000 for number in range(300)}
    runs = [(name, first, draw_coverage(20)) for name in contigs for first in (0, 30, 60)]
    path = tmp_path / "a.bw"
    write_bigwig(path, contigs, 100, runs)
    data = path.read_bytes()
    for index in np.random.default_rng(7).integers(0, len(data), 150).tolist():
        check_flipped(path, contigs, index, 1 << (index % 8))
        with pytest.raises(SeqcovError):
            walk(write_damaged(path, data[:index]))


@pytest.mark.parametrize(
    ("content", "message"), [(b"", r"damaged\.bw: .*beyond the file"), (bytes(999), "magic number")]
)
def test_a_file_that_is_not_a_bigwig_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SeqcovError, match=message):
        walk(write_damaged(tmp_path / "a.bw", content))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match="No such file"):
        walk(tmp_path / "absent.bw")


# Files of sound blocks with a wrong number. They are stored without compression, so that a number
# can be changed in place.


def change_field(content: Content, dtype: np.dtype[np.void], field: str, change: float) -> None:
    """Add `change` to a field of the row at the start of `content`."""
    row = np.frombuffer(content, dtype, 1)
    row[field] = row[field].item() + change


def change_block(data: bytearray, begin: int, end: int, change: Callable[[Content], None]) -> None:
    """Change the content of a block that is stored without compression, and its checksum."""
    content = memoryview(data)[begin + 7 : end - 4]  # behind the headers of zlib and of the block
    change(content)
    data[end - 4 : end] = zlib.adler32(content).to_bytes(4, "big")


def change_last_section(field: str, change: float) -> Callable[[Content], None]:
    return lambda content: change_field(content, layout.SECTION, field, change)


def move_back(content: Content) -> None:
    """Let a block begin and end one bin too early."""
    change_field(content, layout.SECTION, "start", -32)
    change_field(content, layout.SECTION, "end", -32)


def put_nan(content: Content) -> None:
    """Replace the fourth value of a block by NaN."""
    np.frombuffer(content, "<f4", offset=layout.SECTION.itemsize)[3] = np.nan


@pytest.fixture
def stored(draw_coverage: Draw, tmp_path: Path) -> Path:
    """A sound file of two data blocks and one zoom block, without compression."""
    path = tmp_path / "a.bw"
    runs = [("a", 0, draw_coverage(2_500))]
    write_bigwig(path, {"a": 32 * 2_500}, 32, runs, Sizes(compression=0))
    assert len(walk(path).blocks) == 3
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (move_back, "overlaps"),
        (change_last_section("end", -32), r"data block at byte .*: its header contradicts"),
        (change_last_section("count", 1), r"data block at byte .*: bytes"),
        (change_last_section("span", 1), "contradicts itself"),
        (change_last_section("type", -2), "type"),
        (change_last_section("chrom", 1), "beyond the contigs' ends"),
        (put_nan, "not finite"),
    ],
)
def test_a_wrong_data_block_is_refused(
    change: Callable[[Content], None], message: str, stored: Path
) -> None:
    data = bytearray(stored.read_bytes())
    begin, end, _ = walk(stored).blocks[1]
    change_block(data, begin, end, change)
    with pytest.raises(SeqcovError, match=message):
        walk(write_damaged(stored, data))


@pytest.mark.parametrize("field", ["start", "end", "valid", "min", "max", "sum", "squares"])
def test_a_wrong_zoom_record_is_refused(field: str, stored: Path) -> None:
    data = bytearray(stored.read_bytes())
    begin, end, content = walk(stored).blocks[2]
    last = len(content) - layout.ZOOM.itemsize
    change_block(data, begin, end, lambda c: change_field(c[last:], layout.ZOOM, field, 1))
    with pytest.raises(SeqcovError, match=r"zoom level of .* bp: found .*the values give"):
        walk(write_damaged(stored, data))


@pytest.mark.parametrize(("leaf", "field", "change"), [(0, "end", -1), (1, "start", 1)])
def test_a_wrong_box_in_the_index_is_refused(
    leaf: int, field: str, change: int, stored: Path
) -> None:
    data = bytearray(stored.read_bytes())
    leaves = layout.HEADER.unpack_from(data)[5] + layout.INDEX_HEADER.size + layout.NODE_HEADER.size
    entry = memoryview(data)[leaves + leaf * layout.LEAF.itemsize :]
    change_field(entry, layout.LEAF, field, change)
    with pytest.raises(SeqcovError, match="data index: box of the block"):
        walk(write_damaged(stored, data))


def test_a_wrong_box_in_the_header_of_the_index_is_refused(stored: Path) -> None:
    data = bytearray(stored.read_bytes())
    offset = layout.HEADER.unpack_from(data)[5]
    header = list(layout.INDEX_HEADER.unpack_from(data, offset))
    header[6] += 1  # end of the box
    layout.INDEX_HEADER.pack_into(data, offset, *header)
    with pytest.raises(SeqcovError, match="header of the data index"):
        walk(write_damaged(stored, data))


def test_a_contig_shorter_than_its_values_is_refused(stored: Path) -> None:
    data = bytearray(stored.read_bytes())
    leaf = layout.TREE_OFFSET + layout.TREE_HEADER.size + layout.NODE_HEADER.size
    entry = memoryview(data)[leaf:]
    change_field(entry, layout.build_contig_type(len("a")), "length", -32)
    with pytest.raises(SeqcovError, match="beyond the contigs' ends"):
        walk(write_damaged(stored, data))
