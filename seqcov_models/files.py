"""Write files atomically, know them by content, lock a folder, and find the user's own folders."""

import errno
import functools
import glob
import hashlib
import json
import operator
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple, Self

import google_crc32c

from seqcov_models.errors import SeqcovError
from seqcov_models.locks import check_run


@contextmanager
def write_atomically(target: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `target` when the block ends without error.

    Leftovers of an earlier, killed attempt are removed first. If that attempt is still running, it
    fails: only one result can appear.

    Args:
        target: File or folder to write. An existing one is replaced.

    Yields:
        A path in the same folder, to be created by the caller as a file or a folder.

    Raises:
        DiskFullError: If the disk has no space for it.
        SeqcovError: If the run that started this job has ended.

    Example:
        >>> with write_atomically(Path("tracks.tsv")) as temporary:
        ...     temporary.write_text("track")
    """
    check_run()
    for leftover in leftover_paths(target):
        remove(leftover)
    temporary = temporary_path(target)
    try:
        yield temporary
        check_run()
        if target.is_dir():
            remove(target)
        temporary.replace(target)
    except Exception as error:
        if isinstance(error, DiskFullError) or not (number := find_disk_full(error)):
            raise
        written = count_bytes(temporary)
        remove(temporary)  # before the free space is measured
        raise DiskFullError(target, number, f"more than {written:,}") from None
    finally:
        remove(temporary)


_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota of the disk is used up",
    errno.EFBIG: "the file is larger than this system or `ulimit -f` allows",
}


class DiskFullError(SeqcovError):
    """The disk has no space for a file: the message says how much is needed and how much is free.

    Args:
        target: The file or folder that was to be written.
        number: The number of the system's error: ENOSPC, EDQUOT or EFBIG.
        needed: How many bytes it needs, as text.
    """

    def __init__(self, target: Path, number: int, needed: str) -> None:
        free = shutil.disk_usage(target.parent).free
        super().__init__(
            f"{target}: {_FULL[number]}: it needs {needed} bytes, and {free:,} are free; make space"
            " and run the same command again"
        )


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8, as `write_atomically` does."""
    with write_atomically(target) as part:
        part.write_text(text, encoding="utf-8")


def find_disk_full(error: BaseException | None) -> int:
    """Return the number of the system's error if a full disk caused an error, else 0.

    Some libraries pass the number on in the text of an error of their own.
    """
    while error:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error.errno
        match = re.search(r"\b(?:errno = |os error |Errno )(\d+)\b", str(error))
        if match and int(match[1]) in _FULL:
            return int(match[1])
        error = error.__cause__ or error.__context__
    return 0


def reserve_space(file: IO[bytes], size: int, target: Path) -> None:
    """Reserve the first `size` bytes of a file: no later write to them finds the disk full.

    A write into a mapped file on a full disk ends the process without a message.

    Args:
        file: The open file.
        size: Number of bytes.
        target: The file that it will become, for the message.

    Raises:
        DiskFullError: If the disk does not have these bytes.
    """
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in _FULL:  # a file system that cannot reserve space
            file.truncate(size)
            return
        file.truncate(0)  # before the free space is measured
        raise DiskFullError(target, error.errno, f"{size:,}") from None


def count_bytes(path: Path) -> int:
    """Return the bytes of a file or of all files of a folder; 0 if it does not exist."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


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


def describe_encoding_error(error: UnicodeDecodeError) -> str:
    """Return what is wrong with a text that is not UTF-8, and what to do.

    Args:
        error: The error of decoding it.
    """
    if error.object[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "it is UTF-16 text; convert it to UTF-8, as `iconv -f utf-16 -t utf-8` does"
    return (
        f"it is not UTF-8 text (byte 0x{error.object[error.start]:02x}); if it is Latin-1 text,"
        " convert it, as `iconv -f latin1 -t utf-8` does"
    )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def crc32c(file: "IO[bytes] | HashedFile") -> int:
    """Return the CRC-32C of the rest of a file."""
    value = 0
    while content := file.read(1 << 20):
        value = google_crc32c.extend(value, content)
    return value


def combine_crc32c(first: int, second: int, length: int) -> int:
    """Return the CRC-32C of bytes that follow others, from the CRC-32C of both.

    A CRC of n zero bytes more is a linear function of the CRC before, here as the images of its 32
    bits. That of 2 n zero bytes is this function twice.

    Args:
        first: CRC-32C of the first bytes.
        second: CRC-32C of the second bytes.
        length: Number of the second bytes.
    """

    def append_zeros(value: int) -> int:
        images = (image for bit, image in enumerate(bits) if value >> bit & 1)
        return functools.reduce(operator.xor, images, 0)

    zero = google_crc32c.extend(0, b"\0")
    bits = [google_crc32c.extend(1 << bit, b"\0") ^ zero for bit in range(32)]
    while length:
        if length & 1:
            first = append_zeros(first)
        bits = [append_zeros(image) for image in bits]
        length >>= 1
    return first ^ second


class FileState(NamedTuple):
    """What differs once a file is changed or replaced, and costs no reading.

    Attributes:
        inode: Number of the file in its file system. A copy has another one.
        size: Bytes.
        modified: Date of the content in ns since 1970, which `cp -p` and `touch` set.
        changed: Date of the last change in ns since 1970, which only the system's clock sets.
    """

    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the state of the file at `path`."""
        state = path.stat()
        return cls(state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


class HashedFile:
    """A file that is read from its start and hashed on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes: at most `size`, or all of them."""
        content = self._file.read(size)
        self._hash.update(content)
        return content

    def digest(self) -> str:
        """Read the rest of the file; return the SHA-256 of all of it."""
        while self.read(1 << 20):
            pass
        return self._hash.hexdigest()


LARGE_FILE = 100_000_000
"""Bytes of a file from which on its reading is announced."""

REMEMBERED_FILE = 1 << 20
"""Bytes of a file from which on its digest is remembered: a smaller one is read as quickly."""

CLOCK_STEP = 2_000_000_000
"""Nanoseconds within which two changes of a file may get the same date, in any file system."""


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file, which is read once as long as nobody changes it.

    The digest is remembered in the user's cache folder, with the state of the file.

    Args:
        path: The file.

    Raises:
        SeqcovError: If the file changes while it is read.
    """
    return read_content(path)[0]


def read_content(
    path: Path, check: Callable[[HashedFile], list[str]] | None = None
) -> tuple[str, list[str]]:
    """Return the SHA-256 of a file, and what `check` returns. Both are remembered.

    Args:
        path: The file.
        check: A function that reads the file, returns facts about it, and raises SeqcovError if its
            content is wrong. It is called once per content, too.

    Raises:
        SeqcovError: If the file changes while it is read, or by `check`.
    """
    path = path.resolve()
    state = FileState.read(path)
    with suppress(OSError, ValueError, SeqcovError):
        if state.size >= REMEMBERED_FILE:
            *known, digest, facts = json.loads(_digest_note(path, check).read_text())
            if tuple(known) == state:
                return str(digest), facts
    if state.size >= LARGE_FILE:
        print(f"reading {path} once, to know its content ({state.size:,} bytes)", file=sys.stderr)
    with path.open("rb") as file:
        reader = HashedFile(file)
        facts = check(reader) if check else []
        digest = reader.digest()
    if FileState.read(path) != state:
        raise SeqcovError(f"{path} is being written; start again when it is complete")
    # A change within the same step of the clock would leave the state as it is
    if state.size >= REMEMBERED_FILE and time.time_ns() - state.changed > CLOCK_STEP:
        with suppress(OSError, SeqcovError), write_atomically(_digest_note(path, check)) as part:
            part.write_text(json.dumps([*state, digest, facts]))
    return digest, facts


def _digest_note(path: Path, check: object) -> Path:
    """Return the file that remembers the digest of the file at `path`."""
    folder = make_cache_folder() / "digests"
    folder.mkdir(exist_ok=True)
    key = f"{getattr(check, '__name__', '')} {path}"
    return folder / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]


def make_cache_folder() -> Path:
    """Return the user's folder for derived files; create it if it is missing.

    It is ``seqcov`` in XDG_CACHE_HOME or ~/.cache. A user without a home folder gets one in the
    system's temporary folder. Other users can write none of these.

    Raises:
        SeqcovError: If no such folder can be created or belongs to this user alone.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    try:
        return _make_private(cache / "seqcov")
    except (OSError, RuntimeError):  # expanduser() does not know a home
        temporary = Path(tempfile.gettempdir()) / f"seqcov-{os.getuid()}"
    try:
        return _make_private(temporary)
    except OSError as error:
        raise SeqcovError(
            f"neither {cache / 'seqcov'} nor {temporary} can hold caches and locks"
            f" ({error.strerror}); set XDG_CACHE_HOME to a folder of your own"
        ) from None


def make_runtime_folder() -> Path:
    """Return the user's folder for locks of this machine; create it if it is missing.

    It is ``seqcov`` in XDG_RUNTIME_DIR if that is a folder of this user, else the cache folder.

    Raises:
        SeqcovError: If there is no such folder.
    """
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "/")
    try:
        if runtime.is_absolute() and runtime.stat().st_uid == os.getuid() and runtime != Path("/"):
            return _make_private(runtime / "seqcov")
    except OSError:  # for example the name of a folder on the machine that submitted the job
        pass
    return make_cache_folder()


def _make_private(folder: Path) -> Path:
    """Create a folder, or check that it and a link to it are the user's; raise OSError if not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.stat()
    if {folder.lstat().st_uid, state.st_uid} != {os.getuid()}:
        raise OSError(errno.EPERM, "it belongs to another user")
    if stat.S_IMODE(state.st_mode) & 0o022:
        raise OSError(errno.EPERM, "other users may write into it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, "it cannot be written")
    return folder
