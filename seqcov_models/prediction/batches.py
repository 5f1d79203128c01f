"""Read windows of sequence batch by batch, one batch ahead of the network."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from seqcov_models.prediction.timings import Seconds
from seqcov_models.sequence import Codes


def read_batches(
    windows: range, batch_size: int, read: Callable[[range], Codes], seconds: Seconds
) -> Iterator[tuple[range, Codes]]:
    """Yield each batch of window numbers with its codes, shape (windows, window).

    A thread reads the next batch while the caller works on the current one.

    Args:
        windows: Numbers of the windows to read.
        batch_size: Windows per batch; the last batch may have fewer.
        read: Returns the codes of a range of windows; called by one thread, in order.
        seconds: Receives the time that the caller had to wait, as `reading`.

    Yields:
        The numbers of the windows of one batch, and their codes (windows, window) ``uint8``.
    """
    batches = [windows[start : start + batch_size] for start in range(0, len(windows), batch_size)]
    with ThreadPoolExecutor(1) as reader:
        pending = reader.submit(read, batches[0]) if batches else None
        for number, batch in enumerate(batches, 1):
            assert pending is not None
            with seconds.measure("reading"):
                codes = pending.result()
            pending = reader.submit(read, batches[number]) if number < len(batches) else None
            yield batch, codes
