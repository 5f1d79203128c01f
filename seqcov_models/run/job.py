"""Run a script of the workflow: write its log, print each error in one line, report its memory.

A script does its work inside `with job_log(snakemake.log[0]):`.
"""

import logging
import os
import re
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.files import DiskFullError, find_disk_full
from seqcov_models.locks import check_run

log = logging.getLogger("seqcov")


@contextmanager
def job_log(path: str) -> Iterator[None]:
    """Write the log to `path`, and warnings and errors to stderr; exit with status 1 on any error.

    A SeqcovError is one line for the user. Any other error has its traceback, and a last line that
    names the log.

    Args:
        path: The log file.
    """
    logging.raiseExceptions = False  # no traceback if the disk is too full for a line of the log
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[*_open_log(path), terminal],
    )
    try:
        check_run()
        yield
        log.info("peak memory %.0f MB, %.1f s of CPU time", peak_memory() / 1e6, cpu_time())
    except SeqcovError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception as error:
        if number := find_disk_full(error):
            target = Path(getattr(error, "filename", None) or path)
            log.error("%s", DiskFullError(target, number, "more"))
        else:
            log.exception("Unexpected error")
            log.error("Please report this error together with its log, %s", path)
        sys.exit(1)


def _open_log(path: str) -> list[logging.Handler]:
    """Return the handler that writes a log; none if the disk does not have space for the file."""
    try:
        # A new file: a job that outlives its run goes on with the old one
        Path(path).unlink(missing_ok=True)
        return [logging.FileHandler(path, mode="w")]
    except OSError as error:
        print(f"{path}: the log cannot be written: {error.strerror}", file=sys.stderr)
        return []


def list_files(files: str | Sequence[str]) -> list[Path]:
    """Return the files of a job under one keyword: one, or one per model.

    Args:
        files: What `snakemake.input` or `snakemake.output` has under the keyword.
    """
    return [Path(files)] if isinstance(files, str) else list(map(Path, files))


def peak_memory() -> float:
    """Return the maximum memory of this process so far, in bytes.

    /proc is read first: getrusage also counts the memory of the parent when it forked.
    """
    try:
        (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except (OSError, ValueError):
        kilobytes = str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return 1024 * int(kilobytes)


def cpu_time() -> float:
    """Return the CPU time of this process and its finished children so far, in seconds."""
    return sum(os.times()[:4])
