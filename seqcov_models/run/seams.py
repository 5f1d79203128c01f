"""Measure how well neighbouring windows fit together."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from seqcov_models.run.chunk_files import Values
from seqcov_models.tiling import Tiling


class Jumps(NamedTuple):
    """Absolute jumps between neighbouring bins: sums and numbers, at seams and elsewhere."""

    seam_sum: float = 0.0
    other_sum: float = 0.0
    seams: int = 0
    others: int = 0

    def add(self, jumps: "Jumps") -> "Jumps":
        """Return the jumps of two ranges together."""
        return Jumps(
            self.seam_sum + jumps.seam_sum,
            self.other_sum + jumps.other_sum,
            self.seams + jumps.seams,
            self.others + jumps.others,
        )

    @property
    def at_seams(self) -> float:
        """Mean absolute jump between neighbouring bins of different windows; NaN without one."""
        return self.seam_sum / self.seams if self.seams else float("nan")

    @property
    def elsewhere(self) -> float:
        """Mean absolute jump between neighbouring bins of the same window; NaN without one."""
        return self.other_sum / self.others if self.others else float("nan")

    @property
    def cells(self) -> tuple[str, str]:
        """Both means as text, for the table of tracks."""
        return f"{self.at_seams:.6g}", f"{self.elsewhere:.6g}"


class Seams:
    """Measure the jumps between neighbouring bins, at seams between windows and elsewhere.

    A large difference shows that windows do not fit together. Both means are columns of the table
    of tracks.
    """

    def __init__(self, tiling: Tiling, contigs: Mapping[str, int]) -> None:
        self._tiling, self._contigs = tiling, contigs
        self.jumps = Jumps()

    def observe(self, runs: Iterable[tuple[str, int, Values]]) -> Iterator[tuple[str, int, Values]]:
        """Yield `runs` unchanged, and add up their jumps."""
        for contig, first, values in runs:
            windows = self._tiling.count_windows(self._contigs[contig])
            seams = self._tiling.seams(windows, first + 1, first + len(values))
            jumps = np.abs(values[1:] - values[:-1])
            at_seams = jumps[seams - first - 1]
            total, sum_at_seams = jumps.sum(dtype=np.float64), at_seams.sum(dtype=np.float64)
            counts = len(at_seams), len(jumps) - len(at_seams)
            self.jumps = self.jumps.add(
                Jumps(float(sum_at_seams), float(total - sum_at_seams), *counts)
            )
            yield contig, first, values
