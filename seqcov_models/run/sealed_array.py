"""Read arrays (.npy) that end with what they were made from, and with a checksum of every row.

Both follow the values, where `numpy.load` does not look. `run.unfinished` and `run.chunk_files`
write them. A file that is damaged, or made from something else, is deleted when it is read: then
the same command makes it again.
"""

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.files import remove
from seqcov_models.locks import check_run

SEAL_BYTES = hashlib.sha256().digest_size

_DISCARDED: dict[Path, str] = {}
"""Why this process has deleted a file: other threads that read other rows of it say the same."""


def seal(header: bytes, identity: str) -> bytes:
    """Return what follows the values of an array.

    Args:
        header: The header of the .npy, which says type and shape.
        identity: A text that differs if any value of the array may differ.
    """
    return hashlib.sha256(header + identity.encode()).digest()


def pack_checksums(checksums: Sequence[int]) -> bytes:
    """Return what follows the seal: the checksum of every row, and a checksum of these.

    Args:
        checksums: CRC-32C of every row.
    """
    table = struct.pack(f"<{len(checksums)}I", *checksums)
    return table + struct.pack("<I", google_crc32c.value(table))


def discard(path: Path, problem: str) -> SeqcovError:
    """Delete a temporary file that cannot be used; return the error that says so.

    Args:
        path: The file or folder.
        problem: What is wrong with it.

    Raises:
        SeqcovError: If the run that started this job has ended: the file may be of another run.
    """
    check_run()
    message = f"{path}: {problem}; it was deleted, and the same command makes it again"
    _DISCARDED[path] = message
    remove(path)
    return SeqcovError(message)


class SealedArray:
    """An array in a file, mapped into memory.

    Attributes:
        path: The file.
        values: The array, whose first axis are the rows.
    """

    def __init__(self, path: Path, identity: str | None = None) -> None:
        """Map the array of a file.

        Args:
            path: The file.
            identity: What it was made from; None for anything.

        Raises:
            SeqcovError: If the file is missing, damaged, or made from something else.
        """
        self.path = path
        try:
            self.values: np.memmap[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
            with path.open("rb") as file:
                header = file.read(self.values.offset)
                file.seek(self.values.nbytes, 1)
                trailer = file.read()
        except OSError as error:
            reason = f"{path}: {error.strerror}; start the same command again"
            raise SeqcovError(_DISCARDED.get(path, reason)) from None
        except Exception as error:  # numpy raises many kinds for a damaged header
            raise discard(path, f"not a complete array ({error})") from None
        if identity is not None and trailer[:SEAL_BYTES] != seal(header, identity):
            raise discard(path, "damaged, or from another run")
        table = trailer[SEAL_BYTES : SEAL_BYTES + 4 * len(self.values)]
        if trailer[SEAL_BYTES:] != table + struct.pack("<I", google_crc32c.value(table)):
            raise discard(path, "damaged: its end is wrong")
        self._checksums = np.frombuffer(table, "<u4")

    def check(self, first: int, checksums: Sequence[int]) -> None:
        """Raise SeqcovError unless the rows from `first` on have these checksums."""
        if self._checksums[first : first + len(checksums)].tolist() != list(checksums):
            raise discard(self.path, "damaged: its bytes have changed since it was written")


def is_sealed(path: Path, identity: str) -> bool:
    """Return whether a file is a complete array that was made from `identity`; delete nothing.

    Args:
        path: The file.
        identity: What it must have been made from.
    """
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file:
            header = file.read(values.offset)
            file.seek(values.nbytes, 1)
            trailer = file.read()
    except Exception:  # numpy raises many kinds for a damaged header
        return False
    is_complete = len(trailer) == SEAL_BYTES + 4 * (len(values) + 1)
    return is_complete and trailer[:SEAL_BYTES] == seal(header, identity)


def extend_checksums(checksums: Sequence[int], columns: npt.NDArray[Any]) -> list[int]:
    """Return the checksums of rows to which columns were added.

    Args:
        checksums: The checksums before, one per row.
        columns: The columns that follow, (rows, columns); each row is contiguous.
    """
    return list(map(google_crc32c.extend, checksums, columns))


def row_checksums(rows: npt.NDArray[Any]) -> list[int]:
    """Return the checksum of each row of an array of any shape."""
    return [google_crc32c.value(row.tobytes()) for row in rows]
