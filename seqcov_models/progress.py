"""Report the progress of a long loop: a line in the log every minute, and at the end."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 60.0

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
    start = last_report = time.monotonic()
    finished = 0

    def advance(count: int) -> None:
        nonlocal finished, last_report
        finished += count
        now = time.monotonic()
        if now - last_report > SECONDS_BETWEEN_LINES or finished == total:
            last_report = now
            log.info(describe_progress(finished, total, unit, finished / max(now - start, 1e-9)))

    yield advance


def describe_progress(finished: int, total: int, unit: str, rate: float) -> str:
    """Return how much is done, how fast, and how long the rest takes.

    Args:
        finished: Number of items that are done.
        total: Number of all items.
        unit: Name of the items in the plural.
        rate: Items per second; 0 if nothing is known.

    Example:
        >>> describe_progress(1_200, 15_720, "windows", 0.5)
        '1,200 of 15,720 windows (7 %), 0.5 per second, 8 h 4 min left'
    """
    text = f"{finished:,} of {total:,} {unit}"
    if finished >= total:
        return f"{text}, {rate:,.3g} per second"
    text += f" ({100 * finished // total} %)"
    if not rate:
        return text
    return f"{text}, {rate:,.3g} per second, {format_duration((total - finished) / rate)} left"


def format_duration(seconds: float) -> str:
    """Return a time in its two largest units.

    Args:
        seconds: The time.

    Example:
        >>> [format_duration(s) for s in (0.4, 75, 7_260, 200_000)]
        ['0 s', '1 min 15 s', '2 h 1 min', '2 d 7 h']
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    amounts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    first = next((number for number, (amount, _) in enumerate(amounts) if amount), 3)
    parts = [f"{amount} {unit}" for amount, unit in amounts[first : first + 2] if amount]
    return " ".join(parts) or "0 s"
