"""Predict coverage along contigs: windows in batches, stitched into the bins of a segment."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Genome
from seqcov_models.networks.shared.compute import route
from seqcov_models.prediction.batches import ContigWindows, read_batches, start_ahead
from seqcov_models.prediction.blending import WeightedMean
from seqcov_models.prediction.devices import too_low_precision, use_precision
from seqcov_models.prediction.ensemble import FoldEnsemble
from seqcov_models.prediction.timings import Seconds
from seqcov_models.sequence import UNKNOWN, Codes, Coverage, Mask
from seqcov_models.tiling import Geometry, Segment, Tiling

Core = tuple[int, Coverage | None, Mask, np.float64]
"""A window's number, its core's values (bins, columns) if it was predicted, which bins of the core
hold an A, C, G or T (bins,), and the fraction of the window that is unknown."""
Prediction = Callable[[], tuple[Coverage, bool]]
"""Waits for the device; returns (windows, bins, columns), and whether all of it is finite."""


def predict_segment(
    ensemble: FoldEnsemble[Any],
    tiling: Tiling,
    genome: Genome,
    segment: Segment,
    batch_size: int = 1,
    precision: str = "float32",
    min_acgt: float = 0.0,
    seconds: Seconds | None = None,
    dtype: str = "float32",
) -> Iterator[tuple[int, Coverage, Coverage]]:
    """Yield the coverage of a segment's bins, window by window, in order.

    A bin without any A, C, G or T has no value: it is NaN. So is a bin that is covered only by
    windows with less than the fraction `min_acgt` of A, C, G and T. Windows without any value are
    not predicted. Values do not depend on the batch size.

    Args:
        ensemble: The network or networks; `columns` below are its tracks, then their standard
            deviations if it gives them.
        tiling: How windows lie and how overlapping cores are blended.
        genome: The sequence.
        segment: Neighbouring windows of one contig.
        batch_size: Windows per forward pass.
        precision: float32, tf32 or bfloat16.
        min_acgt: Least fraction of A, C, G and T in a window that counts, 0 … 1.
        seconds: Receives the time spent in each stage.
        dtype: "float16" if the values will be stored so: a GPU may then yield float16, clipped at
            65,504, to copy half the bytes. Windows that are blended are float32 anyway.

    Yields:
        The first bin, counted from the segment's first bin; values (bins, columns) ``float32``;
        the fraction of each bin's windows that is N or beyond the contig, (bins,) ``float32``.

    Raises:
        SeqcovError: If the network's output is NaN or infinite, or the sequence cannot be read.
    """
    seconds = seconds or Seconds()
    cores = _predict_cores(
        ensemble, tiling, genome, segment, batch_size, precision, min_acgt, seconds,
        torch.float32 if tiling.preceding_windows else getattr(torch, dtype),
    )  # fmt: skip
    windows = tiling.count_windows(genome.contigs[segment.contig])
    yield from _stitch(cores, tiling, segment, windows, ensemble.columns, seconds)


def _predict_cores(
    ensemble: FoldEnsemble[Any],
    tiling: Tiling,
    genome: Genome,
    segment: Segment,
    batch_size: int,
    precision: str,
    min_acgt: float,
    seconds: Seconds,
    dtype: torch.dtype,
) -> Iterator[Core]:
    """Predict every window that covers a bin of the segment, in order."""
    geometry = tiling.geometry
    step = tiling.step * geometry.bin
    numbers = range(
        max(0, segment.first_window - tiling.preceding_windows),
        segment.first_window + segment.windows,
    )

    margin, sweep = ensemble.stem_margin(step), object()

    def read(batch: range) -> ContigWindows:
        starts = [number * step - geometry.context for number in batch]
        fetch = partial(genome.fetch, segment.contig)
        return ContigWindows.read(fetch, starts, geometry.window, margin or 0, sweep)

    def start() -> Iterator[tuple[range, Mask, Mask, npt.NDArray[np.float64], Prediction]]:
        for batch, windows in read_batches(numbers, batch_size, read, seconds):
            unknown, has_base = _known_bases(windows.codes, geometry)
            is_predicted = has_base.any(1) & (unknown <= 1 - min_acgt)
            predicted = windows.select(np.flatnonzero(is_predicted).tolist())
            with seconds.measure("model"):
                prediction = _start_batch(
                    ensemble, predicted.codes if margin is None else predicted, precision, dtype
                )
            yield batch, is_predicted, has_base, unknown, prediction

    batches = start_ahead(start(), 1 if route(ensemble.device).asynchronous else 0)
    for batch, is_predicted, has_base, unknown, prediction in batches:
        with seconds.measure("model"):
            predicted, finite = prediction()
        if not finite:
            place = f"{segment.contig} from {batch[0] * step:,}"
            raise _not_finite(ensemble, predicted, precision, place)
        values = iter(predicted)
        for row, number in enumerate(batch):
            yield number, next(values) if is_predicted[row] else None, has_base[row], unknown[row]


def _known_bases(codes: Codes, geometry: Geometry) -> tuple[npt.NDArray[np.float64], Mask]:
    """Return each window's fraction of unknown bases, and which bins hold a base, (…, bins)."""
    known = codes != UNKNOWN
    core = known[:, geometry.context : geometry.context + geometry.core]
    return 1 - known.mean(1), core.reshape(len(codes), geometry.bins, geometry.bin).any(2)


