"""Write the chunk file of a model of coverage: windows that are predicted, and that are copied."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.prediction.timings import Seconds
from seqcov_models.progress import progress
from seqcov_models.run.chunk_files import Values, chunk_writer, write_behind
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.finished import is_finished
from seqcov_models.run.inputs import check_inputs
from seqcov_models.run.job import log
from seqcov_models.run.paths import Paths
from seqcov_models.run.sealed_array import discard
from seqcov_models.run.track_set import TrackSet
from seqcov_models.tiling import NO_INTERVALS, BinIntervals, Segment, is_inside

Predict = Callable[..., Iterator[tuple[int, Values, Values]]]
"""Function of a segment, with the options and results of `prediction.coverage.predict_segment`."""

BYTES_IN_MEMORY = 1 << 27
"""Bytes of copied values in memory at a time, if a window does not need more."""
OPEN_BIGWIGS = 400
"""Maximum number of bigWigs that are open at a time: many systems allow 1,024 files."""


def write_coverage_chunk(
    path: Path,
    rows: int,
    segments: Sequence[Segment],
    selected: Mapping[str, BinIntervals],
    step: int,
    predict: Predict,
    *,
    dtype: str = "float32",
    asynchronous: bool = False,
    identity: str | None = None,
    check: Callable[[], None] = lambda: None,
    **options: Any,
) -> Seconds:
    """Write the chunk file of some segments from what `predict` yields.

    A job that is killed can be continued: windows that it has written are not predicted again.

    Args:
        path: The .npy to write. It appears when it is complete.
        rows: Rows of the file; the last one is the fraction of unknown bases.
        segments: The chunk's windows. Their bins are the columns of the file, in this order.
        selected: Bins to give a value, by contig; the others are NaN.
        step: Bins between neighbouring windows.
        predict: The function that yields the values of a segment.
        dtype: "float32" or "float16", of the file.
        asynchronous: Whether a thread writes.
        identity: A text that differs if any value may differ. If it is given, a later call with the
            same text continues this one after its last window.
        check: Function that raises an error if the sequence has changed. It is called after every
            window is read and before it is written.
        **options: Passed on to `predict`.

    Returns:
        The time spent in each stage.

    Raises:
        SeqcovError: By `predict` or `check`.
    """
    seconds = Seconds()
    bins = sum(segment.bins for segment in segments)
    windows = sum(segment.windows for segment in segments)
    with (
        chunk_writer(path, rows, bins, dtype, identity) as write_now,
        write_behind(write_now, asynchronous) as write,
    ):
        remaining = list(_remaining(segments, write_now.finished, step))
        count = sum(segment.windows for _, segment in remaining)
        if count < windows:
            log.info("continuing after %d of %d windows", windows - count, windows)
        with progress(count, "windows") as advance, seconds.measure("elapsed"):
            for offset, segment in remaining:
                excluded = ~_selection_mask(selected[segment.contig], segment, step)
                for first, values, unknown in predict(
                    segment, seconds=seconds, dtype=dtype, **options
                ):
                    mask = excluded[first : first + len(values)]
                    values[mask] = np.nan
                    unknown[mask] = np.nan
                    check()
                    with seconds.measure("writing"):
                        write(offset + first, values, unknown[:, None])
                    advance(-(-len(values) // step))
        check()
    seconds.windows = count
    return seconds


def _remaining(
    segments: Sequence[Segment], finished: int, step: int
) -> Iterator[tuple[int, Segment]]:
    """Yield what is left of `segments` after `finished` bins, each with its first bin's column."""
    column = 0
    for segment in segments:
        windows = min(segment.windows, max(0, finished - column + step - 1) // step)
        bins = min(segment.bins, windows * step)
        if windows < segment.windows:
            yield (
                column + bins,
                Segment(
                    segment.contig,
                    segment.first_window + windows,
                    segment.windows - windows,
                    segment.bins - bins,
                ),
            )
        column += segment.bins


def _selection_mask(selected: BinIntervals, segment: Segment, step: int) -> npt.NDArray[np.bool_]:
    """Return which bins of a segment are selected, (bins,)."""
    mask = np.zeros(segment.bins, np.bool_)
    for start, end in (selected - segment.first_window * step).clip(0).tolist():
        mask[start:end] = True
    return mask


def copy_coverage_chunk(plan: CoveragePlan, chunk: str, path: Path, paths: Paths) -> Seconds:
    """Write a chunk file whose windows are all copied from earlier bigWigs.

    Args:
        plan: The model's plan.
        chunk: The name of a chunk.
        path: The chunk file to write.
        paths: The paths of the run's results.

    Returns:
        The time spent in each stage.

    Raises:
        SeqcovError: If an input or an earlier bigWig has changed, or if a bigWig is damaged.
    """
    check = check_inputs(plan)
    check()
    track_set = plan.find_set(chunk)
    return write_coverage_chunk(
        path,
        track_set.row_count,
        track_set.chunks[chunk],
        plan.selected_bins,
        plan.tiling.step,
        EarlierBigwigs(plan, track_set, paths).read,
        dtype=plan.options.chunk_dtype,
        identity=plan.chunk_identity(chunk),
        check=check,
    )


class EarlierBigwigs:
    """The earlier bigWigs from which a set of tracks copies values.

    Args:
        plan: The model's plan.
        track_set: The set.
        paths: The paths of the run's results.

    Raises:
        SeqcovError: If a bigWig is missing, or is not what it was when the run was planned.
    """

    def __init__(self, plan: CoveragePlan, track_set: TrackSet, paths: Paths) -> None:
        import pyBigWig

        self._plan, self._set = plan, track_set
        self._sources = plan.find_sources(track_set)
        self._open = lru_cache(OPEN_BIGWIGS)(pyBigWig.open)
        self._rows: list[dict[int, Path]] = [{} for _ in range(track_set.row_count)]
        for number, source in enumerate(self._sources):
            for group, digest in source.folders.items():
                folder = paths.tracks(plan.name, group)
                if not is_finished(folder, digest):
                    raise SeqcovError(
                        f"{folder} has changed since this run began; start the same command again"
                    )
            for bigwig in source.bigwigs:
                file = paths.bigwig(plan.name, bigwig.group, bigwig.file_name)
                self._rows[bigwig.row][number] = file

    def complete(self, predict: Predict) -> Predict:
        """Return a function like `predict` that reads the windows that are copied."""

        def predict_or_read(segment: Segment, **options: Any) -> Iterator[Any]:
            for part, is_predicted in self._plan.split_segment(self._set, segment):
                skipped = (part.first_window - segment.first_window) * self._plan.tiling.step
                for first, *arrays in (predict if is_predicted else self.read)(part, **options):
                    yield skipped + first, *arrays

        return predict_or_read

    def read(self, segment: Segment, **_: Any) -> Iterator[tuple[int, Values, Values]]:
        """Yield the values of a segment as `predict_segment` does, some windows at a time."""
        step, rows = self._plan.tiling.step, len(self._rows)
        block = max(1, BYTES_IN_MEMORY // (4 * rows * step)) * step
        for first in range(0, segment.bins, block):
            bins = min(block, segment.bins - first)
            place = segment.first_window * step + first + np.arange(bins)
            masks = [
                is_inside(place, source.bins.get(segment.contig, NO_INTERVALS))
                for source in self._sources
            ]
            values = np.full((rows, bins), np.nan, np.float32)
            for row, files in zip(values, self._rows, strict=True):
                missing = np.ones(bins, np.bool_)
                for number, file in files.items():
                    if (chosen := missing & masks[number]).any():
                        row[chosen] = self._read_bins(file, segment.contig, place)[chosen]
                        missing &= ~chosen
            yield first, values[:-1].T, values[-1]

    def _read_bins(self, file: Path, contig: str, place: npt.NDArray[np.int64]) -> Values:
        """Return the values of neighbouring bins of a bigWig; NaN is a bin without a value."""
        size = self._plan.geometry.bin
        length = self._plan.fasta.contigs[contig]
        start, end = int(place[0]) * size, min(int(place[-1] + 1) * size, length)
        try:
            bases = self._open(str(file)).values(contig, start, end, numpy=True)
        except RuntimeError:
            raise discard(file, "damaged") from None
        return np.asarray(bases, np.float32)[::size]
