"""How far a long loop is: a bar on a terminal, else a log line now and then."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 30.0

log = logging.getLogger("seqcov")


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Give a function done(n) to call after every n of `total`; says the rate and the time left."""
    from tqdm import tqdm

    began = said = time.monotonic()
    finished = 0
    with tqdm(total=total, unit=what, disable=not sys.stderr.isatty()) as bar:

        def done(count: int) -> None:
            nonlocal finished, said
            finished += count
            bar.update(count)
            now = time.monotonic()
            if bar.disable and (now - said > SECONDS_BETWEEN_LINES or finished == total):
                said = now
                rate = finished / max(now - began, 1e-9)
                left = time.strftime("%H:%M:%S", time.gmtime((total - finished) / rate))
                log.info("%d of %d %s, %.3g a second, %s left", finished, total, what, rate, left)

        yield done
