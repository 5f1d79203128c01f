"""bigWig files of binned coverage: written fast, and walked through to find damage.

A run writes thousands of tracks; general writers handle them value by value and would take longer
than the predictions. This one knows that the values are float32 in bins of one width and works on
arrays: only the compression of a block of 1,024 values is a call of its own. The format is that of
Kent et al. 2010 (its supplement) as UCSC's programs write it.

Layout, all little-endian and without a gap: header, 8 slots for zoom headers, total summary, contig
tree, count and data blocks, their index, for each zoom level count, blocks and index, then the
magic number once more. Coordinates are 0-based and half-open, in bp.

Contig ids and key order are two things: readers search names in the contig tree, so its keys stand
in byte order, but ids are values there and need only ascend in data and indices. Ids follow the
order of the given contigs, so that runs may come in FASTA order whatever the names.

Blocks are deflated by libdeflate: as fast as igzip, whose output differs now and then from one
process to the next. So the bytes depend on nothing but the arguments (and the versions of
libdeflate and numpy), not on where the caller cuts the values into runs: a data block begins where
values begin after a gap and every 1,024 bins from there; a zoom window is summed only when all of
its values are known.
"""

import math
import operator
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import deflate
import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError

Rows = npt.NDArray[np.void]
"""Rows of one of the structured types below."""
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Runs = Iterable[tuple[str, int, Floats]]

SECTION_BINS = 1024
WINDOW_BINS = 64
"""Bins of a window of the first zoom level; each further level joins 4 windows of the one below.
Half as many would make files a tenth larger and slower to write; below this, data are read fast."""

_MAGIC = struct.pack("<I", 0x888FFC26)
_TREE_MAGIC = 0x78CA8C91
_INDEX_MAGIC = 0x2468ACE0
_FIXED_STEP = 3
_FAN = 256  # children of a tree's node
_LEVELS = 8
_FEWEST = 16  # records that make a further zoom level worth writing
_ZOOM_ROWS = 1024  # records of a zoom block
_BUFFER = 32 * _ZOOM_ROWS  # bytes of the largest block, inflated
_BATCH = 32 * SECTION_BINS  # values worked on at a time
_SPOOL = 2**20  # bytes of zoom records from which on they go to disk
_CHUNK = 8 * _ZOOM_ROWS  # zoom records worked on at a time
_LARGEST = 2**32 - 1
_LONGEST_NAME = 65_535

_HEADER = struct.Struct("<4sHHQQQHHQQIQ")
_ZOOM_HEADER = struct.Struct("<IIQQ")
_TOTAL = struct.Struct("<Qdddd")
_TREE_HEADER = struct.Struct("<IIIIQQ")
_INDEX_HEADER = struct.Struct("<IIQIIIIQII")
_NODE_HEADER = struct.Struct("<BBH")
_SECTION_COUNT = struct.Struct("<Q")
_RECORD_COUNT = struct.Struct("<I")
_TREE_AT = _HEADER.size + _LEVELS * _ZOOM_HEADER.size + _TOTAL.size

_PLACE = [("chrom", "<u4"), ("start", "<u4"), ("end", "<u4")]
_SECTION = np.dtype(
    [*_PLACE, ("step", "<u4"), ("span", "<u4"), ("type", "u1"), ("pad", "u1"), ("count", "<u2")]
)
_ZOOM = np.dtype(
    [*_PLACE, ("valid", "<u4")] + [(name, "<f4") for name in ("min", "max", "sum", "squares")]
)
_RECORD = np.dtype(
    [*_PLACE, ("valid", "<i8"), ("min", "<f4"), ("max", "<f4"), ("sum", "<f8"), ("squares", "<f8")]
)
"""A zoom record before its sums are rounded to float32."""
_BOX = [("chrom", "<u4"), ("start", "<u4"), ("end_chrom", "<u4"), ("end", "<u4"), ("offset", "<u8")]
_NODE = np.dtype(_BOX)
_LEAF = np.dtype([*_BOX, ("size", "<u8")])


