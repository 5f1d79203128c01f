"""Read windows of sequence batch by batch, one batch ahead of the network."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np

from seqcov_models import sequence
from seqcov_models.prediction.timings import Seconds
from seqcov_models.sequence import Codes

Batch = TypeVar("Batch")
Item = TypeVar("Item")


@dataclass(frozen=True)
class ContigWindows:
    """The sequence of windows of one contig, and of what lies around them.

    Attributes:
        sweep: An object that only the windows of one pass along one contig share.
        starts: Start of each window, in ascending order; 0-based, may be negative.
        codes: The windows, (windows, window); N beyond the ends of the contig.
        first: Start of `around`.
        around: The sequence from the first window to the last, and a margin at both sides.
    """

    sweep: object
    starts: Sequence[int]
    codes: Codes
    first: int
    around: Codes

    @classmethod
    def read(
        cls, fetch: Callable[[int, int], Codes], starts: Sequence[int], length: int, margin: int,
        sweep: object,
    ) -> Self:  # fmt: skip
        """Read windows of `length` bp, and `margin` bp at each side of them.

        `fetch` returns the codes of [start, end) of the contig, N beyond its ends.
        """
        first = starts[0] - margin
        around = fetch(first, starts[-1] + length + margin)
        codes = np.stack([around[start - first : start - first + length] for start in starts])
        return cls(sweep, starts, codes, first, around)

    def __len__(self) -> int:
        return len(self.starts)

    def select(self, numbers: Sequence[int]) -> Self:
        """Return some of the windows, with all of the sequence around them."""
        starts = [self.starts[number] for number in numbers]
        return replace(self, starts=starts, codes=self.codes[list(numbers)])

    def fetch(self, start: int, end: int) -> Codes:
        """Return the codes of [start, end), 0-based on the plus strand."""
        return self.around[start - self.first : end - self.first]

    def on_strand(self, shift: int, reverse: bool) -> tuple[list[int], Callable[[int, int], Codes]]:
        """Return the starts of the windows moved by −`shift` bp, and a function that fetches codes.

        Both are on the strand that is read: coordinates of the reverse strand are negative.
        """
        starts = [start - shift for start in self.starts]
        if not reverse:
            return starts, self.fetch
        length = self.codes.shape[1]
        return (
            [-start - length for start in starts],
            lambda start, end: sequence.reverse_complement(self.fetch(-end, -start)),
        )


def read_batches(
    windows: range, batch_size: int, read: Callable[[range], Batch], seconds: Seconds
) -> Iterator[tuple[range, Batch]]:
    """Yield each batch of window numbers with its sequence.

    A thread reads the next batch while the caller works on the current one.

    Args:
        windows: Numbers of the windows to read.
        batch_size: Windows per batch; the last batch may have fewer.
        read: Returns the sequence of a range of windows; called by one thread, in order.
        seconds: Receives the time that the caller had to wait, as `reading`.

    Yields:
        The numbers of the windows of one batch, and what `read` returned for them.
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


def start_ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """Yield `items`, each after `count` more have been started."""
    started: deque[Item] = deque()
    for item in items:
        started.append(item)
        if len(started) > count:
            yield started.popleft()
    yield from started
