"""Write files atomically, hash them, and lock a folder for one run at a time."""

import fcntl
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seqcov_models.errors import SeqcovError


@contextmanager
def write_atomically(target: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `target` when the block ends without error.

    Leftovers of an earlier, killed attempt are removed first. If that attempt is still running, it
    fails: only one result can appear.

    Args:
        target: File or folder to write. An existing one is replaced.

    Yields:
        A path in the same folder, to be created by the caller as a file or a folder.

    Example:
        >>> with write_atomically(Path("tracks.tsv")) as temporary:
        ...     temporary.write_text("track")
    """
    for leftover in leftover_paths(target):
        remove(leftover)
    temporary = temporary_path(target)
    try:
        yield temporary
        if target.is_dir():
            remove(target)
        temporary.replace(target)
    finally:
        remove(temporary)


def temporary_path(target: Path) -> Path:
    """Return the path under which this process writes `target`."""
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def leftover_paths(target: Path) -> list[Path]:
    """Return the temporary paths of `target` that earlier attempts to write it left behind."""
    return [
        path
        for path in sorted(target.parent.glob(f".{glob.escape(target.name)}.*.part"))
        if path.name.removeprefix(f".{target.name}.").removesuffix(".part").isdecimal()
    ]


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


_LOCKS: dict[Path, IO[str]] = {}  # open as long as this process lives


def lock_folder(folder: Path) -> bool:
    """Keep other processes out of a folder until this process ends.

    The kernel releases the lock when the process ends, also if it is killed.

    Args:
        folder: Folder to lock; it is created if it is missing.

    Returns:
        True if the lock is new, False if this process already holds it.

    Raises:
        SeqcovError: If another process holds the lock, or if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.resolve() in _LOCKS:
            return False
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise SeqcovError(f"{folder}: cannot be written: {error}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise SeqcovError(f"{folder}: another run is writing here; wait for it to end") from None
    _LOCKS[folder.resolve()] = handle
    return True