@dataclass(frozen=True)
class Summary:
    """Of all bases with a value; `sum` and `sum_squares` count a value once a base."""

    bases: int
    minimum: float
    maximum: float
    sum: float
    sum_squares: float

    @property
    def mean(self) -> float:
        """Per base with a value; 0 where there is none."""
        return self.sum / self.bases if self.bases else 0.0


def write_bigwig(path: Path, contigs: Mapping[str, int], bin_size: int, runs: Runs) -> Summary:
    """Write one track and say what is in it.

    contigs: name to length in bp; all are listed in the file, also those without values.
    bin_size: bp. runs: (contig, index of the first bin, values), the bins at multiples of
    `bin_size` from the contig's start, the last one clipped at the contig's end; in the order of
    `contigs`, ascending, not overlapping. Values are float32, shape (bins,), and copied, so that a
    caller may use one array again and again. Sums beyond float32 in zoom records become its
    largest number.

    The file is written under another name in the same folder, flushed to disk, then renamed; on any
    exception what was written is removed and `path` is as it was before.
    Raises SeqcovError for contigs or a bin size that cannot be stored, and, naming contig and
    position, for an unknown contig, a run out of order, overlapping another or beyond its contig, a
    value that is not finite, an array that is not float32 or has another shape.
    """
    _check_arguments(contigs, bin_size)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w+b") as handle:
            summary = _write(handle, contigs, bin_size, runs, path.parent)
            handle.flush()
            os.fsync(handle.fileno())
            _check_written(handle, path)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return summary


def _check_arguments(contigs: Mapping[str, int], bin_size: int) -> None:
    if not 1 <= bin_size <= 2**24:
        raise SeqcovError(f"bigWig: bin size {bin_size}: must be from 1 to {2**24:,} bp")
    if not contigs:
        raise SeqcovError("bigWig: no contigs")
    for name, length in contigs.items():
        if not 0 < len(name.encode()) <= _LONGEST_NAME or "\0" in name:
            raise SeqcovError(f"bigWig: {name[:80]!r} cannot be a contig's name")
        if not 0 <= length <= _LARGEST:
            raise SeqcovError(f"bigWig: contig {name}: {length:,} bp; at most {_LARGEST:,} fit")


def _write(
    handle: IO[bytes], contigs: Mapping[str, int], bin_size: int, runs: Runs, folder: Path
) -> Summary:
    handle.write(bytes(_TREE_AT))
    _write_contigs(handle, contigs)
    data_at = handle.tell()
    handle.write(bytes(_SECTION_COUNT.size))
    reductions = [WINDOW_BINS * bin_size * 4**level for level in range(_LEVELS)]
    zooms: list[tuple[int, int, int, int]] = []
    leaves: list[Rows] = []
    with (
        SpooledTemporaryFile(_SPOOL, dir=str(folder)) as level,
        SpooledTemporaryFile(_SPOOL, dir=str(folder)) as above,
    ):
        spool, other = level, above
        batches = _batches(_parts(contigs, bin_size, runs), bin_size)
        records = _write_sections(handle, batches, bin_size, leaves)
        _fill(spool, _reduced(records, reductions[0]))
        summary = _total(spool)
        index_at = handle.tell()
        sections = _write_index(handle, leaves)
        for reduction in reductions:
            rows = _rows_in(spool)
            if rows < (_FEWEST if zooms else 1) or (zooms and reduction > max(contigs.values())):
                break
            leaves, zoom_at = [], handle.tell()
            handle.write(_RECORD_COUNT.pack(rows))
            _fill(other, _reduced(_write_zoom(handle, spool, leaves), 4 * reduction))
            spool, other = other, spool
            zooms.append((reduction, 0, zoom_at, handle.tell()))
            _write_index(handle, leaves)
    handle.write(_MAGIC)
    handle.seek(data_at)
    handle.write(_SECTION_COUNT.pack(sections))
    handle.seek(0)
    places = (_TREE_AT, data_at, index_at, 0, 0, 0, _TREE_AT - _TOTAL.size, _BUFFER, 0)
    handle.write(_HEADER.pack(_MAGIC, 4, len(zooms), *places))
    for zoom in zooms:
        handle.write(_ZOOM_HEADER.pack(*zoom))
    handle.seek(_TREE_AT - _TOTAL.size)
    handle.write(_pack_total(summary))
    return summary


