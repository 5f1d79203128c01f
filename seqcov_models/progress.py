"""Report the progress of a long loop: a bar on a terminal, else a log line every 30 seconds."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 30.0

log = logging.getLogger("seqcov")


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield a function `advance(count)` that reports the rate and the remaining time.

    Args:
        total: Number of items that the loop handles.
        unit: Name of the items in the plural, such as "windows".

    Yields:
        Function to call after each step with the number of items that the step handled.

    Example:
        >>> with progress(1_267, "windows") as advance:
        ...     advance(8)
    """
    from tqdm import tqdm

    start = last_report = time.monotonic()
    finished = 0
    with tqdm(total=total, unit=unit, disable=not sys.stderr.isatty()) as bar:

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
                    unit,
                    rate,
                    remaining,
                )

        yield advance
