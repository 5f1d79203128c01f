"""Measure how long each stage of a prediction takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Seconds:
    """Seconds spent in each stage of a prediction.

    Attributes:
        reading: The network waited for sequence.
        model: The network computed.
        stitching: Windows were blended into bins.
        writing: Results were written.
        elapsed: All of them together. A device that works ahead computes while results are written.
        windows: Windows that were predicted.
    """

    reading: float = 0.0
    model: float = 0.0
    stitching: float = 0.0
    writing: float = 0.0
    elapsed: float = 0.0
    windows: int = 0

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to `stage`."""
        began = time.perf_counter()
        yield
        setattr(self, stage, getattr(self, stage) + time.perf_counter() - began)

    def __str__(self) -> str:
        """Return the number of windows and the seconds of each stage."""
        stages = ("reading", "model", "stitching", "writing", "elapsed")
        texts = [f"{stage} {getattr(self, stage):.2f} s" for stage in stages]
        return f"{self.windows:,} windows; {', '.join(texts)}"