def _check_written(handle: IO[bytes], path: Path) -> None:
    """Read both ends back. Raises SeqcovError where they are not what was written."""
    handle.seek(0)
    first = handle.read(4)
    handle.seek(-4, os.SEEK_END)
    if first != _MAGIC or handle.read(4) != _MAGIC:
        raise SeqcovError(f"{path}: the disk gives back other bytes than were written")


def _parts(
    contigs: Mapping[str, int], bin_size: int, runs: Runs
) -> Iterator[tuple[int, int, int, Floats]]:
    """The runs, judged, no more than a batch at a time: contig id, first bin, bin's bp, values."""
    ids = {name: number for number, name in enumerate(contigs)}
    reached = (0, 0)  # contig id and bin before which no run may begin any more
    for contig, first, values in runs:
        first, chrom = operator.index(first), ids.get(contig, -1)
        if wrong := _refusal(contigs, contig, chrom, first, values, bin_size, reached):
            raise SeqcovError(f"bigWig: {contig}, {_where(first, bin_size)}: {wrong}")
        if not values.size:
            continue
        end = first + values.size
        reached = (chrom, end)
        whole, clipped = divmod(contigs[contig], bin_size)
        for begin, stop, span in (
            (first, min(end, whole), bin_size),
            (max(first, whole), end, clipped),
        ):
            for at in range(begin, stop, _BATCH):
                part = values[at - first : min(at + _BATCH, stop) - first]
                if not (finite := np.isfinite(part)).all():
                    bad = int(np.argmin(finite))
                    where = f"{contig}, {_where(at + bad, bin_size)}"
                    raise SeqcovError(f"bigWig: {where}: {part[bad]} is no finite value")
                yield chrom, at, span, part


def _where(number: int, bin_size: int) -> str:
    return f"bin {number:,} (from base {number * bin_size:,}, counted from 0)"


def _refusal(
    contigs: Mapping[str, int],
    contig: str,
    chrom: int,
    first: int,
    values: npt.NDArray[Any],
    bin_size: int,
    reached: tuple[int, int],
) -> str:
    """Why a run cannot be written, or '' where it can."""
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
    if chrom < reached[0]:
        return f"comes after {list(contigs)[reached[0]]}; runs follow the order of the contigs"
    if (chrom, first) < reached:
        return f"runs must ascend and not overlap, and bins up to {reached[1] - 1:,} were there"
    return ""


def _batches(
    parts: Iterable[tuple[int, int, int, Floats]], bin_size: int
) -> Iterator[tuple[Rows, Floats]]:
    """Headers of whole data blocks and all their values (a view, good until the next batch)."""
    buffer, filled = np.empty(_BATCH, "<f4"), 0
    stretches: list[list[int]] = []  # contig id, first bin, span, bins; adjacent parts are one
    for chrom, at, span, part in parts:
        while part.size:
            taken = part[: _BATCH - filled]
            last = stretches[-1] if stretches else [-1] * 4
            if [last[0], last[1] + last[3], last[2]] == [chrom, at, span]:
                last[3] += taken.size
            else:
                stretches.append([chrom, at, span, taken.size])
            buffer[filled : filled + taken.size] = taken
            filled += taken.size
            at, part = at + taken.size, part[taken.size :]
            if filled == _BATCH:
                # The next part may go on where this one ends: keep the last block if not full.
                last = stretches.pop()
                held = last[3] % SECTION_BINS
                if last[3] > held:
                    stretches.append([*last[:3], last[3] - held])
                yield _sections(stretches, bin_size), buffer[: filled - held]
                buffer[:held] = buffer[filled - held :]
                stretches = [[chrom, at - held, span, held]] if held else []
                filled = held
    if stretches:
        yield _sections(stretches, bin_size), buffer[:filled]


def _cut(length: Ints, lead: Ints, size: int) -> tuple[Ints, Ints, Ints]:
    """Cut ranges [0, length) every `size`, counted from `lead` before a range's start.

    Returns for each piece the number of its range, its begin and its end in that range.
    """
    pieces = (lead + length + size - 1) // size
    of = np.repeat(np.arange(len(length)), pieces)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = nth * size - lead[of]
    return of, np.maximum(begin, 0), np.minimum(begin + size, length[of])


