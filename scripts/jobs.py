"""What every script's job has in common: a log, and mistakes of the user said in one line."""

import logging
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from seqcov_models import SeqcovError

log = logging.getLogger("seqcov")


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
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        log.info("peak memory %.0f MB", peak)
    except SeqcovError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception:
        log.exception("this should not happen")
        sys.exit(1)
