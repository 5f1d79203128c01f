"""Report the progress of a long loop: a bar on a terminal, else a log line every 30 seconds."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 30.0

log = logging.getLogger("seqcov")


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function `advance(count)` that reports the rate and the remaining time.

    Args:
        total: Number of items of the whole loop.
        what: What the items are, in the plural, e.g. "windows".
    """
    from tqdm import tqdm

    start = last_report = time.monotonic()
    finished = 0
    with tqdm(total=total, unit=what, disable=not sys.stderr.isatty()) as bar:

        def advance(count: int) -> None:
            nonlocal finished, last_report
            finished += count
            bar.update(count)
            now = time.monotonic()
            if bar.disable and (now - last_report > SECONDS_BETWEEN_LINES or finished == total):
                last_report = now
                rate = finished / max(now - start, 1e-9)
                remaining = time.strftime("%H:%M:%S", time.gmtime((total - finished) / rate))
                log.info(
                    "%d of %d %s, %.3g per second, %s remaining",
                    finished,
                    total,
                    what,
                    rate,
                    remaining,
                )

        yield advance