def _sections(stretches: list[list[int]], bin_size: int) -> Rows:
    """Headers of data blocks that cover `stretches` (contig id, first bin, span, bins)."""
    chrom, first, span, bins = np.array(stretches, np.int64).T
    of, begin, end = _cut(bins, np.zeros_like(bins), SECTION_BINS)
    sections = np.zeros(len(of), _SECTION)
    sections["chrom"] = chrom[of]
    sections["start"] = (first[of] + begin) * bin_size
    sections["end"] = (first[of] + end - 1) * bin_size + span[of]
    sections["step"] = bin_size
    sections["span"] = span[of]
    sections["type"] = _FIXED_STEP
    sections["count"] = end - begin
    return sections


def _records(sections: Rows, values: Floats, bin_size: int) -> Rows:
    """A record for each part of a section that lies in one window of the first zoom level."""
    start = sections["start"].astype(np.int64)
    count = sections["count"].astype(np.int64)
    of, begin, end = _cut(count, start // bin_size % WINDOW_BINS, WINDOW_BINS)
    at = (np.cumsum(count) - count)[of] + begin
    span = sections["span"].astype(np.int64)[of]
    exact = values.astype(np.float64)
    records = np.empty(len(of), _RECORD)
    records["chrom"] = sections["chrom"][of]
    records["start"] = start[of] + begin * bin_size
    records["end"] = start[of] + (end - 1) * bin_size + span
    records["valid"] = (end - begin) * span
    records["min"] = np.minimum.reduceat(values, at)
    records["max"] = np.maximum.reduceat(values, at)
    records["sum"] = np.add.reduceat(exact, at) * span
    exact *= exact
    records["squares"] = np.add.reduceat(exact, at) * span
    return records


def _merged(records: Rows, first: Ints) -> Rows:
    """One record for each group of `records`; a group begins at each index in `first`."""
    merged = np.empty(len(first), _RECORD)
    merged["chrom"] = records["chrom"][first]
    merged["start"] = records["start"][first]
    merged["end"] = records["end"][np.append(first[1:], len(records)) - 1]
    for name in ("valid", "sum", "squares"):
        merged[name] = np.add.reduceat(records[name], first)
    merged["min"] = np.minimum.reduceat(records["min"], first)
    merged["max"] = np.maximum.reduceat(records["max"], first)
    return merged


def _reduced(chunks: Iterable[Rows], reduction: int) -> Iterator[Rows]:
    """Ascending records joined to one for each window of `reduction` bp that has a value.

    A record reaches from the first to the last base with a value in its window. The last window
    seen is held back, for it may go on in the next chunk.
    """
    held = np.empty(0, _RECORD)
    for chunk in chunks:
        rows = np.concatenate([held, chunk])
        chrom, window = rows["chrom"], rows["start"].astype(np.int64) // reduction
        changes = (chrom[1:] != chrom[:-1]) | (window[1:] != window[:-1])
        first = np.append(0, np.flatnonzero(changes) + 1)
        held = rows[first[-1] :]
        if len(first) > 1:
            yield _merged(rows[: first[-1]], first[:-1])
    if len(held):
        yield _merged(held, np.zeros(1, np.int64))


def _fill(spool: IO[bytes], chunks: Iterable[Rows]) -> None:
    """Put the rows of all chunks into `spool`, and nothing else."""
    spool.seek(0)
    spool.truncate()
    for chunk in chunks:
        spool.write(chunk.tobytes())


def _rows_in(spool: IO[bytes]) -> int:
    return spool.seek(0, os.SEEK_END) // _RECORD.itemsize


def _chunks(spool: IO[bytes]) -> Iterator[Rows]:
    """What `_fill` put in, cut anew so that nothing depends on how it came."""
    spool.seek(0)
    while raw := spool.read(_CHUNK * _RECORD.itemsize):
        yield np.frombuffer(raw, _RECORD)


def _total(spool: IO[bytes]) -> Summary:
    totals = [_merged(chunk, np.zeros(1, np.int64)) for chunk in _chunks(spool)]
    if not totals:
        return Summary(0, 0.0, 0.0, 0.0, 0.0)
    all_of = np.concatenate(totals)
    extremes = float(all_of["min"].min()), float(all_of["max"].max())
    sums = math.fsum(all_of["sum"]), math.fsum(all_of["squares"])
    return Summary(int(all_of["valid"].sum()), *extremes, *sums)


def _pack_total(total: Summary) -> bytes:
    return _TOTAL.pack(total.bases, total.minimum, total.maximum, total.sum, total.sum_squares)


def _rounded(records: Rows) -> Rows:
    """Zoom records as they are stored."""
    rows = np.empty(len(records), _ZOOM)
    limit = np.finfo(np.float32).max
    for name in rows.dtype.names or ():
        is_sum = name in ("sum", "squares")
        rows[name] = np.clip(records[name], -limit, limit) if is_sum else records[name]
    return rows


def _write_sections(
    handle: IO[bytes],
    batches: Iterable[tuple[Rows, Floats]],
    bin_size: int,
    leaves: list[Rows],
) -> Iterator[Rows]:
    """Write the data blocks, note them in `leaves`, and pass on their zoom records."""
    for sections, values in batches:
        headers, body = sections.tobytes(), values.tobytes()
        size, ends = _SECTION.itemsize, np.cumsum(sections["count"], dtype=np.int64) * 4
        blocks = (
            headers[at * size : (at + 1) * size] + body[begin:end]
            for at, (begin, end) in enumerate(pairwise([0, *ends.tolist()]))
        )
        leaves.append(_write_blocks(handle, blocks, sections, sections))
        yield _records(sections, values, bin_size)


def _write_zoom(handle: IO[bytes], spool: IO[bytes], leaves: list[Rows]) -> Iterator[Rows]:
    """Write the blocks of a zoom level, note them in `leaves`, and pass on the records."""
    for records in _chunks(spool):
        rows = _rounded(records)
        groups = [rows[at : at + _ZOOM_ROWS] for at in range(0, len(rows), _ZOOM_ROWS)]
        first, last = (np.array([group[at] for group in groups]) for at in (0, -1))
        leaves.append(_write_blocks(handle, (group.tobytes() for group in groups), first, last))
        yield records


def _write_blocks(handle: IO[bytes], blocks: Iterable[bytes], first: Rows, last: Rows) -> Rows:
    """Compress and write blocks that begin with the rows `first` and end with the rows `last`."""
    packed = [deflate.zlib_compress(block, 1) for block in blocks]
    leaves = np.zeros(len(packed), _LEAF)
    leaves["size"] = [len(block) for block in packed]
    leaves["offset"] = handle.tell() + np.cumsum(leaves["size"]) - leaves["size"]
    leaves["chrom"], leaves["start"] = first["chrom"], first["start"]
    leaves["end_chrom"], leaves["end"] = last["chrom"], last["end"]
    handle.writelines(packed)
    return leaves


def _boxes(items: Rows, fan: int) -> Rows:
    """Entries of the index level above `items`, without offsets."""
    first = np.arange(0, len(items), fan)
    last = np.minimum(first + fan, len(items)) - 1
    boxes = np.zeros(len(first), _NODE)
    boxes["chrom"], boxes["start"] = items["chrom"][first], items["start"][first]
    boxes["end_chrom"], boxes["end"] = items["end_chrom"][last], items["end"][last]
    return boxes


def _first_keys(items: Rows, fan: int) -> Rows:
    """Entries of the contig tree's level above `items`, without offsets."""
    keys = items["key"][::fan]
    nodes = np.zeros(len(keys), [("key", keys.dtype), ("offset", "<u8")])
    nodes["key"] = keys
    return nodes


def _write_tree(
    handle: IO[bytes], leaves: Rows, fan: int, above: Callable[[Rows, int], Rows]
) -> None:
    """Write a tree's nodes, root first, each level's nodes in one row, all full but the last."""
    levels = [leaves]
    while len(levels[0]) > fan:
        levels.insert(0, above(levels[0], fan))
    end = handle.tell()
    for depth, items in enumerate(levels, 1):
        nodes = range(0, max(len(items), 1), fan)
        end += len(nodes) * _NODE_HEADER.size + items.nbytes
        if depth < len(levels):
            stride = _NODE_HEADER.size + fan * levels[depth].itemsize
            items["offset"] = end + np.arange(len(items)) * stride
        for at in nodes:
            node = items[at : at + fan]
            handle.write(_NODE_HEADER.pack(depth == len(levels), 0, len(node)) + node.tobytes())


def _leaf_type(key_size: int) -> np.dtype[np.void]:
    return np.dtype([("key", f"S{key_size}"), ("id", "<u4"), ("length", "<u4")])


def _write_contigs(handle: IO[bytes], contigs: Mapping[str, int]) -> None:
    keys = [name.encode() for name in contigs]
    leaves = np.zeros(len(keys), _leaf_type(max(map(len, keys))))
    leaves["key"], leaves["id"], leaves["length"] = keys, range(len(keys)), list(contigs.values())
    leaves = leaves[sorted(range(len(keys)), key=keys.__getitem__)]
    fan = min(_FAN, len(keys))
    key_size = leaves.dtype["key"].itemsize
    handle.write(_TREE_HEADER.pack(_TREE_MAGIC, fan, key_size, 8, len(keys), 0))
    _write_tree(handle, leaves, fan, _first_keys)


def _index_header(leaves: Rows, end_of_data: int) -> bytes:
    box = _boxes(leaves, len(leaves)).tolist()[0][:4] if len(leaves) else [0] * 4
    return _INDEX_HEADER.pack(_INDEX_MAGIC, _FAN, len(leaves), *box, end_of_data, 1, 0)


def _write_index(handle: IO[bytes], leaves: list[Rows]) -> int:
    """Write the index of the blocks just written; returns how many they are."""
    entries = np.concatenate([np.empty(0, _LEAF), *leaves])
    handle.write(_index_header(entries, handle.tell()))
    _write_tree(handle, entries, _FAN, _boxes)
    return len(entries)


@dataclass(frozen=True)
class Walk:
    """What `walk` found in a file.

    contigs: name to length in bp, in the order of their ids. intervals: for every contig the starts
    and ends (``uint32``) and values (``float32``) of its bins, each of shape (bins with a value,).
    reductions: bp of a window, for each zoom level.
    """

    contigs: dict[str, int]
    intervals: dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Floats]]
    reductions: list[int]
    summary: Summary


