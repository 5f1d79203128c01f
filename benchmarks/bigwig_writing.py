"""Measure the bigWig writer beside pyBigWig.

    PYTHONPATH=. python benchmarks/bigwig_writing.py [VALUES] [REPEATS]

Both write the same values in bins of 32 bp, in turn, in one process with one thread. A third row
stores seqcov's blocks without compression: what remains is checks, zooms, index and the disk.
CPU time is that of the process, user and system; each figure is the median and the range.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig
from machine import name_processor

from seqcov_models.bigwig.layout import SIZES
from seqcov_models.bigwig.writer import write_bigwig

BIN = 32
BLOCK = 1 << 20
"""Values that a caller gives at a time, as jobs of the workflow do."""

Floats = npt.NDArray[np.float32]


def draw_values(kind: str, count: int) -> Floats:
    """Draw `count` values: independent ones, or ones that change slowly along the genome."""
    rng = np.random.default_rng(1)
    if kind == "independent":
        return rng.gamma(0.5, 2.0, count).astype(np.float32)
    noise = np.convolve(rng.normal(0, 3, count), np.full(8, 1 / 8), "same")
    smooth: Floats = np.logaddexp(0, noise).astype(np.float32)
    return smooth


def split_blocks(values: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield the number of the first bin and the values of each block."""
    for first in range(0, len(values), BLOCK):
        yield first, values[first : first + BLOCK]


def write_pybigwig(path: Path, values: Floats) -> None:
    """Write with pyBigWig's fastest entry: fixed steps from arrays."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([("chr1", len(values) * BIN)])
        for first, block in split_blocks(values):
            file.addEntries("chr1", first * BIN, values=block, span=BIN, step=BIN)


def write_seqcov(path: Path, values: Floats, compression: int = SIZES.compression) -> None:
    """Write with seqcov's writer."""
    runs = (("chr1", first, block) for first, block in split_blocks(values))
    sizes = replace(SIZES, compression=compression)
    write_bigwig(path, {"chr1": len(values) * BIN}, BIN, runs, sizes)


def write_stored(path: Path, values: Floats) -> None:
    """Write with seqcov's writer, without compression."""
    write_seqcov(path, values, 0)


WRITERS: dict[str, Callable[[Path, Floats], None]] = {
    "pyBigWig": write_pybigwig,
    "seqcov": write_seqcov,
    "seqcov, not compressed": write_stored,
}


def describe(rates: list[float]) -> str:
    """Return median and range of rates per second, in millions."""
    low, high, middle = min(rates), max(rates), statistics.median(rates)
    return f"{middle / 1e6:.1f} ({low / 1e6:.1f}–{high / 1e6:.1f})"


def main(count: int, repeats: int) -> None:
    """Print one table per kind of values."""
    print(f"{name_processor()}, load {os.getloadavg()[0]:.1f}, {count:,} values, {repeats} times\n")
    print("| values | writer | million values per CPU-second | ratio | bytes per value |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.bw")
        for kind in ("independent", "smooth"):
            values = draw_values(kind, count)
            rates: dict[str, list[float]] = {name: [] for name in WRITERS}
            sizes = {}
            for _ in range(repeats):
                for name, write in WRITERS.items():
                    path.unlink(missing_ok=True)
                    began = time.process_time()
                    write(path, values)
                    rates[name].append(count / (time.process_time() - began))
                    sizes[name] = path.stat().st_size / count
            for name, measured in rates.items():
                pairs = [a / b for a, b in zip(measured, rates["pyBigWig"], strict=True)]
                print(
                    f"| {kind} | {name} | {describe(measured)} | {statistics.median(pairs):.1f} |"
                    f" {sizes[name]:.2f} |"
                )


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*given, *(8_000_000, 7)[len(given) :])
