"""Continue an array that a killed job left unfinished: a file (.npy) with a journal behind its end.

The columns of the array are written from left to right, or its rows from top to bottom. After each
step the journal says how many of them are finished, and their checksum. A job that is killed leaves
the file under its temporary name. The next attempt takes it over if it has the same identity and no
process is writing it, and continues behind the last step whose checksum is right. In the finished
file, the checksums of the rows take the place of the journal; see `run.sealed_array`.
"""

import fcntl
import io
import math
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from seqcov_models.files import (
    DiskFullError,
    count_bytes,
    find_disk_full,
    leftover_paths,
    remove,
    reserve_space,
    temporary_path,
)
from seqcov_models.locks import check_run
from seqcov_models.run.sealed_array import (
    extend_checksums,
    pack_checksums,
    row_checksums,
    seal,
)

RECORD = struct.Struct("<QII")
"""A step in the journal: finished columns or rows, checksum of the checksums of all rows that the
step has changed, checksum of both."""


class UnfinishedArray:
    """An array (rows, columns) in a file, to be filled from left to right.

    Attributes:
        path: The file.
        finished: Columns that are written; the next ones begin here.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, identity: str
    ) -> None:
        self.path, self.finished = path, 0
        self._file: IO[bytes] = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._header, self._shape, self._dtype = npy_header(shape, dtype), shape, np.dtype(dtype)
        self._bytes = len(self._header) + math.prod(shape) * np.dtype(dtype).itemsize
        self._seal = seal(self._header, identity)
        self._checksums = [0] * shape[0]

    def lock(self) -> None:
        """Raise OSError if another process has the file, or if files cannot be locked here."""
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def map(self) -> "np.memmap[Any, Any]":
        """Map the file anew, so that memory does not grow with the array.

        Through the open file: another job may have put its own file under the same name.
        """
        file: Any = self._file
        return np.memmap(file, self._dtype, "r+", len(self._header), self._shape)

    def begin(self, target: Path) -> None:
        """Make an empty array. Raises DiskFullError if the disk has no space for it.

        target: The file that it will become, for the message.
        """
        self._file.truncate(0)
        reserve_space(self._file, self._bytes, target)
        self._write(0, self._header)
        self._write(self._bytes, self._seal)

    def restore(self) -> bool:
        """Find out what is finished; return whether this is the array, with the same identity."""
        if self._read(0, len(self._header)) != self._header:
            return False
        if self._read(self._bytes, len(self._seal)) != self._seal:
            return False
        array, place = self.map(), self._bytes + len(self._seal)
        while len(record := self._read(place, RECORD.size)) == RECORD.size:
            end, checksum, check = RECORD.unpack(record)
            if google_crc32c.value(record[:-4]) != check or end <= self.finished:
                break
            rows, checksums = self._find_changes(array, end)
            if _checksum(checksums) != checksum:
                break
            self._checksums[rows] = checksums
            self.finished, place = end, place + RECORD.size
        self._file.truncate(place)
        return True

    def append(self, block: Sequence[npt.NDArray[Any]]) -> None:
        """Write the next columns, given as arrays (columns, rows) whose rows follow each other."""
        array, row, end = self.map(), 0, self.finished + len(block[0])
        for values in block:
            array[row : row + values.shape[1], self.finished : end] = values.T
            row += values.shape[1]
        self._record(array, end)

    def _find_changes(self, array: npt.NDArray[Any], end: int) -> tuple[slice, list[int]]:
        """Return which rows change if the step up to `end` is finished, and their checksums."""
        return slice(None), extend_checksums(self._checksums, array[:, self.finished : end])

    def _record(self, array: npt.NDArray[Any], end: int) -> None:
        """Append to the journal that the step up to `end` is finished."""
        rows, checksums = self._find_changes(array, end)
        self._checksums[rows] = checksums
        record = struct.pack("<QI", end, _checksum(checksums))
        self._file.seek(0, io.SEEK_END)
        self._file.write(record + struct.pack("<I", google_crc32c.value(record)))
        self.finished = end

    def finish(self) -> None:
        """Replace the journal by the checksums of the rows, once the values are on the disk.

        Raises OSError if another job has put its own file under this name.
        """
        os.fsync(self._file.fileno())
        self._file.truncate(self._bytes + len(self._seal))
        self._write(self._bytes + len(self._seal), pack_checksums(self._checksums))
        os.fsync(self._file.fileno())
        if not os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
            raise FileExistsError(f"{self.path}: another job has replaced this file")

    def close(self) -> None:
        """Close the file and release its lock."""
        self._file.close()

    def _read(self, place: int, count: int) -> bytes:
        self._file.seek(place)
        return self._file.read(count)

    def _write(self, place: int, content: bytes) -> None:
        self._file.seek(place)
        self._file.write(content)


class UnfinishedRows(UnfinishedArray):
    """An array of any shape in a file, to be filled from top to bottom.

    Attributes:
        finished: Rows that are written; the next ones begin here.
    """

    def append(self, block: Sequence[npt.NDArray[Any]]) -> None:
        """Write the next rows, given as arrays of rows that follow each other."""
        array, end = self.map(), self.finished + sum(map(len, block))
        np.concatenate(block, out=array[self.finished : end])
        self._record(array, end)

    def _find_changes(self, array: npt.NDArray[Any], end: int) -> tuple[slice, list[int]]:
        rows = slice(self.finished, end)
        return rows, row_checksums(array[rows])


@contextmanager
def continue_array(
    target: Path,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    identity: str,
    resume: bool = True,
    kind: type[UnfinishedArray] = UnfinishedArray,
) -> Iterator[UnfinishedArray]:
    """Yield the array that becomes `target` when the block ends without error.

    It has what an earlier attempt finished, if that was killed or failed and had the same identity.
    Everything else that earlier attempts left is removed. If one of them is still running, it
    fails: only one result can appear.

    Args:
        target: The .npy to write.
        shape: Its shape; the first axis are the rows.
        dtype: Type of the values.
        identity: A text that differs if any value of the array may differ.
        resume: Whether an earlier attempt is continued, and this one can be.
        kind: Whether it is filled by columns or by rows.

    Raises:
        SeqcovError: If the run that started this job has ended.
    """
    check_run()
    continued = _take_over(target, lambda path: kind(path, shape, dtype, identity), resume)
    array = continued or kind(temporary_path(target), shape, dtype, identity)
    try:
        if continued is None:
            array.begin(target)
            with suppress(OSError):  # without locks a later attempt begins anew
                array.lock()
        yield array
        array.finish()
        check_run()
        array.path.replace(target)
    except DiskFullError:
        remove(array.path)
        raise
    except OSError as error:
        if not (number := find_disk_full(error)):
            raise
        raise DiskFullError(target, number, f"more than {count_bytes(array.path):,}") from None
    finally:
        array.close()
        if not resume:
            remove(array.path)


def _take_over(
    target: Path, open_array: Callable[[Path], UnfinishedArray], resume: bool
) -> UnfinishedArray | None:
    """Return the array that an earlier attempt left, if any; remove all other leftovers."""
    found = None
    for leftover in leftover_paths(target):
        try:
            array = open_array(leftover)
        except PermissionError:  # another user's, in a folder of the group
            remove(leftover)
            continue
        if found is None and resume and _is_abandoned(array) and array.restore():
            array.path = leftover.replace(temporary_path(target))
            found = array
        else:
            array.close()
            remove(leftover)
    return found


def _is_abandoned(array: UnfinishedArray) -> bool:
    """Lock an array; return whether that was possible, so that no process is writing it."""
    try:
        array.lock()
    except OSError:
        return False
    return True


def npy_header(shape: tuple[int, ...], dtype: npt.DTypeLike) -> bytes:
    """Return the header that `np.save` writes.

    Args:
        shape: Shape of the array.
        dtype: Type of its values.
    """
    header = io.BytesIO()
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(
        header, {"descr": description, "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


def _checksum(checksums: Sequence[int]) -> int:
    """Return the checksum of checksums."""
    checksum: int = google_crc32c.value(struct.pack(f"<{len(checksums)}I", *checksums))
    return checksum