def walk(path: Path) -> Walk:
    """Read every byte of a file that `write_bigwig` wrote, and judge each.

    Everything that follows from something else in the file is computed anew and compared: places
    and sizes, index boxes, zoom records and the total summary from the values. What nothing else in
    the file tells are names and lengths of the contigs: compare them with the genome's. Bits of a
    compressed block that can change and leave its content the same are no damage.
    Raises SeqcovError that names the first thing wrong, also for sound files of other writers,
    whose layout differs.
    """
    try:
        cursor = _Cursor(path, path.read_bytes())
    except OSError as error:
        raise SeqcovError(f"{path}: {error.strerror}") from None
    magic, version, levels, *places = cursor.unpack(_HEADER, "header")
    cursor.expect("magic number", magic, _MAGIC)
    cursor.expect("version", version, 4)
    if levels > _LEVELS:
        raise cursor.error(f"{levels} zoom levels, at most {_LEVELS} were expected")
    data_at, index_at = places[1:3]
    wanted = [_TREE_AT, data_at, index_at, 0, 0, 0, _TREE_AT - _TOTAL.size, _BUFFER, 0]
    cursor.expect("fields of the header", places, wanted)
    slots = [cursor.unpack(_ZOOM_HEADER, "zoom headers") for _ in range(_LEVELS)]
    zooms, unused = slots[:levels], slots[levels:]
    cursor.expect("unused zoom headers", unused, [(0, 0, 0, 0)] * len(unused))
    reductions = [int(zoom[0]) for zoom in zooms]
    bin_size = reductions[0] // WINDOW_BINS if reductions else 1
    wanted = [WINDOW_BINS * bin_size * 4**level for level in range(levels)]
    cursor.expect("zoom reductions", reductions, wanted)
    if bin_size < 1:
        raise cursor.error("a zoom level of no width")
    total = cursor.take(_TOTAL.size, "total summary")
    contigs = _walk_contigs(cursor)
    cursor.expect("place of the data", data_at, cursor.at)
    (count,) = cursor.unpack(_SECTION_COUNT, "data count")
    leaves, end = _walk_index(cursor, index_at, "data index")
    cursor.expect("data count", count, len(leaves))
    found: list[tuple[Rows, Floats]] = []
    records = _walk_sections(cursor, leaves, contigs, bin_size, found)
    spool, other = BytesIO(), BytesIO()
    _fill(spool, _reduced(records, WINDOW_BINS * bin_size))
    cursor.expect("end of the data", cursor.at, index_at)
    cursor.at = end
    summary = _total(spool)
    if total != _pack_total(summary):
        raise cursor.error(f"total summary: {_TOTAL.unpack(total)}, but the values give {summary}")
    if summary.bases and not zooms:
        raise cursor.error("values, but no zoom level")
    for reduction, reserved, zoom_at, zoom_index_at in zooms:
        what = f"zoom level of {reduction:,} bp"
        cursor.expect(f"header of the {what}", (reserved, zoom_at), (0, cursor.at))
        count = cursor.unpack(_RECORD_COUNT, what)
        cursor.expect(f"records of the {what}", count, (_rows_in(spool),))
        leaves, end = _walk_index(cursor, zoom_index_at, f"index of the {what}")
        joined = _reduced(_walk_zoom(cursor, leaves, spool, list(contigs), what), 4 * reduction)
        _fill(other, joined)
        spool, other = other, spool
        cursor.expect(f"end of the {what}", cursor.at, zoom_index_at)
        cursor.at = end
    cursor.expect("magic number at the end", cursor.take(4, "magic number at the end"), _MAGIC)
    cursor.expect("end of the file", cursor.at, len(cursor.data))
    return Walk(contigs, _intervals(found, contigs, bin_size), reductions, summary)