def _start_batch(
    ensemble: FoldEnsemble[Any], windows: Codes | ContigWindows, precision: str, dtype: torch.dtype
) -> Prediction:
    """Start to predict windows. A CPU finishes before this returns, and gives float32."""
    if not len(windows):
        return lambda: (np.empty((0, 0, ensemble.columns), np.float32), True)
    use_precision(precision, ensemble.device)
    with torch.inference_mode():
        if not route(ensemble.device).asynchronous:
            predicted = ensemble.compute_coverage(windows, precision).cpu().numpy()
            finite = bool(np.isfinite(predicted).all())
            return lambda: (predicted, finite)
        parts = ensemble.start(windows, precision, dtype)

    def wait() -> tuple[Coverage, bool]:
        values, finite = zip(*(part.wait() for part in parts), strict=True)
        return values[0] if len(values) == 1 else np.concatenate(values), all(finite)

    return wait


def _not_finite(
    ensemble: FoldEnsemble[Any], predicted: Coverage, precision: str, place: str
) -> SeqcovError:
    """Return the error for a batch that begins at `place` and has NaN or infinite values."""
    column = int(np.argmin(np.isfinite(predicted).all((0, 1))))
    track = ensemble.tracks[column % len(ensemble.tracks)]
    return too_low_precision(f"{place}: track {track.identifier}", precision)


def _stitch(
    cores: Iterator[Core],
    tiling: Tiling,
    segment: Segment,
    windows: int,
    columns: int,
    seconds: Seconds,
) -> Iterator[tuple[int, Coverage, Coverage]]:
    """Stitch the cores of neighbouring windows, blending them if they overlap.

    Yields what `predict_segment` does: for each window the bins from its core's start to the start
    of the next one. `windows` counts those of the entire contig.
    """
    bins, step = tiling.geometry.bins, tiling.step
    first_bin = max(0, segment.first_window - tiling.preceding_windows) * step
    means, unknown_means = WeightedMean(first_bin, columns), WeightedMean(first_bin, 1)
    for number, values, has_base, unknown in cores:
        with seconds.measure("stitching"):
            fractions = np.full(bins, unknown, np.float32)
            if tiling.preceding_windows:
                weights = tiling.blend_weights(number, windows)
                unknown_means.add(number * step, fractions[:, None], weights)
                fractions = unknown_means.take((number + 1) * step)[1][:, 0]
                if values is not None:
                    means.add(number * step, values, weights)
                values = means.take((number + 1) * step)[1]
            elif values is None:
                values = np.full((bins, columns), np.nan, np.float32)
            first = (number - segment.first_window) * step
            count = min(step, segment.bins - first)
            values, fractions = values[:count], fractions[:count]
            values[~has_base[:count]] = np.nan
        if first >= 0:
            yield first, values, fractions
