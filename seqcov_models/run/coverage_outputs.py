"""Write the results of a model of coverage from its chunks: bigWigs, and the mask."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.files import write_atomically
from seqcov_models.run.chunk_files import Values, track_runs
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.paths import TRACK_TABLE, bigwig_name
from seqcov_models.run.track_table import table_row, write_table
from seqcov_models.tiling import Segment, Tiling


def write_coverage_bigwigs(
    folder: Path, plan: CoveragePlan, group: str, chunks: Sequence[Path]
) -> None:
    """Write one bigWig per track of a group, and the table of these bigWigs.

    Args:
        folder: The folder to write. It appears when all of its files are complete.
        plan: The model's plan.
        group: A key of `plan.groups`.
        chunks: The files of all chunks, in the plan's order.

    Raises:
        SeqcovError: If a chunk does not have the planned shape, or a value is infinite.
    """
    contigs, bin_size = plan.fasta.contigs, plan.geometry.bin
    with write_atomically(folder) as part:
        part.mkdir(parents=True)
        rows = []
        for row, track in plan.members(group):
            path = part / bigwig_name(plan.name, track.file_name)
            seams = Seams(plan.tiling, contigs)
            runs = seams.observe(track_runs(_with_segments(plan, chunks), row, plan.tiling.step))
            summary = write_bigwig(path, contigs, bin_size, runs)
            jumps = f"{seams.at_seams:.6g}", f"{seams.elsewhere:.6g}"
            unit = plan.unit(track)
            rows.append(table_row(plan.name, group, track, path, bin_size, unit, summary, jumps))
        write_table(part / TRACK_TABLE, rows)


def write_mask(bed: Path, plan: CoveragePlan, chunks: Sequence[Path]) -> None:
    """Write a BED of the regions whose input window contained N or ran past the contig end.

    Columns: contig, start, end (0-based half-open), the fraction of the window that was unknown (0
    to 1), and that fraction in thousandths as the score.

    Args:
        bed: The file to write.
        plan: The model's plan.
        chunks: The files of all chunks, in the plan's order.

    Raises:
        SeqcovError: If a chunk does not have the planned shape.
    """
    size = plan.geometry.bin
    with write_atomically(bed) as part, part.open("w", encoding="utf-8") as out:
        for contig, first, values in track_runs(_with_segments(plan, chunks), -1, plan.tiling.step):
            edges = np.flatnonzero(np.diff(values, prepend=np.nan, append=np.nan) != 0)
            for start, end in pairwise(edges.tolist()):
                if (fraction := float(values[start])) > 0:
                    stop = min((first + end) * size, plan.fasta.contigs[contig])
                    interval = f"{contig}\t{(first + start) * size}\t{stop}"
                    out.write(f"{interval}\t{fraction:.4f}\t{round(1000 * fraction)}\n")


def _with_segments(
    plan: CoveragePlan, chunks: Sequence[Path]
) -> list[tuple[Path, Sequence[Segment]]]:
    """Return the files of all chunks, each with its segments."""
    return list(zip(chunks, plan.chunks.values(), strict=True))


class Seams:
    """Measure the mean jump between neighbouring bins, at seams between windows and elsewhere.

    A large difference shows that windows do not fit together. Both means are columns of the table
    of tracks.
    """

    def __init__(self, tiling: Tiling, contigs: Mapping[str, int]) -> None:
        self._tiling, self._contigs = tiling, contigs
        self._seams: tuple[str, npt.NDArray[np.int64]] = "", np.empty(0, np.int64)
        self._sums = np.zeros(2)
        self._counts = np.zeros(2, np.int64)

    def observe(self, runs: Iterable[tuple[str, int, Values]]) -> Iterator[tuple[str, int, Values]]:
        """Yield `runs` unchanged, and add up their jumps."""
        for contig, first, values in runs:
            if contig != self._seams[0]:
                windows = self._tiling.count_windows(self._contigs[contig])
                self._seams = contig, self._tiling.seams(windows)
            jumps = np.abs(np.diff(values))
            low, high = np.searchsorted(self._seams[1], (first + 1, first + len(values)))
            at_seams = jumps[self._seams[1][low:high] - first - 1]
            total, seams = jumps.sum(dtype=np.float64), at_seams.sum(dtype=np.float64)
            self._sums += seams, total - seams
            self._counts += len(at_seams), len(jumps) - len(at_seams)
            yield contig, first, values

    @property
    def at_seams(self) -> float:
        """Mean absolute jump between neighbouring bins of different windows; NaN without one."""
        return float(self._sums[0] / self._counts[0]) if self._counts[0] else float("nan")

    @property
    def elsewhere(self) -> float:
        """Mean absolute jump between neighbouring bins of the same window; NaN without one."""
        return float(self._sums[1] / self._counts[1]) if self._counts[1] else float("nan")