class _Cursor:
    """Reads a file's bytes from front to back; each error names the file."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at = path, data, 0

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
        what = f"{what}: block at byte {self.at:,}"
        stream = zlib.decompressobj()
        try:
            block = stream.decompress(self.take(int(leaf["size"]), what), _BUFFER + 1)
        except zlib.error as error:
            raise self.error(f"{what}: {error}") from None
        if not stream.eof or stream.unused_data or len(block) > _BUFFER:
            raise self.error(f"{what}: does not end where it should")
        return block

    def expect_box(self, what: str, leaf: np.void, first: np.void, last: np.void) -> None:
        box = [int(leaf[name]) for name in ("chrom", "start", "end_chrom", "end")]
        ends = [int(first["chrom"]), int(first["start"]), int(last["chrom"]), int(last["end"])]
        self.expect(f"{what}: box of the block at byte {int(leaf['offset']):,}", box, ends)


def _walk_tree(
    cursor: _Cursor,
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
            kind, reserved, count = cursor.unpack(_NODE_HEADER, what)
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


def _walk_contigs(cursor: _Cursor) -> dict[str, int]:
    magic, fan, key_size, value_size, count, reserved = cursor.unpack(_TREE_HEADER, "contig tree")
    cursor.expect("magic number of the contig tree", magic, _TREE_MAGIC)
    cursor.expect("nodes of the contig tree", fan, min(_FAN, count))
    cursor.expect("values of the contig tree", (value_size, reserved), (8, 0))
    if not 0 < key_size <= _LONGEST_NAME:
        raise cursor.error(f"contig tree: keys of {key_size:,} bytes")
    leaf_type = _leaf_type(key_size)
    node_type = _first_keys(np.empty(0, leaf_type), 1).dtype
    leaves = _walk_tree(cursor, leaf_type, node_type, fan, _first_keys, "contig tree")
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
        raise cursor.error("contig tree: a name is no text") from None


def _walk_index(cursor: _Cursor, at: int, what: str) -> tuple[Rows, int]:
    """The entries of the index at byte `at` and where it ends; `cursor` stays where it is."""
    behind, cursor.at = cursor.at, at
    header = cursor.unpack(_INDEX_HEADER, what)
    cursor.expect(f"magic number of the {what}", header[0], _INDEX_MAGIC)
    leaves = _walk_tree(cursor, _LEAF, _NODE, _FAN, _boxes, what)
    cursor.expect(f"header of the {what}", header, _INDEX_HEADER.unpack(_index_header(leaves, at)))
    end, cursor.at = cursor.at, behind
    return leaves, end


def _walk_sections(
    cursor: _Cursor,
    leaves: Rows,
    contigs: dict[str, int],
    bin_size: int,
    found: list[tuple[Rows, Floats]],
) -> Iterator[Rows]:
    """Check the data blocks, put headers and values in `found`, and pass on their zoom records."""
    lengths, reached = list(contigs.values()), (0, 0)
    for at in range(0, len(leaves), _FAN):
        headers, bodies = [], []
        for leaf in leaves[at : at + _FAN]:
            what = f"data block at byte {cursor.at:,}"
            block = cursor.inflate(leaf, "data")
            if len(block) < _SECTION.itemsize:
                raise cursor.error(f"{what}: has no header")
            section = np.frombuffer(block, _SECTION, 1)[0]
            chrom, start, end, step, span, kind, pad, count = section.tolist()
            cursor.expect(f"{what}: step, type, padding", [step, kind, pad], [bin_size, 3, 0])
            cursor.expect(f"{what}: bytes", len(block), _SECTION.itemsize + 4 * count)
            if chrom >= len(lengths) or end > lengths[chrom]:
                raise cursor.error(f"{what}: beyond the contigs' ends")
            clipped = count == 1 and 0 < span < step and end == lengths[chrom]
            if (
                not 0 < count <= SECTION_BINS
                or start % step
                or end != start + (count - 1) * step + span
                or not (span == step or clipped)
            ):
                raise cursor.error(f"{what}: its header contradicts itself")
            if (chrom, start) < reached:
                raise cursor.error(f"{what}: overlaps the one before or is out of order")
            reached = (chrom, end)
            cursor.expect_box("data index", leaf, section, section)
            values = np.frombuffer(block, "<f4", offset=_SECTION.itemsize)
            if not np.isfinite(values).all():
                raise cursor.error(f"{what}: holds a value that is not finite")
            headers.append(section)
            bodies.append(values)
        found.append((np.array(headers, _SECTION), np.concatenate(bodies)))
        yield _records(*found[-1], bin_size)


def _walk_zoom(
    cursor: _Cursor, leaves: Rows, spool: IO[bytes], names: list[str], what: str
) -> Iterator[Rows]:
    """Compare a zoom level's blocks with the records that the values give; pass these on."""
    at = 0
    for records in _chunks(spool):
        for begin in range(0, len(records), _ZOOM_ROWS):
            wanted = _rounded(records[begin : begin + _ZOOM_ROWS])
            if at == len(leaves):
                raise cursor.error(f"{what}: its index has only {at:,} blocks")
            block = cursor.inflate(leaves[at], what)
            cursor.expect(f"{what}: bytes of a block", len(block), wanted.nbytes)
            if block != wanted.tobytes():
                pairs = zip(np.frombuffer(block, _ZOOM), wanted, strict=True)
                row, right = next(pair for pair in pairs if pair[0].tobytes() != pair[1].tobytes())
                fields = ", ".join(_ZOOM.names or ())
                raise cursor.error(f"{what}: found {row}, the values give {right} ({fields})")
            cursor.expect_box(f"index of the {what}", leaves[at], wanted[0], wanted[-1])
            at += 1
        yield records
    cursor.expect(f"{what}: blocks in its index", len(leaves), at)


def _intervals(
    found: list[tuple[Rows, Floats]], contigs: dict[str, int], bin_size: int
) -> dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Floats]]:
    sections = np.concatenate([np.empty(0, _SECTION), *(rows for rows, _ in found)])
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
