"""What every script's job has in common: a log, and mistakes of the user said in one line."""

import logging
import os
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqcov_models import SeqcovError

log = logging.getLogger("seqcov")

# Read when torch is imported. Threads that spin while they wait for one another stand in each
# other's way on a machine that does something else, too (benchmarks/README.md).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@contextmanager
def logged(path: str) -> Iterator[None]:
    """Send the job's log to `path` and to stderr; end with status 1 on a SeqcovError."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[logging.FileHandler(path, mode="w"), logging.StreamHandler()],
    )
    try:
        yield
        log.info("peak memory %.0f MB", peak_memory() / 1e6)
    except SeqcovError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception:
        log.exception("this should not happen")
        sys.exit(1)


def peak_memory() -> float:
    """The most bytes that this process has held.

    Where there is /proc it is asked: getrusage counts what the parent held when it forked, too.
    """
    try:
        (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except (OSError, ValueError):
        kilobytes = str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return 1024 * int(kilobytes)
