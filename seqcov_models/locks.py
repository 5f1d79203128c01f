"""Lock files, the lock of a results folder, and jobs that end when their run has ended.

A run holds the lock of its results folder as long as its main process lives, and names itself in
the folder. Its jobs inherit that name. A job that outlives a killed run could overwrite a file of
the next run, which may have another config. Such a job finds another name, or no lock, and ends.
"""

import errno
import fcntl
import json
import os
import platform
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from seqcov_models.errors import SeqcovError

RUN_VARIABLE = "SEQCOV_RUN"
"""The environment variable that tells a job its run: the names of its runs, by folder, as JSON."""

_LOCK, _NAME = ".lock", ".run"


def open_lock(path: Path) -> IO[str]:
    """Open a file for `flock`; create it if it is missing.

    Nothing is written: if somebody planted a link, no file that it names is created or emptied.

    Args:
        path: The lock file.

    Returns:
        The open file.

    Raises:
        OSError: If the file cannot be opened, or if it is a symbolic link or not a regular file.
    """
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        try:
            descriptor = os.open(path, flags | os.O_RDWR, 0o666)
        except PermissionError:  # another user of the group created it
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(errno.ELOOP, f"{path}: the lock is a symbolic link; delete it") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path}: the lock is not a file; delete it")
    return os.fdopen(descriptor)


_LOCKS: dict[Path, IO[str]] = {}  # open as long as this process lives
_NAMES: dict[str, tuple[str, str]] = {}  # the value of RUN_VARIABLE: (name, machine) by folder


def begin_run(folder: Path) -> bool:
    """Keep other runs out of a folder until this process ends, and name this run in it.

    The kernel releases the lock when the process ends, also if it is killed. Processes that this
    one starts later can `check_run`.

    Args:
        folder: Folder of the results; it is created if it is missing.

    Returns:
        True if the run is new, False if it is that of this process.

    Raises:
        SeqcovError: If another process holds the lock, or if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.resolve() in _LOCKS:
            return False
        handle = open_lock(folder / _LOCK)
    except OSError as error:
        reason = error.strerror if error.filename is None else error
        raise SeqcovError(f"{folder}: cannot be written: {reason}") from None
    try:
        _lock(handle)
    except BlockingIOError:
        handle.close()
        raise SeqcovError(f"{folder}: another run is writing here; wait for it to end") from None
    except OSError as error:  # a file system without locks, such as Lustre without flock
        print(f"{folder}: cannot be locked ({error.strerror}); start only one run", file=sys.stderr)
    _LOCKS[folder.resolve()] = handle
    name = uuid4().hex
    _write_name(folder, name)
    _NAMES[str(folder.resolve())] = name, _machine()
    os.environ[RUN_VARIABLE] = json.dumps(_NAMES)
    return True


def _lock(handle: IO[str]) -> None:
    """Lock a file. Raises BlockingIOError if another process holds the lock for some time."""
    for _ in range(20):
        with suppress(BlockingIOError):  # a job holds it for an instant, see `_is_free`
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.01)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write_name(folder: Path, name: str) -> None:
    """Write the name of the run that begins; raise SeqcovError if the folder cannot be written."""
    part = folder / f"{_NAME}.{os.getpid()}.part"
    try:
        part.unlink(missing_ok=True)
        with part.open("x", encoding="utf-8") as file:
            file.write(name)
        part.replace(folder / _NAME)
    except OSError as error:
        raise SeqcovError(f"{folder}: cannot be written: {error.strerror}") from None


_LAST_CHECK = [float("-inf")]
_HELD: set[Path] = set()  # locks that were seen held, so that this machine sees when they are not


def check_run(pause: float = 0.0) -> None:
    """Check that the run that started this job goes on. A process without a run passes.

    Args:
        pause: Seconds since the last check in which there is no further one.

    Raises:
        SeqcovError: If the run's main process has ended, or if another run has begun.
    """
    if RUN_VARIABLE not in os.environ or time.monotonic() - _LAST_CHECK[0] < pause:
        return
    for folder, (name, machine) in json.loads(os.environ[RUN_VARIABLE]).items():
        if _is_over(Path(folder), name, machine):
            raise SeqcovError(
                f"{folder}: the run that started this job has ended, so the job ends without a"
                " result; a run that is started now makes it again"
            )
    _LAST_CHECK[0] = time.monotonic()


def _is_over(folder: Path, name: str, machine: str) -> bool:
    """Return whether the run of this name has ended."""
    if folder in _LOCKS:  # of this process
        return False
    with suppress(FileNotFoundError):
        if (folder / _NAME).read_text(encoding="utf-8") != name:
            return True
    if not _is_free(folder / _LOCK):
        return False
    # On another machine, a lock may look free because the file system keeps locks to itself
    return machine == _machine() or folder in _HELD


def _is_free(lock: Path) -> bool:
    """Return whether no process holds a lock; False if that cannot be found out."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        _HELD.add(lock.parent)
        return False
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _machine() -> str:
    """Return what identifies the running system of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()
