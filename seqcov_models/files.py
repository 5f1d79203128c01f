"""Files that appear whole or not at all, their hashes, folders that one run at a time works in."""

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
def written_whole(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`, given `target`'s name when the block ends without error.

    For a file or a folder. What an earlier, killed attempt left under such a name is removed; were
    that attempt still alive, it would fail, and only one result can appear.
    """
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        if left.name.removeprefix(f".{target.name}.").removesuffix(".part").isdecimal():
            _remove(left)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        if target.is_dir():
            _remove(target)
        part.replace(target)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The file's SHA-256 as hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


_LOCKS: list[IO[str]] = []  # open as long as this process lives


def lock_folder(folder: Path) -> None:
    """Keep other runs out of `folder` until this process ends.

    The kernel gives the lock up then, however the process ends, so that a run that was killed needs
    no unlocking. Raises SeqcovError where another run holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise SeqcovError(f"{folder}: cannot be written: {error}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise SeqcovError(f"{folder}: another run is writing here; wait for it to end") from None
    _LOCKS.append(handle)
