"""Write and read ranges of a model's chunks as compressed tracks: one file per range and batch.

A chunk is deleted as soon as its range is compressed, and a range's file as soon as the bigWigs of
its batch are joined. So a run needs little more disk space than its bigWigs. A file contains the
digest of what it was made from, the offset of each track, and the tracks.
"""

import os
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from seqcov_models.bigwig.ranges import PackedRange, pack_range
from seqcov_models.errors import SeqcovError
from seqcov_models.files import write_atomically
from seqcov_models.run.chunk_files import track_runs
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.seams import Jumps, Seams

_HEADER = struct.Struct("<8s16sQ")
_MAGIC = b"seqcov\x00\x01"
_JUMPS = struct.Struct("<ddQQ")

Item = TypeVar("Item")
Result = TypeVar("Result")


def write_range(
    plan: CoveragePlan,
    name: str,
    chunks: Sequence[Path],
    files: Sequence[Path],
    threads: int = 1,
) -> None:
    """Compress the chunks of a range into one file per batch of tracks.

    Args:
        plan: The model's plan.
        name: Name of the range.
        chunks: The files of the range's chunks, in the plan's order.
        files: The files to write, one per batch. Those without a batch will be empty.
        threads: Tracks that are compressed at a time.

    Raises:
        SeqcovError: If a chunk does not have the planned shape, or a value is infinite.
    """
    track_set = plan.find_set(name)
    segments = [track_set.chunks[chunk] for chunk in track_set.ranges[name]]
    planned = list(zip(chunks, segments, strict=True))
    first, last = segments[0][0], segments[-1][-1]
    start = first.contig, first.first_window * plan.tiling.step
    end = last.contig, last.first_window * plan.tiling.step + last.bins

    def pack(row: int) -> bytes:
        """Return one track of the range."""
        seams = Seams(plan.tiling, plan.fasta.contigs)
        runs = track_set.round_runs(row, track_runs(planned, row, plan.tiling.step))
        packed = pack_range(plan.fasta.contigs, plan.geometry.bin, seams.observe(runs), start, end)
        return _JUMPS.pack(*seams.jumps) + packed.to_bytes()

    batches, digest = track_set.batches, track_set.packing_digest
    with ThreadPoolExecutor(threads) as pool:
        for number, path in enumerate(files):
            rows = batches[number].rows if number < len(batches) else []
            tracks = _map_ahead(pool, pack, rows, 2 * threads)
            _write_file(path, digest, len(rows), tracks)


def _map_ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], count: int
) -> Iterator[Result]:
    """Yield function(item) for each item in order; at most `count` results wait in memory."""
    started: deque[Future[Result]] = deque()
    for item in items:
        if len(started) == count:
            yield started.popleft().result()
        started.append(pool.submit(function, item))
    while started:
        yield started.popleft().result()


def _write_file(path: Path, digest: str, count: int, tracks: Iterable[bytes]) -> None:
    """Write a file of `count` tracks."""
    offsets = np.zeros(count + 1, "<u8")
    with write_atomically(path) as part, part.open("wb") as handle:
        handle.write(_HEADER.pack(_MAGIC, digest.encode(), count) + offsets.tobytes())
        for number, track in enumerate(tracks):
            offsets[number] = handle.tell()
            handle.write(track)
        offsets[count] = handle.tell()
        handle.seek(_HEADER.size)
        handle.write(offsets.tobytes())
        handle.flush()
        os.fsync(handle.fileno())  # the chunks are deleted next


def is_packed_from(path: Path, digest: str) -> bool:
    """Return whether an existing file was compressed from what has this digest."""
    with path.open("rb") as handle:
        return handle.read(_HEADER.size)[:-8] == _MAGIC + digest.encode()


class PackedTrack:
    """A track in the files of all ranges.

    Attributes:
        jumps: The jumps between bins of the ranges that have been read.
    """

    def __init__(self, files: Sequence[Path], number: int, digest: str) -> None:
        """Choose a track.

        Args:
            files: The files of all ranges of a batch, in the plan's order.
            number: Number of the track in its batch.
            digest: The `packing_digest` of the track's set.
        """
        self._files, self._number, self._digest = files, number, digest
        self.jumps = Jumps()

    def read(self) -> Iterator[PackedRange]:
        """Yield the track's ranges in order.

        Raises:
            SeqcovError: If a file is missing, damaged, or was made from something else.
        """
        for path in self._files:
            try:
                content = self._read_bytes(path)
                jumps = Jumps(*_JUMPS.unpack_from(content))
                packed = PackedRange.from_bytes(content[_JUMPS.size :])
            except OSError as error:
                raise SeqcovError(f"range {path}: {error.strerror}") from None
            except (ValueError, struct.error) as error:
                raise SeqcovError(
                    f"range {path}: {error}; delete it and start the run again"
                ) from None
            self.jumps = self.jumps.add(jumps)
            yield packed

    def _read_bytes(self, path: Path) -> bytes:
        """Return the track in one file. Raises ValueError if the file is from another run."""
        with path.open("rb") as handle:
            magic, made_from, count = _HEADER.unpack(handle.read(_HEADER.size))
            if magic != _MAGIC or made_from != self._digest.encode() or self._number >= count:
                raise ValueError("from another run")
            handle.seek(8 * self._number, 1)
            begin, end = struct.unpack("<2Q", handle.read(16))
            handle.seek(begin)
            return handle.read(max(end - begin, 0))
