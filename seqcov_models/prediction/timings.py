"""Measure where the time of a prediction goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Seconds:
    """Where the time of a prediction went. `reading` is what the network had to wait for."""

    reading: float = 0.0
    model: float = 0.0
    writing: float = 0.0

    @contextmanager
    def spent_on(self, part: str) -> Iterator[None]:
        """Add the time of the block to `part`."""
        began = time.perf_counter()
        yield
        setattr(self, part, getattr(self, part) + time.perf_counter() - began)
